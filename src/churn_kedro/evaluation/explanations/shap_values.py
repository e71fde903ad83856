"""SHAP values: exact for XGBoost, estimated by sampling for other models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.evaluation.explanations.interface import SEED, take_sample
from churn_kedro.features import source_columns

# Number of background customers of an estimate. Each is used in two permutations, which keeps the noise small.
_BACKGROUND = 64
# Maximum number of background customers for the explanation of a few customers.
_MOST_BACKGROUND = 256
# Maximum number of predictions for the estimates of one figure, and the resulting number of customers.
_AFFORDABLE_ANSWERS = 300_000
_FEWEST_EXPLAINED, _MOST_EXPLAINED = 20, 100
# Maximum number of values in one batch of inputs.
_BATCH_CELLS = 4_000_000


@dataclass(frozen=True)
class Explanation:
    """SHAP values of customers for one output of the model.

    Attributes:
        values: SHAP value of each column for the output, before calibration; shape (n, n_columns).
        base: Expected output over the training set; if estimated, mean output over the background.
        inputs: Model input of each column: numbers, or indices of levels; for a column with several inputs, the one
            with the largest contribution or, if unknown, the one most correlated with it; shape (n, n_columns).
        columns: Column names.
        output: Name of the explained output.
        exact: Whether the values are exact or estimated by sampling. Both sum to the output.
    """

    values: np.ndarray
    base: float
    inputs: np.ndarray
    columns: list[str]
    output: str = "the log-odds of leaving"
    exact: bool = True


@dataclass(frozen=True)
class _Contributions:
    """SHAP values for each output.

    Attributes:
        values: Shape (n, n_columns, n_outputs).
        base: Shape (n_outputs,).
        inputs: Shape (n, n_columns).
        columns: Column names.
        exact: Whether they are exact.
    """

    values: np.ndarray
    base: np.ndarray
    inputs: np.ndarray
    columns: list[str]
    exact: bool

    def of(self, output: int, name: str) -> Explanation:
        """Return the explanation of one output."""
        return Explanation(
            self.values[:, :, output], float(self.base[output]), self.inputs, self.columns, name, self.exact
        )


def explain(
    estimator: Any, customers: pd.DataFrame, output: str | None = None, background: pd.DataFrame | None = None
) -> Explanation:
    """Explain the scores of a model with one output.

    Args:
        estimator: A fitted estimator of task binary or regression.
        customers: Raw customer columns, n rows.
        output: Name of the explained output; None: the default of task binary.
        background: Background customers, from which a seeded sample is drawn. XGBoost needs none; None: the customers
            themselves.

    Returns:
        One value per customer and column. Base plus the values of a row equal XGBoost's log-odds, another classifier's
        probability, or the predicted number.

    Raises:
        ValueError: A single customer is passed without background.
    """
    found = _contributions(estimator, customers, background)
    of_leaving = "the log-odds of leaving" if found.exact else "the probability of leaving"
    return found.of(0, of_leaving if output is None else output)


def explain_classes(
    estimator: Any, customers: pd.DataFrame, classes: Sequence[str], background: pd.DataFrame | None = None
) -> list[Explanation]:
    """Explain the scores of a model with an output for each class.

    Args:
        estimator: A fitted estimator of task multiclass.
        customers: Raw customer columns, n rows.
        classes: Labels in the order of their codes.
        background: As for :func:`explain`.

    Returns:
        An explanation for each class. Base plus the values of a row equal XGBoost's logit of the class (the input of
        softmax) or another model's probability.

    Raises:
        ValueError: A single customer is passed without background.
    """
    found = _contributions(estimator, customers, background)
    kind = "logit" if found.exact else "probability"
    return [found.of(code, f"{kind} of {name}") for code, name in enumerate(classes)]


def explain_probabilities(
    estimator: Any, customers: pd.DataFrame, classes: Sequence[str], background: pd.DataFrame
) -> list[Explanation]:
    """Explain the final, calibrated probabilities of a few customers by sampling.

    Args:
        estimator: A fitted estimator of task binary or multiclass.
        customers: Raw customer columns, n rows.
        classes: Labels in the order of their codes.
        background: Background customers, from which a seeded sample is drawn.

    Returns:
        An explanation of the probability of leaving, or one for each class. Base plus the values of a row equal the
        probability that the model returns.
    """
    origins = np.array(list(source_columns(estimator.features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    made_of = [np.flatnonzero(origins == column) for column in columns]
    affordable = _AFFORDABLE_ANSWERS // (2 * len(columns) * max(1, len(customers)))
    sample = take_sample(background, int(np.clip(affordable, _BACKGROUND, _MOST_BACKGROUND)))

    def predict(inputs: np.ndarray) -> np.ndarray:
        probability = np.asarray(estimator.learner.predict_proba(inputs))
        if estimator.calibration is not None:
            probability = np.asarray(estimator.calibration.predict_proba(probability))
        return probability[:, 1:].astype(np.float64) if estimator.task == "binary" else probability.astype(np.float64)

    inputs = estimator.inputs(customers)
    values, base = _estimate(predict, inputs, estimator.inputs(sample), made_of)
    found = _Contributions(values, base, inputs[:, [int(places[0]) for places in made_of]], columns, exact=False)
    if estimator.task == "binary":
        return [found.of(0, "the probability of leaving")]
    return [found.of(code, f"probability of {name}") for code, name in enumerate(classes)]


def choose_explained(estimator: Any, customers: pd.DataFrame) -> pd.DataFrame:
    """Limit customers to a number that can be explained in a few seconds.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns.

    Returns:
        All of them for XGBoost; a seeded sample of some dozens for other models.
    """
    features, model = estimator.features, estimator.learner
    if has_trees(model):
        return customers
    n_columns = len(set(source_columns(features).values()))
    most = int(np.clip(_AFFORDABLE_ANSWERS // (2 * _BACKGROUND * n_columns), _FEWEST_EXPLAINED, _MOST_EXPLAINED))
    return take_sample(customers, most)


def has_trees(model: Any) -> bool:
    """Whether the model is XGBoost's, so that exact SHAP values are available."""
    return hasattr(model, "get_booster")


def _contributions(estimator: Any, customers: pd.DataFrame, background: pd.DataFrame | None) -> _Contributions:
    features, model = estimator.features, estimator.learner
    origins = np.array(list(source_columns(features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    made_of = [np.flatnonzero(origins == column) for column in columns]
    inputs = estimator.inputs(customers)
    if has_trees(model):
        values, base, shown = _walk_trees(model, inputs, made_of)
        return _Contributions(values, base, inputs[:, shown], columns, exact=True)
    compared = customers if background is None else background
    if len(compared) < 2:
        raise ValueError("found one customer and no background; pass background, which models other than XGBoost need")
    sample = estimator.inputs(take_sample(compared, _BACKGROUND))
    values, base = _estimate(partial(_predict, model), inputs, sample, made_of)
    shown = [_most_correlated_input(inputs, places, values[:, column]) for column, places in enumerate(made_of)]
    return _Contributions(values, base, inputs[:, shown], columns, exact=False)


def _walk_trees(model: Any, inputs: np.ndarray, made_of: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Compute SHAP values, base, and the strongest input of each column.

    TreeSHAP as implemented in XGBoost; Lundberg et al., Nature MI 2, 2020. By additivity, the value of a column is the
    sum of the values of its inputs.
    """
    import xgboost as xgb

    # Beyond the range of float32, a number would be infinite, which a matrix refuses; every split is within it.
    within = np.clip(inputs, np.finfo(np.float32).min, np.finfo(np.float32).max)
    matrix = xgb.DMatrix(within, feature_types=model.feature_types, enable_categorical=True)
    contributions = model.get_booster().predict(matrix, pred_contribs=True)
    strength = np.abs(contributions).reshape(-1, contributions.shape[-1]).sum(axis=0)
    shown = [int(places[strength[places].argmax()]) for places in made_of]
    by_output = contributions.reshape(len(inputs), -1, contributions.shape[-1])
    values = np.stack([by_output[..., places].sum(axis=-1) for places in made_of], axis=1)
    return values, by_output[0, :, -1], shown


def _predict(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Predict the probability of leaving, of each class, or the number; shape (n, n_outputs)."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(inputs), dtype=np.float64).reshape(len(inputs), 1)
    probability = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    return probability[:, 1:] if probability.shape[1] == 2 else probability


def _estimate(
    predict: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, background: np.ndarray, made_of: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate SHAP values and base from sampled permutations of the columns.

    Along each permutation, the columns of a background customer are replaced one by one with those of the explained
    customer, and each column is assigned the resulting change (Štrumbelj and Kononenko, Knowledge and Information
    Systems 41, 2014). Each permutation is also used in reverse, which reduces the variance (Mitchell et al., JMLR 23,
    2022). The changes along a permutation sum to the difference of the outputs, so the estimates are additive. shap's
    PermutationExplainer works alike, but seeds numpy's global state and does not support columns with several inputs.

    The outputs are probabilities, since the log-odds of a forest's 0 or 1 are infinite.
    """
    random = np.random.default_rng(SEED)
    n, width, n_columns = len(inputs), inputs.shape[1], len(made_of)
    starts, ends = predict(background), predict(inputs)
    orders: list[tuple[int, np.ndarray]] = []
    for place in range(len(background)):
        order = random.permutation(n_columns)
        orders += [(place, order), (place, order[::-1])]
    total = np.zeros((n, n_columns, ends.shape[1]))
    per_batch = max(1, _BATCH_CELLS // max(1, n * n_columns * width))
    for begin in range(0, len(orders), per_batch):
        batch = orders[begin : begin + per_batch]
        between = np.empty((len(batch), n_columns - 1, n, width))
        for position, (place, order) in enumerate(batch):
            mixed = np.tile(background[place], (n, 1))
            for step, column in enumerate(order[:-1]):
                mixed[:, made_of[column]] = inputs[:, made_of[column]]
                between[position, step] = mixed
        answers = np.empty((len(batch), n_columns - 1, n, ends.shape[1]))
        if between.size:
            answers = predict(between.reshape(-1, width)).reshape(answers.shape)
        for (place, order), passed in zip(batch, answers, strict=True):
            path = np.concatenate([np.broadcast_to(starts[place], (1, *ends.shape)), passed, ends[np.newaxis]])
            total[:, order] += np.diff(path, axis=0).swapaxes(0, 1)
    return total / len(orders), starts.mean(axis=0)


def _most_correlated_input(inputs: np.ndarray, places: np.ndarray, values: np.ndarray) -> int:
    """Return the input of a column that is most correlated with the column's SHAP values."""
    if len(places) == 1:
        return int(places[0])
    table = pd.DataFrame(inputs[:, places])
    with np.errstate(invalid="ignore", divide="ignore"):
        together = sum(
            table.corrwith(pd.Series(values[:, output])).abs().fillna(0) for output in range(values.shape[1])
        )
    return int(places[np.asarray(together).argmax()])
