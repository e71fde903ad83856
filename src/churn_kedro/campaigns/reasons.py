"""Reasons of single customers, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.customers import DisplayNames
from churn_kedro.evaluation import explain, has_trees, write_cell

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

# Customers of other models than XGBoost, whose explanations are estimated by sampling, take about a second for twenty.
_MOST_ESTIMATED = 200
_BACKGROUND_ROWS = 200
# Reasons below half a percentage point are left out.
_SMALLEST_POINTS = 0.5
_PART = 20_000
# Differences of scores that count as none.
_NEAR = 1e-3


@dataclass(frozen=True)
class Reason:
    """Why a customer has a high probability of leaving.

    Attributes:
        column: Column of the table.
        text: What its cell is, in words.
        points: Contribution to the probability of leaving, in percentage points.
    """

    column: str
    text: str
    points: float

    def __str__(self) -> str:
        """For example ``has not been active this year: +18 points``."""
        return f"{self.text}: {self.points:+.0f} point{'' if round(abs(self.points)) == 1 else 's'}"


# Reasons by position of the customer in the table.
CustomerReasons = Mapping[int, Sequence[Reason]]


def can_explain_many(model: CustomerModel) -> bool:
    """Whether SHAP values are exact and fast, as for XGBoost."""
    return has_trees(model.learner)


def explain_reasons(
    model: CustomerModel,
    customers: pd.DataFrame,
    names: DisplayNames,
    count: int,
    background: pd.DataFrame | None = None,
    *,
    falling: bool = False,
) -> list[list[Reason]]:
    """Find the strongest reasons of each customer's probability of leaving.

    The points of a column are its SHAP value, scaled from the score to the calibrated probability, so that the points
    of all columns sum to the difference between the customer's probability and that of the mean score.

    Args:
        model: A model of task binary.
        customers: Raw or typed customers, n rows.
        names: Names and phrases of columns and levels.
        count: Maximum number of reasons per customer.
        background: Other customers, for models other than XGBoost; None: the customers themselves.
        falling: Whether columns that lower the probability count as well, by the absolute value of their points.

    Returns:
        The reasons of each customer, strongest first; those below half a point are left out.
    """
    if not len(customers) or not count:
        return [[] for _ in range(len(customers))]
    read = model.read(customers).table
    if not can_explain_many(model):
        compared = model.read(customers if background is None else background).table.head(_BACKGROUND_ROWS)
        return _name_reasons(model, read, names, count, compared, falling=falling)
    reasons: list[list[Reason]] = []
    for begin in range(0, len(read), _PART):
        reasons += _name_reasons(model, read.iloc[begin : begin + _PART], names, count, None, falling=falling)
    return reasons


def limit_explained(model: CustomerModel, wanted: int) -> int:
    """Limit the number of explained customers to what takes minutes at most.

    Args:
        model: The model.
        wanted: Number of customers that are to be explained.

    Returns:
        The number; for models other than XGBoost at most 200.
    """
    return wanted if can_explain_many(model) else min(wanted, _MOST_ESTIMATED)


def _name_reasons(
    model: CustomerModel,
    customers: pd.DataFrame,
    names: DisplayNames,
    count: int,
    background: pd.DataFrame | None,
    *,
    falling: bool,
) -> list[list[Reason]]:
    explanation = explain(model, customers, background=background)
    points = _points(model, explanation.base, explanation.values, exact=explanation.exact)
    strengths = np.abs(points) if falling else points
    order = np.argsort(-strengths, axis=1, kind="stable")[:, :count]
    cells = [customers[name].tolist() if name in customers else None for name in explanation.columns]
    return [
        [
            Reason(
                explanation.columns[place],
                _say(names, explanation.columns[place], cells[place], row),
                float(points[row, place]),
            )
            for place in places
            if strengths[row, place] >= _SMALLEST_POINTS
        ]
        for row, places in enumerate(order.tolist())
    ]


def _say(names: DisplayNames, column: str, cells: list[object] | None, row: int) -> str:
    return names.column(column) if cells is None else names.say(column, write_cell(cells[row]))


def _points(model: CustomerModel, base: float, values: np.ndarray, *, exact: bool) -> np.ndarray:
    """SHAP values of the score, scaled to the calibrated probability in percentage points, shape (n, n_columns)."""
    score = base + values.sum(axis=1)
    # At the base, the slope of the calibrated probability is that of its neighbourhood.
    near = np.abs(score - base) < _NEAR
    begin, end = np.where(near, score - _NEAR, base), np.where(near, score + _NEAR, score)
    rise = _calibrate(model, end, exact=exact) - _calibrate(model, begin, exact=exact)
    points: np.ndarray = 100 * values * (rise / (end - begin))[:, np.newaxis]
    return points


def _calibrate(model: CustomerModel, scores: np.ndarray, *, exact: bool) -> np.ndarray:
    flat = np.asarray(scores, dtype=np.float64).ravel()
    probability = 1 / (1 + np.exp(-flat)) if exact else np.clip(flat, 0, 1)
    if model.calibration is not None:
        both = np.column_stack([1 - probability, probability])
        probability = np.asarray(model.calibration.predict_proba(both))[:, 1]
    return probability.reshape(scores.shape)
