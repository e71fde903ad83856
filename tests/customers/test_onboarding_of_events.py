"""Claims about use cases made from event tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.onboarding.configuration_files import (
    render_data_processing,
    render_event_globals,
    render_snapshots,
)
from churn_kedro.customers.onboarding.events import infer_snapshots
from churn_kedro.customers.snapshots import SnapshotParameters, build_snapshots, describe_columns
from churn_kedro.customers.splits import SplitParameters, split_customers
from churn_kedro.hooks.summary_text import summarise


def events(days: int = 400, *, time_format: str = "%Y-%m-%d", customers: int = 120) -> pd.DataFrame:
    """Purchases about once a week, of customers of whom many stop."""
    random = np.random.default_rng(0)
    rows = []
    for customer in range(customers):
        last = min(days, random.exponential(days))
        moments = np.cumsum(random.exponential(7, days))
        rows += [(f"c{customer}", moment, random.gamma(2, 20)) for moment in moments[moments < last]]
    table = pd.DataFrame(rows, columns=["buyer", "bought", "total_price"])
    table["bought"] = (pd.Timestamp("2025-01-01") + pd.to_timedelta(table["bought"], unit="D")).dt.strftime(time_format)
    return table.round(2).astype("str").astype("str")


@pytest.mark.parametrize(
    ("time_format", "declared"),
    [("%Y-%m-%d", None), ("%Y-%m-%d %H:%M:%S", None), ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"), ("%Y%m%d", "%Y%m%d")],
)
def test_columns_windows_and_gap_are_inferred_and_the_split_has_every_part(
    time_format: str, declared: str | None
) -> None:
    table = events(time_format=time_format)

    found = infer_snapshots(table, "buyer", "bought")

    assert found.snapshots.columns.timestamp_format == declared
    assert found.snapshots.columns.amount == "total_price"
    assert found.gap_days == found.snapshots.label_days == found.customers.declaration.label_days == 30
    assert found.customers.declaration.id_names == ["buyer"]
    labelled, _, _ = build_snapshots(table, found.snapshots)
    assert set(describe_columns(found.snapshots)) == set(labelled)
    assert {column.name: column.description for column in found.customers.declaration.columns} == describe_columns(
        found.snapshots
    )
    typed = normalise(labelled, found.customers.declaration, with_target=True).table
    split = SplitParameters(method="time", gap_days=found.gap_days, test_size=0.2, validation_size=0.2, random_state=0)
    train, validation, test = split_customers(typed.astype({"churn": "int64"}), found.customers.declaration, split)
    for earlier, later in ((train, validation), (validation, test)):
        assert (later["snapshot_date"].min() - earlier["snapshot_date"].max()).days >= found.snapshots.label_days


def test_snapshots_find_the_columns_that_onboarding_found() -> None:
    table = events(days=60, customers=400)
    as_written = table.set_axis(["\ufeffbuyer", ' "bought"', " total_price "], axis=1)

    found = infer_snapshots(as_written, "buyer", "bought")

    labelled, _, _ = build_snapshots(as_written, found.snapshots)
    pd.testing.assert_frame_equal(labelled, build_snapshots(table, found.snapshots)[0])


def test_short_events_get_shorter_windows_with_a_doubt() -> None:
    found = infer_snapshots(events(days=60, customers=400), "buyer", "bought")

    assert found.snapshots.label_days == 7
    assert any("windows longer than 7 days leave too few cut-offs" in doubt for doubt in found.doubts)


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (events(), ("buyers", "bought"), "no column 'buyers'; the nearest is 'buyer'"),
        (events(), ("buyer", "buyer"), "'buyer' has no times that can be read, for example 'c"),
        (events(days=30), ("buyer", "bought"), "The events cover .. days. At least 35 are needed"),
        (events().assign(bought=""), ("buyer", "bought"), "'bought' has no times that can be read"),
        (events().assign(**{" buyer": "x"}), ("buyer", "bought"), "more than one column named 'buyer'"),
    ],
)
def test_events_that_give_no_use_case_are_refused(table: pd.DataFrame, columns: tuple[str, str], message: str) -> None:
    with pytest.raises(CustomerTableError, match=message):
        infer_snapshots(table, *columns)


def test_the_written_parameters_are_those_that_were_inferred() -> None:
    found = infer_snapshots(events(), "buyer", "bought")

    written: dict[str, Any] = yaml.safe_load(render_snapshots(found.snapshots, found.doubts))["snapshots"]

    assert SnapshotParameters.model_validate({"max_unreadable_share": 0.05, **written}) == found.snapshots
    assert yaml.safe_load(render_data_processing(0, by_time=True, gap_days=found.gap_days)) == {
        "data_processing": {"split": {"method": "time", "gap_days": 30}}
    }
    written = yaml.safe_load(render_event_globals("shop", "events.csv", "data/events: 1.csv"))
    assert written["events"] == "data/events: 1.csv"
    assert written["raw_customers"].endswith("/02_intermediate/shop/snapshots.csv")


def test_the_summary_counts_rows_customers_cutoffs_and_leavers() -> None:
    table = events()
    found = infer_snapshots(table, "buyer", "bought")

    text = summarise(
        [found.report], {"customer_snapshots": "a.csv", "snapshots_to_score": "b.csv"}, {}, "x", None, None
    )

    labelled, present, _ = build_snapshots(table, found.snapshots)
    cutoffs = sorted(labelled["snapshot_date"].unique())
    counted = f"{len(labelled):,} rows of {labelled['buyer'].nunique()} customers at {len(cutoffs)} cut-offs"
    assert f"{counted} from {cutoffs[0]} to {cutoffs[-1]}; {labelled['churn'].mean():.1%} left" in text
    assert f"{len(table):,} read" in text
    assert "customers with labels: a.csv" in text
    assert f"{len(present):,} customers to score: b.csv" in text
