"""Claims about the declaration of a customer table and about finding its columns in a file."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from churn_kedro.customers.declaration import (
    Column,
    CustomerDeclaration,
    CustomerTableError,
    Labels,
    Range,
    match_header,
)
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.validation import customer_schema

Declare = Callable[..., CustomerDeclaration]

TARGET = {"name": "Left", "role": "target"}


def column(**fields: Any) -> Column:
    return Column.model_validate({"name": "c", "description": "A column"} | fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "feature 'c' needs a kind: numeric, categorical, binary, ordinal or date"),
        ({"kind": "numeric", "domain": [1, 2]}, "takes a domain of min and max, not a list of levels"),
        ({"kind": "categorical", "domain": {"min": 1}}, "of kind categorical takes a list of levels, not min and max"),
        ({"kind": "ordinal"}, "ordinal column 'c' needs its levels, lowest first"),
        ({"kind": "ordinal", "domain": []}, "ordinal column 'c' needs its levels, lowest first"),
        ({"kind": "binary"}, "needs exactly two levels as domain, found []"),
        ({"kind": "binary", "domain": ["a", "b", "d"]}, "needs exactly two levels as domain, found ['a', 'b', 'd']"),
        ({"kind": "categorical", "domain": ["a", "b", "a"]}, "repeats a level in its domain: ['a', 'b', 'a']"),
        ({"kind": "categorical", "domain": [1, 1.0]}, "repeats a level"),
        ({"kind": "categorical", "domain": ["a", 1]}, "mixes numbers and text in its domain: ['a', 1]"),
        ({"kind": "binary", "domain": ["0", "1"]}, "quotes numbers in its domain: ['0', '1']; remove the quotes"),
        ({"kind": "ordinal", "domain": ["low", "2.5"]}, "quotes numbers in its domain: ['2.5']"),
        ({"kind": "binary", "domain": [True, False]}, "YAML turns unquoted yes, no, true and false into booleans"),
        ({"kind": "numeric", "domain": {"min": 2, "max": 1}}, "domain has min 2.0 above max 1.0"),
        ({"kind": "numerical"}, "Input should be 'numeric', 'categorical', 'binary', 'ordinal' or 'date'"),
        ({"kind": "numeric", "role": "label"}, "'weight', 'value', 'segment' or"),
        ({"role": "id", "cost": 1}, "has role id; only features take monotone or cost"),
        ({"role": "target", "monotone": "increasing"}, "has role target; only features take monotone or cost"),
        ({"kind": "numeric", "cost": 0}, "greater than 0"),
        ({"kind": "numeric", "monotone": "rising"}, "Input should be 'increasing' or 'decreasing'"),
        ({"kind": "categorical", "monotone": "increasing"}, "of kind categorical cannot be monotone"),
        ({"kind": "date", "monotone": "decreasing"}, "of kind date cannot be monotone"),
        ({"role": "weight", "kind": "numeric"}, "has role weight; only features and segments take a kind"),
        ({"role": "value", "domain": {"min": 0}}, "has role value; only features take a domain"),
        ({"kind": "binary", "domain": [0, 1], "whole": True}, "is declared whole but is not numeric"),
        ({"kind": "numeric", "date_format": "%Y"}, "has a date_format but is not a date"),
        ({"kind": "date", "domain": ["a"]}, "date column 'c' takes no domain"),
        ({"role": "id", "segment": True}, "has role id; only features take segment: true"),
        ({"role": "target", "protected": True}, "has role target; only a feature, or a column of role segment, can be"),
        (
            {"role": "segment", "kind": "date"},
            "has role segment, which takes kind numeric or categorical (the default)",
        ),
        ({"role": "segment", "domain": ["a"]}, "has role segment; only features take a domain"),
        ({"role": "segment", "treatment": {}}, "has role segment; only features take a treatment"),
        (
            {"kind": "numeric", "bands": [1]},
            "has bands but is not a segment: give it segment: true, protected: true or role",
        ),
        (
            {"kind": "numeric", "segment": True, "bands": [2, 1]},
            "has bands [2.0, 1.0]; they must be finite and ascending",
        ),
        (
            {"kind": "numeric", "segment": True, "bands": [1, 1]},
            "has bands [1.0, 1.0]; they must be finite and ascending",
        ),
        ({"kind": "numeric", "segment": True, "bands": []}, "at least 1 item"),
        (
            {"kind": "categorical", "protected": True, "bands": [1]},
            "has bands, which need numbers, but holds levels or",
        ),
        ({"kind": "binary", "domain": [0, 1], "segment": True, "bands": [1]}, "which need numbers, but holds levels"),
        ({"role": "segment", "bands": [1]}, "has bands, which need numbers, but holds levels or dates: give it kind"),
        ({"kind": "categorical", "remove": ["$"]}, "has remove or thousands, which need numbers"),
        ({"role": "id", "thousands": ","}, "has remove or thousands, which need numbers"),
        ({"kind": "numeric", "remove": ["1"]}, "removes ['1']: name the words or signs around the numbers"),
        ({"kind": "numeric", "thousands": ";"}, "Input should be ',', '.', ' ' or"),
        ({"kind": "numeric", "nulable": True}, "Extra inputs are not permitted"),
        ({"kind": "numeric", "name": ""}, "at least 1 character"),
        ({"kind": "numeric", "description": ""}, "at least 1 character"),
    ],
)
def test_an_inconsistent_column_is_refused_with_its_reason(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        column(**fields)

    assert message in str(caught.value)


def test_days_of_a_label_need_a_time(declare: Declare) -> None:
    declared = declare({"name": "Age", "kind": "numeric"}, TARGET).model_dump() | {"label_days": 30}

    with pytest.raises(ValidationError, match="label_days needs a column of role time"):
        CustomerDeclaration.model_validate(declared)


def test_an_ignored_column_keeps_its_declaration_as_documentation(declare: Declare) -> None:
    once = {"name": "Plan", "kind": "ordinal", "domain": ["low", "high"], "protected": True, "monotone": "increasing"}
    pay = {"name": "Pay", "kind": "numeric", "domain": {"min": 0}, "bands": [1], "cost": 2, "treatment": {}}

    declaration = declare(
        {"name": "Age", "kind": "numeric"},
        once | {"role": "ignored"},
        pay | {"role": "ignored", "remove": ["$"], "whole": True},
        TARGET,
    )

    assert declaration.feature_names == ["Age"]
    assert declaration.columns[1].levels == ["low", "high"]
    assert declaration.segments == declaration.protected == []


def test_a_level_that_only_python_reads_as_a_number_is_text() -> None:
    bands = column(kind="ordinal", domain=["18_25", "26_35"])

    assert bands.levels == ["18_25", "26_35"]
    assert bands.cells == "text"


@pytest.mark.parametrize("word", ["yes", "no", "true", "false", "Yes", "No"])
def test_words_that_yaml_reads_as_booleans_are_allowed_as_text(word: str) -> None:
    assert column(kind="categorical", domain=[word, "other"]).levels == [word, "other"]


def test_a_domain_may_be_open_on_either_side() -> None:
    assert column(kind="numeric", domain={"min": 0}).domain == Range(min=0, max=None)
    assert column(kind="numeric", domain={"max": 0}).domain == Range(min=None, max=0)
    assert column(kind="numeric", domain={"min": 1, "max": 1}).domain == Range(min=1, max=1)


def test_unquoted_yes_and_no_as_labels_get_a_hint_about_yaml() -> None:
    with pytest.raises(ValidationError, match=r"True was read as a boolean.*quote the word"):
        Labels.model_validate({"positive": True, "negative": False})


def test_the_two_labels_differ() -> None:
    with pytest.raises(ValidationError, match="positive and negative label are both 'left'"):
        Labels(positive="left", negative="left")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([{"name": "a", "kind": "numeric"}], "exactly one column must have role target, found []"),
        (
            [{"name": "a", "kind": "numeric"}, TARGET, {"name": "Gone", "role": "target"}],
            "exactly one column must have role target, found ['Left', 'Gone']",
        ),
        ([TARGET], "no column has role feature"),
        (
            [{"name": "a", "kind": "numeric"}, {"name": "a", "role": "id"}, TARGET],
            "columns declared more than once: ['a']",
        ),
        ([], "at least 1 item"),
        (
            [{"name": "a", "kind": "numeric"}, *({"name": name, "role": "weight"} for name in "bc"), TARGET],
            "at most one column may have role weight, found ['b', 'c']",
        ),
    ],
)
def test_an_incomplete_declaration_is_refused_with_its_reason(
    columns: list[dict[str, Any]], message: str, declare: Declare
) -> None:
    with pytest.raises(ValidationError) as caught:
        declare(*columns)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "ranking"}, "Input should be 'binary', 'multiclass' or 'regression'"),
        ({"task": "regression"}, "a regression predicts a number: it takes no labels"),
        ({"task": "multiclass"}, "task multiclass takes labels.classes"),
        ({"labels": None}, "task binary needs labels"),
        ({"labels": {"classes": [0, 1]}}, "task binary takes labels.positive and negative"),
        ({"labels": {"positive": 1}}, "labels need both positive and negative"),
        ({"labels": {"positive": 1, "negative": 0, "classes": [0, 1]}}, "either positive and negative, or classes"),
        ({"task": "multiclass", "labels": {"classes": ["a", "a"]}}, "at least two distinct labels"),
        (
            {"derived": [{"name": "r", "operation": "ratio", "of": ["Age", "City"]}]},
            "computed from ['City'], which are not numeric",
        ),
        ({"derived": [{"name": "Age", "operation": "sum", "of": ["Age", "Charges"]}]}, "the name of another column"),
        (
            {"interactions": [["Age", "Nobody"]]},
            "interactions name ['Nobody'], which are not features or derived columns",
        ),
        ({"interactions": [["Age", "Id"]]}, "interactions name ['Id'], which are not features or derived columns"),
    ],
)
def test_task_labels_and_derived_columns_fit_together(
    declaration: CustomerDeclaration, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        CustomerDeclaration.model_validate(declaration.model_dump() | changes)

    assert message in str(caught.value)


def test_monotone_columns_of_task_multiclass_raise(declaration: CustomerDeclaration) -> None:
    fields = declaration.model_dump() | {"task": "multiclass", "labels": {"classes": ["a", "b", "c"]}}
    next(column for column in fields["columns"] if column["name"] == "Age")["monotone"] = "increasing"

    with pytest.raises(ValidationError, match=r"columns \['Age'\] are declared monotone, which task multiclass"):
        CustomerDeclaration.model_validate(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "numeric"},
        {"kind": "binary", "domain": [0, 1]},
        {"kind": "ordinal", "domain": ["low", "high"]},
    ],
)
def test_ordered_features_may_be_monotone_and_any_feature_may_have_a_cost(fields: dict[str, Any]) -> None:
    assert column(**fields, monotone="decreasing", cost=0.25).cost == 0.25
    assert column(kind="categorical", cost=2).monotone is None


def test_weight_and_value_are_numbers_that_only_training_requires(declare: Declare) -> None:
    declared = declare(
        {"name": "Age", "kind": "numeric"},
        {"name": "Copies", "role": "weight"},
        {"name": "Worth", "role": "value"},
        {"name": "Income", "role": "value"},
        TARGET,
    )

    assert declared.weight == "Copies"
    assert declare({"name": "Age", "kind": "numeric"}, TARGET).weight is None
    assert declared.feature_names == ["Age"]
    required = {flag: [c.name for c in declared.required_columns(with_target=flag)] for flag in (True, False)}
    assert required == {True: ["Age", "Copies", "Worth", "Income", "Left"], False: ["Age"]}


def test_interactions_may_name_features_and_derived_columns(declaration: CustomerDeclaration) -> None:
    derived = [{"name": "Pace", "operation": "ratio", "of": ["Charges", "Age"]}]
    fields = {"derived": derived, "interactions": [["Pace", "City"], ["City", "Age"]]}

    declared = CustomerDeclaration.model_validate(declaration.model_dump() | fields)

    assert declared.interactions == [["Pace", "City"], ["City", "Age"]]


def test_the_order_of_the_labels_is_the_order_of_their_codes(declaration: CustomerDeclaration) -> None:
    several = declaration.model_dump() | {"task": "multiclass", "labels": {"classes": ["b", "a", "c"]}}
    number = declaration.model_dump() | {"task": "regression", "labels": None}

    assert declaration.classes == [0, 1]
    assert CustomerDeclaration.model_validate(several).classes == ["b", "a", "c"]
    assert CustomerDeclaration.model_validate(number).classes == []


def test_a_declaration_cannot_be_changed_once_made(declaration: CustomerDeclaration) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        declaration.description = "other"  # type: ignore[misc]


def test_roles_select_columns_in_declared_order(declaration: CustomerDeclaration) -> None:
    assert declaration.id_names == ["Id"]
    assert declaration.target == "Left"
    assert declaration.feature_names == ["City", "Age", "Country", "Charges", "Tier", "Contract", "Card"]
    required = [column.name for column in declaration.required_columns(with_target=True)]
    assert required == ["Id", *declaration.feature_names, "Left"]
    assert [column.name for column in declaration.required_columns(with_target=False)] == required[:-1]


@pytest.mark.parametrize(
    ("fields", "cells"),
    [
        ({"kind": "numeric"}, "number"),
        ({"kind": "binary", "domain": [0, 1]}, "number"),
        ({"kind": "categorical", "domain": [1, 2, 3]}, "number"),
        ({"kind": "binary", "domain": ["No", "Yes"]}, "text"),
        ({"kind": "ordinal", "domain": ["low", "high"]}, "text"),
        ({"kind": "categorical"}, "text"),
        ({"kind": "date"}, "date"),
        ({"role": "id"}, "text"),
        ({"role": "group"}, "text"),
        ({"role": "time"}, "date"),
        ({"role": "weight"}, "number"),
        ({"role": "value"}, "number"),
    ],
)
def test_the_cells_of_a_column_follow_from_its_role_kind_and_domain(fields: dict[str, Any], cells: str) -> None:
    assert column(**fields).cells == cells


@pytest.fixture(scope="module")
def scores(declare: Declare) -> CustomerDeclaration:
    return declare({"name": "CreditScore", "kind": "numeric"}, {"name": "Age", "kind": "numeric"}, TARGET)


def test_an_exact_header_is_matched_in_declared_order(scores: CustomerDeclaration) -> None:
    matched = match_header(["Left", "Extra", "Age", "CreditScore"], scores, with_target=True)

    assert list(matched.items()) == [("CreditScore", "CreditScore"), ("Age", "Age"), ("Left", "Left")]


@pytest.mark.parametrize("name", [" credit_score", "CREDIT SCORE", "credit-score", "Credit.Score "])
def test_a_name_is_found_by_its_letters_and_digits(name: str, scores: CustomerDeclaration) -> None:
    assert match_header([name, "Age"], scores, with_target=False) == {"CreditScore": name, "Age": "Age"}


def test_the_exact_name_wins_over_a_loose_one(scores: CustomerDeclaration) -> None:
    assert match_header(["credit_score", "CreditScore", "Age"], scores, with_target=False)["CreditScore"] == (
        "CreditScore"
    )


def test_two_loose_matches_raise(scores: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match="'CreditScore'"):
        match_header(["credit_score", "CREDIT SCORE", "Age"], scores, with_target=False)


def test_one_file_column_does_not_match_two_declared_ones(declare: Declare) -> None:
    clashing = declare({"name": "A b", "kind": "numeric"}, {"name": "AB", "kind": "numeric"}, TARGET)

    with pytest.raises(CustomerTableError, match=r"'A b'.*\n.*'AB'"):
        match_header(["a_b", "Left"], clashing, with_target=True)
    assert match_header(["AB", "a_b"], clashing, with_target=False) == {"A b": "a_b", "AB": "AB"}


def test_the_exact_name_of_an_ignored_column_does_not_match_another_one(declare: Declare) -> None:
    clashing = declare({"name": "Age", "kind": "numeric"}, {"name": "AGE", "role": "ignored"}, TARGET)

    with pytest.raises(CustomerTableError, match="lacks declared columns:\n  'Age'"):
        match_header(["AGE"], clashing, with_target=False)


def test_names_without_letters_match_exactly_or_not_at_all(declare: Declare) -> None:
    percent = declare({"name": "%", "kind": "numeric"}, TARGET)

    assert match_header(["%"], percent, with_target=False) == {"%": "%"}
    with pytest.raises(CustomerTableError, match="'%'"):
        match_header(["#"], percent, with_target=False)


def test_an_absent_column_is_reported_with_the_nearest_name_in_the_file(scores: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError) as caught:
        match_header(["CreditScor", "Age"], scores, with_target=True)

    lines = str(caught.value).splitlines()
    assert "  'CreditScore' (nearest in the file: 'CreditScor')" in lines
    assert "  'Left'" in lines
    assert "The file has: CreditScor, Age." in lines


def test_an_empty_header_is_reported_as_such(scores: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match="The file has: no column at all"):
        match_header([], scores, with_target=False)


def test_a_repeated_declared_column_raises(scores: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match="more than one column named 'Age'"):
        match_header(["CreditScore", "Age", "Age"], scores, with_target=False)


def test_an_undeclared_column_may_repeat(scores: CustomerDeclaration) -> None:
    assert set(match_header(["CreditScore", "Age", "x", "x"], scores, with_target=False)) == {"CreditScore", "Age"}


@given(header=st.permutations(["CreditScore", "Age", "Left", "Other", "More"]))
def test_the_order_of_the_header_does_not_matter(header: list[str], scores: CustomerDeclaration) -> None:
    names = ["CreditScore", "Age", "Left"]

    assert match_header(header, scores, with_target=True) == dict(zip(names, names, strict=True))


@given(
    separators=st.lists(st.sampled_from(["", " ", "_", "-", "."]), min_size=12, max_size=12),
    upper=st.lists(st.booleans(), min_size=11, max_size=11),
)
def test_any_spelling_with_the_same_letters_is_found(
    separators: list[str], upper: list[bool], scores: CustomerDeclaration
) -> None:
    letters = [letter.upper() if up else letter.lower() for letter, up in zip("CreditScore", upper, strict=True)]
    spelling = separators[0] + "".join(a + b for a, b in zip(letters, separators[1:], strict=True))

    assert match_header([spelling, "Age"], scores, with_target=False)["CreditScore"] == spelling


def test_segments_are_declared_marked_or_protected_columns(declare: Declare) -> None:
    declared = declare(
        {"name": "Age", "kind": "numeric", "protected": True, "bands": [30, 60]},
        {"name": "Town", "kind": "categorical", "segment": True},
        {"name": "Plan", "kind": "categorical"},
        {"name": "Branch", "role": "segment"},
        {"name": "Income", "role": "segment", "kind": "numeric", "protected": True},
        TARGET,
    )

    assert [column.name for column in declared.segments] == ["Age", "Town", "Branch", "Income"]
    assert [column.name for column in declared.protected] == ["Age", "Income"]
    assert declared.feature_names == ["Age", "Town", "Plan"]
    cells = {column.name: column.cells for column in declared.segments}
    assert cells == {"Age": "number", "Town": "text", "Branch": "text", "Income": "number"}


def test_a_column_of_role_segment_is_kept_and_not_required_for_scoring(declare: Declare) -> None:
    declared = declare(
        {"name": "Age", "kind": "numeric"},
        {"name": "Branch", "role": "segment", "nullable": True, "missing": ["?"]},
        {"name": "Income", "role": "segment", "kind": "numeric"},
        TARGET,
    )
    raw = pd.DataFrame(
        {"Age": ["30", "40"], "Branch": ["north", "?"], "Income": ["1e3", "x"], declared.target: ["1", "0"]},
        dtype="str",
    )

    read = normalise(raw, declared, with_target=True)

    assert read.table["Branch"].tolist()[0] == "north"
    assert read.table["Branch"].isna().tolist() == [False, True]
    assert read.table["Income"].iloc[0] == 1000
    assert read.unreadable["reason"].tolist() == ["Income: 'x' is not a number"]
    assert list(customer_schema(declared).columns) == ["Age", "Branch", "Income", declared.target]
    to_score = normalise(raw[["Age"]], declared, with_target=False)
    assert list(to_score.table.columns) == ["Age"]
    assert list(customer_schema(declared, with_target=False).columns) == ["Age"]
