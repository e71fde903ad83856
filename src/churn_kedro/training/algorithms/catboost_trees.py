"""CatBoost, from the extra `boosters`."""

from __future__ import annotations

from typing import Any

import catboost
import numpy as np
from sklearn.pipeline import Pipeline

from churn_estimators.transformers import CategoryNames
from churn_kedro.customers import Task
from churn_kedro.training.algorithms.interface import FoldFit, Hyperparameters, Problem
from churn_kedro.training.algorithms.scikit import ScikitAlgorithm
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName

_LOSSES: dict[Task, str] = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}
# Parts of a saved model that differ between equal models.
_STAMPS = frozenset({"model_guid", "train_finish_time"})


class CatBoost(ScikitAlgorithm):
    """Gradient boosted symmetric trees with ordered target statistics for categories."""

    name: AlgorithmName = "catboost"
    in_rounds = True
    searchable = frozenset(
        {
            "bagging_temperature",
            "border_count",
            "bootstrap_type",
            "depth",
            "grow_policy",
            "l2_leaf_reg",
            "learning_rate",
            "max_ctr_complexity",
            "min_data_in_leaf",
            "one_hot_max_size",
            "random_strength",
            "rsm",
            "subsample",
        }
    )
    keeps = frozenset({"monotone"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted trees."""
        monotone = sample.constraints.monotone
        kind = catboost.CatBoostRegressor if problem.learning.task == "regression" else catboost.CatBoostClassifier
        return kind(
            loss_function=_LOSSES[problem.learning.task],
            cat_features=sample.categories,
            monotone_constraints=list(monotone) if any(monotone) else None,
            thread_count=problem.threads,
            random_seed=problem.random_state,
            allow_writing_files=False,
            verbose=False,
            **hyperparameters,
        )

    def stop_early(self, prepared: FoldInputs, hyperparameters: Hyperparameters, problem: Problem) -> FoldFit:
        """Add trees until early stopping on the validation fold."""
        names = CategoryNames(prepared.train.categories)
        train, validation = names.transform(prepared.train.values), names.transform(prepared.validation.values)
        trees = self.build(hyperparameters, problem, prepared.train).set_params(iterations=problem.max_rounds)
        trees.fit(
            train,
            prepared.train.target,
            sample_weight=prepared.train.weight,
            eval_set=catboost.Pool(
                validation,
                prepared.validation.target,
                weight=prepared.validation.weight,
                cat_features=prepared.train.categories,
            ),
            early_stopping_rounds=problem.early_stopping_rounds,
        )
        curve = [float(score) for score in next(iter(trees.get_evals_result()["validation"].values()))]

        def predict() -> np.ndarray:
            if problem.learning.task == "regression":
                return np.asarray(trees.predict(validation), dtype=np.float64)
            probability = np.asarray(trees.predict_proba(validation), dtype=np.float64)
            return probability[:, 1] if problem.learning.task == "binary" else probability

        return FoldFit(predict(), int(trees.get_best_iteration()) + 1, curve, predict=predict)

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        trees = self.build(hyperparameters, problem, sample).set_params(iterations=rounds or problem.max_rounds)
        pipeline = Pipeline([("names", CategoryNames(sample.categories)), ("trees", trees)])
        fitted = pipeline.fit(sample.values, sample.target, trees__sample_weight=sample.weight)
        metadata = fitted[-1].get_metadata()
        for stamp in _STAMPS.intersection(metadata.keys()):
            metadata[stamp] = ""
        return fitted

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the numbers of trees and leaves."""
        return {"trees": int(fitted[-1].tree_count_), "leaves": int(np.sum(fitted[-1].get_tree_leaf_counts()))}
