"""Seeded search for XGBoost hyperparameters."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features import TrainingInputs
from churn_kedro.parameters import ParameterError, Parameters
from churn_kedro.tasks import SCORE_NAMES, Score, describe_learning
from churn_kedro.threads import training_threads

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

# What the search or the fit gives to XGBoost on its own account.
_FIXED_PARAMETERS = frozenset(
    {
        "enable_categorical",
        "eval_metric",
        "feature_types",
        "n_estimators",
        "n_jobs",
        "objective",
        "random_state",
        "tree_method",
    }
)


class Interval(Parameters):
    """Values a hyperparameter may take."""

    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Search on a logarithmic scale.")
    integer: bool = Field(False, description="Whole numbers only.")

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs low above 0, found {self.low:g}")
        if self.integer and math.ceil(self.low) > math.floor(self.high):
            raise ValueError(f"there is no whole number from low {self.low:g} to high {self.high:g}")
        return self


class SearchParameters(Parameters):
    """Budget and space of the search."""

    n_trials: int = Field(ge=1, description="Hyperparameter sets to try.")
    timeout_seconds: float | None = Field(None, gt=0, description="Stop starting trials after this long; null: never.")
    max_rounds: int = Field(ge=1, description="Most trees a model may have.")
    early_stopping_rounds: int = Field(ge=1, description="Stop growing after this many rounds without a better score.")
    random_state: int = Field(ge=0, description="Seed of the search and of XGBoost.")
    n_jobs: int | None = Field(None, ge=1, description="Threads; null: one per 20,000 rows.")
    space: dict[str, Interval] = Field(min_length=1, description="Interval of each searched XGBoost parameter.")


class Trial(Parameters):
    """One tried set of hyperparameters."""

    number: int = Field(description="Order, from 0.")
    score: float = Field(description="Log loss or RMSE on the validation split, before calibration; lower is better.")
    n_estimators: int = Field(description="Trees that early stopping kept.")
    hyperparameters: dict[str, int | float] = Field(description="XGBoost parameters.")


class SearchResult(Parameters):
    """What a search found."""

    metric: Score = Field(description="What the scores are.")
    best: Trial = Field(description="The trial with the lowest score.")
    trials: list[Trial] = Field(description="Every trial in order.")


def _suggest(trial: optuna.Trial, space: dict[str, Interval]) -> dict[str, int | float]:
    return {
        name: trial.suggest_int(name, math.ceil(values.low), math.floor(values.high), log=values.log)
        if values.integer
        else trial.suggest_float(name, values.low, values.high, log=values.log)
        for name, values in space.items()
    }


def search_hyperparameters(
    inputs: TrainingInputs,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: SearchParameters,
) -> SearchResult:
    """Search with Optuna's multivariate TPE for the lowest validation score: log loss of classes, RMSE of numbers.

    The inputs are computed once and shared by all trials; early stopping chooses the number of trees.

    Args:
        inputs: What XGBoost sees of the training customers.
        train: Training customers.
        validation: Validation customers.
        declaration: The table's declaration.
        parameters: Budget, space and seed.

    Returns:
        The best trial and all others.

    Raises:
        ParameterError: The space names a parameter XGBoost does not have, or one that training sets by itself.
        CustomerTableError: A declared class has no training customer.
    """
    import optuna
    import xgboost as xgb

    unknown = sorted(set(parameters.space) - set(xgb.XGBClassifier().get_params()))
    if unknown:
        raise ParameterError(f"training.search.space names parameters that XGBoost does not have: {unknown}")
    fixed = sorted(_FIXED_PARAMETERS & set(parameters.space))
    if fixed:
        raise ParameterError(f"training.search.space names parameters that training sets by itself: {fixed}")

    learning = describe_learning(train, declaration)
    # Inputs go without names: XGBoost would refuse those with a bracket or a "<" in them.
    matrix_arguments: dict[str, Any] = {"feature_types": inputs.types, "enable_categorical": True}
    threads = training_threads(len(train), parameters.n_jobs)
    train_matrix = xgb.QuantileDMatrix(
        inputs.values, train[declaration.target].to_numpy(), nthread=threads, **matrix_arguments
    )
    validation_matrix = xgb.QuantileDMatrix(
        inputs.transformer.transform(validation),
        validation[declaration.target].to_numpy(),
        ref=train_matrix,
        nthread=threads,
        **matrix_arguments,
    )

    def objective(trial: optuna.Trial) -> float:
        booster = xgb.train(
            {
                "objective": learning.objective,
                "tree_method": "hist",
                "eval_metric": learning.eval_metric,
                "seed": parameters.random_state,
                "nthread": threads,
                **learning.settings,
                **learning.scale(_suggest(trial, parameters.space)),
            },
            train_matrix,
            num_boost_round=parameters.max_rounds,
            evals=[(validation_matrix, "validation")],
            early_stopping_rounds=parameters.early_stopping_rounds,
            verbose_eval=False,
        )
        trial.set_user_attr("n_estimators", booster.best_iteration + 1)
        return float(booster.best_score)

    def report(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        logger.info(
            "trial %d of %d: %s %.4f with %d trees (best %.4f)",
            trial.number + 1,
            parameters.n_trials,
            SCORE_NAMES[learning.score],
            trial.value,
            trial.user_attrs["n_estimators"],
            study.best_value,
        )

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=parameters.random_state, multivariate=True),
        direction="minimize",
    )
    study.optimize(objective, n_trials=parameters.n_trials, timeout=parameters.timeout_seconds, callbacks=[report])
    trials = [
        Trial(
            number=trial.number,
            score=float(np.asarray(trial.value)),
            n_estimators=trial.user_attrs["n_estimators"],
            hyperparameters=trial.params,
        )
        for trial in study.trials
    ]
    return SearchResult(metric=learning.score, best=trials[study.best_trial.number], trials=trials)
