"""Tables of registered versions for terminals and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from churn_kedro.base import Parameters, one_line
from churn_kedro.evaluation import METRICS, Estimate, ModelComparison
from churn_kedro.registry import DECISION_TAG, RETIRED_TAG, AuditEvent, Change, CheckResult, RegistryState
from churn_kedro.reporting import metric_title

# Metrics in the list of versions: at most two per task, and the profit.
_LISTED = ("roc_auc", "pr_auc", "balanced_accuracy", "r2", "rmse", "profit_per_customer")
_HOURS = 24
# Wider than any row.
_UNLIMITED = 100_000


class VersionRow(Parameters):
    """One version in a list."""

    version: int
    aliases: list[str]
    decision: str | None = Field(description="Last decision, or retired.")
    created: str = Field(description="ISO 8601, UTC.")
    age_days: float
    algorithm: str | None
    metrics: dict[str, Estimate] = Field(description="Of the last evaluation, with intervals.")
    evaluated_at: str | None
    test_digest: str | None = Field(description="Content digest of the test table of the metrics.")
    test_rows: int | None = Field(description="Customers of that table.")


def read_metrics(tags: Mapping[str, str]) -> dict[str, Estimate]:
    """Read the metrics of the last evaluation from the tags of a version.

    Args:
        tags: Tags of the version.

    Returns:
        Estimates by name; metrics without interval are left out.
    """
    found = {}
    for name in _LISTED:
        ends = [tags.get(f"{name}{suffix}") for suffix in ("", "_low", "_high")]
        if all(end is not None for end in ends):
            value, low, high = (float(str(end)) for end in ends)
            found[name] = Estimate(value=value, low=low, high=high)
    return found


def describe_versions(
    state: RegistryState, created: Mapping[int, str], ages_in_days: Mapping[int, float]
) -> list[VersionRow]:
    """Describe all versions as rows.

    Args:
        state: State of the registry.
        created: Time of registration of each version, ISO 8601.
        ages_in_days: Time since registration.

    Returns:
        The newest version first.
    """
    return [
        VersionRow(
            version=version,
            aliases=state.aliases_of(version),
            decision="retired" if RETIRED_TAG in tags else tags.get(DECISION_TAG),
            created=created[version],
            age_days=round(ages_in_days[version], 5),
            algorithm=tags.get("algorithm"),
            metrics=read_metrics(tags),
            evaluated_at=tags.get("evaluated_at"),
            test_digest=tags.get("test_digest"),
            test_rows=int(tags["test_rows"]) if tags.get("test_rows", "").isdecimal() else None,
        )
        for version, tags in sorted(state.tags.items(), reverse=True)
    ]


def show(renderable: RenderableType) -> None:
    """Print to standard output.

    A terminal gets styles, and its width wraps long cells. A pipe or file gets plain text, each row on one line.

    Args:
        renderable: Object to print.
    """
    terminal = sys.stdout.isatty()
    # Without markup, since names and reasons may have brackets.
    console = Console(
        force_terminal=terminal,
        width=None if terminal else _UNLIMITED,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(renderable)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> Table:
    """Build a table without frame; columns at the positions in ``right`` are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(header):
        table.add_column(one_line(name), justify="right" if position in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(one_line, row))
    return table


def _facts(facts: Iterable[tuple[str, Any]]) -> Padding:
    """Build an indented grid of names and values."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(one_line(name), one_line(str(value)))
    return _indented(grid)


def _indented(renderable: RenderableType) -> Padding:
    return Padding.indent(renderable, 2)


def _age(days: float) -> str:
    if days >= 1:
        return f"{days:.0f} d"
    hours = days * _HOURS
    return f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _interval(estimate: Estimate, digits: int = 4) -> str:
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def tabulate_versions(name: str, rows: Sequence[VersionRow]) -> RenderableType:
    """Build the list of versions for a terminal.

    Args:
        name: Registered model.
        rows: One for each version.

    Returns:
        A table with the metrics that at least one version has. Metrics that were measured on another table than those
        of the champion (without one: of the newest evaluated version) are marked.
    """
    if not rows:
        return f"{name}: no version"
    compared = _comparable_with(rows)
    metrics = [metric for metric in _LISTED if any(metric in row.metrics for row in rows)]
    titles = [metric_title(metric) for metric in metrics]
    header = ["version", "aliases", "decision", "age", "algorithm", "test table", *titles]
    cells = [
        [
            str(row.version),
            ", ".join(row.aliases) or "-",
            row.decision or "not decided",
            _age(row.age_days),
            row.algorithm or "-",
            _name_table(row.test_digest, row.test_rows),
            *(
                _interval(row.metrics[metric], 2 if metric == "profit_per_customer" else 4)
                + ("" if compared is None or row.test_digest == compared.test_digest else " *")
                if metric in row.metrics
                else "-"
                for metric in metrics
            ),
        ]
        for row in rows
    ]
    parts: list[RenderableType] = [name, "", _table(header, cells, right=(0, 3))]
    if compared is not None and any(row.metrics and row.test_digest != compared.test_digest for row in rows):
        parts += [
            "",
            f"* measured on another test table than version {compared.version}, so not comparable with it. On its "
            "table: `kedro models compare`, or `kedro run --pipelines evaluation --params model_version=VERSION`.",
        ]
    return Group(*parts)


def _comparable_with(rows: Sequence[VersionRow]) -> VersionRow | None:
    """Return the version whose test table the metrics of the others are compared on."""
    evaluated = [row for row in rows if row.metrics]
    champions = [row for row in evaluated if "champion" in row.aliases]
    return next(iter([*champions, *evaluated]), None)


def _name_table(digest: str | None, rows: int | None) -> str:
    return "-" if digest is None else f"{digest[:8]}{f' ({rows:,} rows)' if rows is not None else ''}"


def tabulate_version(
    name: str, row: VersionRow, facts: Mapping[str, Any], metrics: Mapping[str, Estimate], reasons: Sequence[str]
) -> RenderableType:
    """Build the details of one version for a terminal.

    Args:
        name: Registered model.
        row: The version in the list.
        facts: Further facts by name; those that are None are left out.
        metrics: All metrics of its evaluations.
        reasons: Reasons of the last decision.

    Returns:
        Tables of facts and metrics, and the reasons.
    """
    shown = {
        "aliases": ", ".join(row.aliases) or "none",
        "decision": row.decision or "not decided",
        "registered": row.created,
        "evaluated": row.evaluated_at or "never",
        **{name: value for name, value in facts.items() if value is not None},
    }
    parts: list[RenderableType] = [f"{name} version {row.version}", _facts(shown.items())]
    if metrics:
        known = dict.fromkeys(name for name in [*METRICS, *metrics] if name in metrics)
        table = _table(
            ["metric", "value (interval)"], [[metric_title(name), _interval(metrics[name])] for name in known]
        )
        parts += ["", _indented(table)]
    if reasons:
        parts += ["", _indented("reasons of the gate"), *(_indented(_indented(one_line(reason))) for reason in reasons)]
    return Group(*parts)


def tabulate_checks(results: Sequence[CheckResult]) -> RenderableType:
    """Build the results of the checks for a terminal.

    Args:
        results: Results of all checks.

    Returns:
        A table, and what to do about each result that is wrong.
    """
    wrong = [result for result in results if result.health == "wrong"]
    rows = [[result.what, result.health, result.found] for result in results]
    advice = [_indented(f"{result.what}: {result.advice}") for result in wrong if result.advice]
    verdict = f"{len(wrong)} of {len(results)} checks found something wrong" if wrong else "nothing is wrong"
    return Group(_table(["checked", "state", "found"], rows), "", verdict, *advice)


def tabulate_comparison(candidate: str, comparison: ModelComparison, test_digest: str) -> RenderableType:
    """Build the comparison of two versions for a terminal.

    Args:
        candidate: Name of the first version.
        comparison: Their comparison.
        test_digest: Content digest of the test table that both were scored on.

    Returns:
        A table of metrics with paired differences, and the customers with the largest differences in prediction.
    """
    rows = []
    for name, (first, second) in comparison.values.items():
        difference = comparison.differences[name]
        sign = -1 if METRICS[name].lower_is_better else 1
        ends = sorted((sign * difference.low, sign * difference.high))
        verdict = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        interval = f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
        rows.append([METRICS[name].title, f"{first:.4f}", f"{second:.4f}", interval, verdict])
    header = ["metric", candidate, comparison.baseline, "difference (paired interval)", candidate]
    parts: list[RenderableType] = [
        f"{candidate} beside {comparison.baseline}, on the same {comparison.rows:,} test customers "
        f"(table {test_digest[:8]})",
        *([one_line(comparison.note)] if comparison.note else []),
        "",
        _table(header, rows, right=(1, 2)),
    ]
    if comparison.disagreements:
        ids = list(comparison.disagreements[0].ids)
        cells = [
            [*one.ids.values(), one.outcome, f"{one.candidate:.4g}", f"{one.baseline:.4g}"]
            for one in comparison.disagreements
        ]
        header = [*ids, "outcome", candidate, comparison.baseline]
        table = _table(header, cells, right=(len(ids) + 1, len(ids) + 2))
        parts += ["", "customers with the largest differences in prediction", "", table]
    return Group(*parts)


def write_change(name: str, change: Change) -> str:
    """Describe the result of an action for a terminal.

    Args:
        name: Registered model.
        change: The action.

    Returns:
        A few lines.
    """
    if change.already is not None:
        return f"{name}: {change.already}; nothing was changed"
    done = "promoted against the gate" if change.outcome == "overridden" else _DONE[change.action]
    lines = [f"{name} version {change.version}: {done}"]
    for alias, move in change.moves.items():
        before = "none" if move.before is None else f"version {move.before}"
        after = "none" if move.after is None else f"version {move.after}"
        lines.append(f"  {alias:<17}  {before} -> {after}")
    return "\n".join(lines)


_DONE: Mapping[str, str] = {
    "decide": "decided upon",
    "promote": "promoted",
    "approve": "approved",
    "reject": "rejected",
    "rollback": "rolled back",
    "retire": "retired",
    "restore": "back in use",
    "delete": "deleted",
}


def tabulate_history(name: str, events: Sequence[AuditEvent]) -> RenderableType:
    """Build the audit trail for a terminal.

    Args:
        name: Registered model.
        events: Events, the oldest first.

    Returns:
        The events, the newest first.
    """
    if not events:
        return f"{name}: no action yet"
    parts: list[RenderableType] = [name]
    for event in reversed(events):
        result = "" if event.result == "done" else f" [{event.result.replace('_', ' ')}]"
        moves = ", ".join(
            f"{alias} {move.before or 'none'} -> {move.after or 'none'}" for alias, move in event.moves.items()
        )
        facts = [("outcome", event.outcome), ("aliases", moves), ("by", f"{event.by}, code {event.git_commit[:10]}")]
        reasons = [("" if place else "because", reason) for place, reason in enumerate(event.reasons)]
        parts += [
            "",
            f"{event.at[:19].replace('T', ' ')}  {event.action} version {event.version}{result}",
            _facts([*((fact, value) for fact, value in facts if value), *reasons]),
        ]
    return Group(*parts)
