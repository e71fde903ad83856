"""Names of columns, levels and classes for readers."""

from typing import Any

import pytest
from pydantic import ValidationError

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.display_names import FILE_NAMES, DisplayNames


def declare(columns: list[dict[str, Any]], **fields: Any) -> CustomerDeclaration:
    fields = {"task": "binary", "labels": {"positive": 1, "negative": 0}} | fields
    return CustomerDeclaration.model_validate({"description": "Customers", "columns": columns, **fields})


AGE = {"name": "Age", "kind": "numeric", "description": "Age in years, at the cut-off"}
ACTIVE = {
    "name": "Active",
    "kind": "binary",
    "domain": [0, 1],
    "level_labels": {0: "no", 1: "yes"},
    "description": "Was active lately (app or branch)",
}
COUNTRY = {"name": "Geo", "kind": "categorical", "domain": ["FR", "DE"], "description": "Country of residence"}
LEFT = {"name": "Exited", "role": "target", "description": "Left the bank"}


def test_a_column_is_named_by_the_beginning_of_its_description() -> None:
    names = DisplayNames.of(declare([AGE, ACTIVE, COUNTRY, LEFT]))

    assert names.columns == {
        "Age": "Age in years",
        "Active": "Was active lately",
        "Geo": "Country of residence",
        "Exited": "Left the bank",
    }
    assert names.column("Age_per_Tenure") == "Age_per_Tenure"


def test_columns_with_the_same_description_keep_their_names() -> None:
    names = DisplayNames.of(declare([AGE, {**COUNTRY, "description": "Age in years"}, LEFT]))

    assert [names.column(name) for name in ("Age", "Geo", "Exited")] == ["Age", "Geo", "Left the bank"]


@pytest.mark.parametrize(
    ("column", "text", "described"),
    [
        ("Geo", "DE", "Country of residence: DE"),
        ("Active", "1", "Was active lately: yes"),
        ("Active", "missing", "Was active lately missing"),
        ("Age", "30 to 45", "Age in years 30 to 45"),
        ("Age", "from 60", "Age in years from 60"),
        # Few distinct numbers are levels.
        ("Age", "1,234", "Age in years: 1,234"),
        ("Geo", "from 60", "Country of residence: from 60"),
    ],
)
def test_groups_are_ranges_or_levels(column: str, text: str, described: str) -> None:
    assert DisplayNames.of(declare([AGE, ACTIVE, COUNTRY, LEFT])).group(column, text) == described


def test_classes_are_left_and_stayed_or_have_their_labels() -> None:
    assert DisplayNames.of(declare([AGE, LEFT])).classes == {"0": "stayed", "1": "left"}
    plan = {**LEFT, "level_labels": {2: "premium"}}
    several = declare([AGE, plan], task="multiclass", labels={"classes": [1, 2, 3]})
    assert DisplayNames.of(several).classes == {"1": "1", "2": "premium", "3": "3"}
    assert FILE_NAMES.outcome("x") == "x"


def test_labels_survive_json() -> None:
    plan = {**ACTIVE, "name": "Plan", "domain": [1000001, 1000002], "level_labels": {1000001: "a", 1000002: "b"}}
    declaration = declare([ACTIVE, plan, LEFT])

    assert CustomerDeclaration.model_validate_json(declaration.model_dump_json()) == declaration


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([{**ACTIVE, "level_labels": {2: "maybe"}}, LEFT], r"level_labels of \['2'\], which are not in \[0, 1\]"),
        ([{**ACTIVE, "level_labels": {True: "yes"}}, LEFT], "read as a boolean"),
        ([AGE, {**LEFT, "level_labels": {1: "gone"}}], "called left and stayed"),
        ([{**ACTIVE, "level_labels": {0: "x", 1: "x"}}, LEFT], r"several levels named \['x'\]"),
        ([{**COUNTRY, "level_labels": {"FR": "DE"}}, LEFT], r"several levels named \['DE'\]"),
        ([{**COUNTRY, "domain": None, "level_labels": {"FR": "x", "DE": "x"}}, LEFT], r"several levels named \['x'\]"),
        ([{"name": "Id", "role": "id", "level_labels": {1: "x"}, "description": "Id"}, AGE, LEFT], "has level_labels"),
    ],
)
def test_labels_of_no_level_are_refused(columns: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declare(columns)
