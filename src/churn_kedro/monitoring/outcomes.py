"""Outcomes that arrive late, joined with the predictions that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.campaigns import LoggedBatch, customer_keys
from churn_kedro.customers import CustomerDeclaration, CustomerTableError, normalise
from churn_kedro.monitoring.counts import code_customers
from churn_kedro.monitoring.parameters import OutcomeParameters
from churn_kedro.monitoring.profiles import ReferenceProfile

_SHOWN = 3


class OutcomeCounts(Record):
    """What became of the outcomes and of the predictions."""

    outcomes: int = Field(description="Rows of the table of outcomes.")
    unreadable: int = Field(0, description="Rows without a readable identifier, outcome or time.")
    duplicates: int = Field(0, description="Rows that repeat another one.")
    contradicting: int = Field(
        0, description="Rows of customers with several outcomes at one time, which are left out."
    )
    without_zone: int = Field(0, description="Times without a time zone, which are read as UTC.")
    in_future: int = Field(0, description="Outcomes observed after the time of the report, which are left out.")
    predictions: int = Field(0, description="Predictions in the log.")
    immature: int = Field(0, description="Predictions whose outcome is not final yet.")
    matched: int = Field(0, description="Matured predictions with an outcome.")
    treated: int = Field(0, description="Those of them whose customer was contacted.")
    holdout: int = Field(0, description="Those of them whose customer was deliberately not contacted.")


@dataclass(frozen=True)
class Outcomes:
    """Observed outcomes.

    Attributes:
        table: ``customer_id`` as in the prediction log, ``target`` (code of the class, or number) and ``observed_at``
            (UTC), sorted by time; one row per customer and time.
        counts: What was left out.
    """

    table: pd.DataFrame
    counts: OutcomeCounts


@dataclass(frozen=True)
class MaturedPredictions:
    """Predictions whose outcome is known.

    Attributes:
        table: ``predicted_at``, ``target``, ``score``, ``contacted`` (whether the model advised a contact), ``treated``
            (whether the customer was contacted), ``holdout``, ``decision`` and ``label`` (of the outcome, as text).
        codes: Numbers of bins of the same customers, see :func:`churn_kedro.monitoring.counts.code_customers`.
        counts: What was joined.
    """

    table: pd.DataFrame = field(default_factory=lambda: _empty())
    codes: pd.DataFrame = field(default_factory=pd.DataFrame)
    counts: OutcomeCounts = field(default_factory=lambda: OutcomeCounts(outcomes=0))


def read_outcomes(
    raw: pd.DataFrame, declaration: CustomerDeclaration, parameters: OutcomeParameters, as_of: pd.Timestamp
) -> Outcomes:
    """Read a table of outcomes.

    Args:
        raw: Identifiers and target under their declared names, and the declared column with the time of observation.
        declaration: The table's declaration.
        parameters: Column with the time of observation.
        as_of: Time of the report, UTC.

    Returns:
        One outcome per customer and time. Of customers with several outcomes at one time, none is used.

    Raises:
        CustomerTableError: A column is absent, or the declaration has no identifier.
    """
    if not declaration.id_names:
        raise CustomerTableError(
            "Outcomes are joined with predictions by the identifier of the customer, and the declaration has no column "
            "of role id. Declare one in parameters/customers.yml."
        )
    wanted = [column for column in declaration.columns if column.role in ("id", "target")]
    alone = declaration.model_copy(update={"columns": wanted, "label_days": None})
    normalised = normalise(raw, alone, with_target=True)
    table = normalised.table
    keys = customer_keys(table[declaration.id_names])
    target = table[declaration.target].astype(float)
    if parameters.time_column is None:
        times = pd.Series(as_of, index=table.index)
        without_zone = 0
    else:
        if parameters.time_column not in raw:
            raise CustomerTableError(
                f"The table of outcomes has no column '{parameters.time_column}' (monitoring.outcomes.time_column); it "
                f"has: {', '.join(map(str, raw.columns))}."
            )
        cells = raw.loc[table.index, parameters.time_column]
        times = pd.to_datetime(cells.astype("str"), utc=True, errors="coerce", format="ISO8601")
        without_zone = int((~cells.astype("str").str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True)).sum())
    readable = keys.str.strip(",").ne("") & target.notna() & times.notna()
    found = pd.DataFrame({"customer_id": keys, "target": target, "observed_at": times})[readable.to_numpy(dtype=bool)]
    future = found["observed_at"] > as_of
    found = found[~future]
    distinct = found.drop_duplicates()
    contradicting = distinct.duplicated(["customer_id", "observed_at"], keep=False)
    kept = distinct[~contradicting].sort_values(["observed_at", "customer_id"], kind="stable").reset_index(drop=True)
    return Outcomes(
        kept,
        OutcomeCounts(
            outcomes=len(raw),
            unreadable=int((~readable).sum()),
            duplicates=len(found) - len(distinct),
            contradicting=int(contradicting.sum()),
            without_zone=without_zone,
            in_future=int(future.sum()),
        ),
    )


def maturity_days(declaration: CustomerDeclaration, parameters: OutcomeParameters) -> float:
    """Return the days after a prediction from which its outcome is final."""
    return parameters.maturity_days if declaration.label_days is None else declaration.label_days


def join_outcomes(
    outcomes: Outcomes,
    predictions: Iterable[LoggedBatch],
    profile: ReferenceProfile,
    declaration: CustomerDeclaration,
    parameters: OutcomeParameters,
    as_of: pd.Timestamp,
    read: Callable[[pd.DataFrame], pd.DataFrame],
) -> MaturedPredictions:
    """Join matured predictions with the first outcome that was observed when they were mature.

    A prediction says what happens until it matures; an outcome that was observed earlier may still change. So each
    prediction gets the first outcome of its customer observed at least so many days after it; without a time of
    observation, the outcome counts for all matured predictions of its customer.

    Args:
        outcomes: Observed outcomes.
        predictions: Logged predictions, in parts.
        profile: The reference profile, in whose bins the customers are written.
        declaration: The table's declaration.
        parameters: Days until a prediction is mature.
        as_of: Time of the report, UTC.
        read: Reads the logged cells as the model does.

    Returns:
        The predictions with their outcomes.

    Raises:
        CustomerTableError: There are outcomes and matured predictions, and no outcome belongs to any prediction.
    """
    days = pd.Timedelta(days=maturity_days(declaration, parameters))
    known = pd.Index(outcomes.table["customer_id"].unique())
    found, codes, total, immature = [], [], 0, 0
    example = ""
    for part in predictions:
        table = part.predictions.reset_index(drop=True)
        total += len(table)
        times = pd.to_datetime(table["predicted_at"], utc=True, format="ISO8601")
        mature = (times + days <= as_of).to_numpy(dtype=bool)
        immature += int((~mature).sum())
        example = example or next((str(key) for key in table["customer_id"].dropna()), "")
        chosen = np.flatnonzero(mature & table["customer_id"].isin(known).to_numpy(dtype=bool))
        if not len(chosen):
            continue
        cells = part.features.reset_index(drop=True).iloc[chosen]
        found.append(table.iloc[chosen].assign(predicted_at=times.iloc[chosen]))
        codes.append(code_customers(read(cells), profile))
    counts = outcomes.counts.model_copy(update={"predictions": total, "immature": immature})
    if not found:
        if len(outcomes.table) and total > immature:
            shown = ", ".join(outcomes.table["customer_id"].head(_SHOWN))
            raise CustomerTableError(
                f"No outcome belongs to a prediction: the {total - immature:,} matured predictions have identifiers "
                f"such as {example!r}, the {len(outcomes.table):,} outcomes such as {shown}. Expected the same "
                "identifiers in both; see whether the table of outcomes is of this use case."
            )
        return MaturedPredictions(_empty(), pd.DataFrame(), counts)
    matched, coded = _match(pd.concat(found, ignore_index=True), pd.concat(codes, ignore_index=True), outcomes, days)
    treated = matched["treatment"].eq("contact").to_numpy(dtype=bool)
    holdout = matched["holdout"].to_numpy(dtype=bool) & ~treated
    table = pd.DataFrame(
        {
            "predicted_at": matched["predicted_at"],
            "target": matched["target"],
            "score": matched["score"].astype(float),
            "contacted": matched["decision"].eq("contact").to_numpy(dtype=bool),
            "decision": matched["decision"],
            "label": _labels(matched["target"], declaration),
            "treated": treated,
            "holdout": holdout,
        }
    )
    counts = counts.model_copy(
        update={"matched": len(table), "treated": int(treated.sum()), "holdout": int(holdout.sum())}
    )
    return MaturedPredictions(table, coded, counts)


def _match(
    predictions: pd.DataFrame, codes: pd.DataFrame, outcomes: Outcomes, days: pd.Timedelta
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each prediction the first outcome observed at or after its maturity."""
    due = pd.DataFrame(
        {
            "customer_id": predictions["customer_id"].astype(object),
            "due": (predictions["predicted_at"] + days).astype("datetime64[us, UTC]"),
            "position": np.arange(len(predictions)),
        }
    ).sort_values("due", kind="stable")
    observed = outcomes.table.assign(
        customer_id=outcomes.table["customer_id"].astype(object),
        observed_at=outcomes.table["observed_at"].astype("datetime64[us, UTC]"),
    )
    joined = pd.merge_asof(
        due, observed, left_on="due", right_on="observed_at", by="customer_id", direction="forward"
    ).dropna(subset=["target"])
    positions = joined["position"].to_numpy()
    matched = predictions.iloc[positions].assign(target=joined["target"].to_numpy())
    order = matched["predicted_at"].argsort(kind="stable").to_numpy()
    return (
        matched.iloc[order].reset_index(drop=True),
        codes.iloc[positions[order]].reset_index(drop=True),
    )


def _labels(target: pd.Series, declaration: CustomerDeclaration) -> pd.Series:
    """Labels of the classes as text; missing for a regression."""
    if declaration.task == "regression":
        return pd.Series(None, index=target.index, dtype=object)
    return target.map({float(code): str(label) for code, label in enumerate(declaration.classes)}).astype(object)


def _empty() -> pd.DataFrame:
    names = ["score", "target"]
    flags = ["contacted", "treated", "holdout"]
    return pd.DataFrame(
        {"predicted_at": pd.Series(dtype="datetime64[us, UTC]")}
        | {name: pd.Series(dtype=object) for name in ("decision", "label")}
        | {name: pd.Series(dtype=float) for name in names}
        | {name: pd.Series(dtype=bool) for name in flags}
    )
