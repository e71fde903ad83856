"""Registered versions as rows of tables, for people in a terminal and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.evaluation import METRICS, Estimate, ModelComparison
from churn_kedro.registry import DECISION_TAG, RETIRED_TAG, AuditEvent, Change, RegistryState
from churn_kedro.reporting import metric_title

# Metrics that a list of versions shows, where a version has them: at most two, and the profit.
_LISTED = ("roc_auc", "pr_auc", "balanced_accuracy", "r2", "rmse", "profit_per_customer")
_HOURS = 24


class VersionRow(Parameters):
    """One version in a list."""

    version: int
    aliases: list[str]
    decision: str | None = Field(description="What became of it; retired, where it is.")
    created: str = Field(description="ISO 8601, UTC.")
    age_days: float
    algorithm: str | None
    metrics: dict[str, Estimate] = Field(description="Of the last evaluation, with intervals.")
    evaluated_at: str | None


def read_metrics(tags: Mapping[str, str]) -> dict[str, Estimate]:
    """Metrics that an evaluation has left on a version's tags.

    Args:
        tags: Tags of the version.

    Returns:
        Estimates by name; tags of versions from before intervals were written there are left out.
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
    """Rows of all versions.

    Args:
        state: How the registry stands.
        created: When each version was registered, ISO 8601.
        ages_in_days: How long ago.

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
        )
        for version, tags in sorted(state.tags.items(), reverse=True)
    ]


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table of aligned text.

    Args:
        header: Names of the columns.
        rows: Cells.
        right: Columns that are aligned to the right.

    Returns:
        Lines without blanks at their ends.
    """
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [
            cell.rjust(widths[place]) if place in right else cell.ljust(widths[place]) for place, cell in enumerate(row)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _age(days: float) -> str:
    if days >= 1:
        return f"{days:.0f} d"
    hours = days * _HOURS
    return f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _interval(estimate: Estimate, digits: int = 4) -> str:
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def write_versions(name: str, rows: Sequence[VersionRow]) -> str:
    """The list of versions for people.

    Args:
        name: Registered model.
        rows: One for each version.

    Returns:
        A table with the metrics that any version has.
    """
    if not rows:
        return f"{name}: no version"
    metrics = [metric for metric in _LISTED if any(metric in row.metrics for row in rows)]
    header = ["version", "aliases", "decision", "age", "algorithm", *(metric_title(metric) for metric in metrics)]
    cells = [
        [
            str(row.version),
            ", ".join(row.aliases) or "-",
            row.decision or "not decided",
            _age(row.age_days),
            row.algorithm or "-",
            *(
                _interval(row.metrics[metric], 2 if metric == "profit_per_customer" else 4)
                if metric in row.metrics
                else "-"
                for metric in metrics
            ),
        ]
        for row in rows
    ]
    return f"{name}\n\n{write_table(header, cells, right=(0, 3))}"


def write_version(
    row: VersionRow, facts: Mapping[str, Any], metrics: Mapping[str, Estimate], reasons: Sequence[str]
) -> str:
    """All that is known of one version, for people.

    Args:
        row: The version in the list.
        facts: Further facts by name; those that are None are left out.
        metrics: All metrics of its evaluations.
        reasons: Reasons of the last decision.

    Returns:
        Lines of text.
    """
    shown = {
        "aliases": ", ".join(row.aliases) or "none",
        "decision": row.decision or "not decided",
        "registered": row.created,
        "evaluated": row.evaluated_at or "never",
        **{name: value for name, value in facts.items() if value is not None},
    }
    width = max(map(len, shown))
    lines = [f"version {row.version}", *(f"  {name:<{width}}  {value}" for name, value in shown.items())]
    if metrics:
        known = dict.fromkeys(name for name in [*METRICS, *metrics] if name in metrics)
        table = [[metric_title(name), _interval(metrics[name])] for name in known]
        lines += ["", *(f"  {line}" for line in write_table(["metric", "value (interval)"], table).splitlines())]
    if reasons:
        lines += ["", "  what the gate said", *(f"    {reason}" for reason in reasons)]
    return "\n".join(lines)


def write_comparison(candidate: str, comparison: ModelComparison) -> str:
    """Two versions side by side, for people.

    Args:
        candidate: Name of the first.
        comparison: How they stand.

    Returns:
        A table of metrics with paired differences, and the customers on whom the two disagree most.
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
    lines = [
        f"{candidate} beside {comparison.baseline}, on the same {comparison.rows:,} test customers",
        *([comparison.note] if comparison.note else []),
        "",
        write_table(header, rows, right=(1, 2)),
    ]
    if comparison.disagreements:
        ids = list(comparison.disagreements[0].ids)
        cells = [
            [*one.ids.values(), one.outcome, f"{one.candidate:.4g}", f"{one.baseline:.4g}"]
            for one in comparison.disagreements
        ]
        header = [*ids, "outcome", candidate, comparison.baseline]
        right = (len(ids) + 1, len(ids) + 2)
        lines += ["", "customers on whom they disagree most", "", write_table(header, cells, right=right)]
    return "\n".join(lines)


def write_change(name: str, change: Change) -> str:
    """What an action has done, for people.

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


def write_history(name: str, events: Sequence[AuditEvent]) -> str:
    """The audit, for people.

    Args:
        name: Registered model.
        events: The oldest first.

    Returns:
        The newest event first.
    """
    if not events:
        return f"{name}: nothing was done yet"
    lines = [name]
    for event in reversed(events):
        moves = ", ".join(
            f"{alias} {move.before or 'none'} -> {move.after or 'none'}" for alias, move in event.moves.items()
        )
        result = "" if event.result == "done" else f" [{event.result.replace('_', ' ')}]"
        lines.append("")
        lines.append(f"{event.at[:19].replace('T', ' ')}  {event.action} version {event.version}{result}")
        if event.outcome:
            lines.append(f"  outcome  {event.outcome}")
        if moves:
            lines.append(f"  aliases  {moves}")
        lines.append(f"  by       {event.by}, code {event.git_commit[:10]}")
        lines += [f"  {'because' if not place else '':<7}  {reason}" for place, reason in enumerate(event.reasons)]
    return "\n".join(lines)
