"""Inference of a first declaration from a customer table: heuristic guesses, each with its reason.

Every column has a summary of its values, and every guess that needs a review has a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from churn_kedro.base import one_line
from churn_kedro.customers.declaration import RESERVED_NAMES, CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import clean_header, find_header_rows, require_distinct_names
from churn_kedro.customers.onboarding.cells import ColumnGuess, divide_name, find_decimal, summarise_cells
from churn_kedro.customers.onboarding.columns import CUSTOMER_ID_NAME, guess_column
from churn_kedro.customers.onboarding.target import guess_target
from churn_kedro.customers.tasks import Task

_NAMED_FEATURES = 3
# One for each part of the split.
_LEAST_TIMES = 3


@dataclass(frozen=True)
class Onboarding:
    """The inferred declaration of a table.

    Attributes:
        declaration: The declaration.
        columns: The guess for each declared column, in the order of the file.
        doubts: Doubts about the table as a whole.
        target_seen: Summary of the target's values.
        rejected_share: Share of rows that validation rejects, at most.
        by_time: Whether customers have rows at several times, which needs a split by time.
    """

    declaration: CustomerDeclaration
    columns: list[ColumnGuess]
    doubts: list[str]
    target_seen: str
    rejected_share: float
    by_time: bool = False


def infer_declaration(
    raw: pd.DataFrame,
    target: str,
    *,
    positive: str | None = None,
    task: Task | None = None,
    identifier: str | None = None,
    description: str = "",
    descriptions: Mapping[str, str] | None = None,
    label_days: float | None = None,
) -> Onboarding:
    """Infer the declaration of a table.

    Args:
        raw: The table as the file writes it.
        target: Name of the target column.
        positive: Label of the customers who left; None: inferred.
        task: What is predicted; None: inferred.
        identifier: Column that identifies the customer; None: inferred.
        description: One line about the table; empty: made from the columns, with a doubt.
        descriptions: Descriptions of columns; of the others, they are made from the names.
        label_days: Days after the time of a row until its label is known; None: unknown.

    Returns:
        A declaration under which the table is valid, except for rows that the doubts name, with the reason for each
        guess.

    Raises:
        CustomerTableError: The target is absent or has one value only, or the table has no rows or no usable feature.
    """
    header = clean_header(raw)
    body = raw.drop(index=find_header_rows(raw)).set_axis(header, axis=1)
    require_column(header, target)
    if not len(body):
        raise CustomerTableError("The table has a header but no rows: there is nothing to infer a declaration from.")
    require_distinct_names(header)
    doubts: list[str] = []
    # Repeated rows are ignored in the search for a key.
    distinct_rows = len(body) - int(body.duplicated().sum())
    decimal = find_decimal(body)
    if decimal == ",":
        doubts.append("numbers are written with a decimal comma")
    guessed = guess_target(summarise_cells(body, target, decimal), positive=positive, task=task)
    guesses = [
        guessed.column if name == target else guess_column(summarise_cells(body, name, decimal), distinct_rows)
        for name in header
        if name
    ]
    for guess in guesses:
        guess.fields["description"] = (descriptions or {}).get(guess.name, guess.fields["description"])
    if identifier is not None:
        guesses = [_declare_identifier(guess) if guess.name == identifier else guess for guess in guesses]
    _keep_one_identifier(guesses, body, identifier)
    if "" in header:
        doubts.append("a column without a name was left out")
    features = [guess.name for guess in guesses if guess.fields.get("role", "feature") == "feature"]
    if not features:
        raise CustomerTableError(
            "The table has no usable feature: every column except for the target is constant, free text or an "
            "identifier."
        )
    if not description:
        description = _describe_table(guessed.labels, target, features)
        doubts.append("its description is made from its columns: say whose customers they are with --description")
    declaration = _validate(
        {
            "description": description,
            "task": guessed.task,
            "labels": guessed.labels,
            "decimal": decimal,
            "label_days": label_days,
            "columns": [guess.fields for guess in guesses],
        }
    )
    ids = declaration.id_names
    if not ids:
        doubts.append("no column identifies a customer: predictions come in the order of the file")
    by_time = _is_split_by_time(declaration, body.drop_duplicates(), doubts)
    rejected = min(1.0, sum(guess.set_aside for guess in guesses) / len(body))
    return Onboarding(declaration, guesses, doubts, guessed.column.seen, rejected, by_time)


def _is_split_by_time(declaration: CustomerDeclaration, body: pd.DataFrame, doubts: list[str]) -> bool:
    """Check whether customers have rows at enough times for a split by time."""
    ids, time = declaration.id_names, declaration.time
    if not ids or not body.duplicated(ids).any():
        return False
    if time is None:
        doubts.append(
            f"customers have several rows by {', '.join(ids)}: a random split keeps those of a customer in one part. "
            "If a column has the time of the row, give it role time, and split by time"
        )
        return False
    times = body[time].nunique()
    if times < _LEAST_TIMES:
        doubts.append(
            f"customers have several rows over {time}, at {times} times: too few for a split by time, which needs "
            f"{_LEAST_TIMES}, so that it is random, with the rows of a customer in one part"
        )
        return False
    doubts.append(f"customers have several rows over {time}: the split is by time, with the latest rows for test")
    if declaration.label_days is None:
        doubts.append(
            "if labels come about in days after that time, declare them as label_days, and as "
            "data_processing.split.gap_days, so that no part learns from the time of a later one"
        )
    return True


def _describe_table(labels: dict[str, Any] | None, target: str, features: Sequence[str]) -> str:
    predicted = f"{target} = {labels['positive']}" if labels and "positive" in labels else target
    named = ", ".join(features[:_NAMED_FEATURES])
    more = len(features) - _NAMED_FEATURES
    return one_line(f"Customers by {named}{f' and {more} more columns' if more > 0 else ''}; {predicted} is predicted")


def _validate(declared: dict[str, Any]) -> CustomerDeclaration:
    try:
        return CustomerDeclaration.model_validate(declared)
    except ValidationError as error:
        reasons = "; ".join(found["msg"].removeprefix("Value error, ") for found in error.errors())
        raise CustomerTableError(f"The table cannot be declared: {reasons}. Correct it in the file.") from error


def _declare_identifier(guess: ColumnGuess) -> ColumnGuess:
    kept = {key: guess.fields[key] for key in ("name", "nullable", "missing", "description") if key in guess.fields}
    return ColumnGuess(kept | {"role": "id"}, guess.seen)


def _keep_one_identifier(guesses: list[ColumnGuess], body: pd.DataFrame, wanted: str | None) -> None:
    """Keep one identifier, so that phone numbers and addresses do not appear in the scored list."""
    keys = [guess for guess in guesses if guess.fields.get("role") == "id"]
    reserved = [guess for guess in keys if guess.name in RESERVED_NAMES or guess.name.startswith("probability_")]
    chosen, counter = _choose_identifier([guess for guess in keys if guess not in reserved], body)
    chosen = next((guess for guess in keys if guess.name == wanted), chosen)
    for guess in keys:
        if guess is chosen:
            continue
        repeats = "repeats" in guess.seen
        for key in ("nullable", "missing"):
            guess.fields.pop(key, None)
        guess.fields["role"] = "ignored"
        if guess in reserved:
            reason = "the scored list has a column of this name"
        elif guess is counter:
            reason = f"it counts the rows, and {chosen.name if chosen else ''} repeats for each customer"
        else:
            reason = "another column identifies customers"
            if repeats:
                reason += "; if its rows belong to one customer or household, give it role group and split by group"
        guess.doubts.append(f"an identifier that is left out: {reason}")


def _choose_identifier(
    keys: Sequence[ColumnGuess], body: pd.DataFrame
) -> tuple[ColumnGuess | None, ColumnGuess | None]:
    """Return the identifier of the customers, and the counter of the rows that it is preferred to."""
    of_customers = [guess for guess in keys if CUSTOMER_ID_NAME.search("_".join(divide_name(guess.name)).casefold())]
    chosen = next(iter([*of_customers, *keys]), None)
    repeating = next((guess for guess in of_customers if "repeats" in guess.seen), None)
    if chosen is None or repeating is None or chosen is repeating:
        return chosen, None
    numbers = pd.to_numeric(body[chosen.name], errors="coerce").to_numpy(dtype=np.float64)
    counts_rows = bool(np.isfinite(numbers).all() and (np.diff(np.sort(numbers)) == 1).all())
    return (repeating, chosen) if counts_rows else (chosen, None)


def require_column(header: Sequence[str], name: str) -> None:
    """Require a column that the user names.

    Args:
        header: Names of the columns.
        name: The column.

    Raises:
        CustomerTableError: There is none; the message has the nearest name.
    """
    if not name or name not in header:
        nearest = get_close_matches(name, list(filter(None, header)), n=1, cutoff=0.5)
        raise CustomerTableError(
            f"There is no column '{name}'{f'; the nearest is {nearest[0]!r}' if nearest else ''}. The file has: "
            f"{', '.join(header)}."
        )
