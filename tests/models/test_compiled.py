"""Claims about the compiled form of a model: it gives the answers of the model."""

from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from churn_estimators.cells import CellReader, UnreadableCellsError
from churn_estimators.ensembles import BlendClassifier
from churn_estimators.model import CustomerModel
from churn_estimators.value import ContactValue
from churn_kedro.customers.tasks import Task
from churn_kedro.models import compiled, learners
from churn_kedro.models.compiled import RowAnswer, RowScorer, compile_model
from churn_kedro.models.generated_rows import Row, generate_rows, rows_of, table_of
from tests.model_cases import column_model
from tests.task_cases import task_case, train_given
from tests.treatment_cases import treatment_case

CASES: dict[str, tuple[Task, str]] = {
    "binary": ("binary", ""),
    "multiclass": ("multiclass", ""),
    "regression": ("regression", ""),
    "binary treatments": ("binary", "none"),
    "multiclass treatments": ("multiclass", "model"),
}
VALUE = ContactValue(2, 5, 0.4, 9, column="Visits", fill_value=4)
ROW = {"Age": 71, "Country": "Spain", "Visits": 3}


PARAMETERS = [pytest.param(name, marks=[pytest.mark.slow] if "treatments" in name else []) for name in CASES]


@cache
def case(name: str) -> tuple[CustomerModel, pd.DataFrame, RowScorer]:
    """A model, raw customers, and the scorer of rows. Contacts of the first model depend on their value."""
    task, selection = CASES[name]
    if selection:
        treated = treatment_case(task, selection)
        model, raw = treated.trained.estimator, treated.raw
    else:
        model, raw = task_case(task).trained.estimator, task_case(task).raw
    if name == "binary":
        model = copy(model).set_params(contact_value=VALUE, by_value=True)
    return model, raw, compile_model(model, raw.head(20))


def require_answers_of_model(model: CustomerModel, rows: Sequence[Row], answers: list[RowAnswer]) -> None:
    """Compare answers with the model's own, which reads each row as a table."""
    expected = compiled._WholeModel(model, "").answer(rows)
    assert [answer.unreadable for answer in answers] == [answer.unreadable for answer in expected]
    for answer, known in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer.scores, known.scores, rtol=1e-6, atol=1e-6)
        money = [np.nan if each.expected_value is None else each.expected_value for each in (answer, known)]
        assert money[0] == pytest.approx(money[1], rel=1e-5, abs=1e-5, nan_ok=True)
        near = model.threshold is not None and abs(float(known.scores[0]) - model.threshold) < 1e-6
        assert near or answer.decision == known.decision


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_customer_gets_the_answer_of_the_model(name: str) -> None:
    model, raw, scorer = case(name)
    # A row is slow where it is imputed from other columns.
    rows = rows_of(raw.head(10 if "treatments" in name else 120))

    assert (scorer.is_compiled, scorer.fallback_reason) == (True, "")
    require_answers_of_model(model, rows, [scorer.answer([row])[0] for row in rows])


@pytest.mark.parametrize("name", PARAMETERS)
def test_many_customers_get_the_same_answers_together(name: str) -> None:
    model, raw, scorer = case(name)

    for n_rows in (2, learners.MOST_ONNX_ROWS, learners.MOST_ONNX_ROWS + 1):
        require_answers_of_model(model, rows_of(raw.head(n_rows)), scorer.answer(rows_of(raw.head(n_rows))))
    assert scorer.answer([]) == []


_ANY_CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["France", "Spain", " Spain ", "1e3", "-1", "2,5", "1,5e2", "01.02.2024", "2024-02-01", "none", "3"]
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_rows"), [("binary", 20), ("multiclass", 20), ("regression", 20)])
@settings(max_examples=30)
@given(data=st.data())
def test_any_cells_get_the_answer_of_the_model(name: str, n_rows: int, data: st.DataObject) -> None:
    model, _, scorer = case(name)
    # An unreadable cell must not hide the others of its row.
    forgiving, compiled_too = copy(model).set_params(unreadable="missing"), copy(scorer)
    compiled_too._model = forgiving  # type: ignore[attr-defined]
    row = st.fixed_dictionaries({reader.column: _ANY_CELL for reader in model.readers})
    rows: list[Row] = data.draw(st.lists(row, min_size=n_rows, max_size=n_rows))

    require_answers_of_model(forgiving, rows, [compiled_too.answer([row])[0] for row in rows])


def test_numbers_beside_a_split_take_the_same_branch() -> None:
    model, _, scorer = case("binary")
    splits = model.learner.get_booster().trees_to_dataframe()
    ages = splits.loc[splits["Feature"] == "f0", "Split"].astype(np.float32).unique()[:20]
    beside = [float(number) for age in ages for number in (age, np.nextafter(age, np.float32(0)))]
    # In float64, the next numbers are closer and are rounded to the split.
    beside += [float(np.nextafter(float(age), limit)) for age in ages for limit in (0, 1e9)]

    rows = [{**ROW, "Age": age} for age in beside]

    answers = [scorer.answer([row])[0] for row in rows]
    assert len(rows) > 20
    np.testing.assert_allclose(
        [answer.scores[0] for answer in answers], model.scores(pd.DataFrame(rows)), rtol=0, atol=1e-7
    )


def test_unreadable_cells_are_treated_by_the_policy_of_the_model() -> None:
    model, raw, _ = case("binary")
    row = {**ROW, "Age": "old", "Visits": "inf"}
    reasons = ("Age: 'old' is not a number", "Visits: 'inf' is not a number")

    def scorer(policy: str) -> RowScorer:
        return compile_model(copy(model).set_params(unreadable=policy), raw.head(5))

    aside, kept = scorer("set_aside").answer([row, ROW])
    assert np.isnan(aside.scores).tolist() == [True]
    assert (aside.decision, aside.expected_value, aside.unreadable) == (None, None, reasons)
    assert kept.unreadable == ()
    missing = scorer("missing").answer([row])[0]
    assert missing.unreadable == reasons
    assert missing.scores == pytest.approx(model.scores(pd.DataFrame([{**ROW, "Age": None, "Visits": None}])))
    with pytest.raises(UnreadableCellsError, match="2 cells cannot be read: row 1: Age: 'old'"):
        scorer("refuse").answer([ROW, row])


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_row_without_a_required_column_is_an_error_that_names_it(is_compiled: bool) -> None:
    model, _, scorer = case("binary")
    scorer = scorer if is_compiled else compiled._WholeModel(model, "a reason")

    with pytest.raises(ValueError, match="lacks the columns 'Country', 'Visits'; it has 'Age'"):
        scorer.answer([ROW, {"Age": 50}])


def test_a_column_that_may_be_absent_is_missing() -> None:
    model, _, _ = case("binary")
    readers = [copy(model.readers[0]), *model.readers[1:]]
    readers[-1] = CellReader(readers[-1].column, readers[-1].cells, required=False)
    scorer = compile_model(copy(model).set_params(readers=readers), pd.DataFrame())
    without = {name: cell for name, cell in ROW.items() if name != readers[-1].column}

    assert scorer.is_compiled
    assert scorer.answer([without])[0].scores == scorer.answer([{**without, readers[-1].column: None}])[0].scores


def test_a_model_with_another_treatment_answers_itself_and_says_why() -> None:
    model = column_model("p", 0.5, contact_value=VALUE, further=[CellReader("Visits", "number", required=False)])

    scorer = compile_model(model, pd.DataFrame({"p": ["0.4"], "Visits": ["7"]}))

    assert not scorer.is_compiled
    assert "the first step of the treatment, 'functiontransformer', is a FunctionTransformer" in scorer.fallback_reason
    answers = scorer.answer([{"p": 0.75, "Visits": "2"}, {"p": "high"}])
    assert (answers[0].scores.tolist(), answers[0].decision) == ([0.75], "contact")
    # By hand: 0.75 * 0.4 * (2 * 9 - 5) - 0.25 * 5 - 2.
    assert answers[0].expected_value == pytest.approx(0.65)
    assert answers[1].unreadable == ("p: 'high' is not a number",)
    assert answers[1].decision is None


def test_a_compiled_form_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model, raw, _ = case("binary")
    monkeypatch.setattr(compiled, "compile_calibration", lambda _: lambda probability: probability)

    scorer = compile_model(model, raw.head(5))

    assert not scorer.is_compiled
    assert (
        "the compiled form predicts otherwise than the model: the scores of a row differ by" in scorer.fallback_reason
    )


def test_without_onnx_runtime_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, raw, scorer = case("multiclass")
    monkeypatch.setattr(learners, "has_onnx", lambda: False)

    without = compile_model(model, raw.head(20))

    assert without.is_compiled
    for row in rows_of(raw.head(10)):
        np.testing.assert_allclose(without.answer([row])[0].scores, scorer.answer([row])[0].scores, rtol=0, atol=1e-7)


@pytest.mark.parametrize("algorithm", ["logistic_regression", "random_forest", "lightgbm", "catboost"])
def test_other_learners_are_asked_for_a_row_of_inputs(algorithm: Any) -> None:
    binary = task_case("binary")
    other = train_given(
        binary.train, binary.validation, binary.manifest, binary.declaration, algorithms=[algorithm]
    ).model.estimator
    blend = BlendClassifier([other.learner, binary.trained.estimator.learner])
    rows = rows_of(binary.raw.head(10))

    for model in (other, copy(other).set_params(learner=blend)):
        scorer = compile_model(model, binary.raw.head(10))
        assert scorer.is_compiled, scorer.fallback_reason
        require_answers_of_model(model, rows, [scorer.answer([row])[0] for row in rows])


def test_generated_rows_have_missing_unseen_extreme_and_unreadable_cells() -> None:
    readers = [CellReader("n", "number", missing=["?"]), CellReader("t", "text"), CellReader("d", "date")]

    rows = generate_rows(readers, {"t": ["gold"]}, pd.DataFrame({"n": [41.5], "d": [pd.Timestamp("2025-03-01")]}))

    numbers = [row.get("n") for row in rows]
    assert {"?", None, "many", 1e30, 41.5} <= set(numbers)
    assert {"gold", None, "a level that no table has"} <= {row.get("t") for row in rows}
    assert {"2025-03-01T00:00:00", None, "soon"} <= {row.get("d") for row in rows}
    assert rows == generate_rows(
        readers, {"t": ["gold"]}, pd.DataFrame({"n": [41.5], "d": [pd.Timestamp("2025-03-01")]})
    )
    assert table_of(rows, readers).shape == (257, 3)
