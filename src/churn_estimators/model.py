"""The model object: raw customer columns to probabilities, decisions and expected values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from churn_estimators.cells import TEXT, CellReader, ReadTable, UnreadableCellsError, UnreadablePolicy, read_table
from churn_estimators.value import CONTACT, NO_CONTACT, ContactValue, decide, expected_profit, worth_contacting

Task = Literal["binary", "multiclass", "regression"]
# Decisions by position: False, True.
_DECISIONS = pd.array([NO_CONTACT, CONTACT], dtype=TEXT)
# Unreadable cells that an error lists.
_LISTED = 5


class CustomerModel(BaseEstimator):
    """A fitted model on raw customer columns.

    It reads cells, computes features, predicts, calibrates and decides. Every method takes a table of raw or typed
    cells; columns that the model does not read are ignored, and an unreadable cell counts as missing. Only
    :meth:`predict` treats rows with unreadable cells by a policy.

    Args:
        readers: How each column is read.
        features: Fitted scikit-learn pipeline from typed columns to the inputs of the learner.
        learner: Fitted classifier or regressor on these inputs.
        task: What is predicted: the probability of leaving (binary), a class (multiclass) or a number (regression).
        classes: Labels in the order of the learner's classes; binary: the negative and the positive one.
        calibration: Map of the learner's probabilities, see :class:`churn_estimators.calibration.CalibrationMap`; None:
            uncalibrated.
        threshold: Decision threshold on the probability of leaving; task binary only.
        contact_value: Costs and value of a contact; None: unknown.
        by_value: Whether customers are contacted only if their value can pay for it.
        unreadable: What :meth:`predict` does with rows that have a cell of the wrong type: ``set_aside`` (no
            prediction), ``refuse`` (an error), or ``missing`` (the cell counts as missing).
    """

    def __init__(
        self,
        readers: Sequence[CellReader],
        features: Any,
        learner: Any,
        *,
        task: Task,
        classes: Sequence[str | int | float] = (),
        calibration: Any = None,
        threshold: float | None = None,
        contact_value: ContactValue | None = None,
        by_value: bool = False,
        unreadable: UnreadablePolicy = "set_aside",
    ) -> None:
        self.readers = readers
        self.features = features
        self.learner = learner
        self.task = task
        self.classes = classes
        self.calibration = calibration
        self.threshold = threshold
        self.contact_value = contact_value
        self.by_value = by_value
        self.unreadable = unreadable

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing: the parts are already fitted."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: there is nothing to fit."""
        return True

    def read(self, X: pd.DataFrame) -> ReadTable:
        """Read the cells of the model's columns.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            The typed columns, and the cells that could not be read.

        Raises:
            ValueError: A column is absent.
        """
        return read_table(X, self.readers)

    def inputs(self, X: pd.DataFrame) -> np.ndarray:
        """Compute the inputs of the learner.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            float64 array of shape (n, n_inputs).
        """
        return self._inputs(self.read(X).table)

    def _inputs(self, table: pd.DataFrame) -> np.ndarray:
        # The steps are called without their pipeline, whose checks take longer than most steps for a single row.
        inputs: Any = table
        for _, step in self.features.steps:
            inputs = step.transform(inputs)
        return np.asarray(inputs, dtype=np.float64)

    def scores(self, X: pd.DataFrame) -> np.ndarray:
        """Predict each customer.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            float64 array: probability of leaving, shape (n,); probability of each class, shape (n, n_classes); or the
            predicted number, shape (n,).
        """
        return self._scores(self.read(X).table)

    def _scores(self, table: pd.DataFrame) -> np.ndarray:
        if not len(table):
            return np.empty((0, len(self.classes)) if self.task == "multiclass" else 0)
        inputs = self._inputs(table)
        if self.task == "regression":
            return np.asarray(self.learner.predict(inputs), dtype=np.float64)
        probability = np.asarray(self.learner.predict_proba(inputs))
        if self.calibration is not None:
            probability = np.asarray(self.calibration.predict_proba(probability))
        return np.asarray(probability[:, 1] if self.task == "binary" else probability, dtype=np.float64)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the probability of each class.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            float64 array of shape (n, n_classes), in the order of ``classes``.

        Raises:
            ValueError: The task is regression.
        """
        if self.task == "regression":
            raise ValueError("task regression has no probabilities: use predict or scores")
        scores = self.scores(X)
        return np.column_stack([1 - scores, scores]) if self.task == "binary" else scores

    def eligible(self, X: pd.DataFrame) -> np.ndarray | None:
        """Find the customers who may be contacted, whatever their probability of leaving.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            Whether the value of each can pay for a contact, shape (n,); None: all may be contacted.
        """
        return self._eligible(self.read(X).table) if self.by_value and self.contact_value is not None else None

    def _eligible(self, table: pd.DataFrame) -> np.ndarray | None:
        value = self.contact_value
        return worth_contacting(value.of(table), value) if self.by_value and value is not None else None

    def decide(self, X: pd.DataFrame) -> np.ndarray:
        """Decide about each customer.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            Binary: whether to contact, boolean, shape (n,). Multiclass: code of the most probable class, shape (n,).

        Raises:
            ValueError: The task is regression.
        """
        if self.task == "regression":
            raise ValueError("task regression has no decisions: use predict or scores")
        table = self.read(X).table
        return self._decide(table, self._scores(table))

    def _decide(self, table: pd.DataFrame, scores: np.ndarray) -> np.ndarray:
        if self.task == "multiclass":
            return np.asarray(scores.argmax(axis=1))
        if self.threshold is None:
            raise ValueError("a model of task binary needs a decision threshold, found None")
        return decide(scores, self.threshold, self._eligible(table))

    def expected_value(self, X: pd.DataFrame) -> np.ndarray:
        """Compute the expected profit of contacting each customer.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            Money, shape (n,).

        Raises:
            ValueError: The model has no costs and values.
        """
        if self.contact_value is None or self.task != "binary":
            raise ValueError("the model was trained without costs and value of a contact (campaigns.economics)")
        table = self.read(X).table
        return self._expected_value(table, self._scores(table), self.contact_value)

    def _expected_value(self, table: pd.DataFrame, scores: np.ndarray, value: ContactValue) -> np.ndarray:
        return expected_profit(scores, value.of(table), value)

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:
        """Predict and decide, as a table.

        Args:
            X: Raw or typed customers, n rows.

        Returns:
            A table under the index of ``X``. Binary: ``probability`` of leaving, ``decision`` (``contact`` or
            ``no_contact``) and, with costs and value, ``expected_value`` of a contact in money. Multiclass:
            ``prediction`` (the label) and ``probability_<label>``. Regression: ``prediction``. Last, ``unreadable``:
            the reasons, empty text where every cell can be read.

        Raises:
            UnreadableCellsError: A cell has the wrong type, and the policy is to refuse it.
            ValueError: A column is absent.
        """
        read = self.read(X)
        if self.unreadable == "refuse" and len(read.unreadable):
            listed = "; ".join(
                f"row {label}: {reason}"
                for label, reason in read.unreadable[["row", "reason"]].head(_LISTED).to_numpy()
            )
            raise UnreadableCellsError(f"{len(read.unreadable)} cells cannot be read: {listed}")
        columns = self._answer(read.table)
        if not len(read.unreadable):
            return pd.DataFrame({**columns, "unreadable": ""}, index=X.index)
        reasons = read.unreadable.groupby("row", sort=False)["reason"].agg("; ".join)
        explained: pd.Series = X.index.to_series().map(reasons).fillna("")
        answer = pd.DataFrame(columns, index=X.index)
        if self.unreadable == "set_aside":
            answer = answer.mask(np.repeat(explained.ne("").to_numpy()[:, None], answer.shape[1], axis=1))
        return answer.assign(unreadable=explained.to_numpy())

    def answer(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predict and decide for typed customers.

        Args:
            table: Typed customers, as :meth:`read` returns them; further columns are ignored.

        Returns:
            The table of :meth:`predict` without ``unreadable``.
        """
        return pd.DataFrame(self._answer(table), index=table.index)

    def _answer(self, table: pd.DataFrame) -> dict[str, Any]:
        scores = self._scores(table)
        if self.task == "regression":
            return {"prediction": scores}
        decision = self._decide(table, scores)
        if self.task == "multiclass":
            probabilities = {f"probability_{label}": scores[:, code] for code, label in enumerate(self.classes)}
            return {"prediction": pd.Index(list(self.classes)).take(decision), **probabilities}
        columns = {"probability": scores, "decision": _DECISIONS.take(decision.astype(np.intp))}
        if self.contact_value is not None:
            columns["expected_value"] = self._expected_value(table, scores, self.contact_value)
        return columns
