"""Claims about the inference of a declaration from a table."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.onboarding.cells import describe_name
from churn_kedro.customers.onboarding.configuration_files import (
    render_data_processing,
    render_declaration,
    render_globals,
)
from churn_kedro.customers.onboarding.inference import Onboarding, infer_declaration
from churn_kedro.customers.validation import set_aside_invalid

ROWS = 400


def table(**columns: Any) -> pd.DataFrame:
    """A table of text with a target, as read from a CSV file."""
    random = np.random.default_rng(0)
    given = {"Spend": random.uniform(0, 100, ROWS).round(2), **columns, "Churn": random.integers(0, 2, ROWS)}
    return pd.DataFrame({name: pd.Series(cells).astype("str") for name, cells in given.items()})


def cycle(*cells: Any) -> list[Any]:
    return [cells[position % len(cells)] for position in range(ROWS)]


def guess(name: str, cells: Any) -> dict[str, Any]:
    """The inferred declaration of one column."""
    column = next(
        column for column in infer_declaration(table(**{name: cells}), "Churn").columns if column.name == name
    )
    return {key: value for key, value in column.fields.items() if key not in ("name", "description")}


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("Age", np.arange(ROWS) % 60 + 18, {"kind": "numeric"}),
        ("Tenure", np.arange(ROWS) % 60, {"kind": "numeric", "domain": {"min": 0}}),
        ("Delta", np.arange(ROWS) % 60 - 30.5, {"kind": "numeric"}),
        ("Visits", cycle(0, 1, 2, 3), {"kind": "numeric", "domain": {"min": 0}}),
        ("PlanCode", cycle(3, 1, 2), {"kind": "categorical", "domain": [1, 2, 3]}),
        ("Card", cycle(0, 1), {"kind": "binary", "domain": [0, 1]}),
        ("Card", cycle("1.0", "0", "1"), {"kind": "binary", "domain": [0, 1]}),
        ("Card", cycle("Yes", "No"), {"kind": "binary", "domain": ["No", "Yes"]}),
        ("Card", cycle("True", "False"), {"kind": "binary", "domain": ["False", "True"]}),
        ("Level", cycle("High", "Low", "Medium"), {"kind": "ordinal", "domain": ["Low", "Medium", "High"]}),
        ("City", cycle("Lyon", "Nice", "Vigo"), {"kind": "categorical", "domain": ["Lyon", "Nice", "Vigo"]}),
        ("City", [f"city {n % 50}" for n in range(ROWS)], {"kind": "categorical"}),
        ("Size", cycle("1", "2", "large", "huge"), {"kind": "categorical"}),
        ("CustomerId", np.arange(ROWS) * 7 + 1000, {"role": "id"}),
        ("user", [f"u{n:05d}" for n in range(ROWS)], {"role": "id"}),
        ("Nº", np.arange(ROWS) * 13 + 100_000, {"role": "id"}),
        ("customer_id", [f"c{n % 40}" for n in range(ROWS)], {"role": "id"}),
        ("store_id", [f"s{n % 40}" for n in range(ROWS)], {"kind": "categorical"}),
        ("client_no", np.arange(ROWS) // 1.5 // 1, {"role": "id"}),
        ("Unnamed: 0", np.arange(ROWS), {"role": "ignored"}),
        ("RowNumber", np.arange(ROWS) + 1, {"role": "ignored"}),
        ("Name", [f"Family {n % 300}" for n in range(ROWS)], {"role": "ignored"}),
        ("Note", [f"called about bill number {n}" for n in range(ROWS)], {"role": "ignored"}),
        (
            "Fee",
            cycle("$1,200.50", "$3.00", "($7.20)"),
            {"kind": "numeric", "remove": ["$"], "thousands": ","},
        ),
        ("Fee", cycle("1 200,50", "3,00", "7"), {"kind": "numeric", "thousands": " "}),
        ("Rate", cycle("12.5%", "3 %", "0%"), {"kind": "numeric", "remove": ["%"], "domain": {"min": 0}}),
        ("Seniority", cycle("1 year", "2 years", "3 years"), {"kind": "numeric", "remove": ["year", "years"]}),
        ("Term", cycle("36 months", "60 months"), {"kind": "binary", "domain": ["36 months", "60 months"]}),
        ("Traffic", cycle("5 MB", "2 GB", "3 GB"), {"kind": "categorical"}),
        ("DataPlan", cycle("5 GB", "10 GB", "20 GB"), {"domain": [5, 10, 20], "remove": ["GB"]}),
        ("Limit", cycle("1,000", "2,000"), {"kind": "binary", "domain": [1000, 2000], "thousands": ","}),
        ("Voucher", cycle("1,000", ""), {"kind": "categorical", "domain": [1000], "nullable": True, "thousands": ","}),
        ("PostCode", [f"0{n % 40 + 1000}" for n in range(ROWS)], {"kind": "categorical"}),
        ("Since", [20250101 + n % 28 for n in range(ROWS)], {"kind": "date", "date_format": "%Y%m%d"}),
        ("customer_income", np.arange(ROWS) ** 2 % 7919 + 20_000, {"kind": "numeric"}),
        ("number_of_calls", np.arange(ROWS) % 100, {"kind": "numeric"}),
        ("Same", cycle("x"), {"role": "ignored"}),
        ("Flag", cycle("Y", "", ""), {"kind": "categorical", "domain": ["Y"], "nullable": True}),
        ("Fee", [f"${n + 1},037.50" for n in range(ROWS)], {"kind": "numeric", "remove": ["$"], "thousands": ","}),
        ("Fee", [f"{n + 1}.037,50" for n in range(ROWS)], {"kind": "numeric", "thousands": "."}),
        ("decision", [f"u{n:05d}" for n in range(ROWS)], {"role": "ignored"}),
        ("a", [*["error"] * 14, *(n / 7 for n in range(ROWS - 14))], {"kind": "numeric", "nullable": True}),
        ("Since", pd.date_range("2020-01-01", periods=ROWS).strftime("%d %B %Y"), {"date_format": "%d %B %Y"}),
        ("Since", pd.date_range("2020-01-01", periods=ROWS).strftime("%m/%d/%Y %I:%M:%S %p"), {"kind": "date"}),
        ("Empty", cycle(""), {"role": "ignored"}),
        ("Paid", cycle("", 0, 2, 3), {"kind": "numeric", "domain": {"min": 0}, "nullable": True}),
        ("Paid", cycle("?", 0.5, 2, 9), {"kind": "numeric", "domain": {"min": 0}, "nullable": True, "missing": ["?"]}),
        (
            "Town",
            cycle("NA", "a", "b", "Unknown"),
            {"domain": ["a", "b"], "nullable": True, "missing": ["NA", "Unknown"]},
        ),
        ("Since", pd.date_range("2020-01-01", periods=ROWS).astype(str), {"kind": "date"}),
        ("Since", pd.date_range("2020-01-01", periods=ROWS).strftime("%d/%m/%Y"), {"date_format": "%d/%m/%Y"}),
        ("Since", pd.date_range("2020-01-01", periods=ROWS).strftime("%m/%d/%Y"), {"date_format": "%m/%d/%Y"}),
        ("snapshot_date", cycle("2026-01-31", "2026-02-28"), {"role": "time"}),
    ],
)
def test_a_column_is_declared_by_its_values(name: str, cells: Any, expected: dict[str, Any]) -> None:
    found = guess(name, cells)

    assert {key: found.get(key) for key in expected} == expected
    assert set(found) - set(expected) <= {"kind", "domain", "nullable", "missing", "date_format"}
    assert {"remove", "thousands"} & set(found) == {"remove", "thousands"} & set(expected)
    assert ("kind" in expected or expected.get("role") is None) or "kind" not in found


@pytest.mark.parametrize(
    ("target", "task", "labels"),
    [
        (cycle(0, 1, 0), "binary", {"positive": 1, "negative": 0}),
        (cycle("Yes", "No"), "binary", {"positive": "Yes", "negative": "No"}),
        (cycle("True", "False"), "binary", {"positive": "True", "negative": "False"}),
        (cycle("Existing Customer", "Attrited Customer"), "binary", {"positive": "Attrited Customer"}),
        (cycle("Stayed", "Churned"), "binary", {"positive": "Churned", "negative": "Stayed"}),
        (cycle(2, 1, 1), "binary", {"positive": 2, "negative": 1}),
        (cycle("red", "blue", "blue"), "binary", {"positive": "red", "negative": "blue"}),
        (cycle("a", "b", "c"), "multiclass", {"classes": ["a", "b", "c"]}),
        (cycle(1, 2, 3), "multiclass", {"classes": [1, 2, 3]}),
        (np.linspace(0, 9, ROWS).round(3), "regression", None),
        (np.arange(ROWS) % 100, "regression", None),
        ([9, 9, *(np.arange(ROWS - 2) % 8)], "regression", None),
    ],
)
def test_the_task_follows_from_the_target(target: Any, task: str, labels: dict[str, Any] | None) -> None:
    declaration = infer_declaration(table().assign(Churn=pd.Series(target).astype("str")), "Churn").declaration

    assert declaration.task == task
    if labels is None:
        assert declaration.labels is None
    else:
        assert declaration.labels is not None
        assert {key: getattr(declaration.labels, key) for key in labels} == labels


def test_the_user_can_name_the_positive_label_and_the_task() -> None:
    raw = table()

    swapped = infer_declaration(raw, "Churn", positive="0").declaration
    counted = infer_declaration(raw.assign(Churn=cycle("1", "2", "3")), "Churn", task="regression").declaration

    assert swapped.classes == [1, 0]
    assert counted.task == "regression"


@pytest.mark.parametrize(
    ("raw", "arguments", "message"),
    [
        (table(), {"target": "churn"}, "There is no column 'churn'; the nearest is 'Churn'"),
        (table().assign(Churn="1"), {"target": "Churn"}, "has 1 different values .*: a model cannot be trained on it"),
        (table().assign(Churn=cycle("Yes", "yes")), {"target": "Churn"}, "has 1 different values"),
        (table().assign(Churn=cycle("1", "1.0")), {"target": "Churn"}, "has 1 different values"),
        (table().assign(Churn=cycle("1", "1.0")), {"target": "Churn", "task": "regression"}, "has 1 different values"),
        (table().assign(Churn=""), {"target": "Churn"}, "has 0 different values"),
        (table().head(0), {"target": "Churn"}, "a header but no rows"),
        (table(), {"target": "Churn", "positive": "left"}, "has no label 'left'; it has 0 and 1"),
        (table(City=cycle("a", "b", "c")), {"target": "City", "task": "regression"}, "is not numeric, for example"),
        (table(City=cycle("a", "b", "c")), {"target": "City", "task": "binary"}, "has 3 different values, not two"),
        (
            table(City=cycle("a", "b", "1")),
            {"target": "City"},
            "has the label '1', a number, among labels",
        ),
        (table().set_axis(["", "Churn"], axis=1), {"target": ""}, "There is no column ''. The file has"),
        (
            table(Name=[f"name {n}" for n in range(ROWS)]),
            {"target": "Name"},
            "400 different words, more than the 20 classes",
        ),
        (
            table(City=["a"] * 195 + ["b"] * 195 + ["c"] * 10),
            {"target": "City", "task": "binary"},
            "Rows beside the two labels: 'c' in rows 391, 392, 393, 394, 395 and 5 more. Correct or remove them",
        ),
        (pd.DataFrame({"Id": range(100), "Churn": [0, 1] * 50}), {"target": "Churn"}, "no usable feature"),
        (
            pd.DataFrame([["1", "2", "0"], ["2", "1", "1"]], columns=["a", "a", "Churn"]),
            {"target": "Churn"},
            "more than one column named 'a'",
        ),
    ],
)
def test_a_table_that_cannot_be_onboarded_is_refused(
    raw: pd.DataFrame, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(CustomerTableError, match=message):
        infer_declaration(raw, **arguments)


def test_decimal_commas_are_recognised_and_thousands_are_not() -> None:
    commas = infer_declaration(table(Spend=cycle(1, 2), Paid=cycle("1,5", "20,25", "7")), "Churn").declaration
    thousands = infer_declaration(table(Paid=cycle("1,500", "20,250", "7")), "Churn").declaration

    assert commas.decimal == ","
    assert thousands.decimal == "."


def test_an_identifier_by_name_is_found_in_a_tiny_table() -> None:
    raw = table(id_cliente=np.arange(ROWS) + 7001).head(30)

    assert infer_declaration(raw, "Churn").declaration.id_names == ["id_cliente"]


def test_repeated_rows_do_not_hide_a_key() -> None:
    raw = table(CustomerId=np.arange(ROWS) * 3 + 5)

    found = infer_declaration(pd.concat([raw, raw.head(20)], ignore_index=True), "Churn")

    assert found.declaration.id_names == ["CustomerId"]
    assert not any("several rows" in doubt for doubt in found.doubts)


def test_a_number_that_may_mean_missing_is_kept_with_a_doubt() -> None:
    found = infer_declaration(table(Income=cycle(-999, 40, 55, 61)), "Churn")

    column = next(column for column in found.columns if column.name == "Income")
    assert column.doubts == [
        "-999 occurs 100 times, the nearest other value is 40: if it means missing, add it to missing"
    ]
    assert "missing" not in column.fields


@pytest.mark.parametrize(
    ("name", "cells", "doubted"),
    [
        ("Age", [0, *(np.arange(ROWS - 1) % 60 + 18)], "0 occurs 1 time,"),
        ("Age", [*[0, 1, 2] * 20, *(np.arange(ROWS - 60) % 60 + 3)], "0 occurs 20 times,"),
        ("Months", [999, 999, *(np.arange(ROWS - 2) % 60)], "999 occurs 2 times,"),
        ("Score", [0, 0, *(np.arange(ROWS - 2) % 500 + 300)], "0 occurs 2 times,"),
        ("Hours", [*[99] * 30, *(np.arange(ROWS - 30) % 98)], "99 occurs 30 times,"),
        ("Visits", np.arange(ROWS) % 60, None),
        ("Income", np.random.default_rng(0).lognormal(8, 1, ROWS).round(), None),
        ("Refunds", [*[0] * 300, *np.random.default_rng(0).gamma(2, 40, 100).round(2)], None),
    ],
)
def test_undocumented_codes_at_the_edge_of_a_range_are_doubted(name: str, cells: Any, doubted: str | None) -> None:
    found = infer_declaration(table(**{name: cells}), "Churn")

    doubts = next(column for column in found.columns if column.name == name).doubts
    assert [doubt[: len(doubted or "")] for doubt in doubts] == ([] if doubted is None else [doubted])


def test_a_few_odd_cells_of_a_numeric_column_are_named_and_counted_and_the_column_is_kept() -> None:
    odd = [f"about {n}" for n in range(7)]
    ages = [*odd, *(np.arange(ROWS - 7) % 60 + 18)]

    found = infer_declaration(table(Age=ages), "Churn")

    column = next(column for column in found.columns if column.name == "Age")
    assert column.fields["kind"] == "numeric"
    assert sorted(column.fields["missing"]) == odd
    assert column.fields["nullable"]
    assert column.doubts[0].startswith("7 of 400 cells are not numbers: 'about 0' (1), ")
    assert " and 3 more; taken for missing" in column.doubts[0]


@pytest.mark.slow
def test_rows_of_many_different_odd_cells_are_set_aside_and_counted() -> None:
    raw = pd.concat([table()] * 4, ignore_index=True)
    raw["Age"] = [*(f"about {n}" for n in range(60)), *map(str, np.arange(len(raw) - 60) % 60 + 18)]

    found = infer_declaration(raw, "Churn")

    assert "missing" not in found.declaration.columns[-1].missing
    assert found.rejected_share == 60 / 1600
    normalised = normalise(raw, found.declaration, with_target=True)
    assert len(normalised.unreadable) == 60


def test_a_marker_of_many_cells_leaves_a_column_numeric() -> None:
    found = guess("Spent", cycle("refused", *np.linspace(1, 9, 25).round(3)))

    assert (found["kind"], found["missing"]) == ("numeric", ["refused"])


@pytest.mark.parametrize(
    ("labels", "stray", "rows"),
    [
        ([*[0, 0, 1] * 133, -1], "-1", "row 400"),
        ([7, *["Yes", "No", "No"] * 133], "7", "row 1"),
        ([*["Yes", "No", "No"] * 132, *["Yse"] * 4], "Yse", "rows 397, 398, 399, 400"),
    ],
)
def test_a_few_bad_labels_leave_the_task_binary_and_their_rows_are_set_aside(
    labels: list[Any], stray: str, rows: str
) -> None:
    raw = table().assign(Churn=pd.Series(labels).astype("str"))

    found = infer_declaration(raw, "Churn")

    assert found.declaration.task == "binary"
    assert len(found.declaration.classes) == 2
    assert found.columns[-1].doubts[0].startswith(f"beside its two labels it has {stray!r} in {rows}: these rows")
    normalised = normalise(raw, found.declaration, with_target=True)
    assert len(normalised.unreadable) == labels.count(int(stray) if stray.lstrip("-").isdigit() else stray)
    assert infer_declaration(raw, "Churn", task="binary").declaration.classes == found.declaration.classes


def test_mostly_zero_amounts_are_a_regression() -> None:
    spent = np.where(np.arange(ROWS) % 50 == 0, np.arange(ROWS) + 0.5, 0)

    assert infer_declaration(table().assign(Churn=pd.Series(spent).astype("str")), "Churn").declaration.task == (
        "regression"
    )


@pytest.mark.parametrize(
    "cells", [cycle("5 GB", "10 GB", "20 GB"), cycle("1,000", "2,000"), cycle("1,000", ""), cycle("Y", "")]
)
def test_every_filled_cell_of_a_column_of_levels_is_readable_as_declared(cells: list[str]) -> None:
    raw = table(DataPlan=cells)

    normalised = normalise(raw, infer_declaration(raw, "Churn").declaration, with_target=True)

    assert normalised.unreadable.empty
    assert (normalised.table["DataPlan"].notna() == (raw["DataPlan"] != "")).all()


def test_the_example_of_an_amount_is_a_number() -> None:
    raw = table(Fee=["refused"] * 15 + [f"${n}.50" for n in range(ROWS - 15)])

    fee = next(column for column in infer_declaration(raw, "Churn").columns if column.name == "Fee")

    assert "amounts such as '$0.50' are read as 0.5" in fee.doubts


def test_a_positive_class_of_the_majority_is_doubted_with_the_way_to_turn_it() -> None:
    raw = table().assign(Churn=pd.Series(cycle(1, 1, 1, 1, 0)).astype("str"))

    doubts = infer_declaration(raw, "Churn").columns[-1].doubts

    assert doubts == [
        "80.0% of the customers have 1, which is taken for leaving; if it means staying, use --positive 0"
    ]
    assert infer_declaration(raw, "Churn", positive="0").columns[-1].doubts == []


def test_spellings_of_a_label_are_read_as_one() -> None:
    raw = table().assign(Churn=pd.Series(cycle("Yes", "No", "no", "No")))

    found = infer_declaration(raw, "Churn")

    assert found.declaration.classes == ["No", "Yes"]
    assert found.columns[-1].doubts == ["'No', 'no' are read as one label, 'No'"]
    assert normalise(raw, found.declaration, with_target=True).table["Churn"].tolist() == cycle(1, 0, 0, 0)


def test_a_counter_of_rows_does_not_identify_customers_where_another_column_repeats() -> None:
    raw = table(id=np.arange(ROWS) + 1, customer_id=np.arange(ROWS) % 130 + 5000)

    found = infer_declaration(raw, "Churn")

    assert found.declaration.id_names == ["customer_id"]
    assert found.columns[1].doubts == [
        "an identifier that is left out: it counts the rows, and customer_id repeats for each customer"
    ]


def test_evenly_spread_pay_is_no_identifier_and_a_code_is_one() -> None:
    random = np.random.default_rng(1)
    raw = pd.concat([table()] * 10, ignore_index=True)
    raw["Spend"] = [str(n) for n in range(len(raw))]
    raw["Pay"] = random.integers(20_000, 200_000, len(raw)).astype("str")
    raw["Code"] = (random.permutation(60_000)[: len(raw)] + 20_000).astype("str")

    found = infer_declaration(raw, "Churn")

    kinds = {column.name: column.fields.get("role") or column.fields["kind"] for column in found.columns}
    assert (kinds["Pay"], kinds["Code"]) == ("numeric", "ignored")


def test_a_possible_misspelling_of_a_level_is_doubted() -> None:
    found = infer_declaration(table(Country=["Spian", *["Spain", "France", "Italy"] * 133]), "Churn")

    assert found.columns[1].doubts[0].startswith("'Spian' (1) may be a misspelling of 'Spain'")


def test_a_description_is_asked_for_and_made_from_the_columns() -> None:
    found = infer_declaration(table(Age=np.arange(ROWS) % 60, City=cycle("a", "b", "c")), "Churn")

    assert found.declaration.description == "Customers by Spend, Age, City; Churn = 1 is predicted"
    assert any("--description" in doubt for doubt in found.doubts)
    given = infer_declaration(table(), "Churn", description="Members of a gym")
    assert not any("--description" in doubt for doubt in given.doubts)


def test_a_decimal_comma_in_one_column_does_not_change_the_others() -> None:
    raw = table(Fee=cycle("1.234,50", "3,5", "7"), Points=cycle("1,234", "12", "999"), Share=cycle("0.5", "0.25"))

    found = infer_declaration(raw, "Churn").declaration

    read = normalise(raw, found, with_target=True).table
    assert read["Fee"][:3].tolist() == [1234.5, 3.5, 7]
    assert read["Points"][:3].tolist() == [1234, 12, 999]
    assert read["Share"][:2].tolist() == [0.5, 0.25]


def everything() -> pd.DataFrame:
    return table(
        CustomerId=np.arange(ROWS) + 1,
        Income=cycle("?", 40, 55.5, ""),
        City=cycle("Łódź: #1", "yes", "it's", 'a "b"'),
        Answer=cycle("Yes", "No"),
        Note=[f"line one\nand line two of note {n}" for n in range(ROWS)],
        Since=pd.date_range("2020-01-01", periods=ROWS).strftime("%d/%m/%Y"),
        **{"2019": cycle(1.5, 2.5, 4), "- odd: name": cycle("null", "a", "b")},
    )


def onboarded() -> Onboarding:
    return infer_declaration(everything(), "Churn", description="A table: with # everything")


def test_the_written_declaration_equals_the_inferred_one() -> None:
    found = onboarded()

    text = render_declaration(found, "table.csv")

    assert CustomerDeclaration.model_validate(yaml.safe_load(text)["customers"]) == found.declaration


def test_every_column_has_a_comment_above_it_and_every_doubt_is_written() -> None:
    found = onboarded()

    lines = render_declaration(found, "table.csv").splitlines()

    for position, line in enumerate(lines):
        if line.startswith("    - name:"):
            assert lines[position - 1].startswith("    # ")
    assert (
        sum(line.startswith("    # (?)") for line in lines) == sum(len(column.doubts) for column in found.columns) > 0
    )
    assert max(len(line) for line in lines) <= 130


@pytest.mark.slow
def test_the_table_is_valid_under_its_inferred_declaration() -> None:
    declaration = onboarded().declaration

    normalised = normalise(everything(), declaration, with_target=True)
    valid, broken = set_aside_invalid(normalised.table, normalised.unreadable, declaration, with_target=True)

    assert broken.empty
    assert len(valid) == ROWS
    assert normalised.suspected_missing == {}


def test_the_other_files_are_valid_yaml() -> None:
    assert yaml.safe_load(render_globals("gym", "a b.csv", "C: odd/a #b.csv")) == {
        "use_case": "gym",
        "registered_model": "gym_churn",
        "raw_customers": "C: odd/a #b.csv",
    }
    assert yaml.safe_load(render_data_processing(0.123, by_time=True)) == {
        "data_processing": {"max_rejected_share": 0.17, "split": {"method": "time"}}
    }
    assert render_data_processing(0, by_time=False) == ""


@pytest.mark.slow
def test_a_wide_table_is_onboarded() -> None:
    random = np.random.default_rng(1)
    wide = {f"Feature{n}": random.normal(size=ROWS).round(3) for n in range(80)}

    assert len(infer_declaration(table(**wide), "Churn").declaration.features) == 81


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("CreditScore", "Credit score"),
        ("total_day_minutes", "Total day minutes"),
        ("customerID", "Customer ID"),
        ("StreamingTV", "Streaming TV"),
        ("Usage Frequency", "Usage frequency"),
        ("Ä", "Ä"),
    ],
)
def test_a_name_becomes_a_first_description(name: str, description: str) -> None:
    assert describe_name(name) == description


def test_repeated_rows_count_for_the_target() -> None:
    few = pd.DataFrame({"Plan": cycle("a", "b", "b"), "Churn": cycle("No", "Yes", "No", "No", "No", "No")})

    found = infer_declaration(few, "Churn")

    assert found.target_seen.startswith("'Yes' in 16.8%")
    assert found.declaration.feature_names == ["Plan"]


def test_one_identifier_is_kept_and_the_others_are_left_out() -> None:
    raw = table(phone=np.arange(ROWS) * 7 + 10_000_000, CustomerId=np.arange(ROWS) + 1)

    found = infer_declaration(raw, "Churn")

    assert found.declaration.id_names == ["CustomerId"]
    phone = next(column for column in found.columns if column.name == "phone")
    assert phone.fields["role"] == "ignored"
    assert phone.doubts == ["an identifier that is left out: another column identifies customers"]


def test_customers_with_several_rows_over_time_get_a_split_by_time() -> None:
    raw = table(customer_id=np.arange(ROWS) % 100, snapshot_date=[f"2026-0{1 + n // 100}-01" for n in range(ROWS)])

    assert infer_declaration(raw, "Churn").by_time
    without = infer_declaration(raw.drop(columns="snapshot_date"), "Churn")
    assert not without.by_time
    assert any("If a column has the time of the row, give it role time" in doubt for doubt in without.doubts)


def test_two_times_are_too_few_for_a_split_by_time() -> None:
    raw = table(customer_id=np.arange(ROWS) % 200, snapshot_date=cycle("2026-01-01", "2026-02-01"))

    found = infer_declaration(raw, "Churn")

    assert not found.by_time
    assert any("at 2 times: too few for a split by time, which needs 3" in doubt for doubt in found.doubts)


def test_names_and_levels_with_an_interpolation_are_declared_as_they_are() -> None:
    found = infer_declaration(
        table(City=cycle("${oc.env:HOME}", "b", "c"), Two=cycle("${a}", "b"), **{"${x}": cycle(1, 2, 3)}), "Churn"
    )

    assert found.doubts[-1] == "no column identifies a customer: predictions come in the order of the file"
    assert found.declaration.feature_names == ["Spend", "City", "Two", "${x}"]
    assert found.declaration.columns[1].levels == ["${oc.env:HOME}", "b", "c"]
