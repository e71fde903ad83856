"""Example customers whose explanations are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, DisplayNames
from churn_kedro.evaluation.explanations.explained_customers import explain_outputs, with_cells
from churn_kedro.evaluation.explanations.shap_values import Explanation, explain_probabilities
from churn_kedro.models import ScoredCustomers


@dataclass(frozen=True)
class ShownCustomer:
    """An example customer and the explanation of its prediction.

    Attributes:
        title: Reason for the choice, and the observed outcome.
        name: Identifiers; empty if none are declared.
        explanation: SHAP values of this customer for one output, a probability or a number; shape (1, n_columns).
        cells: Raw cell of each column, as text.
        answer: Final prediction as text: the calibrated probability, or the number.
        is_probability: Whether the explained output is a probability.
    """

    title: str
    name: str
    explanation: Explanation
    cells: list[str]
    answer: str
    is_probability: bool = False


def choose_customers_to_show(scores: ScoredCustomers) -> dict[str, int]:
    """Choose example customers.

    Args:
        scores: Target and prediction of each customer.

    Returns:
        Position of each customer by the reason of its choice. Binary: the highest probability, the one nearest to the
        decision threshold, and the most confident error of each kind. Multiclass: the most confident correct and the
        most confident wrong prediction. Regression: the largest and the median prediction, and the largest error. A
        customer chosen twice is listed once, with both reasons.
    """
    target, prediction = scores.target, scores.prediction
    chosen: list[tuple[str, int]] = []

    def choose(reason: str, eligible: np.ndarray, badness: np.ndarray) -> None:
        places = np.flatnonzero(eligible)
        if len(places):
            chosen.append((reason, int(places[badness[places].argmin()])))

    everyone = np.ones(len(target), dtype=bool)
    match scores.task:
        case "binary":
            threshold = 0.5 if scores.threshold is None else scores.threshold
            flagged = scores.decision
            choose("Likeliest to leave", everyone, -prediction)
            choose("At the decision threshold", everyone, np.abs(prediction - threshold))
            choose("Left despite a low probability", (target == 1) & ~flagged, prediction)
            choose("Stayed despite a high probability", (target == 0) & flagged, -prediction)
        case "multiclass":
            right, surest = prediction.argmax(axis=1) == target, prediction.max(axis=1)
            choose("Most confident, correct", right, -surest)
            choose("Most confident, wrong", ~right, -surest)
        case "regression":
            choose("Largest prediction", everyone, -prediction)
            choose("Median prediction", everyone, np.abs(prediction - np.median(prediction)))
            choose("Worst error", everyone, -np.abs(prediction - target))
    reasons: dict[int, list[str]] = {}
    for reason, place in chosen:
        reasons.setdefault(place, []).append(reason)
    return {"; ".join(why): place for place, why in reasons.items()}


def explain_shown(
    estimator: Any, customers: pd.DataFrame, scores: ScoredCustomers, declaration: CustomerDeclaration
) -> list[ShownCustomer]:
    """Explain the example customers.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw columns of the scored customers, in the same order.
        scores: Target and prediction of each customer.
        declaration: The table's declaration.

    Returns:
        One for each of :func:`choose_customers_to_show`; with several classes, explained for the predicted class.
    """
    chosen = choose_customers_to_show(scores)
    places = list(chosen.values())
    rows = customers.iloc[places]
    names = DisplayNames.of(declaration)
    classes = [names.outcome(str(label)) for label in declaration.classes]
    outputs = (
        explain_probabilities(estimator, rows, classes, customers)
        if classes
        else explain_outputs(estimator, rows, declaration, customers)
    )
    explained = with_cells(outputs, rows, declaration, len(customers))
    shown = []
    for row, (reason, place) in enumerate(chosen.items()):
        code = int(scores.prediction[place].argmax()) if scores.task == "multiclass" else 0
        one = outputs[code]
        alone = Explanation(
            one.values[row : row + 1], one.base, one.inputs[row : row + 1], one.columns, one.output, one.exact
        )
        cells = [write_cell(cell) for cell in explained.cells.iloc[row]]
        identifiers = rows[declaration.id_names].iloc[row]
        name = ", ".join(f"{names.column(str(column))} {write_cell(cell)}" for column, cell in identifiers.items())
        outcome, answer = _describe_outcome(scores, place, code, names, declaration.target)
        title = reason if "despite" in reason else f"{reason}; {outcome}"
        shown.append(ShownCustomer(title, name, alone, cells, answer, is_probability=bool(classes)))
    return shown


def _describe_outcome(
    scores: ScoredCustomers, place: int, code: int, names: DisplayNames, target_name: str
) -> tuple[str, str]:
    target, prediction = scores.target[place], scores.prediction[place]
    match scores.task:
        case "binary":
            return ("left" if target == 1 else "stayed"), f"probability of leaving {prediction:.1%}"
        case "multiclass":
            truth, predicted = names.outcome(scores.classes[int(target)]), names.outcome(scores.classes[code])
            return f"is {truth}", f"probability of {predicted} {prediction[code]:.1%}"
        case "regression":
            return f"actual {target:,.6g}", f"predicted {names.column(target_name)} {prediction:,.6g}"


def write_cell(cell: Any) -> str:
    """Format a raw cell.

    Args:
        cell: Number, date, text or missing value.

    Returns:
        Short text.
    """
    if cell is None or (not isinstance(cell, str) and pd.isna(cell)):
        return "missing"
    if isinstance(cell, pd.Timestamp):
        return f"{cell:%Y-%m-%d}" if cell == cell.normalize() else f"{cell:%Y-%m-%d %H:%M}"
    if isinstance(cell, (int, float, np.number)) and not isinstance(cell, bool):
        return f"{cell:.0f}" if float(cell).is_integer() else f"{cell:.6g}"
    return str(cell)
