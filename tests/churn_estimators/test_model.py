"""Claims about the model object: predictions, decisions and unreadable cells."""

from copy import copy

import numpy as np
import pandas as pd
import pytest

from churn_estimators.cells import CellReader, UnreadableCellsError
from churn_estimators.value import ContactValue
from tests.model_cases import column_model
from tests.task_cases import task_case

# A leaver brings (2 * charges - 10) / 2 - 1: nothing at 6, which is not worth a contact.
VALUE = ContactValue(1, 10, 0.5, 2, column="charges", fill_value=40)
CHARGES = CellReader("charges", "number", required=False)
CUSTOMERS = pd.DataFrame({"p": ["0.9", "0.9", "0.9", "0.1"], "charges": ["5.9", "6.0", "6.1", "40"]})


def test_customers_whose_value_cannot_pay_for_a_contact_are_not_contacted() -> None:
    model = column_model("p", further=[CHARGES], contact_value=VALUE, by_value=True)

    answer = model.predict(CUSTOMERS)

    assert answer["decision"].tolist() == ["no_contact", "no_contact", "contact", "no_contact"]
    assert model.decide(CUSTOMERS).tolist() == [False, False, True, False]
    # By hand: 0.9 * (0.5 * (2 * 6.1 - 10)) - 0.1 * 10 - 1, and 0.1 * (0.5 * (80 - 10)) - 0.9 * 10 - 1.
    assert answer["expected_value"].tolist()[2:] == pytest.approx([-1.01, -6.5])
    np.testing.assert_array_equal(model.expected_value(CUSTOMERS), answer["expected_value"])


def test_without_the_rule_of_value_the_threshold_alone_decides() -> None:
    model = column_model("p", further=[CHARGES], contact_value=VALUE)

    assert model.decide(CUSTOMERS).tolist() == [True, True, True, False]
    assert model.eligible(CUSTOMERS) is None


def test_a_missing_value_is_that_of_the_training_customers() -> None:
    model = column_model("p", further=[CHARGES], contact_value=VALUE, by_value=True)

    absent, blank = model.predict(CUSTOMERS[["p"]]), model.predict(CUSTOMERS.assign(charges=""))

    assert absent["decision"].tolist() == blank["decision"].tolist() == ["contact"] * 3 + ["no_contact"]
    assert absent["expected_value"].tolist() == blank["expected_value"].tolist()


def test_a_probability_at_the_threshold_is_a_contact() -> None:
    table = pd.DataFrame({"p": [0.5, np.nextafter(0.5, 0)]})

    assert column_model("p", 0.5).decide(table).tolist() == [True, False]


@pytest.mark.parametrize("n_rows", [3, 300])
def test_rows_with_unreadable_cells_are_treated_as_declared(n_rows: int) -> None:
    table = pd.DataFrame({"p": ["0.2", "high", "0.7"] * (n_rows // 3), "q": ["1", "x", "y"] * (n_rows // 3)})
    reads = [CellReader("q", "number")]

    aside = column_model("p", further=reads).predict(table)
    scored = column_model("q", further=[CellReader("p", "number")], unreadable="missing").predict(table)
    with pytest.raises(UnreadableCellsError, match=rf"{n_rows} cells cannot be read: row 1: p: 'high' is not a number"):
        column_model("p", further=reads, unreadable="refuse").predict(table)

    assert aside["unreadable"].tolist()[:3] == [
        "",
        "p: 'high' is not a number; q: 'x' is not a number",
        "q: 'y' is not a number",
    ]
    assert aside["probability"].isna().tolist()[:3] == [False, True, True]
    assert aside["decision"].isna().tolist()[:3] == [False, True, True]
    assert scored["decision"].notna().all()


def test_an_answer_keeps_the_index_and_needs_no_row() -> None:
    model = column_model("p")

    assert model.predict(pd.DataFrame({"p": [0.2, 0.9]}, index=[7, 3])).index.tolist() == [7, 3]
    assert model.predict(pd.DataFrame({"p": []})).empty
    assert model.predict_proba(pd.DataFrame({"p": []})).shape == (0, 2)


def test_an_absent_column_is_named() -> None:
    with pytest.raises(ValueError, match="the table lacks the columns 'p'; it has 'q'"):
        column_model("p").predict(pd.DataFrame({"q": [1]}))


def test_classes_of_an_integer_label_can_be_set_aside() -> None:
    case = task_case("multiclass")
    model = copy(case.trained.estimator).set_params(classes=[10, 20, 30])
    raw = case.raw.drop(columns="Outcome").head(4)
    raw.loc[raw.index[1], "Age"] = "old"

    answer = model.predict(raw)

    assert answer["prediction"].isna().tolist() == [False, True, False, False]
    assert set(answer["prediction"].dropna()) <= {10, 20, 30}
    assert answer["probability_10"].isna().tolist() == [False, True, False, False]


def test_a_regression_has_neither_probabilities_nor_decisions() -> None:
    case = task_case("regression")
    model = case.trained.estimator

    assert list(model.predict(case.test)) == ["prediction", "unreadable"]
    for call in (model.predict_proba, model.decide):
        with pytest.raises(ValueError, match="task regression has no"):
            call(case.test)
    with pytest.raises(ValueError, match="without costs and value of a contact"):
        model.expected_value(case.test)
