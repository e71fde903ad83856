"""Inference of the declaration of one column from its cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from churn_estimators.cells import is_number, read_dates
from churn_kedro.customers.identifiers import resembles_a_key
from churn_kedro.customers.onboarding.cells import (
    MOSTLY,
    Cells,
    ColumnGuess,
    as_level,
    describe_name,
    listed,
    missing_words,
)
from churn_kedro.customers.onboarding.target import declare_format, names_positive

# Maximum number of levels, and of words for "missing", that are declared.
_MAX_DECLARED_LEVELS = 30
# Text with more distinct values than this share of the rows identifies customers.
_IDENTIFYING_SHARE = 0.2
_FEW_ROWS = 30
# Minimum share of distinct values of a key.
_KEY_SHARE = 0.9
# Minimum share of missing cells for a column with one value to be a flag.
_FLAG_SHARE = 0.01
_CODE_DIGITS = 5
_MAX_CODES = 20
# Below MOSTLY, a column is numeric beside few words that repeat, such as "refused".
_AT_LEAST_NUMBERS = 0.5
_MAX_MARKERS = 3
# Minimum share of codes with a leading zero, as in postal codes.
_LEADING_ZEROS = 0.01
_FREE_TEXT_WORDS = 4
# The smallest number is suspicious where the next one is this share of the range away.
_WIDE_GAP = 0.15
# A number of nines among its neighbours is suspicious where it occurs so many times as often as they do.
_TIMES_NEIGHBOURS = 3
_NEIGHBOURS = 10
# A level in at most so many rows may be a misspelling of a similar one in so many times as many.
_MISSPELT_ROWS, _TIMES_MISSPELT = 3, 100
_SIMILAR = 0.75
_YEARS = (1902, 2100)

_KEY_WORD = r"(?:id|ids|uuid|guid|key|ref|reference|msisdn|phone|email|iban)"
_ID_NAME = re.compile(
    rf"(^|[^a-z]){_KEY_WORD}([^a-z]|$)|(^|[^a-z])(number|no|nr|num|account|customer|client)$"
    r"|(customer|client|user|account|row|member|policy|subscriber)_?(id|no|nr|num|number|key|code)s?$"
)
CUSTOMER_ID_NAME = re.compile(
    r"^id$|(^|_)(customer|client|cust|user|account|member|subscriber|policy|household)_?(id|no|nr|num|number|key|code)$"
    r"|^(customer|client|user|member|subscriber|msisdn)$"
)
_ROW_NAME = re.compile(
    r"^(unnamed|index|row|rownumber|row_number|rownum|row_num|obs|observation|sno|serial)\b|^unnamed"
)
_CODE_NAME = re.compile(
    r"(^|[^a-z])(code|type|category|class|region|segment|zone|status|group|cluster|branch|plan)([^a-z]|$)"
)
_TIME_NAME = re.compile(
    r"^(date|time|timestamp|month|period|week|day)$|snapshot|as_of|asof|observ|report|period|timestamp"
)
_AGE_NAME = re.compile(r"(^|_)age($|_)")
_SCALES: tuple[tuple[str, ...], ...] = (
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high"),
    ("small", "medium", "large"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("daily", "weekly", "monthly", "quarterly", "annual"),
    ("bronze", "silver", "gold", "platinum"),
    ("bad", "poor", "fair", "good", "excellent"),
)
_DATE_FORMATS = (
    None,
    "%Y/%m/%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d-%b-%y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b-%y",
    "%d.%m.%y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%b %d, %Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%m/%d/%y",
    "%d/%m/%y",
)
_DATE_LIKE = re.compile(r"^(\d.*[-/. ].*\d( ?[AaPp][Mm])?|[A-Za-z]{3,9}[-. ]\d.*|\d.*[A-Za-z]{3,9}.*\d)")
_COMPACT_DATE = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


def guess_column(cells: Cells, distinct_rows: int) -> ColumnGuess:
    """Infer the declaration of a column other than the target.

    Args:
        cells: The column.
        distinct_rows: Number of different rows of the table.

    Returns:
        The guess, with a summary of the values and doubts.
    """
    guess = ColumnGuess({"name": cells.name}, "")
    if cells.distinct == 1 and cells.missing >= _FLAG_SHARE * len(cells.text):
        only = cells.numbers.iloc[0]
        guess.fields |= {"kind": "categorical", "domain": [cells.levels[0] if np.isnan(only) else as_level(only)]}
        if not np.isnan(only):
            declare_format(cells, guess)
        guess.doubts.append("one value or missing: check when it is filled, which may be after the outcome")
        guess.seen = f"{cells.levels[0]!r} or nothing"
    elif cells.distinct <= 1:
        only = f"always {cells.levels[0]!r}" if cells.distinct else "no value at all"
        guess.fields["role"] = "ignored"
        guess.seen = f"{only}: no information"
    else:
        guess.seen = (
            _guess_typed_dates(cells, guess)
            or _guess_dates(cells, guess)
            or _guess_identifier(cells, guess, distinct_rows)
            or _guess_numbers(cells, guess)
            or _guess_words(cells, guess)
        )
    return _finish(cells, guess)


def _finish(cells: Cells, guess: ColumnGuess) -> ColumnGuess:
    fields = guess.fields
    role = fields.get("role", "feature")
    if role in ("feature", "time", "id"):
        if cells.missing or fields.get("missing"):
            fields["nullable"] = True
        if cells.markers:
            fields["missing"] = [*cells.markers, *fields.get("missing", [])]
            guess.doubts.append(f"{listed(cells.markers)} taken for missing")
    else:
        fields.pop("missing", None)
        guess.set_aside = 0
    if cells.missing and role != "ignored":
        guess.seen += f"; {cells.missing:,} missing"
    fields["description"] = describe_name(cells.name)
    return guess


def _declare_odd_cells(cells: Cells, guess: ColumnGuess, odd: Sequence[str], expected: str) -> None:
    """Declare the few cells that do not have the type of a column as missing, or have their rows set aside."""
    if not odd:
        return
    rows = int(cells.counts[list(odd)].sum())
    counted = f"{rows:,} of {cells.filled:,} cells are {expected}: {cells.list_counted(odd)}"
    if len(odd) <= _MAX_DECLARED_LEVELS:
        guess.fields["missing"] = list(odd)
        guess.doubts.append(f"{counted}; taken for missing: correct them in the file if they are not")
    else:
        guess.set_aside = rows
        guess.doubts.append(f"{counted}; their rows are set aside (`unreadable: missing` would keep them)")


def _guess_typed_dates(cells: Cells, guess: ColumnGuess) -> str:
    if not pd.api.types.is_datetime64_any_dtype(cells.typed.dtype):
        return ""
    return _declare_date(cells, guess, cells.typed.dropna())


def _guess_identifier(cells: Cells, guess: ColumnGuess, distinct_rows: int) -> str:
    """Check whether a column is a key of the rows, by values and name."""
    unique = cells.distinct == distinct_rows >= _KEY_SHARE * len(cells.text) and not cells.missing
    numeric = bool(cells.numbers.notna().all())
    whole = numeric and bool((cells.numbers == cells.numbers.round()).all()) and not cells.format.remove
    named = bool(_ID_NAME.search(cells.words)) and (whole or not numeric)
    if unique and whole and _ROW_NAME.search(cells.words):
        guess.fields["role"] = "ignored"
        return "number of the row"
    if unique and (named or len(cells.text) > _FEW_ROWS):
        described = cells.text.str.contains(r"\s") | cells.text.str.match(_DATE_LIKE)
        text_key = (
            cells.share_of(cells.numbers.notna()) < MOSTLY
            and cells.text.str.len().max() <= 64
            and not described.mean() > 1 - MOSTLY
        )
        if named or text_key or (whole and resembles_a_key(cells.numbers.to_numpy())):
            guess.fields["role"] = "id"
            return "a different value in every row"
        if whole and len(cells.levels[0]) >= _CODE_DIGITS and len({len(level) for level in cells.levels}) == 1:
            guess.doubts.append("a different whole number in every row: if it identifies customers, give it role id")
    of_customers = bool(CUSTOMER_ID_NAME.search(cells.words)) and (whole or not numeric)
    least = _FEW_ROWS if of_customers else max(_FEW_ROWS, 0.5 * cells.filled)
    if not unique and cells.distinct > least and (of_customers or (named and not numeric)):
        guess.fields["role"] = "id"
        return f"an identifier that repeats: {cells.distinct:,} different ones"
    return ""


def _guess_numbers(cells: Cells, guess: ColumnGuess) -> str:
    numbers = cells.numbers
    readable = numbers.notna().to_numpy()
    share = cells.share_of(readable)
    odd = [level for level, known in zip(cells.levels, readable, strict=True) if not known]
    few_words = len(odd) <= _MAX_MARKERS and numbers.nunique() > _MAX_CODES and share >= _AT_LEAST_NUMBERS
    if share < MOSTLY and not few_words:
        return ""
    zeros = np.array([re.fullmatch(r"0\d+", level) is not None for level in cells.levels])
    if cells.share_of(zeros) >= _LEADING_ZEROS:
        guess.doubts.append("numbers with leading zeros are taken for codes, not for quantities")
        return ""
    _declare_odd_cells(cells, guess, odd, "not numbers")
    known = pd.Series(np.unique(numbers.dropna()))
    low, high, whole = known.iloc[0], known.iloc[-1], bool((known == known.round()).all())
    spread = f"{'whole ' if whole else ''}numbers from {low:.15g} to {high:.15g}"
    if len(known) == 1:
        guess.fields["role"] = "ignored"
        return f"always {low:.15g}: no information"
    declare_format(cells, guess)
    if len(known) == 2 and whole:
        guess.fields |= {"kind": "binary", "domain": [as_level(low), as_level(high)]}
        return f"{low:.15g} or {high:.15g}"
    if whole and len(known) <= _MAX_CODES and _CODE_NAME.search(cells.words):
        guess.fields |= {"kind": "categorical", "domain": [as_level(value) for value in known]}
        guess.doubts.append("whole numbers taken for codes by the column's name; if they are ordered, use kind numeric")
        return f"{len(known)} codes from {low:.15g} to {high:.15g}"
    guess.fields["kind"] = "numeric"
    # Counts and amounts are near zero; values far from it (latitudes, years) may be negative in other rows.
    if 0 <= low <= 0.2 * high:
        guess.fields["domain"] = {"min": 0}
    guess.doubts += _find_sentinels(cells)
    return spread


def _find_sentinels(cells: Cells) -> list[str]:
    """Find numbers at the edges of the range that may be codes, such as 0 in an age, 999 or -1."""
    rows = pd.Series(cells.counts.to_numpy(), index=cells.numbers.to_numpy()).groupby(level=0).sum()
    if len(rows) < 3:
        return []
    values = rows.index.to_numpy()
    doubts = []
    for value, neighbour, rest in ((values[0], values[1], values[1:]), (values[-1], values[-2], values[:-1])):
        width = max(rest[-1] - rest[0], 1.0)
        gap, count = abs(value - neighbour), int(rows[value])
        nines = re.fullmatch(r"-?9{2,}|-1", f"{value:.15g}") is not None
        far = gap > width if count == 1 else gap > width / 2
        nearest = rows.iloc[1 : _NEIGHBOURS + 1] if value == values[0] else rows.iloc[-_NEIGHBOURS - 1 : -1]
        frequent = count > 1 and count >= _TIMES_NEIGHBOURS * nearest.median()
        code = nines and (far or (value == -1 and neighbour >= 0) or (frequent and value > 0))
        # A count that begins with 0 goes on with 1.
        at_zero = value == 0 and ((gap >= _WIDE_GAP * width and gap > 1) or _AGE_NAME.search(cells.words) is not None)
        below = value < 0 <= neighbour and (far or (count > 1 and gap > width / 2))
        if code or at_zero or below:
            doubts.append(
                f"{value:.15g} occurs {count:,} {'time' if count == 1 else 'times'}, the nearest other value is "
                f"{neighbour:.15g}: if it means missing, add it to missing"
            )
    return doubts


def _guess_dates(cells: Cells, guess: ColumnGuess) -> str:
    levels = pd.Series(cells.levels, dtype="str")
    if levels.str.fullmatch(_COMPACT_DATE.pattern).all():
        formats: tuple[str | None, ...] = ("%Y%m%d",)
    elif cells.numbers.notna().mean() > 1 - MOSTLY or levels.head(20).str.match(_DATE_LIKE).mean() < 0.5:
        return ""
    else:
        formats = _DATE_FORMATS
    fitting = []
    for date_format in formats:
        dates, faulty = read_dates(levels, [], date_format)
        if cells.share_of(~faulty) >= MOSTLY:
            fitting.append((date_format, dates, levels[faulty].tolist()))
            if date_format is None:
                break
    if not fitting:
        return ""
    date_format, dates, unparsed = min(fitting, key=lambda fit: len(fit[2]))
    if date_format is not None:
        guess.fields["date_format"] = date_format
    _declare_odd_cells(cells, guess, unparsed, f"no dates of the form {date_format or 'YYYY-MM-DD'}")
    if sum(len(fit[2]) == len(unparsed) for fit in fitting) > 1:
        guess.doubts.append(f"day and month are ambiguous; {date_format} is assumed")
    return _declare_date(cells, guess, dates.dropna())


def _declare_date(cells: Cells, guess: ColumnGuess, dates: pd.Series) -> str:
    first, last = dates.min(), dates.max()
    if _TIME_NAME.search(cells.words) and not cells.missing:
        guess.fields["role"] = "time"
    else:
        guess.fields["kind"] = "date"
    guess.doubts += [
        f"{date:%Y-%m-%d} may mean missing: then add it to missing as the file writes it"
        for date in (first, last)
        if not _YEARS[0] <= date.year <= _YEARS[1]
    ]
    return f"dates from {first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _guess_words(cells: Cells, guess: ColumnGuess) -> str:
    fields, doubts = guess.fields, guess.doubts
    words = cells.text.dropna().head(2000).str.count(r"\s+").mean() + 1
    if words >= _FREE_TEXT_WORDS and cells.distinct > _MAX_DECLARED_LEVELS:
        fields["role"] = "ignored"
        return f"free text, {words:.0f} words on average"
    if cells.distinct > max(_FEW_ROWS, _IDENTIFYING_SHARE * cells.filled):
        return _ignore_words(cells, guess)
    levels: list[Any] = sorted(cells.levels, key=str.casefold)
    if len({level.casefold() for level in levels}) < len(levels):
        doubts.append("words that differ in upper and lower case only: each spelling is a separate level")
    if any(map(is_number, levels)):
        # A declared domain cannot mix numbers and words.
        fields["kind"] = "categorical"
        if not all(map(is_number, levels)):
            doubts.append("numbers among words: the levels are those of the training customers")
        return f"{cells.distinct:,} levels such as {listed(cells.levels)}"
    if cells.distinct == 2:
        first, second = levels
        if names_positive(first, second):
            levels = [second, first]
        fields |= {"kind": "binary", "domain": levels}
        return f"{levels[0]!r} or {levels[1]!r}"
    if cells.distinct > _MAX_DECLARED_LEVELS:
        fields["kind"] = "categorical"
        return f"{cells.distinct:,} levels such as {listed(cells.levels)}; not declared"
    scale = _find_scale(levels)
    if scale:
        fields |= {"kind": "ordinal", "domain": scale}
        return f"a scale: {' < '.join(scale)}"
    fields |= {"kind": "categorical", "domain": levels}
    doubts += _doubt_levels(cells)
    return f"{cells.distinct} levels: {listed(cells.levels)}"


def _ignore_words(cells: Cells, guess: ColumnGuess) -> str:
    guess.fields["role"] = "ignored"
    numeric = cells.share_of(cells.numbers.notna())
    if 1 - MOSTLY <= numeric < 1:
        guess.doubts.append(f"{numeric:.1%} of the cells are numbers, the others words: write it in one way to use it")
        return f"{cells.distinct:,} different numbers and words"
    return f"{cells.distinct:,} different values in {cells.filled:,} rows: identifies customers"


def _doubt_levels(cells: Cells) -> list[str]:
    """Find levels that may mean missing, and misspellings."""
    unusual = missing_words(cells.levels)
    doubts = [f"{listed(unusual)} is taken for a level; if it means missing, add it to missing"] if unusual else []
    for level in (level for level in cells.levels if cells.counts[level] <= _MISSPELT_ROWS):
        rows = int(cells.counts[level])
        frequent = [other for other in cells.levels if cells.counts[other] >= _TIMES_MISSPELT * rows]
        similar = get_close_matches(level, frequent, n=1, cutoff=_SIMILAR)
        if similar:
            doubts.append(
                f"{cells.list_counted([level])} may be a misspelling of {similar[0]!r}: correct it in the file, or "
                "remove it from the domain, so that these rows are set aside"
            )
    return doubts


def _find_scale(levels: list[str]) -> list[str]:
    by_word = {level.casefold(): level for level in levels}
    for scale in _SCALES:
        if set(by_word) <= set(scale):
            return [by_word[word] for word in scale if word in by_word]
    return []
