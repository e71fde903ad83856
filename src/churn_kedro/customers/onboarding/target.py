"""Inference of the task and of the labels from the target column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_estimators.cells import is_number
from churn_kedro.customers.declaration import CustomerTableError, Level
from churn_kedro.customers.onboarding.cells import MOSTLY, Cells, ColumnGuess, as_level, describe_name, listed
from churn_kedro.customers.tasks import Task

_MAX_CLASSES = 20
_LEAST_CLASS = 10
# Two labels are the target's if all other values together have at most this share of the rows, or of the rarer label.
_STRAY_SHARE = 0.01
_STRAY_TO_RARER = 0.2
_MAX_STRAYS = 20
_SHOWN_ROWS = 5
_POSITIVE_WORDS = frozenset(
    {"yes", "y", "true", "t", "1", "churn", "churned", "churner", "exited", "exit", "left", "leave", "leaves", "lost"}
    | {"attrited", "attrition", "attrited customer", "cancelled", "canceled", "closed", "gone", "positive", "default"}
)
_NEGATIVE_WORDS = frozenset(
    {"no", "n", "false", "f", "0", "stay", "stayed", "stays", "active", "retained", "existing", "existing customer"}
    | {"current", "loyal", "negative", "not churned", "no churn", "kept"}
)


@dataclass(frozen=True)
class TargetGuess:
    """The inferred target.

    Attributes:
        labels: ``labels`` of the declaration; None for a regression.
        task: What is predicted.
        column: The declaration of the column.
    """

    labels: dict[str, Any] | None
    task: Task
    column: ColumnGuess


def names_positive(positive: str, negative: str) -> bool:
    """Check whether the first of two words means yes, or the second one no.

    Args:
        positive: A level.
        negative: Another one.

    Returns:
        Whether they are in this order.
    """
    return positive.casefold() in _POSITIVE_WORDS or negative.casefold() in _NEGATIVE_WORDS


def guess_target(cells: Cells, *, positive: str | None, task: Task | None) -> TargetGuess:
    """Infer task, labels and declaration of the target.

    Args:
        cells: The target column.
        positive: Label of the customers who left; None: inferred.
        task: What is predicted; None: inferred.

    Returns:
        The guess. Rows with another value than the labels are set aside by validation.

    Raises:
        CustomerTableError: The column has one value only, or does not fit the task.
    """
    distinct = len(_spellings(cells))
    if distinct < 2:
        raise CustomerTableError(
            f"The target '{cells.name}' has {distinct} different values (spellings of a word or number are one): "
            "a model cannot be trained on it."
        )
    fields: dict[str, Any] = {"name": cells.name, "role": "target", "description": describe_name(cells.name)}
    if cells.markers:
        fields["missing"] = cells.markers
    column = ColumnGuess(fields, "", [], cells.missing)
    if cells.missing:
        column.doubts.append(f"{cells.missing:,} rows have no target: they are rejected")
    if task == "regression":
        return _guess_regression(cells, column)
    values = _count_values(cells, column)
    strays = _find_strays(values) if task != "multiclass" else []
    if strays:
        values = values.drop(strays)
        _set_aside(cells, strays, column)
    levels: list[Level] = (
        [as_level(float(value)) for value in values.index] if _all_numbers(values) else list(values.index)
    )
    if not _all_numbers(values):
        _require_words(cells, values)
    else:
        declare_format(cells, column)
    found = task or _guess_task(cells, levels, values, column)
    if found == "regression":
        return _guess_regression(cells, column)
    levels.sort(key=lambda level: (isinstance(level, str), level))
    if found == "multiclass":
        column.seen = f"{len(levels)} classes: {listed(list(values.index))}"
        return TargetGuess({"classes": levels}, found, column)
    return _guess_binary(cells, column, levels, values, positive)


def _guess_binary(
    cells: Cells, column: ColumnGuess, levels: Sequence[Level], values: pd.Series, positive: str | None
) -> TargetGuess:
    if len(levels) != 2:
        raise CustomerTableError(_explain_values(cells, values))
    chosen, other = _choose_positive(cells, levels, values, positive, column.doubts)
    share = float(values[str(chosen)] / values.sum())
    column.seen = f"{chosen!r} in {share:.1%} of the rows, else {other!r}"
    if share > 0.5:
        column.doubts.append(
            f"{share:.1%} of the customers have {chosen!r}, which is taken for leaving; if it means staying, use "
            f"--positive {other}"
        )
    return TargetGuess({"positive": chosen, "negative": other}, "binary", column)


def _all_numbers(values: pd.Series) -> bool:
    return all(is_number(str(value)) for value in values.index)


def _count_values(cells: Cells, column: ColumnGuess) -> pd.Series:
    """Count rows per value; spellings of a word or number are one value, as in reading."""
    counts: dict[str, int] = {}
    for value, spellings in _spellings(cells).items():
        counts[value] = int(cells.counts[spellings].sum())
        if len(spellings) > 1 and not is_number(value):
            column.doubts.append(f"{listed(spellings)} are read as one label, {value!r}")
    return pd.Series(counts).sort_values(ascending=False, kind="stable")


def _spellings(cells: Cells) -> dict[str, list[str]]:
    """Spellings of each value, by the number or the most frequent spelling."""
    found: dict[str, list[str]] = {}
    for level, number in zip(cells.levels, cells.numbers, strict=True):
        found.setdefault(level.casefold() if np.isnan(number) else f"{number:.15g}", []).append(level)
    return {key if is_number(key) else words[0]: words for key, words in found.items()}


def _find_strays(values: pd.Series) -> list[str]:
    """Return the values beside two frequent ones that are few enough to be errors."""
    others = values.iloc[2:]
    few = 0 < len(others) <= _MAX_STRAYS
    rare = others.sum() <= min(_STRAY_SHARE * values.sum(), _STRAY_TO_RARER * values.iloc[1])
    return [str(value) for value in others.index] if few and rare else []


def _set_aside(cells: Cells, strays: Sequence[str], column: ColumnGuess) -> None:
    rows = _list_rows(cells, strays)
    column.set_aside += sum(len(found) for found in rows.values())
    column.doubts.append(
        f"beside its two labels it has {_describe_rows(rows)}: these rows are set aside; correct them in the file, or "
        "use --task if they are no errors"
    )


def _list_rows(cells: Cells, values: Sequence[str]) -> dict[str, list[int]]:
    """Positions of the rows of each value, the first row below the header is 1."""
    spellings = _spellings(cells)
    labels = {value: cells.text.index[cells.text.isin(spellings[value])] for value in values}
    return {value: [int(label) + 1 for label in found] for value, found in labels.items()}


def _describe_rows(rows: dict[str, list[int]]) -> str:
    shown = list(rows.items())[:_SHOWN_ROWS]
    parts = [
        f"{level!r} in {'row' if len(found) == 1 else 'rows'} {', '.join(map(str, found[:_SHOWN_ROWS]))}"
        + (f" and {len(found) - _SHOWN_ROWS:,} more" if len(found) > _SHOWN_ROWS else "")
        for level, found in shown
    ]
    more = len(rows) - len(shown)
    return "; ".join(parts) + (f"; and {more} other values" if more else "")


def _explain_values(cells: Cells, values: pd.Series) -> str:
    counted = ", ".join(f"{value!r} ({count:,} rows)" for value, count in values.head(_SHOWN_ROWS).items())
    rows = _list_rows(cells, [str(value) for value in values.index[2:]])
    few = values.iloc[2:].sum() <= (1 - MOSTLY) * values.sum()
    advice = (
        f"Rows beside the two labels: {_describe_rows(rows)}. Correct or remove them in the file."
        if few
        else "Merge its values into two in the file, or use --task multiclass (regression for a quantity)."
    )
    return (
        f"The target '{cells.name}' has {len(values)} different values, not two: {counted}"
        f"{', …' if len(values) > _SHOWN_ROWS else ''}. {advice}"
    )


def _require_words(cells: Cells, values: pd.Series) -> None:
    number = next((value for value in values.index if is_number(str(value))), None)
    if number is not None:
        raise CustomerTableError(
            f"The target '{cells.name}' has the label {number!r}, a number, among labels that are not numbers. Use "
            "words for all of them in the file, or numbers in the digits 0 to 9."
        )


def _guess_task(cells: Cells, levels: Sequence[Level], values: pd.Series, column: ColumnGuess) -> Task:
    if len(levels) == 2:
        return "binary"
    few = len(levels) <= _MAX_CLASSES
    if isinstance(levels[0], str):
        if few:
            return "multiclass"
        # Amounts with a currency sign are words in the count.
        if cells.share_of(cells.numbers.notna()) >= MOSTLY:
            return "regression"
        raise CustomerTableError(
            f"The target '{cells.name}' has {len(levels)} different words, more than the {_MAX_CLASSES} classes that "
            "are supported, and is not numeric."
        )
    # Each class occurs often; values of a measurement do not.
    rarest = int(values.iloc[-1])
    if few and all(isinstance(level, int) for level in levels) and rarest >= max(_LEAST_CLASS, 0.01 * cells.filled):
        column.doubts.append(
            f"{len(levels)} whole numbers are taken for classes; if they are counts, use --task regression"
        )
        return "multiclass"
    if few:
        column.doubts.append(
            f"{len(levels)} different numbers ({cells.list_counted(cells.levels)}) are taken for a quantity; if they "
            "are labels, correct the rare ones in the file, or use --task multiclass"
        )
    return "regression"


def _guess_regression(cells: Cells, column: ColumnGuess) -> TargetGuess:
    numbers = cells.numbers
    unreadable = [level for level, number in zip(cells.levels, numbers, strict=True) if np.isnan(number)]
    if cells.share_of(numbers.notna()) < MOSTLY:
        raise CustomerTableError(
            f"The target '{cells.name}' is not numeric, for example {unreadable[0]!r}; --task regression needs numbers."
        )
    if unreadable:
        column.set_aside += int(cells.counts[unreadable].sum())
        column.doubts.append(f"not a number: {cells.list_counted(unreadable)}: these rows are set aside")
    if not {"remove", "thousands"} & set(column.fields):
        declare_format(cells, column)
    column.seen = f"numbers from {numbers.min():g} to {numbers.max():g}"
    return TargetGuess(None, "regression", column)


def declare_format(cells: Cells, guess: ColumnGuess) -> None:
    """Declare units and thousands separators of a column.

    Args:
        cells: The column.
        guess: Its guess, which is changed.
    """
    written = cells.format
    if written.remove:
        guess.fields["remove"] = list(written.remove)
    if written.thousands:
        guess.fields["thousands"] = written.thousands
    if written.remove or written.thousands:
        level, number = next(
            (level, number)
            for level, number in zip(cells.levels, cells.numbers, strict=True)
            if not np.isnan(number) and not is_number(level)
        )
        guess.doubts.append(f"amounts such as {level!r} are read as {number:.15g}")


def _choose_positive(
    cells: Cells, levels: Sequence[Level], values: pd.Series, wanted: str | None, doubts: list[str]
) -> tuple[Level, Level]:
    """Choose the label of the customers who left; return it and the other one."""
    pairs = [(levels[1], levels[0]), (levels[0], levels[1])]
    if wanted is not None:
        for chosen, other in pairs:
            if str(chosen).casefold() == wanted.casefold():
                return chosen, other
        raise CustomerTableError(
            f"The target '{cells.name}' has no label {wanted!r}; it has {' and '.join(map(repr, levels))}."
        )
    # 1 is the positive label beside 0 or -1, but not beside 2.
    conclusive = isinstance(levels[0], str) or set(levels) in ({0, 1}, {-1, 1})
    for chosen, other in pairs if conclusive else []:
        if names_positive(str(chosen), str(other)):
            return chosen, other
    rarest = str(values.index[-1])
    chosen, other = next(pair for pair in pairs if str(pair[0]) == rarest)
    doubts.append(f"which label means that the customer left is unclear; the rarer one is taken: {chosen!r}")
    return chosen, other
