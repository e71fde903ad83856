"""Fitting the one estimator: features and XGBoost, and where there are classes calibration and decision threshold."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features import TrainingInputs
from churn_kedro.models import Estimator, TrainedModel, answer_of, decision_threshold, task_facts
from churn_kedro.parameters import Parameters
from churn_kedro.splits import SplitManifest
from churn_kedro.tasks import absent_classes, describe_learning
from churn_kedro.threads import training_threads
from churn_kedro.tuning import Trial

if TYPE_CHECKING:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline

logger = logging.getLogger(__name__)

# Where no validation customer can tell a better one.
_NEUTRAL_THRESHOLD = 0.5


class FitParameters(Parameters):
    """How the final estimator is fitted."""

    random_state: int = Field(ge=0, description="Seed of XGBoost.")
    n_jobs: int | None = Field(None, ge=1, description="Threads; null: one per 20,000 rows.")
    calibration: Literal["temperature", "sigmoid", "isotonic"] = Field(
        description="Map from score to probability, fitted on the validation split (tasks with classes)."
    )
    threshold_metric: Literal["f1", "balanced_accuracy", "matthews_corrcoef", "accuracy"] = Field(
        description="scikit-learn scorer that the decision threshold maximises on the validation split (task binary)."
    )


def fit_estimator(
    inputs: TrainingInputs,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    best: Trial,
    parameters: FitParameters,
) -> TrainedModel:
    """Fit XGBoost on the training customers; calibrate it and choose its threshold on the validation customers.

    Classes are calibrated, and of two classes the decision threshold is chosen. Numbers are predicted as they are.

    Args:
        inputs: What XGBoost sees of the training customers, and the fitted treatment.
        train: Training customers.
        validation: Validation customers.
        manifest: Identifies both.
        declaration: The table's declaration.
        best: Hyperparameters and number of trees.
        parameters: Calibration, threshold and seed.

    Returns:
        The estimator on raw columns, without the target.

    Raises:
        CustomerTableError: A declared class has no training customer.
    """
    pipeline = _fit_pipeline(inputs, train, declaration, best, parameters)
    estimator: Estimator
    match declaration.task:
        case "regression":
            estimator = pipeline
        case "multiclass":
            estimator = _calibrate(pipeline, train, validation, declaration, parameters)
        case "binary":
            calibrated = _calibrate(pipeline, train, validation, declaration, parameters)
            estimator = _decide(calibrated, validation, declaration, parameters)
    threshold = decision_threshold(estimator)
    return TrainedModel(
        estimator=estimator,
        inputs={column.name: column.signature_type for column in declaration.features},
        example=train[declaration.feature_names].head(5),
        answer=answer_of(declaration.task),
        facts={
            **task_facts(declaration),
            **({} if threshold is None else {"decision_threshold": f"{threshold:.6f}"}),
            "n_estimators": str(best.n_estimators),
            "train_digest": manifest.train.digest,
            "validation_digest": manifest.validation.digest,
        },
    )


def _fit_pipeline(
    inputs: TrainingInputs,
    train: pd.DataFrame,
    declaration: CustomerDeclaration,
    best: Trial,
    parameters: FitParameters,
) -> Pipeline:
    """The fitted treatment, and XGBoost fitted on what it gave of the training customers."""
    import xgboost as xgb
    from sklearn.pipeline import Pipeline

    learning = describe_learning(train, declaration)
    settings: dict[str, Any] = {
        "n_estimators": best.n_estimators,
        **learning.scale(best.hyperparameters),
        **learning.settings,
        "objective": learning.objective,
        "tree_method": "hist",
        "enable_categorical": True,
        "feature_types": inputs.types,
        "random_state": parameters.random_state,
        "n_jobs": training_threads(len(train), parameters.n_jobs),
    }
    name, kind = (
        ("regressor", xgb.XGBRegressor) if declaration.task == "regression" else ("classifier", xgb.XGBClassifier)
    )
    trees = kind(**settings).fit(inputs.values, train[declaration.target])
    # Scoring takes the threads of the machine it happens on.
    trees.set_params(n_jobs=None)
    trees.get_booster().set_param({"nthread": 0})
    # Each part is fitted already: target encodings that were cross-fitted in training must not be fitted once more.
    return Pipeline([("features", inputs.transformer), (name, trees)])


def _calibrate(
    pipeline: Pipeline,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: FitParameters,
) -> CalibratedClassifierCV:
    """The pipeline with its probabilities calibrated on the validation customers."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    absent = absent_classes(validation, declaration)
    weights, method = np.ones(len(validation)), parameters.calibration
    if absent:
        logger.warning(
            "None of the %d validation customers has %s = %s: the probabilities are calibrated without them, by "
            "temperature, which is one number for all classes.",
            len(validation),
            declaration.target,
            ", ".join(repr(declaration.classes[code]) for code in absent),
        )
        # The other methods have a map for each class, which would learn that the absent ones never happen.
        method = "temperature"
        # scikit-learn takes the classes from the rows it is given: one training row for each, which counts nothing.
        strangers = train[train[declaration.target].isin(absent)].drop_duplicates(declaration.target)
        validation = pd.concat([validation, strangers], ignore_index=True)
        weights = np.append(weights, np.zeros(len(strangers)))
    rows = np.arange(len(validation))
    # The trees are frozen, so nothing is left to cross-validate; one fold of all rows also allows for rare classes.
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline), method=method, cv=[(rows, rows)])
    with warnings.catch_warnings():
        # The weights are meant for the calibration alone.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear to accept sample_weight")
        calibrated.fit(
            validation[declaration.feature_names],
            validation[declaration.target],
            sample_weight=weights if absent else None,
        )
    # The rows are of no use to whoever loads the model.
    calibrated.set_params(cv=None)
    return calibrated


def _decide(
    calibrated: CalibratedClassifierCV,
    validation: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: FitParameters,
) -> Estimator:
    """The calibrated classifier with the decision threshold that suits the validation customers best."""
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

    customers, target = validation[declaration.feature_names], validation[declaration.target]
    threshold = _NEUTRAL_THRESHOLD
    if absent_classes(validation, declaration):
        logger.warning("The decision threshold is %.1f: one class alone cannot tell a better one.", threshold)
    elif np.ptp(calibrated.predict_proba(customers)[:, 1]) == 0:
        logger.warning("The decision threshold is %.1f: the model says the same of every customer.", threshold)
    else:
        tuned = TunedThresholdClassifierCV(
            FrozenEstimator(calibrated), scoring=parameters.threshold_metric, cv="prefit", refit=False
        )
        tuned.fit(customers, target)
        threshold = float(tuned.best_threshold_)
    decided: Estimator = FixedThresholdClassifier(
        FrozenEstimator(calibrated), threshold=threshold, pos_label=1, response_method="predict_proba"
    ).fit(customers, target)
    return decided
