"""Snapshots of customers made from events: features before a cut-off, the label from a window after it.

Several cut-offs make several rows per customer, to be split by time.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import BeforeValidator, Field, model_validator

from churn_estimators.cells import TEXT, as_text, read_dates, read_numbers
from churn_kedro.base import Parameters, Record
from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.normalisation import clean_header, require_distinct_names

SNAPSHOT = "snapshot_date"
LABEL = "churn"
_SECONDS_PER_DAY = 86_400
_SHOWN = 3


def _require_day(value: Any) -> str:
    """Validate a day and return it as ISO 8601 text; YAML reads unquoted days as dates."""
    day = pd.to_datetime(str(value), format="%Y-%m-%d", errors="coerce")
    if pd.isna(day):
        raise ValueError(f"{value!r} is not a day of the form 2026-01-31")
    return str(value)


Day = Annotated[str, BeforeValidator(_require_day)]


class EventColumns(Parameters):
    """Columns of an event table, which has one row per event."""

    customer: str = Field(min_length=1, description="Column that identifies the customer.")
    timestamp: str = Field(min_length=1, description="Column with the time of the event.")
    amount: str | None = Field(None, description="Column with the amount of the event, if there is one.")
    timestamp_format: str | None = Field(None, description="strptime codes; left out: ISO 8601.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of the amounts in a text file.")


class SnapshotParameters(Parameters):
    """Parameters of snapshots: cut-offs and windows."""

    columns: EventColumns
    first_cutoff: Day | None = Field(
        None,
        description="First cut-off: features use events before this day; null: history_days after the first event.",
    )
    last_cutoff: Day | None = Field(None, description="Last cut-off; null: the latest with a complete label window.")
    every_days: int = Field(ge=1, description="Days from one cut-off to the next.")
    history_days: int = Field(ge=1, description="Days before the cut-off in which an event makes a customer active.")
    label_days: int = Field(ge=1, description="Days after the cut-off without an event that make a customer a leaver.")
    windows_days: list[int] = Field(
        min_length=1, description="Lengths of the windows before the cut-off over which events are summed up."
    )
    max_unreadable_share: float = Field(ge=0, le=1, description="Largest share of events that may be unreadable.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if min(self.windows_days) < 1:
            raise ValueError(f"windows_days must be positive, found {self.windows_days}")
        if self.first_cutoff and self.last_cutoff and self.first_cutoff > self.last_cutoff:
            raise ValueError(f"first_cutoff {self.first_cutoff} is after last_cutoff {self.last_cutoff}")
        return self


class CutoffRecord(Record):
    """One cut-off."""

    cutoff: Day
    customers: int
    churned: int


class SnapshotReport(Record):
    """Counts of the events and snapshots."""

    events_read: int
    events_unreadable: int
    customers: int = Field(description="Different customers in the labelled rows.")
    to_score: int = Field(description="Active customers as of the day after the last event.")
    first_event: str
    last_event: str
    cutoffs: list[CutoffRecord]

    @property
    def rows(self) -> int:
        """Labelled rows: one for each cut-off and customer who is active then."""
        return sum(record.customers for record in self.cutoffs)

    @property
    def churned(self) -> int:
        """Labelled rows of customers who left."""
        return sum(record.churned for record in self.cutoffs)


def build_snapshots(
    events: pd.DataFrame, parameters: SnapshotParameters
) -> tuple[pd.DataFrame, pd.DataFrame, SnapshotReport]:
    """Build point-in-time rows of customers.

    Args:
        events: Event table as the file writes it, one row per event.
        parameters: Columns, cut-offs and windows.

    Returns:
        Labelled rows (identifier, ``snapshot_date``, features, ``churn`` as 1 or 0), unlabelled rows as of the day
        after the last event, and the report.

    Raises:
        CustomerTableError: A column is absent or repeated, too many events are unreadable, or no cut-off has enough
            history and a complete label window.
    """
    readable, unreadable = _read_events(events, parameters)
    moments = readable["moment"]
    cutoffs = _place_cutoffs(moments, parameters)
    labelled, records = [], []
    for cutoff in cutoffs:
        rows = _describe_past(readable, cutoff, parameters)
        returning = _customers_between(readable, cutoff, cutoff + pd.Timedelta(days=parameters.label_days))
        rows[LABEL] = (~rows[parameters.columns.customer].isin(returning)).astype("int64")
        labelled.append(rows)
        records.append(CutoffRecord(cutoff=f"{cutoff:%Y-%m-%d}", customers=len(rows), churned=int(rows[LABEL].sum())))
    present = _describe_past(readable, moments.max().normalize() + pd.Timedelta(days=1), parameters)
    table = pd.concat(labelled, ignore_index=True)
    report = SnapshotReport(
        customers=int(table[parameters.columns.customer].nunique()),
        to_score=len(present),
        events_read=len(events),
        events_unreadable=unreadable,
        first_event=str(moments.min()),
        last_event=str(moments.max()),
        cutoffs=records,
    )
    return table, present, report


def describe_columns(parameters: SnapshotParameters) -> dict[str, str]:
    """Describe the columns of the snapshots.

    Args:
        parameters: Columns, cut-offs and windows.

    Returns:
        One line by column.
    """
    described = {
        parameters.columns.customer: "Customer",
        SNAPSHOT: "Cut-off: the features are from before, the label is from after",
        "recency_days": "Days since the last event",
        "tenure_days": "Days since the first event",
        "events": "Events so far",
        "mean_gap_days": "Mean days between events; missing after one event",
        "amount": "Amount so far",
        "mean_amount": "Mean amount of an event",
        LABEL: f"No event within {parameters.label_days} days after the cut-off (1)",
    }
    for days in parameters.windows_days:
        described |= {
            f"events_{days}d": f"Events in the last {days} days",
            f"amount_{days}d": f"Amount in the last {days} days",
        }
    return described


def _read_events(events: pd.DataFrame, parameters: SnapshotParameters) -> tuple[pd.DataFrame, int]:
    columns = parameters.columns
    wanted = [name for name in (columns.customer, columns.timestamp, columns.amount) if name is not None]
    header = clean_header(events)
    absent = [name for name in wanted if name not in header]
    if absent:
        raise CustomerTableError(
            f"The event table lacks {', '.join(map(repr, absent))}; it has {', '.join(header)}. "
            "Name its columns in snapshots.columns."
        )
    require_distinct_names([name for name in header if name in wanted])
    events = events.set_axis(header, axis=1)
    customers = as_text(events[columns.customer])
    moments, _ = read_dates(events[columns.timestamp], [], columns.timestamp_format)
    readable = customers.notna() & (customers != "") & moments.notna()
    amounts = pd.Series(0.0, index=events.index)
    if columns.amount is not None:
        amounts, _ = read_numbers(events[columns.amount], [], columns.decimal)
        readable &= amounts.notna()
    unreadable = int((~readable).sum())
    if not len(events) or unreadable / len(events) > parameters.max_unreadable_share:
        examples = events.loc[~readable, wanted].head(_SHOWN).to_dict("records")
        raise CustomerTableError(
            f"{unreadable:,} of {len(events):,} events lack a readable customer, time or amount; at most "
            f"{parameters.max_unreadable_share:.1%} are accepted (snapshots.max_unreadable_share). For example "
            f"{examples}."
        )
    table = pd.DataFrame({"customer": customers.astype(TEXT), "moment": moments, "amount": amounts})
    return table[readable].sort_values("moment", kind="stable", ignore_index=True), unreadable


def _place_cutoffs(moments: pd.Series, parameters: SnapshotParameters) -> list[pd.Timestamp]:
    """Place cut-offs backwards from the latest, so that the most recent events are used."""
    latest = moments.max().normalize() + pd.Timedelta(days=1 - parameters.label_days)
    last = pd.Timestamp(parameters.last_cutoff) if parameters.last_cutoff else latest
    earliest = moments.min().normalize() + pd.Timedelta(days=parameters.history_days)
    first = pd.Timestamp(parameters.first_cutoff) if parameters.first_cutoff else earliest
    if last > latest:
        raise CustomerTableError(
            f"last_cutoff {parameters.last_cutoff} leaves less than label_days {parameters.label_days} until the last "
            f"event ({moments.max()}), so that customers would be labelled on an incomplete window. Use at most "
            f"{latest:%Y-%m-%d}."
        )
    if last < first:
        raise CustomerTableError(
            f"The events go from {moments.min()} to {moments.max()}: too short for history_days "
            f"{parameters.history_days} and label_days {parameters.label_days}, which need "
            f"{parameters.history_days + parameters.label_days} days for one cut-off. Shorten them."
        )
    steps = (last - first).days // parameters.every_days
    return [last - pd.Timedelta(days=step * parameters.every_days) for step in range(steps, -1, -1)]


def _customers_between(events: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
    inside = (events["moment"] >= start) & (events["moment"] < end)
    return events.loc[inside, "customer"].drop_duplicates()


def _in_days(spans: pd.Series) -> pd.Series:
    days: pd.Series = spans.dt.total_seconds() / _SECONDS_PER_DAY
    return days


def _describe_past(events: pd.DataFrame, cutoff: pd.Timestamp, parameters: SnapshotParameters) -> pd.DataFrame:
    """Compute the features of every active customer from events before the cut-off."""
    past = events[events["moment"] < cutoff]
    active = _customers_between(past, cutoff - pd.Timedelta(days=parameters.history_days), cutoff)
    past = past[past["customer"].isin(active)]
    by_customer = past.groupby("customer", sort=True)
    spans = by_customer["moment"].agg(["min", "max", "size"])
    counts = spans["size"].astype("float64")
    rows = pd.DataFrame(
        {
            "recency_days": _in_days(cutoff - spans["max"]),
            "tenure_days": _in_days(cutoff - spans["min"]),
            "events": counts,
            "mean_gap_days": _in_days(spans["max"] - spans["min"]) / (counts - 1).where(counts > 1),
        }
    )
    has_amount = parameters.columns.amount is not None
    for days in sorted(set(parameters.windows_days)):
        recent = past[past["moment"] >= cutoff - pd.Timedelta(days=days)].groupby("customer")["amount"]
        rows[f"events_{days}d"] = recent.size().reindex(spans.index, fill_value=0).astype("float64")
        if has_amount:
            rows[f"amount_{days}d"] = recent.sum().reindex(spans.index, fill_value=0.0)
    if has_amount:
        rows["amount"] = by_customer["amount"].sum()
        rows["mean_amount"] = by_customer["amount"].mean()
    table = rows.round(6).rename_axis(parameters.columns.customer).reset_index()
    table.insert(1, SNAPSHOT, f"{cutoff:%Y-%m-%d}")
    return table
