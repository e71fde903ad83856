"""A small neural network."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline

from churn_kedro.training.algorithms.interface import Hyperparameters, Problem
from churn_kedro.training.algorithms.linear import scaled_target
from churn_kedro.training.algorithms.scikit import ScikitAlgorithm, standardise
from churn_kedro.training.folds import Sample
from churn_kedro.training.parameters import AlgorithmName

_PATIENCE = 200
# Share of the rows for early stopping, and the minimum number of rows for it.
_FEWEST_FOR_STOPPING = 200


class NeuralNetwork(ScikitAlgorithm):
    """A perceptron with hidden layers of equal width, on standardised quantities and one-hot categories."""

    name: AlgorithmName = "neural_network"
    searchable = frozenset({"hidden_layers", "hidden_units", "alpha", "learning_rate_init", "batch_size", "activation"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted pipeline."""
        settings: dict[str, Any] = dict(hyperparameters)
        width, depth = int(settings.pop("hidden_units", 32)), int(settings.pop("hidden_layers", 1))
        settings |= {
            "hidden_layer_sizes": (width,) * depth,
            "max_iter": _PATIENCE,
            "n_iter_no_change": 10,
            "random_state": problem.random_state,
        }
        if problem.learning.task == "regression":
            return Pipeline(
                [("standardise", standardise(sample)), ("regressor", scaled_target(MLPRegressor(**settings)))]
            )
        return Pipeline([("standardise", standardise(sample)), ("classifier", MLPClassifier(**settings))])

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit with early stopping on a share of the rows."""
        estimator = self.build(hyperparameters, problem, sample)
        stops = len(sample.target) >= _FEWEST_FOR_STOPPING
        last = "regressor__regressor" if problem.learning.task == "regression" else "classifier"
        estimator.set_params(**{f"{last}__early_stopping": stops})
        weights = {} if sample.weight is None else {f"{estimator.steps[-1][0]}__sample_weight": sample.weight}
        with warnings.catch_warnings():
            # Reaching the maximum number of epochs is expected.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimator.fit(sample.values, sample.target, **weights)

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the number of weights."""
        network = getattr(fitted[-1], "regressor_", fitted[-1])
        return {"coefficients": int(sum(layer.size for layer in [*network.coefs_, *network.intercepts_]))}
