"""Claims about the leakage checks: leaks are found, and tables without leak have no finding."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.leakage import Finding, LeakageParameters, LeakageReport, check_leakage, require_no_leak
from churn_kedro.customers.leakage.order import identifier_order
from churn_kedro.customers.splits import SplitParameters, describe_splits, split_customers
from churn_kedro.reporting.figures.performance import draw_findings
from tests import ROOT

SHARES = SplitParameters(test_size=0.2, validation_size=0.2, random_state=0)
PARAMETERS = LeakageParameters.model_validate(
    {
        "max_rows": 20_000,
        "random_state": 42,
        "min_class_rows": 100,
        "order_notice": {"auc": 0.6, "r2": 0.1},
        "order_leak": {"auc": 0.95, "r2": 0.95},
        "run_probability": 1e-9,
        "run_share": 0.05,
        "column_warning": {"auc": 0.95, "r2": 0.9},
        "column_leak": {"auc": 0.99, "r2": 0.99},
        "certain_rate": 0.97,
        "certain_share": 0.2,
        "unique_share": 0.95,
        "near_duplicates_warning": 0.05,
        "near_duplicates_leak": 0.2,
        "model_min_class_rows": 200,
        "model_warning": {"auc": 0.98, "r2": 0.98},
        "model_leak": {"auc": 0.999, "r2": 0.999},
    }
)
SEEDS = [0, 1, 2]
REAL = Path(os.environ.get("CHURN_REAL_DATA") or ROOT.parent / "shared" / "data")
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real customer tables are not at {REAL}")


def declare(
    table: pd.DataFrame, task: str = "binary", roles: dict[str, str] | None = None, **more: Any
) -> CustomerDeclaration:
    """Declare every column of a typed table by its type; ``Id`` is the identifier and ``y`` the target."""
    columns: list[dict[str, Any]] = []
    for name in table:
        role = ({"Id": "id", "y": "target"} | (roles or {})).get(str(name), "feature")
        column: dict[str, Any] = {"name": name, "role": role, "description": "A column"}
        if role == "feature":
            is_date = pd.api.types.is_datetime64_any_dtype(table[name])
            is_number = pd.api.types.is_numeric_dtype(table[name])
            column |= {"kind": "date" if is_date else "numeric" if is_number else "categorical", "nullable": True}
        columns.append(column)
    labels: dict[str, Any] | None = {"positive": "left", "negative": "stayed"}
    if task != "binary":
        labels = {"classes": ["basic", "plus", "gone"]} if task == "multiclass" else None
    return CustomerDeclaration.model_validate(
        {"description": "A test's table", "task": task, "labels": labels, "columns": columns, **more}
    )


def divide(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Train, validation and test, in the order of the file."""
    part = np.random.default_rng(0).choice(3, len(table), p=[0.6, 0.2, 0.2])
    train, validation, test = (table[part == position].reset_index(drop=True) for position in range(3))
    return train, validation, test


def check_parts(
    table: pd.DataFrame,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    *,
    scoring: list[str] | None = None,
    parameters: LeakageParameters = PARAMETERS,
) -> LeakageReport:
    manifest = describe_splits(train, validation, test, declaration, SHARES, {})
    return check_leakage(table, train, validation, test, manifest, scoring, declaration, parameters)


def check(
    table: pd.DataFrame,
    declaration: CustomerDeclaration | None = None,
    *,
    scoring: list[str] | None = None,
    parameters: LeakageParameters = PARAMETERS,
) -> LeakageReport:
    declaration = declaration or declare(table)
    return check_parts(table, *divide(table), declaration, scoring=scoring, parameters=parameters)


def found(report: LeakageReport, *severities: str) -> list[tuple[str, str | None]]:
    return [(finding.check, finding.column) for finding in report.findings if finding.severity in severities]


def only(report: LeakageReport, check: str) -> Finding:
    (finding,) = (finding for finding in report.findings if finding.check == check)
    return finding


def honest(rows: int, seed: int, share: float = 0.2, columns: int = 6) -> pd.DataFrame:
    """Customers with random ids and features that predict the target in part."""
    random = np.random.default_rng(seed)
    mood = random.normal(size=rows)
    table: dict[str, Any] = {"Id": pd.Series(random.permutation(rows) + 15_000_000).astype("str")}
    for position in range(columns):
        table[f"n{position}"] = random.normal(size=rows) + 0.5 * mood
    table["plan"] = pd.Series(random.choice(["a", "b", "c"], rows)).astype("str")
    table["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 2000, rows), unit="D")
    chance = mood + random.logistic(size=rows)
    table["y"] = (chance > np.quantile(chance, 1 - share)).astype(np.int64)
    return pd.DataFrame(table).astype({"since": "datetime64[us]"})


def gaps(values: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    return np.where(missing, np.nan, values)


# --- Honest tables ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("rows", "share", "columns"), [(60, 0.3, 4), (300, 0.2, 6), (3_000, 0.2, 70), (8_000, 0.02, 6)]
)
def test_a_table_without_leak_raises_neither_leak_nor_warning(rows: int, share: float, columns: int, seed: int) -> None:
    report = check(honest(rows, seed, share, columns))

    assert found(report, "leak", "warning") == []


@pytest.mark.slow
def test_half_a_million_customers_without_leak_are_sampled_without_finding() -> None:
    report = check(honest(500_000, 4, share=0.002, columns=3))

    assert found(report, "leak", "warning") == []
    assert report.sampled
    assert report.rows_checked <= PARAMETERS.max_rows
    assert report.rows_total == 500_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rows", [300, 5_000])
def test_ids_in_order_of_joining_may_be_associated_with_the_target(rows: int, seed: int) -> None:
    table = honest(rows, seed)
    random = np.random.default_rng(seed)
    joined = np.linspace(-2, 2, rows)
    table["y"] = (random.logistic(size=rows) < 1.4 * joined - 1).astype(np.int64)
    table["Id"] = pd.Series(np.arange(rows)).astype("str")
    table["tenure"] = rows - np.arange(rows, dtype=np.float64)

    report = check(table)

    assert found(report, "leak", "warning") in ([], [("nearly_unique", "tenure")])
    assert ("identifier_order", "Id") in found(report, "notice")


@pytest.mark.parametrize("seed", SEEDS)
def test_near_duplicates_by_chance_in_a_table_of_few_levels_are_no_leak(seed: int) -> None:
    random = np.random.default_rng(seed)
    levels = random.integers(0, 2, (4_000, 8))
    # What one column says, three others repeat, as in "no internet service".
    levels[:, 5:] = levels[:, [4]]
    table = pd.DataFrame(np.where(levels, "yes", "no"), columns=[f"c{k}" for k in range(8)]).astype("str")
    table["y"] = (levels.sum(axis=1) + random.logistic(size=4_000) > 6).astype(np.int64)

    report = check(table)

    assert found(report, "leak", "warning") == []
    assert only(report, "near_duplicates").severity == "notice"


@pytest.mark.slow
def test_several_rows_of_a_customer_do_not_prove_a_perfect_model() -> None:
    random = np.random.default_rng(3)
    customers = honest(300, 3).drop(columns="Id")
    table = customers.loc[np.repeat(np.arange(300), 12)].reset_index(drop=True)
    table["Id"] = pd.Series(np.arange(len(table))).astype("str")
    table["household"] = pd.Series(np.repeat(np.arange(300), 12)).astype("str")
    table["bill"] = random.normal(size=len(table))
    declaration = declare(table, roles={"household": "group"})
    part = np.repeat(random.choice(3, 300, p=[0.6, 0.2, 0.2]), 12)

    report = check_parts(table, table[part == 0], table[part == 1], table[part == 2], declaration)

    assert found(report, "leak") == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_tables_of_other_tasks_without_leak_have_no_finding(task: str, seed: int) -> None:
    table = honest(3_000, seed)
    signal = table["n0"] + np.random.default_rng(seed).normal(size=3_000)
    table["y"] = np.exp(signal) if task == "regression" else pd.qcut(signal, 3, labels=False).astype(np.int64)

    assert found(check(table, declare(table, task)), "leak", "warning") == []


def test_a_small_table_that_one_column_separates_is_no_leak() -> None:
    random = np.random.default_rng(1)
    table = pd.DataFrame({"petal": np.concatenate([random.normal(1, 0.1, 50), random.normal(4, 0.3, 50)]).round(1)})
    table["y"] = np.repeat([0, 1], 50)

    assert found(check(table), "leak") == []


def test_iris_of_scikit_learn_has_no_leak() -> None:
    from sklearn.datasets import load_iris

    table = load_iris(as_frame=True).frame.rename(columns={"target": "y"})

    report = check(table, declare(table, "multiclass"))

    assert found(report, "leak") == []
    assert only(report, "row_order").severity == "warning"


# --- Orders ----------------------------------------------------------------------------------------------------------


def put_together_by_label(rows: int, seed: int, share_in_block: float) -> pd.DataFrame:
    """Customers of whom part of the leavers are at the end of the file."""
    table = honest(rows, seed)
    random = np.random.default_rng(seed)
    table["y"] = (random.random(rows) < 0.2).astype(np.int64)
    last = (table["y"] == 1) & (random.random(rows) < share_in_block)
    return pd.concat([table[~last], table[last]], ignore_index=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share_in_block", [0.3, 0.6, 1.0])
def test_ids_given_by_label_are_a_leak(share_in_block: float, seed: int) -> None:
    table = put_together_by_label(5_000, seed, share_in_block)
    table["Id"] = "K-" + pd.Series(np.arange(5_000)).astype("str")

    report = check(table)

    assert found(report, "leak") == [("identifier_order", "Id")]
    assert "consecutive rows are left" in only(report, "identifier_order").evidence


@pytest.mark.slow
@pytest.mark.parametrize("share_in_block", [0.3, 1.0])
def test_a_sorted_file_alone_is_a_warning(share_in_block: float) -> None:
    report = check(put_together_by_label(5_000, 1, share_in_block))

    assert found(report, "leak") == []
    assert found(report, "warning") == [("row_order", None)]


@pytest.mark.slow
def test_ids_whose_prefix_is_the_label_are_a_leak() -> None:
    table = honest(2_000, 1)
    table["Id"] = np.where(table["y"] == 1, "L", "S") + table["Id"]

    assert ("identifier_order", "Id") in found(check(table), "leak")


@pytest.mark.slow
def test_ids_in_the_order_of_a_number_to_predict_are_a_leak() -> None:
    table = honest(2_000, 1)
    table["y"] = np.random.default_rng(1).normal(size=2_000)
    table["Id"] = table["y"].rank().astype("int64").astype("str")

    assert found(check(table, declare(table, "regression")), "leak") == [("identifier_order", "Id")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_in_order_of_time_has_no_finding(seed: int) -> None:
    table = honest(5_000, seed)
    random = np.random.default_rng(seed)
    season = 0.2 + 0.15 * np.sin(np.linspace(0, 20, 5_000))
    table["y"] = (random.random(5_000) < season).astype(np.int64)

    assert found(check(table), "leak", "warning") == []


def test_identifiers_are_ordered_by_their_numbers() -> None:
    identifiers = pd.Series(["B-1", "A-10", "A-9.0", "x", "A-100"], dtype="str")

    assert list(identifiers.iloc[identifier_order(identifiers)]) == ["A-9.0", "A-10", "A-100", "B-1", "x"]


# --- Columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_the_output_of_another_model_of_the_target_is_a_leak(share: float, seed: int) -> None:
    table = honest(10_000, seed, share)
    noise = np.random.default_rng(seed).normal(size=10_000)
    table["naive_bayes"] = 1 / (1 + np.exp(-(12 * table["y"] - 6 + noise)))

    report = check(table)

    assert found(report, "leak") == [("single_feature", "naive_bayes")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("filled", [0.5, 0.8, 1.0])
def test_a_column_filled_only_for_those_who_left_is_a_leak(filled: float, seed: int) -> None:
    table = honest(5_000, seed)
    random = np.random.default_rng(seed)
    asked = (table["y"] == 1) & (random.random(5_000) < filled)
    table["satisfaction_at_exit"] = gaps(random.normal(size=5_000), ~asked.to_numpy())

    assert found(check(table), "leak") == [("missingness", "satisfaction_at_exit")]


@pytest.mark.slow
def test_values_missing_at_random_are_no_finding() -> None:
    table = honest(5_000, 0)
    chance = np.where(table["y"] == 1, 0.4, 0.1)
    table["income"] = gaps(np.zeros(5_000), np.random.default_rng(0).random(5_000) < chance)

    assert found(check(table), "leak", "warning") == []


@pytest.mark.slow
def test_a_level_that_only_leavers_have_is_a_warning() -> None:
    table = honest(5_000, 0)
    closed = (table["y"] == 1) & (np.random.default_rng(0).random(5_000) < 0.6)
    table["status"] = pd.Series(np.where(closed, "closed", "open")).astype("str")

    report = check(table)

    assert found(report, "leak") == []
    assert found(report, "warning") == [("single_feature", "status")]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 2_000])
def test_a_copy_of_the_target_is_named_with_its_mapping(rows: int) -> None:
    table = honest(rows, 2)
    random = np.random.default_rng(2)
    table["state"] = pd.Series(np.where(table["y"] == 1, random.choice(["gone", "moved"], rows), "here")).astype("str")
    table["flag"] = 7.0 - table["y"]

    report = check(table)

    assert found(report, "leak") == [("target_copy", "state"), ("target_copy", "flag")]
    assert "gone → left" in report.findings[0].evidence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("copy", "mapping"),
    [(lambda y: 3 * y - 5, r"y = 0\.333333 \* copy \+1\.66667"), (lambda y: -np.exp(y), "y falls with copy")],
)
def test_a_function_of_a_number_to_predict_is_a_leak(copy: Any, mapping: str) -> None:
    table = honest(1_000, 2)
    table["y"] = table["n0"] + np.random.default_rng(2).normal(size=1_000)
    table["copy"] = copy(table["y"])
    declaration = declare(table, "regression")

    report = check(table, declaration)

    assert found(report, "leak") == [("target_copy", "copy")]
    with pytest.raises(CustomerTableError, match=mapping):
        require_no_leak(report, declaration)


@pytest.mark.slow
def test_a_noisy_copy_of_a_number_to_predict_is_a_leak() -> None:
    table = honest(5_000, 2)
    random = np.random.default_rng(2)
    table["y"] = np.exp(2 * random.normal(size=5_000))
    table["paid"] = table["y"] * random.normal(1, 0.01, 5_000)

    assert found(check(table, declare(table, "regression")), "leak") == [("single_feature", "paid")]


@pytest.mark.slow
def test_a_leak_of_one_of_several_classes_is_a_warning() -> None:
    table = honest(3_000, 2)
    table["y"] = np.random.default_rng(2).integers(0, 3, 3_000)
    table["end_code"] = np.where(table["y"] == 2, 1.0, 0.0)

    assert ("single_feature", "end_code") in found(check(table, declare(table, "multiclass")), "warning")


@pytest.mark.slow
def test_constant_and_nearly_unique_columns_are_reported() -> None:
    table = honest(500, 2)
    table["always"] = 1.0
    table["never"] = np.nan
    table["phone"] = pd.Series([f"0{number}" for number in range(500)]).astype("str")
    table["number"] = np.random.default_rng(2).permutation(500).astype(np.float64)

    report = check(table)

    assert found(report, "notice") == [("constant", "always")]
    assert found(report, "warning") == [("constant", "never"), ("nearly_unique", "phone"), ("nearly_unique", "number")]


def test_evenly_spread_whole_numbers_are_no_identifier() -> None:
    table = honest(3_000, 2)
    table["pay"] = np.random.default_rng(2).integers(20_000, 200_000, 3_000).astype(np.float64)

    report = check(table)

    assert table["pay"].nunique() / len(table) > 0.95
    assert [finding.column for finding in report.findings if finding.check == "nearly_unique"] == []


def test_a_feature_unknown_at_scoring_is_a_leak_however_its_name_is_written() -> None:
    table = honest(300, 2, columns=2)

    report = check(table, scoring=["ID", " N0 ", "plan", "Since", "Since", "other"])

    assert found(report, "leak") == [("unknown_at_scoring", "n1")]
    assert "unknown_at_scoring" in report.checks
    assert "unknown_at_scoring" not in check(table).checks


# --- Splits and models -----------------------------------------------------------------------------------------------


def test_a_customer_in_two_parts_is_a_leak_with_examples() -> None:
    table = honest(400, 2)
    table["household"] = pd.Series(np.arange(400) // 2).astype("str")
    train, validation, test = table[:240], table[240:320], table[320:]
    declaration = declare(table, roles={"household": "group"})
    overlapping = pd.concat([test, train[:3]])

    report = check_parts(table, train, validation, overlapping, declaration)

    assert found(report, "leak") == [("customer_in_two_splits", "Id"), ("customer_in_two_splits", "household")]
    assert "3 of 400 customers by Id" in report.findings[0].evidence
    assert f"{train['Id'].iloc[0]} in train and test" in report.findings[0].evidence


@pytest.mark.parametrize(
    ("method", "gap_days", "severity"), [("time", 0, "leak"), ("time", 60, None), ("random", 0, "warning")]
)
def test_labels_that_are_known_in_the_time_of_a_later_part_are_found(
    method: str, gap_days: float, severity: str | None
) -> None:
    table = honest(1_000, 2, columns=1)
    table["Day"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(1_000) % 12 * 30, unit="D")
    declaration = declare(table, roles={"Day": "time"}, label_days=60)
    split = SplitParameters.model_validate(SHARES.model_dump() | {"method": method, "gap_days": gap_days})
    parts = split_customers(table, declaration, split)
    manifest = describe_splits(*parts, declaration, split, {})

    report = check_leakage(table, *parts, manifest, None, declaration, PARAMETERS)

    assert "label_windows" in report.checks
    findings = [finding for finding in report.findings if finding.check == "label_windows"]
    assert [finding.severity for finding in findings] == ([] if severity is None else [severity])
    if severity == "leak":
        assert "`kedro run --params data_processing.split.gap_days=60`" in findings[0].advice
    assert "label_windows" not in check(honest(300, 2, columns=1)).checks


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shaken", [0.0, 1e-6])
def test_rows_copied_to_balance_the_classes_are_a_leak(shaken: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = honest(4_000, seed)
    leavers = table[table["y"] == 1]
    table = pd.concat([table, *[leavers] * 3], ignore_index=True).sample(frac=1, random_state=seed, ignore_index=True)
    table["Id"] = pd.Series(np.arange(len(table))).astype("str")
    table["n0"] += shaken * random.normal(size=len(table))

    report = check(table)

    assert ("near_duplicates", None) in found(report, "leak")


def test_near_duplicates_of_test_rows_are_counted_among_all_rows_that_the_final_model_learns_from() -> None:
    table = honest(1_000, 3)
    train, validation, test = divide(table)
    # Of the test rows, 20 are in the training set and 15 in the validation set, with other labels.
    copied = pd.concat([train[:20], validation[:15]]).assign(y=lambda rows: 1 - rows["y"])
    test = pd.concat([test, copied], ignore_index=True)
    test["Id"] = pd.Series(np.arange(len(test)) + 10_000).astype("str")
    table = pd.concat([train, validation, test], ignore_index=True)

    finding = only(check_parts(table, train, validation, test, declare(table)), "near_duplicates")

    assert (
        f"35 of {len(test)} test rows ({35 / len(test):.1%}) have the features of a row that the final model learns"
        in (finding.evidence)
    )
    assert finding.value == 35 / len(test)
    assert "sample" not in finding.evidence
    assert finding.severity == "warning"
    assert "`kedro run --params data_processing.split.method=copies`" in finding.advice


@pytest.mark.slow
def test_copied_rows_are_found_in_a_large_table_too() -> None:
    table = honest(60_000, 5, columns=3)
    table = pd.concat([table, table], ignore_index=True)
    table["Id"] = pd.Series(np.arange(len(table))).astype("str")

    near_duplicates = only(check(table), "near_duplicates")

    assert near_duplicates.severity == "leak"
    # A copy is in an earlier part with a probability of 0.8.
    assert near_duplicates.value == pytest.approx(0.8, abs=0.03)
    assert re.search(r"\(measured on a sample of [0-9,]+ of 120,000 rows\)\.$", near_duplicates.evidence)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_labels_made_by_rule_give_a_perfect_model(seed: int) -> None:
    table = honest(8_000, seed)
    table["y"] = ((table["n0"] > 0.5) | ((table["n1"] > 0.8) & (table["plan"] == "a"))).astype(np.int64)

    assert found(check(table), "leak") == [("perfect_model", None)]


@pytest.mark.slow
def test_the_quick_model_does_without_columns_that_leak_by_themselves() -> None:
    table = honest(5_000, 1)
    table["naive_bayes"] = table["y"] + np.random.default_rng(1).normal(0, 0.05, 5_000)

    assert found(check(table), "leak") == [("single_feature", "naive_bayes")]


@pytest.mark.slow
def test_a_rare_class_is_oversampled() -> None:
    table = honest(200_000, 6, share=0.003, columns=2)
    table["score"] = table["y"] + np.random.default_rng(6).normal(0, 0.1, 200_000)

    report = check(table)

    assert found(report, "leak") == [("single_feature", "score")]
    assert "of 200,000 rows" in report.findings[0].evidence


# --- Decisions -------------------------------------------------------------------------------------------------------


def leaking(**more: Any) -> tuple[LeakageReport, CustomerDeclaration]:
    table = honest(2_000, 1).assign(copy=lambda customers: customers["y"] * 2.0)
    table = table.rename(columns={"copy": 'left: "yes"'})
    declaration = declare(table, **more)
    return check(table, declaration), declaration


def test_a_leak_stops_the_run_with_the_lines_that_would_allow_it() -> None:
    report, declaration = leaking()

    with pytest.raises(CustomerTableError) as stopped:
        require_no_leak(report, declaration)

    message = str(stopped.value)
    assert "2.0 → left" in message
    assert "What to do: Give it role ignored." in message
    assert message.count("role: ignored") == 1
    lines = yaml.safe_load(message[message.index("customers:\n") :])
    (permission,) = lines["customers"]["allowed_leaks"]
    assert permission | {"reason": ""} == {"check": "target_copy", "column": 'left: "yes"', "reason": ""}
    with pytest.raises(ValidationError, match="at least 10"):
        leaking(allowed_leaks=[permission])


def test_an_allowed_leak_keeps_its_severity_and_its_reason() -> None:
    permission = {"check": "target_copy", "column": 'left: "yes"', "reason": "an exercise for students"}
    report, declaration = leaking(allowed_leaks=[permission])

    require_no_leak(report, declaration)

    assert report.findings[0].severity == "leak"
    assert report.findings[0].allowed == "an exercise for students"


@pytest.mark.slow
def test_the_lines_to_paste_include_leaks_allowed_before() -> None:
    permission = {"check": "perfect_model", "reason": "the table is made up by rule"}
    report, declaration = leaking(allowed_leaks=[permission])

    with pytest.raises(CustomerTableError, match=r"(?s)perfect_model\n      reason: .the table.*check: target_copy"):
        require_no_leak(report, declaration)


@pytest.mark.parametrize("permission", [{"check": "single_featur"}, {"check": "target_copy", "column": "Left"}])
def test_an_allowed_leak_of_an_unknown_check_or_column_is_refused(permission: dict[str, str]) -> None:
    with pytest.raises(CustomerTableError, match="Correct it"):
        leaking(allowed_leaks=[permission | {"reason": "a slip of the pen"}])


def test_limits_in_the_wrong_order_are_refused() -> None:
    values = PARAMETERS.model_dump()

    with pytest.raises(ValidationError, match="column_warning"):
        LeakageParameters.model_validate(values | {"column_warning": {"auc": 0.999, "r2": 0.5}})
    with pytest.raises(ValidationError, match="near_duplicates_warning"):
        LeakageParameters.model_validate(values | {"near_duplicates_warning": 0.5})


@pytest.mark.slow
def test_the_same_table_gives_the_same_report() -> None:
    table = honest(3_000, 1)
    few = PARAMETERS.model_copy(update={"max_rows": 1_000})

    assert check(table, parameters=few) == check(table, parameters=few)


def test_tables_of_one_class_or_few_rows_raise_no_error() -> None:
    table = honest(200, 1)

    check(table.assign(y=0))
    check(table.head(5))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_figure_shows_orders_and_the_strength_of_columns(task: str) -> None:
    table = honest(1_000, 1)
    if task != "binary":
        table["y"] = table["n0"] if task == "regression" else np.arange(1_000) % 3

    columns, *orders = draw_findings(check(table, declare(table, task)), PARAMETERS).values()

    assert [figure.get_suptitle() for figure in orders] == ["Target over Id", "Target over position in the file"]
    assert len(columns.axes[0].patches) == 8


# --- Real tables -----------------------------------------------------------------------------------------------------


def real(file: str, target: str, ids: tuple[str, ...] = (), task: str = "binary", positive: Any = 1) -> LeakageReport:
    table = pd.read_csv(REAL / file, na_values=[" "]).dropna(subset=[target])
    table = table.drop(columns=[name for name in ("RowNumber", "Surname") if name in table])
    kinds = {str(name): "str" for name in table if table[name].dtype == "str" or name in ids}
    table[target] = table[target].astype("float64") if task == "regression" else (table[target] == positive) * 1
    table = table.astype({str(name): "float64" for name in table if name not in kinds and name != target} | kinds)
    table = table.rename(columns={target: "y"}).drop_duplicates(ignore_index=True)
    declaration = declare(table, task, roles=dict.fromkeys(ids, "id"))
    return check(table, declaration)


@pytest.mark.slow
@needs_real_data
@pytest.mark.parametrize(
    "report",
    [
        ("Churn_Modelling.csv", "Exited", ("CustomerId",)),
        ("Churn_Modelling.messy.csv", "Exited", ("CustomerId",)),
        ("Telco-Customer-Churn.csv", "Churn", ("customerID",), "binary", "Yes"),
        ("housing.csv", "median_house_value", (), "regression"),
    ],
)
def test_real_tables_without_leak_pass(report: tuple[Any, ...]) -> None:
    assert found(real(*report), "leak", "warning") == []


@pytest.mark.slow
@needs_real_data
def test_the_leaking_real_table_is_stopped_for_its_order_and_its_rule() -> None:
    report = real("customer_churn_dataset.csv", "Churn", ("CustomerID",))

    assert found(report, "leak") == [("identifier_order", "CustomerID"), ("perfect_model", None)]
