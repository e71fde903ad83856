"""Late outcomes joined with the predictions that they belong to."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from churn_kedro.campaigns.logged_predictions import LoggedBatch
from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.monitoring.outcomes import MaturedPredictions, Outcomes, join_outcomes, read_outcomes
from churn_kedro.monitoring.parameters import OutcomeParameters
from churn_kedro.monitoring.realised import weigh
from tests.monitoring import cases

# Customer, time, treatment, holdout.
Prediction = tuple[str, str, str | None, bool]
AS_OF = pd.Timestamp("2026-06-30T12:00:00Z")
TIMED = OutcomeParameters(maturity_days=60, time_column="observed_at")


def _read(rows: list[dict[str, Any]], parameters: OutcomeParameters = TIMED) -> Outcomes:
    return read_outcomes(pd.DataFrame(rows), cases.declaration(), parameters, AS_OF)


def _row(customer: Any, left: Any, at: str = "2026-06-01T00:00:00Z") -> dict[str, Any]:
    return {"CustomerId": customer, "Exited": left, "observed_at": at}


def _logged(rows: Sequence[Prediction]) -> list[LoggedBatch]:
    """Logged predictions: customer, time, treatment, holdout."""
    predictions = pd.DataFrame(
        {
            "customer_id": [row[0] for row in rows],
            "predicted_at": [row[1] for row in rows],
            "treatment": [row[2] for row in rows],
            "holdout": [row[3] for row in rows],
            "score": 0.5,
            "decision": ["contact" if row[2] or row[3] else "no_contact" for row in rows],
            "expected_value": 1.0,
        }
    )
    return [LoggedBatch(predictions, cases.bank(len(rows), seed=1).drop(columns="Exited"))]


def _join(outcomes: Outcomes, rows: Sequence[Prediction]) -> MaturedPredictions:
    profile, declaration = cases.reference().profile, cases.declaration()
    return join_outcomes(outcomes, _logged(rows), profile, declaration, TIMED, AS_OF, lambda cells: cells)


def test_labels_and_identifiers_are_read_as_in_the_customer_table() -> None:
    found = _read([_row(" 15634602 ", "1"), _row(15647311, 0)])

    assert found.table["customer_id"].tolist() == ["15634602", "15647311"]
    assert found.table["target"].tolist() == [1.0, 0.0]


def test_times_of_all_zones_become_utc_and_those_without_are_counted() -> None:
    found = _read([_row(1, 1, "2026-06-01T02:00:00+02:00"), _row(2, 0, "2026-06-01 00:00:00")])

    assert found.table["observed_at"].tolist() == [pd.Timestamp("2026-06-01T00:00:00Z")] * 2
    assert found.counts.without_zone == 1


def test_repeated_outcomes_count_once_and_contradicting_ones_not_at_all() -> None:
    found = _read([_row(1, 1), _row(1, 1), _row(2, 1), _row(2, 0), _row(3, 0)])

    assert found.table["customer_id"].tolist() == ["1", "3"]
    assert (found.counts.duplicates, found.counts.contradicting) == (1, 2)


def test_what_cannot_be_read_or_lies_in_the_future_is_left_out_and_counted() -> None:
    found = _read([_row(1, "perhaps"), _row("", 1), _row(3, 0, "soon"), _row(4, 0, "2026-08-01T00:00:00Z"), _row(5, 1)])

    assert found.table["customer_id"].tolist() == ["5"]
    assert (found.counts.unreadable, found.counts.in_future) == (3, 1)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(CustomerTableError, match=r"no column 'observed_at' \(monitoring.outcomes.time_column\)"):
        read_outcomes(pd.DataFrame({"CustomerId": [1], "Exited": [0]}), cases.declaration(), TIMED, AS_OF)
    with pytest.raises(CustomerTableError, match="'Exited'"):
        _read([{"CustomerId": 1, "Left": 0}])


def test_only_mature_predictions_get_the_first_outcome_observed_when_they_were_mature() -> None:
    outcomes = _read([
        _row(1, 0, "2026-03-15T00:00:00Z"),  # before the prediction of January is mature? it was due on 2 March
        _row(1, 1, "2026-05-15T00:00:00Z"),
        _row(2, 1, "2026-05-01T00:00:00Z"),
    ])  # fmt: skip

    found = _join(outcomes, [
        ("1", "2026-01-01T00:00:00+00:00", None, False),  # due 2 March: 15 March, stayed
        ("1", "2026-02-01T00:00:00+00:00", None, False),  # due 2 April: 15 May, left
        ("2", "2026-04-01T00:00:00+00:00", None, False),  # due 31 May: no outcome as late
        ("2", "2026-05-15T00:00:00+00:00", None, False),  # due 14 July: not mature
        ("9", "2026-01-01T00:00:00+00:00", None, False),  # no outcome
    ])  # fmt: skip

    assert found.table["target"].tolist() == [0.0, 1.0]
    assert (found.counts.predictions, found.counts.immature, found.counts.matched) == (5, 1, 2)
    assert len(found.codes) == 2


def test_outcomes_without_a_time_count_for_all_mature_predictions() -> None:
    parameters = OutcomeParameters(maturity_days=60)
    raw = pd.DataFrame({"CustomerId": [1], "Exited": [1]})
    outcomes = read_outcomes(raw, cases.declaration(), parameters, AS_OF)

    times = ("2026-01-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00")
    found = _join(outcomes, [("1", time, None, False) for time in times])

    assert found.table["target"].tolist() == [1.0, 1.0]


def test_contacted_customers_are_told_from_the_holdout_which_stands_for_them() -> None:
    rows: list[Prediction] = [(str(number), "2026-01-01T00:00:00+00:00", "contact", False) for number in range(6)]
    rows += [("10", "2026-01-01T00:00:00+00:00", None, True), ("11", "2026-01-01T00:00:00+00:00", None, True)]
    rows += [("12", "2026-01-01T00:00:00+00:00", None, False)]

    found = _join(_read([_row(number, 0) for number in (*range(6), 10, 11, 12)]), rows)

    # Eight were worth a contact, two of them are the holdout.
    assert weigh(found.table).tolist() == [0.0] * 6 + [4.0, 4.0, 1.0]
    # Without a holdout, all are used.
    assert weigh(found.table[~found.table["holdout"]]).tolist() == [1.0] * 7
    assert (found.counts.treated, found.counts.holdout) == (6, 2)


def test_outcomes_that_belong_to_no_prediction_are_an_error_with_examples_of_both() -> None:
    outcomes = _read([_row("A-1", 0), _row("A-2", 1)])

    with pytest.raises(CustomerTableError, match=r"identifiers such as '15634602', the 2 outcomes such as A-1, A-2"):
        _join(outcomes, [("15634602", "2026-01-01T00:00:00+00:00", None, False)])


def test_outcomes_before_any_prediction_is_mature_are_no_error() -> None:
    found = _join(_read([_row(1, 0)]), [("7", "2026-06-20T00:00:00+00:00", None, False)])

    assert (found.counts.matched, found.counts.immature) == (0, 1)
    assert found.table.empty
