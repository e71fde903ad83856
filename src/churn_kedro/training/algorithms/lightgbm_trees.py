"""LightGBM, from the extra `boosters`."""

from __future__ import annotations

from typing import Any

import lightgbm

from churn_kedro.training.algorithms.interface import FoldFit, Hyperparameters, Problem, answer
from churn_kedro.training.algorithms.scikit import ScikitAlgorithm
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName

_FIXED = frozenset(
    {"class_weight", "importance_type", "n_estimators", "n_jobs", "objective", "random_state", "subsample_for_bin"}
)


class LightGBM(ScikitAlgorithm):
    """Gradient boosted trees with leaf-wise growth."""

    name: AlgorithmName = "lightgbm"
    in_rounds = True
    searchable = frozenset(lightgbm.LGBMClassifier().get_params()) - _FIXED
    keeps = frozenset({"monotone", "interactions"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted trees."""
        limits: dict[str, Any] = {}
        if any(sample.constraints.monotone):
            limits["monotone_constraints"] = list(sample.constraints.monotone)
        if sample.constraints.interactions is not None:
            limits["interaction_constraints"] = [list(group) for group in sample.constraints.interactions]
        kind: Any = lightgbm.LGBMRegressor if problem.learning.task == "regression" else lightgbm.LGBMClassifier
        return kind(
            n_jobs=problem.threads,
            random_state=problem.random_state,
            deterministic=True,
            force_col_wise=True,
            verbosity=-1,
            # Without it, LightGBM draws the subsample of rows only once.
            subsample_freq=1,
            **limits,
            **hyperparameters,
        )

    def stop_early(self, prepared: FoldInputs, hyperparameters: Hyperparameters, problem: Problem) -> FoldFit:
        """Add trees until early stopping on the validation fold."""
        trees = self.build(hyperparameters, problem, prepared.train).set_params(n_estimators=problem.max_rounds)
        trees.fit(
            prepared.train.values,
            prepared.train.target,
            sample_weight=prepared.train.weight,
            eval_X=prepared.validation.values,
            eval_y=prepared.validation.target,
            eval_sample_weight=None if prepared.validation.weight is None else [prepared.validation.weight],
            categorical_feature=prepared.train.categories or "auto",
            callbacks=[lightgbm.early_stopping(problem.early_stopping_rounds, verbose=False)],
        )
        kept = int(trees.best_iteration_ or problem.max_rounds)
        curve = [float(score) for score in next(iter(next(iter(trees.evals_result_.values())).values()))]

        def predict() -> Any:
            return answer(trees, prepared.validation.values, problem.learning)

        return FoldFit(predict(), kept, curve, predict=predict)

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        trees = self.build(hyperparameters, problem, sample).set_params(n_estimators=rounds or problem.max_rounds)
        return trees.fit(
            sample.values,
            sample.target,
            sample_weight=sample.weight,
            categorical_feature=sample.categories or "auto",
        )

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the numbers of trees and leaves."""
        described = fitted.booster_.dump_model()["tree_info"]
        return {"trees": len(described), "leaves": sum(tree["num_leaves"] for tree in described)}
