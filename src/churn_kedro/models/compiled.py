"""The compiled form of a model, for single customers and few rows.

The model object answers tables; for one row, the calls of pandas and scikit-learn take fifty times as long as the
compiled form. It has the parameters of the fitted model: cells are read by the model's readers, inputs are
computed by formulas, trees by ONNX Runtime, decisions by :mod:`churn_estimators.value`. It is used only where it gives
the answers of the model on the rows with which it is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import pandas as pd

from churn_estimators.cells import CellReader, read_table
from churn_estimators.value import CONTACT, NO_CONTACT, decide, expected_profit, worth_contacting
from churn_kedro.models.calibrators import compile_calibration
from churn_kedro.models.generated_rows import Row, generate_rows, table_of
from churn_kedro.models.input_formulas import Lookup, Values, derive_formulas
from churn_kedro.models.learners import compile_learner

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

# Largest difference between the compiled form and the model: of probabilities; of numbers, relative.
TOLERANCE = 1e-6
_OTHER_DECISION = "the compiled form decides otherwise than the model"
# Distinct cells of a column of dates that are remembered, since pandas needs long to read one.
_REMEMBERED_DATES = 4096


@dataclass(frozen=True)
class RowAnswer:
    """The answer for one customer.

    Attributes:
        scores: Binary: probability of leaving, shape (1,). Multiclass: probability of each class, shape (n_classes,).
            Regression: the number, shape (1,). NaN for a row that is set aside.
        decision: ``contact`` or ``no_contact`` (binary), or the label of the most probable class; None for a
            regression, and for a row that is set aside.
        expected_value: Expected profit of a contact in money; None where unknown.
        unreadable: Reasons of the cells that cannot be read.
    """

    scores: np.ndarray
    decision: str | None
    expected_value: float | None
    unreadable: tuple[str, ...]


class RowScorer(Protocol):
    """A model that answers single customers."""

    is_compiled: bool
    # Why the model is not compiled; empty where it is.
    fallback_reason: str

    def answer(self, rows: Sequence[Row]) -> list[RowAnswer]:
        """Predict and decide.

        Args:
            rows: Cells by column: text, numbers, booleans or None; further columns are ignored.

        Returns:
            The answers in order; those of :meth:`churn_estimators.model.CustomerModel.predict`.

        Raises:
            UnreadableCellsError: A cell has the wrong type, and the policy of the model is to refuse it.
            ValueError: A row lacks a required column.
        """
        ...


def compile_model(model: CustomerModel, examples: pd.DataFrame) -> RowScorer:
    """Compile a model.

    Args:
        model: The model.
        examples: Some raw customers. The compiled form is compared with the model on them, and on rows generated from
            them.

    Returns:
        The compiled form where its answers are those of the model; else the model itself, with the reason.
    """
    try:
        compiled = _CompiledModel(model)
        reason = compiled.find_difference(generate_rows(model.readers, compiled.levels, examples))
    except Exception as error:  # Whatever a foreign step raises, the model itself can still answer.
        reason = f"the model cannot be compiled: {type(error).__name__}: {error}"
    return _WholeModel(model, reason) if reason else compiled


def _require_columns(row: Row, readers: Sequence[CellReader]) -> None:
    if any(reader.required and reader.column not in row for reader in readers):
        # It raises the error that names the columns.
        read_table(pd.DataFrame([dict(row)]), readers)


class _WholeModel:
    """A model that is asked with a table."""

    is_compiled = False

    def __init__(self, model: CustomerModel, reason: str) -> None:
        self._model = model
        self.fallback_reason = reason

    def answer(self, rows: Sequence[Row]) -> list[RowAnswer]:
        """Predict and decide; see :class:`RowScorer`."""
        model = self._model
        for row in rows:
            _require_columns(row, model.readers)
        table = table_of(rows, model.readers)
        predictions = model.predict(table)
        reasons: dict[Any, tuple[str, ...]] = {}
        if predictions["unreadable"].ne("").any():
            unreadable = model.read(table).unreadable
            reasons = unreadable.groupby("row")["reason"].agg(tuple).to_dict()
        names = {
            "binary": ["probability"],
            "multiclass": [f"probability_{label}" for label in model.classes],
            "regression": ["prediction"],
        }
        scores = predictions[names[model.task]].to_numpy(dtype=np.float64)
        nothing: list[Any] = [None] * len(rows)
        decided = {"binary": "decision", "multiclass": "prediction"}.get(model.task)
        decisions = nothing if decided is None else predictions[decided].tolist()
        values = predictions["expected_value"].tolist() if "expected_value" in predictions else nothing
        return [
            RowAnswer(
                row_scores,
                None if decision is None or pd.isna(decision) else str(decision),
                None if value is None or math.isnan(value) else value,
                reasons.get(number, ()),
            )
            for number, (row_scores, decision, value) in enumerate(zip(scores, decisions, values, strict=True))
        ]


class _CompiledModel:
    """The parameters of a model in the form that is fastest for few rows."""

    is_compiled = True
    fallback_reason = ""

    def __init__(self, model: CustomerModel) -> None:
        self._model = model
        self._cells = [_compile_reader(reader) for reader in model.readers]
        self._formulas = derive_formulas(model.features, model.readers)
        self._compute_inputs = self._formulas.compile()
        self._predict = compile_learner(model.learner, regression=model.task == "regression")
        self._calibrate = None if model.calibration is None else compile_calibration(model.calibration)
        # The labels of a table, which has one type for all.
        self._labels = [str(label) for label in pd.Index(list(model.classes)).tolist()]
        column = None if model.contact_value is None else model.contact_value.column
        self._value_place = self._formulas.columns.index(column) if column in self._formulas.columns else None

    @property
    def levels(self) -> dict[str, list[Any]]:
        """Levels of the columns that have any."""
        columns = self._formulas.columns
        lookups = [formula for formula in self._formulas.formulas if isinstance(formula, Lookup)]
        return {columns[formula.of]: list(formula.numbers) for formula in lookups}

    def answer(self, rows: Sequence[Row]) -> list[RowAnswer]:
        """Predict and decide; see :class:`RowScorer`."""
        model = self._model
        read = [self._read(row) for row in rows]
        if model.unreadable == "refuse" and any(reasons for _, reasons in read):
            # It raises the error that lists the cells.
            model.predict(table_of(rows, model.readers))
        inputs, numbers = self._prepare([values for values, _ in read])
        scores = self._score(inputs)
        decisions, profits = self._decide(scores, numbers)
        answers = []
        for row, (_, reasons) in enumerate(read):
            if reasons and model.unreadable == "set_aside":
                answers.append(RowAnswer(np.full(scores.shape[1:] or 1, np.nan), None, None, tuple(reasons)))
                continue
            profit = profits[row]
            answers.append(
                RowAnswer(
                    scores[row : row + 1] if scores.ndim == 1 else scores[row],
                    decisions[row],
                    None if profit is None or math.isnan(profit) else profit,
                    tuple(reasons),
                )
            )
        return answers

    def _read(self, row: Row) -> tuple[Values, list[str]]:
        """Return the typed cells of a row, and the reasons of those that cannot be read."""
        values: Values = []
        reasons: list[str] = []
        for reader, read, missing in self._cells:
            column = reader.column
            if column not in row:
                _require_columns(row, self._model.readers)
                values.append(missing)
                continue
            value = read(row[column])
            if value is None and missing is not None:
                reasons.append(reader.reason(row[column]))
                value = missing
            values.append(value)
        return values, reasons

    def _prepare(self, rows: list[Values]) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs of the learner, and the numbers on which the value of a customer depends."""
        inputs = np.array([self._compute_inputs(values) for values in rows], dtype=np.float64)
        place = self._value_place
        numbers = np.array([math.nan if place is None else values[place] for values in rows])
        return inputs.reshape(len(rows), len(self._formulas.inputs)), numbers

    def _score(self, inputs: np.ndarray) -> np.ndarray:
        """Compute what :meth:`churn_estimators.model.CustomerModel.scores` returns."""
        model = self._model
        if not len(inputs):
            return model.scores(table_of([], model.readers))
        predicted = self._predict(inputs)
        if self._calibrate is not None:
            predicted = self._calibrate(predicted)
        return np.asarray(predicted[:, 1] if model.task == "binary" else predicted, dtype=np.float64)

    def _decide(self, scores: np.ndarray, numbers: np.ndarray) -> tuple[Sequence[str | None], Sequence[float | None]]:
        """Return the decision and the expected value of each row."""
        model = self._model
        nothing: list[None] = [None] * len(scores)
        if model.task == "regression":
            return nothing, nothing
        if model.task == "multiclass":
            return [self._labels[code] for code in scores.argmax(axis=1).tolist()], nothing
        if model.threshold is None:
            raise ValueError("a model of task binary needs a decision threshold, found None")
        costs: Any = model.contact_value
        # Row by row, since Python's numbers are faster than short arrays.
        money: list[Any] = nothing if costs is None else costs.of_numbers(numbers).tolist()
        decisions: list[str | None] = []
        profits: list[float | None] = []
        for probability, value in zip(cast("list[Any]", scores.tolist()), money, strict=True):
            eligible: Any = worth_contacting(value, costs) if model.by_value and costs is not None else None
            decisions.append(CONTACT if decide(probability, model.threshold, eligible) else NO_CONTACT)
            profits.append(None if costs is None else cast(Any, expected_profit(probability, value, costs)))
        return decisions, profits

    def find_difference(self, rows: Sequence[Row]) -> str:
        """Compare the answers with those of the model.

        Args:
            rows: Rows of any cells.

        Returns:
            The first difference found; empty if there is none.
        """
        # Rows with unreadable cells are compared as well: the cells count as missing.
        model = copy(self._model).set_params(unreadable="missing")
        read = model.read(table_of(rows, model.readers))
        values = [self._read(row) for row in rows]
        reasons = {number: found for number, (_, found) in enumerate(values) if found}
        if reasons != read.unreadable.groupby("row")["reason"].agg(list).to_dict():
            return "the compiled form finds other cells unreadable than the model"
        inputs, numbers = self._prepare([cells for cells, _ in values])
        # Row by row, since many rows are predicted in another way.
        scores = np.concatenate([self._score(inputs[row : row + 1]) for row in range(len(rows))])
        expected_inputs, expected = model.inputs(read.table), model.scores(read.table)
        same_inputs = (inputs == expected_inputs) | (np.isnan(inputs) & np.isnan(expected_inputs))
        differences = (np.abs(scores - expected) / np.maximum(1.0, np.abs(expected))).reshape(len(rows), -1).max(axis=1)
        different = np.flatnonzero(~same_inputs.all(axis=1) | ~(differences <= TOLERANCE))
        if len(rows) > 1 and len(different):
            # Sums over columns, as in imputers, are rounded otherwise in a table than in a single row of it.
            return next(filter(None, (self.find_difference([rows[row]]) for row in different.tolist())), "")
        if len(different):
            what = "predicts otherwise" if same_inputs.all() else "computes other inputs of the learner"
            return f"the compiled form {what} than the model: the scores of a row differ by {differences.max():g}"
        return "" if self._decides_as(model, read.table, expected, numbers) else _OTHER_DECISION

    def _decides_as(self, model: CustomerModel, table: pd.DataFrame, scores: np.ndarray, numbers: np.ndarray) -> bool:
        """Return whether decisions and expected values for given scores are those of the model."""
        answer = model.answer(table)
        decisions, profits = self._decide(scores, numbers)
        if "expected_value" in answer and not np.array_equal(
            np.asarray(profits), answer["expected_value"].to_numpy(), equal_nan=True
        ):
            return False
        column = {"binary": "decision", "multiclass": "prediction"}.get(model.task)
        return column is None or list(decisions) == answer[column].astype(str).tolist()


def _compile_reader(reader: CellReader) -> tuple[CellReader, Callable[[Any], Any], Any]:
    """Return a reader with its function of a cell and the value of a missing cell."""
    read = reader.cell_function()
    if reader.cells == "date":
        # By type as well, since 1 and 1.0 and True are equal.
        read = lru_cache(_REMEMBERED_DATES, typed=True)(read)
    return reader, read, {"text": None, "number": math.nan, "date": pd.NaT}[reader.cells]
