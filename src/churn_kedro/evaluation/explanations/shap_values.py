"""SHAP values: computed for XGBoost, estimated from samples for any other model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.evaluation.explanations.interface import SEED, take_sample
from churn_kedro.features import source_columns
from churn_kedro.models import unwrap

# Customers that an estimate compares with. Each takes part in two orders, so that its noise is small beside the values.
_BACKGROUND = 64
# Answers of the model that the estimates of one figure may take, and what is explained of many customers.
_AFFORDABLE_ANSWERS = 300_000
_FEWEST_EXPLAINED, _MOST_EXPLAINED = 20, 100
# Numbers of one batch of inputs.
_BATCH_CELLS = 4_000_000


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some customers for one output of the model.

    Attributes:
        values: Contribution of each column to the output, before calibration; shape (n, n_columns).
        base: Output for an average training customer; where it is estimated, mean output for the background.
        inputs: What the model saw: numbers, and levels as their position; of a column that became several inputs, the
            one that contributes most, or where that is unknown the one that goes with the contribution; shape
            (n, n_columns).
        columns: Column names.
        output: What the contributions add up to, for people.
        exact: Whether the values were computed, or else estimated from samples. Both add up.
    """

    values: np.ndarray
    base: float
    inputs: np.ndarray
    columns: list[str]
    output: str = "the log-odds of leaving"
    exact: bool = True


@dataclass(frozen=True)
class _Contributions:
    """Contributions to each output.

    Attributes:
        values: Shape (n, n_columns, n_outputs).
        base: Shape (n_outputs,).
        inputs: Shape (n, n_columns).
        columns: Column names.
        exact: Whether they were computed.
    """

    values: np.ndarray
    base: np.ndarray
    inputs: np.ndarray
    columns: list[str]
    exact: bool

    def of(self, output: int, name: str) -> Explanation:
        """The explanation of one output."""
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
        output: What the contributions add up to, for people; None: what it is for task binary.
        background: Customers that those are compared with, of whom a seeded sample is taken. XGBoost needs none; None:
            the customers themselves.

    Returns:
        One value per customer and column. A row's values and the base sum to XGBoost's log-odds, to another
        classifier's probability, or to the predicted number.

    Raises:
        ValueError: A single customer has nobody to be compared with.
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
        An explanation for each class. A row's values and the base sum to XGBoost's logit of the class, of which softmax
        makes the probability, or to another model's probability.

    Raises:
        ValueError: A single customer has nobody to be compared with.
    """
    found = _contributions(estimator, customers, background)
    kind = "logit" if found.exact else "probability"
    return [found.of(code, f"{kind} of {name}") for code, name in enumerate(classes)]


def choose_explained(estimator: Any, customers: pd.DataFrame) -> pd.DataFrame:
    """Take as many customers as can be explained in little time.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns.

    Returns:
        All of them for XGBoost; a seeded sample of some dozens for any other model.
    """
    features, model = unwrap(estimator)
    if has_trees(model):
        return customers
    n_columns = len(set(source_columns(features).values()))
    most = int(np.clip(_AFFORDABLE_ANSWERS // (2 * _BACKGROUND * n_columns), _FEWEST_EXPLAINED, _MOST_EXPLAINED))
    return take_sample(customers, most)


def has_trees(model: Any) -> bool:
    """Whether XGBoost can explain the model by itself."""
    return hasattr(model, "get_booster")


def _contributions(estimator: Any, customers: pd.DataFrame, background: pd.DataFrame | None) -> _Contributions:
    features, model = unwrap(estimator)
    origins = np.array(list(source_columns(features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    made_of = [np.flatnonzero(origins == column) for column in columns]
    inputs = features.transform(customers)
    if has_trees(model):
        values, base, shown = _walk_trees(model, inputs, made_of)
        return _Contributions(values, base, inputs[:, shown], columns, exact=True)
    compared = customers if background is None else background
    if len(compared) < 2:
        raise ValueError("a model that is not XGBoost explains a customer by comparison with others: pass background")
    values, base = _estimate(model, inputs, features.transform(take_sample(compared, _BACKGROUND)), made_of)
    shown = [_telling(inputs, places, values[:, column]) for column, places in enumerate(made_of)]
    return _Contributions(values, base, inputs[:, shown], columns, exact=False)


def _walk_trees(model: Any, inputs: np.ndarray, made_of: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Contributions, base, and of each column the strongest input.

    TreeSHAP as XGBoost implements it; Lundberg et al., Nature MI 2, 2020. Contributions add up, so that of a column is
    the sum of those of the inputs that were made of it.
    """
    import xgboost as xgb

    matrix = xgb.DMatrix(inputs, feature_types=model.feature_types, enable_categorical=True)
    contributions = model.get_booster().predict(matrix, pred_contribs=True)
    strength = np.abs(contributions).reshape(-1, contributions.shape[-1]).sum(axis=0)
    shown = [int(places[strength[places].argmax()]) for places in made_of]
    by_output = contributions.reshape(len(inputs), -1, contributions.shape[-1])
    values = np.stack([by_output[..., places].sum(axis=-1) for places in made_of], axis=1)
    return values, by_output[0, :, -1], shown


def _answer(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Probability of leaving, of each class, or the number; shape (n, n_outputs)."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(inputs), dtype=np.float64).reshape(len(inputs), 1)
    probability = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    return probability[:, 1:] if probability.shape[1] == 2 else probability


def _estimate(
    model: Any, inputs: np.ndarray, background: np.ndarray, made_of: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Contributions and base from sampled orders of the columns.

    In each order, a background customer turns into the explained one column by column, and each column is given the
    change that it makes (Štrumbelj and Kononenko, Knowledge and Information Systems 41, 2014). Each order is used
    backward, too, which takes out much of the noise (Mitchell et al., JMLR 23, 2022). The changes of an order add up,
    so the contributions do. shap's PermutationExplainer does the same, but seeds numpy's global state, and knows no
    columns that became several inputs.

    Probabilities are explained, not log-odds: a forest says 0 or 1 at times, and these have none.
    """
    random = np.random.default_rng(SEED)
    n, width, n_columns = len(inputs), inputs.shape[1], len(made_of)
    starts, ends = _answer(model, background), _answer(model, inputs)
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
            answers = _answer(model, between.reshape(-1, width)).reshape(answers.shape)
        for (place, order), passed in zip(batch, answers, strict=True):
            path = np.concatenate([np.broadcast_to(starts[place], (1, *ends.shape)), passed, ends[np.newaxis]])
            total[:, order] += np.diff(path, axis=0).swapaxes(0, 1)
    return total / len(orders), starts.mean(axis=0)


def _telling(inputs: np.ndarray, places: np.ndarray, values: np.ndarray) -> int:
    """The input of a column that goes most with the column's contributions."""
    if len(places) == 1:
        return int(places[0])
    table = pd.DataFrame(inputs[:, places])
    with np.errstate(invalid="ignore", divide="ignore"):
        together = sum(
            table.corrwith(pd.Series(values[:, output])).abs().fillna(0) for output in range(values.shape[1])
        )
    return int(places[np.asarray(together).argmax()])
