"""Inference of the parameters of snapshots from an event table."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from churn_estimators.cells import as_text, read_dates
from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.normalisation import clean_header, require_distinct_names
from churn_kedro.customers.onboarding.cells import MOSTLY, Cells, divide_name, find_decimal, summarise_cells
from churn_kedro.customers.onboarding.columns import guess_column
from churn_kedro.customers.onboarding.inference import Onboarding, infer_declaration, require_column
from churn_kedro.customers.snapshots import (
    LABEL,
    EventColumns,
    SnapshotParameters,
    SnapshotReport,
    build_snapshots,
    describe_columns,
)

_SAMPLE = 20_000
# Lengths of the label window; the shortest in which most customers return is chosen.
_WINDOWS = (7, 14, 30, 60, 90, 180, 365)
_RETURNING = 0.9
# Label windows that the events must cover: two of history, and one for each part of the split.
_HISTORY, _PARTS = 2, 3
_AMOUNT_NAME = re.compile(
    r"(^|_)(amount|price|value|revenue|sales|spend|spent|total|paid|payment|sum|cost|charge)($|_)"
)
_MAX_UNREADABLE = 0.05


@dataclass(frozen=True)
class EventOnboarding:
    """The inferred use case of an event table.

    Attributes:
        snapshots: Columns, cut-offs and windows.
        report: Counts of the snapshots.
        customers: The inferred declaration of the snapshots.
        gap_days: Gap of the split by time; 0: another split.
        doubts: Doubts about the events.
    """

    snapshots: SnapshotParameters
    report: SnapshotReport
    customers: Onboarding
    gap_days: int
    doubts: list[str]


def infer_snapshots(
    events: pd.DataFrame, customer: str, timestamp: str, amount: str | None = None, *, description: str = ""
) -> EventOnboarding:
    """Infer how customers at several cut-offs are made from events, and declare them.

    Args:
        events: Event table as the file writes it, one row per event.
        customer: Column that identifies the customer.
        timestamp: Column with the time of the event.
        amount: Column with the amount of the event; None: guessed by its name, with a doubt.
        description: One line about the customers; empty: made from the columns.

    Returns:
        Parameters of the snapshots, and the declaration of the customers.

    Raises:
        CustomerTableError: A column is absent or repeated, the times cannot be read, or the events cover too few days.
    """
    header = clean_header(events)
    named = events.set_axis(header, axis=1)
    for name in (customer, timestamp, *([amount] if amount is not None else [])):
        require_column(header, name)
    require_distinct_names(header)
    doubts: list[str] = []
    decimal = find_decimal(named.head(_SAMPLE))
    date_format = _find_time_format(named, timestamp, decimal)
    chosen = amount if amount is not None else _find_amount(named, {customer, timestamp}, decimal)
    if amount is None and chosen is not None:
        doubts.append(f"the amount of an event is taken from {chosen!r}; name another column with --amount")
    columns = EventColumns.model_validate(
        {
            "customer": customer,
            "timestamp": timestamp,
            "amount": chosen,
            "timestamp_format": date_format,
            "decimal": decimal,
        }
    )
    days = _choose_window(named, columns, doubts)
    parameters = SnapshotParameters(
        columns=columns,
        first_cutoff=None,
        last_cutoff=None,
        every_days=days,
        history_days=_HISTORY * days,
        label_days=days,
        windows_days=sorted({max(1, days // 3), days, _HISTORY * days}),
        max_unreadable_share=_MAX_UNREADABLE,
    )
    doubts.append(
        f"a customer without an event for {days} days has left (label_days): change it if customers come back later, "
        "or are known to have left earlier"
    )
    labelled, _, report = build_snapshots(named, parameters)
    if labelled[LABEL].nunique() < 2:
        raise CustomerTableError(
            f"At all cut-offs, {'every' if labelled[LABEL].iloc[0] else 'no'} customer has left within {days} days. "
            f"Check that {customer!r} identifies a customer and {timestamp!r} is the time of an event."
        )
    customers = infer_declaration(
        labelled,
        LABEL,
        identifier=customer,
        description=description,
        descriptions=describe_columns(parameters),
        label_days=days,
    )
    return EventOnboarding(parameters, report, customers, days if customers.by_time else 0, doubts)


def _sample(events: pd.DataFrame, name: str, decimal: str) -> Cells:
    rows = events if len(events) <= _SAMPLE else events.sample(_SAMPLE, random_state=0)
    return summarise_cells(rows, name, decimal)


def _find_time_format(events: pd.DataFrame, name: str, decimal: str) -> str | None:
    cells = _sample(events, name, decimal)
    fields = guess_column(cells, -1).fields
    if fields.get("kind") == "date" or fields.get("role") == "time":
        found: str | None = fields.get("date_format")
        return found
    # A few times, each of many events.
    if cells.filled and cells.share_of(read_dates(pd.Series(cells.levels, dtype="str"))[1]) <= 1 - MOSTLY:
        return None
    raise CustomerTableError(
        f"The column {name!r} has no times that can be read, for example {', '.join(map(repr, cells.levels[:3]))}. "
        "Write them as 2026-01-31 or 2026-01-31 09:30."
    )


def _find_amount(events: pd.DataFrame, others: set[str], decimal: str) -> str | None:
    for name in events.columns:
        if name in others or not _AMOUNT_NAME.search("_".join(divide_name(name)).casefold()):
            continue
        cells = _sample(events, name, decimal)
        plain = not cells.format.remove and not cells.format.thousands
        if plain and not cells.missing and cells.share_of(cells.numbers.notna()) >= MOSTLY:
            return str(name)
    return None


def _choose_window(events: pd.DataFrame, columns: EventColumns, doubts: list[str]) -> int:
    """Choose the days without an event after which a customer has left, so that there are enough cut-offs."""
    moments, _ = read_dates(events[columns.timestamp], [], columns.timestamp_format)
    known = pd.DataFrame({"customer": as_text(events[columns.customer]), "moment": moments}).dropna()
    if known.empty:
        raise CustomerTableError(f"No event has a readable {columns.timestamp!r}. Name another column.")
    span = (known["moment"].max().normalize() - known["moment"].min().normalize()).days + 1
    longest = span // (_HISTORY + _PARTS)
    fitting = [days for days in _WINDOWS if days <= longest]
    if not fitting:
        raise CustomerTableError(
            f"The events cover {span} days. At least {_WINDOWS[0] * (_HISTORY + _PARTS)} are needed: {_HISTORY} label "
            f"windows of {_WINDOWS[0]} days of history, and one each for training, validation and test."
        )
    ordered = known.sort_values(["customer", "moment"])
    gaps = ordered.groupby("customer")["moment"].diff().dropna().dt.total_seconds() / 86_400
    wanted = float(gaps[gaps > 1].quantile(_RETURNING)) if (gaps > 1).any() else 1.0
    chosen = next((days for days in fitting if days >= wanted), fitting[-1])
    if chosen < wanted:
        doubts.append(
            f"one in ten customers is away for {wanted:.0f} days and comes back; the events cover {span} days, so that "
            f"windows longer than {chosen} days leave too few cut-offs"
        )
    return chosen
