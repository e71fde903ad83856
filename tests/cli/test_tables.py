"""Claims about the tables of registered versions."""

import json
from collections.abc import Callable
from typing import Any

import click
import pytest
from rich.console import RenderableType

from churn_kedro.cli.tables import (
    VersionRow,
    describe_versions,
    read_metrics,
    show,
    tabulate_comparison,
    tabulate_history,
    tabulate_version,
    tabulate_versions,
    write_change,
)
from churn_kedro.evaluation.comparison import Disagreement, ModelComparison
from churn_kedro.evaluation.metrics.estimates import Estimate
from churn_kedro.registry.lifecycle import AuditEvent, Change, Move, RegistryState

Printed = Callable[[RenderableType], list[str]]
EVALUATED = {"roc_auc": "0.87654321", "roc_auc_low": "0.86", "roc_auc_high": "0.89"}
PROFIT = {"profit_per_customer": "12.5", "profit_per_customer_low": "-1", "profit_per_customer_high": "26.123"}


def rows(tags: dict[int, dict[str, str]], ages: dict[int, float] | None = None, **aliases: int) -> list[VersionRow]:
    created = {version: f"2026-01-{version:02}T00:00:00+00:00" for version in tags}
    return describe_versions(RegistryState("m", aliases, tags), created, ages or dict.fromkeys(tags, 3.0))


def row(**changed: Any) -> VersionRow:
    whole = {
        "version": 4,
        "aliases": [],
        "decision": None,
        "created": "2026-01-04T00:00:00+00:00",
        "age_days": 3.0,
        "algorithm": None,
        "metrics": {},
        "evaluated_at": None,
        "test_digest": None,
        "test_rows": None,
    }
    return VersionRow.model_validate(whole | changed)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Lines that are printed to a pipe."""

    def lines(renderable: RenderableType) -> list[str]:
        show(renderable)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return lines


def test_a_pipe_gets_each_row_on_one_line_without_styles(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    reason = "- " + "a long reason " * 50 + "[with brackets] :smile:"

    metrics = {"brier": Estimate(value=0.1, low=0.09, high=0.11)}
    lines = printed(tabulate_version("m", row(), {"run": "f" * 300}, metrics, [reason]))

    assert "  metric       value (interval)" in lines
    assert lines[-1] == f"    {reason}"
    assert f"  run         {'f' * 300}" in lines


def test_a_narrow_terminal_wraps_cells_without_truncation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    show(tabulate_versions("m", rows({1: {"algorithm": "a" * 50, **EVALUATED}}, champion=1, challenger=1)))

    shown = click.unstyle(capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.count("a" * 5) >= 5
    assert "…" not in shown


def test_versions_are_listed_newest_first_with_their_last_decision() -> None:
    listed = rows(
        {1: {"decision": "promoted", "algorithm": "xgboost", **EVALUATED}, 2: {"decision": "refused"}, 10: {}},
        champion=1,
        staging=2,
    )

    assert [(one.version, one.aliases, one.decision) for one in listed] == [
        (10, [], None),
        (2, ["staging"], "refused"),
        (1, ["champion"], "promoted"),
    ]
    assert listed[2].algorithm == "xgboost"
    assert listed[2].metrics == {"roc_auc": Estimate(value=0.87654321, low=0.86, high=0.89)}
    assert listed[1].metrics == {}


def test_a_retired_version_is_retired_whatever_was_decided() -> None:
    [listed] = rows({1: {"decision": "promoted", "retired": "2026-01-01"}})

    assert listed.decision == "retired"


def test_a_metric_without_its_interval_is_left_out() -> None:
    assert read_metrics({"roc_auc": "0.9"}) == {}
    assert read_metrics({"roc_auc": "0.9", "roc_auc_low": "0.8"}) == {}
    assert set(read_metrics(EVALUATED | PROFIT)) == {"roc_auc", "profit_per_customer"}


def test_the_list_shows_the_metrics_that_any_version_has_with_their_intervals(printed: Printed) -> None:
    lines = printed(tabulate_versions("m", rows({1: EVALUATED | PROFIT, 2: {}}, champion=1, challenger=1)))

    assert lines[0] == "m"
    assert [cell.strip() for cell in lines[2].split("  ") if cell] == [
        "version",
        "aliases",
        "decision",
        "age",
        "algorithm",
        "test table",
        "ROC-AUC",
        "profit per customer",
    ]
    assert lines[3].split() == ["2", "-", "not", "decided", "3", "d", "-", "-", "-", "-"]
    assert "champion, challenger" in lines[4]
    assert "0.8765 (0.8600 to 0.8900)" in lines[4]
    assert "12.50 (-1.00 to 26.12)" in lines[4]
    assert lines[2].index("ROC-AUC") == lines[4].index("0.8765")


def test_metrics_of_another_table_than_the_champions_are_marked(printed: Printed) -> None:
    own, other = {"test_digest": "a" * 32, "test_rows": "2000"}, {"test_digest": "b" * 32, "test_rows": "900"}
    listed = rows({1: EVALUATED | own, 2: EVALUATED | other, 3: EVALUATED | own, 4: {}}, champion=1)

    lines = printed(tabulate_versions("m", listed))

    marked = {line.split()[0]: "*" in line for line in lines[3:7]}
    assert marked == {"4": False, "3": False, "2": True, "1": False}
    assert "bbbbbbbb (900 rows)" in lines[4 + 1]
    assert lines[-1].startswith("* measured on another test table than version 1")
    assert [one.test_rows for one in listed] == [None, 2000, 900, 2000]


def test_a_registry_without_versions_has_a_message() -> None:
    assert tabulate_versions("m", []) == "m: no version"
    assert tabulate_history("m", []) == "m: no action yet"


@pytest.mark.parametrize(
    ("days", "written"),
    [(400.4, "400 d"), (1.0, "1 d"), (0.5, "12 h"), (1 / 24, "1 h"), (0.01, "14 min"), (0.0, "0 min")],
)
def test_an_age_is_formatted_in_a_fitting_unit(days: float, written: str, printed: Printed) -> None:
    assert written in printed(tabulate_versions("m", [row(age_days=days)]))[3]


def test_rows_survive_a_round_trip_through_json() -> None:
    listed = rows({1: {"decision": "promoted", **EVALUATED}, 2: {}}, ages={1: 3.14159265, 2: 0.0}, champion=1)

    text = json.dumps([one.model_dump(mode="json") for one in listed])

    assert [VersionRow.model_validate(one) for one in json.loads(text)] == listed
    assert json.loads(text)[1]["age_days"] == 3.14159
    assert json.loads(text)[1]["metrics"]["roc_auc"] == {"value": 0.87654321, "low": 0.86, "high": 0.89}


def test_the_details_of_a_version_are_facts_metrics_and_reasons(printed: Printed) -> None:
    metrics = {"brier": Estimate(value=0.1, low=0.09, high=0.11), "roc_auc": Estimate(value=0.9, low=0.8, high=1.0)}
    facts = {"calibration": "isotonic", "run": None}

    lines = printed(tabulate_version("m", row(aliases=["champion"]), facts, metrics, ["+ good", "- slow"]))

    assert lines[0] == "m version 4"
    assert "  aliases      champion" in lines
    assert "  calibration  isotonic" in lines
    assert "  decision     not decided" in lines
    assert "  evaluated    never" in lines
    assert not any("run" in line for line in lines)
    shown = [line.split("  ")[1] for line in lines if "(0." in line]
    assert shown == ["ROC-AUC", "Brier score"]
    assert lines[-3:] == ["  reasons of the gate", "    + good", "    - slow"]


def comparison(**changed: Any) -> ModelComparison:
    whole = {
        "baseline": "version 1",
        "rows": 2000,
        "values": {"roc_auc": (0.9, 0.8), "brier": (0.2, 0.1), "f1": (0.5, 0.49)},
        "differences": {
            "roc_auc": {"value": 0.1, "low": 0.05, "high": 0.15},
            "brier": {"value": 0.1, "low": 0.08, "high": 0.12},
            "f1": {"value": 0.01, "low": -0.02, "high": 0.04},
        },
        "disagreements": [],
    }
    return ModelComparison.model_validate(whole | changed)


def test_a_comparison_marks_significant_differences_in_the_direction_of_the_metric(printed: Printed) -> None:
    lines = printed(tabulate_comparison("version 2", comparison(), "abcdef0123456789"))

    assert lines[0] == "version 2 beside version 1, on the same 2,000 test customers (table abcdef01)"
    verdicts = {line.split("  ")[0]: line.split()[-1] for line in lines[3:]}
    assert verdicts == {"ROC-AUC": "better", "Brier score": "worse", "F1": "+0.0400)"}
    assert "0.9000     0.8000  +0.1000 (+0.0500 to +0.1500)" in lines[3]


def test_a_comparison_lists_the_largest_disagreements_and_its_note(
    printed: Printed,
) -> None:
    one = Disagreement(ids={"Id": "77", "Branch": "N"}, outcome="left", candidate=0.91, baseline=0.1234567)

    lines = printed(tabulate_comparison("new", comparison(disagreements=[one], note="Mind: something."), "abcdef01"))

    assert lines[1] == "Mind: something."
    assert lines[-2].split() == ["Id", "Branch", "outcome", "new", "version", "1"]
    assert lines[-1].split() == ["77", "N", "left", "0.91", "0.1235"]


def test_a_change_shows_from_where_to_where_each_alias_moved() -> None:
    change = Change(
        action="promote",
        version=2,
        moves={"champion": Move(before=None, after=2), "previous_champion": Move(before=3, after=None)},
    )

    assert write_change("m", change).splitlines() == [
        "m version 2: promoted",
        "  champion           none -> version 2",
        "  previous_champion  version 3 -> none",
    ]
    already = Change(action="promote", version=2, already="version 2 is champion already")
    assert write_change("m", already) == "m: version 2 is champion already; nothing was changed"


@pytest.mark.parametrize(
    "action", ["decide", "promote", "approve", "reject", "rollback", "retire", "restore", "delete"]
)
def test_every_action_has_a_description(action: str) -> None:
    assert write_change("m", Change.model_validate({"action": action, "version": 2})).startswith("m version 2: ")


def test_the_history_is_listed_newest_first_with_person_and_reason(printed: Printed) -> None:
    first = AuditEvent(
        number=1,
        at="2026-01-02T03:04:05.678901Z",
        by="Ann <a@b.c>",
        host="h",
        process=1,
        token="t",  # noqa: S106 - it is no password
        action="promote",
        version=2,
        moves={"champion": Move(before=None, after=2)},
        tags={},
        outcome="overridden",
        reasons=["first reason", "second reason"],
        git_commit="0123456789abcdef",
        result="done",
    )
    second = first.model_copy(update={"action": "reject", "moves": {}, "reasons": [], "result": "finished_later"})

    lines = printed(tabulate_history("m", [first, second]))

    assert lines[2] == "2026-01-02 03:04:05  reject version 2 [finished later]"
    assert lines[6:] == [
        "2026-01-02 03:04:05  promote version 2",
        "  outcome  overridden",
        "  aliases  champion none -> 2",
        "  by       Ann <a@b.c>, code 0123456789",
        "  because  first reason",
        "           second reason",
    ]


def test_names_and_reasons_of_a_table_stay_in_their_line(printed: Printed) -> None:
    hostile = "a\nb \x1b[31m[red]\u202e"
    shown = "a b \\x1b[31m[red]\\u202e"
    event = AuditEvent(
        number=1,
        at="2026-01-01T00:00:00+00:00",
        by=hostile,
        host="h",
        process=1,
        token="t",  # noqa: S106 - no secret
        action="reject",
        version=4,
        moves={},
        tags={},
        outcome="rejected",
        reasons=[hostile],
        git_commit="c",
        result="done",
    )

    assert any(line.endswith(f"because  {shown}") for line in printed(tabulate_history("m", [event])))
    told = printed(tabulate_version("m", row(), {"code": hostile}, {}, [hostile]))
    assert sum(line.endswith(shown) for line in told) == 2
    assert all(line.isprintable() for line in told)
