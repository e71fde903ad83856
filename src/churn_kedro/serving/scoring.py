"""Served versions: answers to customers, with warnings about unusual cells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_estimators.cells import UnreadableCellsError, is_number
from churn_estimators.value import CONTACT
from churn_kedro.base import UserInputError
from churn_kedro.campaigns import find_outside, in_holdout, risk_band
from churn_kedro.customers import Column, CustomerDeclaration, Range
from churn_kedro.models import RegisteredModel, RowAnswer, RowScorer, compile_model, require_matching_table
from churn_kedro.monitoring import ReferenceProfile
from churn_kedro.serving.requests import CustomerRequests, FieldProblem, RequestError, shorten
from churn_kedro.serving.settings import UseCase

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

logger = logging.getLogger(__name__)

# Largest difference between the fast path and the registered model.
_TOLERANCE = 1e-6
_LARGEST = float(np.finfo(np.float32).max)


class RefusedModelError(UserInputError):
    """A version that is not served, since its answers are wrong."""


def as_table(rows: Sequence[Mapping[str, Any]], model: CustomerModel) -> pd.DataFrame:
    """Arrange customers as a table of the columns that a model reads, with the cells as they are.

    Args:
        rows: Cells by column.
        model: The model.

    Returns:
        One row per customer.
    """
    names = [reader.column for reader in model.readers]
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})


class DomainCheck:
    """Finds cells outside of their domain, as batch scoring counts them.

    Most cells are recognised as usual at once. Only where one is not, the row is read by the model and examined as a
    batch is.

    Args:
        declaration: The table's declaration.
        model: The model that reads the cells.
    """

    def __init__(self, declaration: CustomerDeclaration, model: CustomerModel) -> None:
        self._model = model
        read = {reader.column for reader in model.readers}
        self._columns = [column for column in declaration.features if column.name in read]
        self._checks = [(column.name, _usual(column)) for column in self._columns]

    def is_usual(self, row: Mapping[str, Any]) -> bool:
        """Return whether every cell of a customer is certainly within its domain."""
        for name, check in self._checks:  # noqa: SIM110 - all() takes twice as long
            if not check(row[name]):
                return False
        return True

    def find(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, list[str]]:
        """Find unusual cells.

        Args:
            rows: Cells by column.

        Returns:
            Names of the columns, by position of the customer.
        """
        suspicious = [position for position, row in enumerate(rows) if not self.is_usual(row)]
        if not suspicious:
            return {}
        table = self._model.read(as_table([rows[position] for position in suspicious], self._model)).table
        found: dict[int, list[str]] = {}
        for column in self._columns:
            cells = table[column.name]
            unusual = find_outside(cells, column)
            if not column.nullable:
                unusual |= cells.isna()
            for position in np.flatnonzero(unusual.to_numpy()):
                found.setdefault(suspicious[position], []).append(column.name)
        return found


def _usual(column: Column) -> Callable[[Any], bool]:
    """Make a check that is true for usual cells only; it may be false for some of them."""
    markers = {marker.strip() for marker in column.missing}
    nullable = column.nullable
    if column.cells == "number":
        # A number may be a marker of a missing cell, such as -1.
        lowest, highest = -np.inf, np.inf
        if isinstance(column.domain, Range):
            lowest = -np.inf if column.domain.min is None else column.domain.min
            highest = np.inf if column.domain.max is None else column.domain.max
        levels = {float(level) for level in column.levels if not isinstance(level, str)}
        missing = {float(marker) for marker in markers if is_number(marker)}
        if levels:
            return lambda cell: (type(cell) is float and cell in levels - missing) or (cell is None and nullable)
        return lambda cell: (
            (type(cell) is float and lowest <= cell <= highest and cell not in missing) or (cell is None and nullable)
        )
    words = {str(level) for level in column.levels} - markers
    if words:
        return lambda cell: (type(cell) is str and cell in words) or (cell is None and nullable)
    blank = markers | {""}
    return lambda cell: (type(cell) is str and cell.strip() not in blank) or (cell is None and nullable)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service says about one customer.

    Attributes:
        fields: Fields of the answer: probability, decision and others, by task; empty for an unreadable customer.
        score: Probability of leaving, probability of the predicted class, or the predicted number.
        decision: Decision, or the predicted class as text.
        expected_value: Expected profit of a contact.
        risk_band: Risk band of task binary.
        holdout: Whether the customer is deliberately not contacted.
        warnings: Cells that the declaration does not allow.
        unreadable: Cells for which the customer has no prediction.
    """

    fields: Mapping[str, Any]
    score: float | None = None
    decision: str | None = None
    expected_value: float | None = None
    risk_band: str | None = None
    holdout: bool = False
    warnings: Sequence[FieldProblem] = ()
    unreadable: Sequence[FieldProblem] = ()


class ServedModel:
    """A version that is ready to answer.

    Args:
        registered: The loaded version.
        examples: Raw customers, by which its answers are verified.
        use_case: The use case.
        requests: Types of requests.
        profile: What the version was trained on; None: unknown.

    Attributes:
        registered: The loaded version.
        profile: What the version was trained on; None: unknown.
        scorer: Scorer of single customers.
        examples: Raw customers.

    Raises:
        CustomerTableError: The version was trained for another table.
        RefusedModelError: Its answers are wrong.
    """

    def __init__(
        self,
        registered: RegisteredModel,
        examples: pd.DataFrame,
        use_case: UseCase,
        requests: CustomerRequests,
        profile: ReferenceProfile | None = None,
    ) -> None:
        declaration = use_case.declaration
        require_matching_table(registered, declaration)
        self.registered = registered
        self.profile = profile
        self.examples = examples
        self.scorer = compile_model(registered.estimator, examples)
        self._use_case = use_case
        self._task = declaration.task
        self._classes = list(registered.estimator.classes)
        self._requests = requests
        self._domains = DomainCheck(declaration, registered.estimator)
        self._sets_aside = registered.estimator.unreadable == "set_aside"
        verify_answers(registered, self.scorer, examples)

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.registered.version

    def answer(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Answer for customers.

        Args:
            rows: Cells of all columns of requests.

        Returns:
            One answer for each.

        Raises:
            RequestError: A cell cannot be read, and the policy of the model is to refuse it.
        """
        try:
            scored = self.scorer.answer(rows)
        except UnreadableCellsError as error:
            raise RequestError(422, f"{error}.") from None
        except ValueError as error:
            # The learners of scikit-learn refuse what is infinite as float32.
            if not any(isinstance(cell, float) and abs(cell) > _LARGEST for row in rows for cell in row.values()):
                raise
            raise RequestError(422, "A number is too large for this model.") from error
        unusual = self._domains.find(rows)
        return [
            self._describe(row, one, unusual.get(position, ()))
            for position, (row, one) in enumerate(zip(rows, scored, strict=True))
        ]

    def _describe(self, row: Mapping[str, Any], one: RowAnswer, unusual: Sequence[str]) -> Answer:
        warnings: list[FieldProblem] = []
        if one.unreadable:
            problems = [self._unreadable(reason, row) for reason in one.unreadable]
            if self._sets_aside:
                return Answer({}, unreadable=problems)
            unreadable = {problem.field for problem in problems}
            warnings, unusual = problems, [name for name in unusual if name not in unreadable]
        for name in unusual:
            what = "is missing" if row[name] is None else "is outside of the declaration"
            warnings.append(self._problem(name, row, f"{what}; it is scored anyway"))
        fields: dict[str, Any]
        if self._task == "binary":
            score = float(one.scores[0])
            band = risk_band(score, self._use_case.bands)
            holdout = one.decision == CONTACT and self._is_held_out(row)
            fields = {
                "probability": score,
                "decision": one.decision,
                "holdout": holdout,
                "expected_value": one.expected_value,
                "risk_band": band,
            }
            return Answer(fields, score, one.decision, one.expected_value, band, holdout, warnings)
        if self._task == "multiclass":
            probabilities = one.scores.tolist()
            best = int(one.scores.argmax())
            fields = {
                "prediction": self._classes[best],
                "probabilities": dict(zip(map(str, self._classes), probabilities, strict=True)),
            }
            return Answer(fields, probabilities[best], str(self._classes[best]), warnings=warnings)
        score = float(one.scores[0])
        return Answer({"prediction": score}, score, warnings=warnings)

    def _is_held_out(self, row: Mapping[str, Any]) -> bool:
        share = self._use_case.holdout_share
        if not share:
            return False
        key = self._requests.identify(row)
        return key is not None and in_holdout(key, share, self.registered.name)

    def _unreadable(self, reason: str, row: Mapping[str, Any]) -> FieldProblem:
        # A reason begins with the name of the column, which may contain a colon.
        names = [name for name in row if reason.startswith(f"{name}: ")]
        name = max(names, key=len)
        return self._problem(name, row, f"cannot be read: {shorten(reason.removeprefix(f'{name}: '))}")

    def _problem(self, name: str, row: Mapping[str, Any], message: str) -> FieldProblem:
        return FieldProblem(
            field=name, value=shorten(row.get(name)), message=message, allowed=self._requests.allowed(name)
        )


def verify_answers(registered: RegisteredModel, scorer: RowScorer, examples: pd.DataFrame) -> None:
    """Compare the answers of a scorer with those of the model.

    Args:
        registered: The version.
        scorer: Its scorer of single customers.
        examples: Raw customers.

    Raises:
        RefusedModelError: A prediction differs, or is no finite number.
    """
    model = registered.estimator
    rows = [{str(name): cell for name, cell in row.items()} for row in examples.to_dict(orient="records")]
    expected = model.scores(examples)
    found = np.array([one.scores for one in scorer.answer(rows)], dtype=np.float64).reshape(expected.shape)
    possible = np.isfinite(expected)
    if model.task != "regression":
        possible &= (expected >= 0) & (expected <= 1)
    if not possible.all():
        raise RefusedModelError(
            f"Version {registered.version} of {registered.name} is not served: its predictions for "
            f"{len(rows)} examples are no {'finite numbers' if model.task == 'regression' else 'probabilities'}."
        )
    difference = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    if not (difference <= _TOLERANCE).all():
        raise RefusedModelError(
            f"Version {registered.version} of {registered.name} is not served: its answers to single customers differ "
            f"from those of the model by up to {np.nanmax(difference):.2g} for {len(rows)} examples, at most "
            f"{_TOLERANCE:g} is allowed."
        )
