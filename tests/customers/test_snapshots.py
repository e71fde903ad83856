"""Claims about snapshots of customers made from events: features do not depend on events after the cut-off."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.snapshots import EventColumns, SnapshotParameters, build_snapshots

COLUMNS = EventColumns(customer="who", timestamp="when", amount="paid")


def parameters(**changes: Any) -> SnapshotParameters:
    return SnapshotParameters.model_validate(
        {
            "columns": COLUMNS,
            "every_days": 30,
            "history_days": 60,
            "label_days": 30,
            "windows_days": [10, 60],
            "max_unreadable_share": 0.1,
        }
        | changes
    )


def events(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["who", "when", "paid"]).astype({"who": "str", "when": "str"}).astype("str")


BY_HAND = events(
    ("a", "2026-01-01", 5),
    ("a", "2026-02-20 08:00", 10),
    ("a", "2026-03-05", 20),
    ("b", "2026-01-10", 1),
    ("b", "2026-02-28", 2),
    ("c", "2025-12-30", 7),
    ("d", "2026-03-01", 9),
    ("d", "2026-03-30 23:59", 3),
)


def test_features_and_labels_of_one_cutoff_by_hand() -> None:
    labelled, _, report = build_snapshots(BY_HAND, parameters(first_cutoff="2026-03-01", last_cutoff="2026-03-01"))

    rows = labelled.set_index("who")
    assert rows.index.tolist() == ["a", "b"]  # c was active too long ago; d's first event is the cut-off day itself.
    assert rows["snapshot_date"].unique().tolist() == ["2026-03-01"]
    assert rows["churn"].tolist() == [0, 1]
    assert rows["events"].tolist() == [2, 2]
    assert rows["amount"].tolist() == [15, 3]
    assert rows["mean_amount"].tolist() == [7.5, 1.5]
    assert rows["tenure_days"].tolist() == [59, 50]
    assert rows["recency_days"].round(3).tolist() == [8.667, 1]
    assert rows["mean_gap_days"].round(3).tolist() == [50.333, 49]
    assert rows["events_10d"].tolist() == [1, 1]
    assert rows["amount_60d"].tolist() == [15, 3]
    assert [(record.customers, record.churned) for record in report.cutoffs] == [(2, 1)]


def test_rows_to_score_are_as_of_the_day_after_the_last_event() -> None:
    _, present, report = build_snapshots(BY_HAND, parameters())

    assert present["snapshot_date"].unique().tolist() == ["2026-03-31"]
    assert present["who"].tolist() == ["a", "b", "d"]
    assert "churn" not in present
    assert report.last_event == "2026-03-30 23:59:00"


@pytest.mark.slow
def test_cutoffs_end_where_the_label_window_still_fits() -> None:
    _, _, report = build_snapshots(BY_HAND, parameters(every_days=1, history_days=30))

    assert [record.cutoff for record in report.cutoffs] == [
        *(f"2026-01-{day}" for day in (29, 30, 31)),
        *(f"2026-02-{day:02}" for day in range(1, 29)),
        "2026-03-01",
    ]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(0, 240),
        st.floats(0, 100).map(lambda amount: round(amount, 2)),
    ),
    min_size=30,
    max_size=60,
)


@pytest.mark.slow
@settings(max_examples=10)
@given(rows=EVENTS, seed=st.integers(0, 5))
def test_features_do_not_depend_on_events_after_the_cutoff(rows: list[tuple[str, int, float]], seed: int) -> None:
    start = pd.Timestamp("2025-01-01")
    # The first and the last day are fixed, so that the cut-offs are.
    table = pd.DataFrame([("a", 0, 1.0), *rows, ("b", 240, 1.0)], columns=["who", "day", "paid"])
    given_events = table.assign(when=(start + pd.to_timedelta(table["day"], unit="D")).astype("str"))
    labelled, _, report = build_snapshots(given_events, parameters())

    for record in report.cutoffs:
        random = np.random.default_rng(seed)
        cut = (pd.Timestamp(record.cutoff) - start).days
        future = table["day"] >= cut
        other = table.copy()
        other.loc[future, "who"] = random.choice(list("abcd"), int(future.sum()))
        other.loc[future, "paid"] = random.uniform(0, 100, int(future.sum()))
        other.loc[future & (other["day"] < 240), "day"] = random.integers(
            cut, 240, int((future & (other["day"] < 240)).sum())
        )
        changed = other.assign(when=(start + pd.to_timedelta(other["day"], unit="D")).astype("str"))
        again, _, _ = build_snapshots(changed, parameters())

        expected, found = (
            rows_of[rows_of["snapshot_date"] == record.cutoff].drop(columns="churn") for rows_of in (labelled, again)
        )
        pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))


def test_the_label_depends_on_its_window_only() -> None:
    late = events(("a", "2026-01-01", 1), ("a", "2026-04-15", 1), ("z", "2026-06-30", 1))

    labelled, _, _ = build_snapshots(late, parameters(first_cutoff="2026-02-01", last_cutoff="2026-02-01"))

    assert labelled["churn"].tolist() == [1]


def test_events_that_cannot_be_read_are_counted_and_too_many_are_refused() -> None:
    faulty = pd.concat([BY_HAND] * 3 + [events(("", "2026-01-02", 1), ("a", "soon", 1))], ignore_index=True)

    assert build_snapshots(faulty, parameters())[2].events_unreadable == 2
    with pytest.raises(CustomerTableError, match=r"2 of 26 events lack .* at most 1\.0% are accepted"):
        build_snapshots(faulty, parameters(max_unreadable_share=0.01))


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        (BY_HAND.drop(columns="when"), {}, "lacks 'when'; it has who, paid"),
        (BY_HAND, {"last_cutoff": "2026-03-15"}, r"labelled on an incomplete window. Use at most 2026-03-01"),
        (BY_HAND, {"history_days": 365}, "too short for history_days 365 and label_days 30"),
        (BY_HAND.head(0), {}, "0 of 0 events"),
        (BY_HAND.assign(**{" who": "x"}), {}, "more than one column named 'who'"),
    ],
)
def test_events_that_cannot_be_used_are_refused(table: pd.DataFrame, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CustomerTableError, match=message):
        build_snapshots(table, parameters(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows_days": [0]}, "windows_days must be positive"),
        ({"first_cutoff": "soon"}, "'soon' is not a day of the form 2026-01-31"),
        ({"first_cutoff": "2026-02-01", "last_cutoff": "2026-01-01"}, "is after last_cutoff"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parameters(**changes)


def test_amounts_are_optional() -> None:
    labelled, _, _ = build_snapshots(
        BY_HAND.drop(columns="paid"), parameters(columns=COLUMNS.model_copy(update={"amount": None}))
    )

    assert not [name for name in labelled if "amount" in str(name)]
