"""Inference of a first declaration from a customer table: heuristic guesses, each with its reason.

Every column has a summary of its values, and every guess that needs a review has a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from churn_estimators.cells import as_text, is_number, read_dates
from churn_kedro.base import one_line
from churn_kedro.customers.declaration import RESERVED_NAMES, CustomerDeclaration, CustomerTableError, Level
from churn_kedro.customers.normalisation import MISSING_WORDS, find_header_rows
from churn_kedro.customers.tasks import Task

# Maximum number of levels that are declared; of more, the levels are those of the training customers.
_MAX_DECLARED_LEVELS = 30
# Text with more distinct values than this share of the rows identifies customers.
_IDENTIFYING_SHARE = 0.2
_FEW_ROWS = 30
_MANY_ROWS = 1000
_LEAST_CLASS = 10
# Minimum share of distinct values of a key.
_KEY_SHARE = 0.9
# Minimum share of missing cells for a column with one value to be a flag.
_FLAG_SHARE = 0.01
_ID_DIGITS = 5
_MAX_CLASSES = 20
# Minimum share of cells that are numbers (dates) for the others to be markers or errors.
_MOSTLY = 0.95
_MAX_MARKERS = 3
_FREE_TEXT_WORDS = 4
_SHOWN = 4

# "None" and "-" are often a level ("no contract"); the other words rarely are.
_CERTAIN_MARKERS = MISSING_WORDS - {"none", "nil", "-", "--", "."}
_ID_NAME = re.compile(
    r"(^|[^a-z])(id|ids|uuid|guid|key|ref|reference|number|no|nr|num|msisdn|phone|email|account|customer|client)([^a-z]|$)"
    r"|(customer|client|user|account|row|member|policy|subscriber)_?(id|no|nr|num|number|key|code)s?$"
)
_CUSTOMER_ID_NAME = re.compile(
    r"^id$|(^|_)(customer|client|cust|user|account|member|subscriber|policy|household)_?(id|no|nr|num|number|key|code)$"
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
_POSITIVE_WORDS = frozenset(
    {"yes", "y", "true", "t", "1", "churn", "churned", "churner", "exited", "exit", "left", "leave", "leaves", "lost"}
    | {"attrited", "attrition", "attrited customer", "cancelled", "canceled", "closed", "gone", "positive", "default"}
)
_NEGATIVE_WORDS = frozenset(
    {"no", "n", "false", "f", "0", "stay", "stayed", "stays", "active", "retained", "existing", "existing customer"}
    | {"current", "loyal", "negative", "not churned", "no churn", "kept"}
)
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
_AMOUNT_LIKE = re.compile(r"^[-+(]?\s*[$€£¥]?\s*(\d{1,3}([, ]?\d{3})*(\.\d+)?|\d{1,3}(\.\d{3})*(,\d+)?)\s*[%$€£¥)]?$")
_DECIMAL_COMMA = re.compile(r"^[-+]?\d+,\d+$")


@dataclass
class ColumnGuess:
    """The inferred declaration of one column.

    Attributes:
        fields: The column as in the declaration.
        seen: Summary of the values.
        doubts: Guesses that need a review.
    """

    fields: dict[str, Any]
    seen: str
    doubts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the column."""
        return str(self.fields["name"])


@dataclass(frozen=True)
class Onboarding:
    """The inferred declaration of a table.

    Attributes:
        declaration: The declaration.
        columns: The guess for each declared column, in the order of the file.
        doubts: Doubts about the table as a whole.
        target_seen: Summary of the target's values.
        unlabelled_share: Share of rows without a target.
        by_time: Whether customers have rows at several times, which needs a split by time.
    """

    declaration: CustomerDeclaration
    columns: list[ColumnGuess]
    doubts: list[str]
    target_seen: str
    unlabelled_share: float
    by_time: bool = False


@dataclass(frozen=True)
class _Cells:
    """The cells of a column and their counts.

    Attributes:
        name: Name in the file.
        typed: The cells as read.
        text: The cells as text, blanks and markers missing.
        markers: Words that mean "missing", as the file writes them.
        blank: Number of blank cells.
        counts: Rows per distinct value, the most frequent first.
        decimal: Decimal mark.
    """

    name: str
    typed: pd.Series
    text: pd.Series
    markers: list[str]
    blank: int
    counts: pd.Series
    decimal: str

    @property
    def words(self) -> str:
        """The name in lower case, with underscores between words."""
        return "_".join(_divide_name(self.name)).casefold()

    @property
    def filled(self) -> int:
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        return len(self.counts)

    @property
    def missing(self) -> int:
        return len(self.text) - self.filled

    @property
    def levels(self) -> list[str]:
        return [str(level) for level in self.counts.index]

    def numbers(self) -> pd.Series:
        """Return the distinct values as numbers; NaN where a value is not a number."""
        text = pd.Series(self.levels, dtype="str")
        numbers = pd.to_numeric(
            text.str.replace(",", ".", regex=False) if self.decimal == "," else text, errors="coerce"
        )
        return numbers.astype("float64").where(np.isfinite(numbers))


def _divide_name(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word for word in re.split(r"[^0-9A-Za-z]+", spaced) if word] or [name]


def describe_name(name: str) -> str:
    """Make a description from the name of a column.

    Args:
        name: Name such as ``CreditScore`` or ``total_day_minutes``.

    Returns:
        ``Credit score``, ``Total day minutes``.
    """
    words = [word if word.isupper() and len(word) > 1 else word.lower() for word in _divide_name(name)]
    text = one_line(" ".join(words))
    return text[:1].upper() + text[1:]


def infer_declaration(
    raw: pd.DataFrame,
    target: str,
    *,
    positive: str | None = None,
    task: Task | None = None,
    description: str = "",
) -> Onboarding:
    """Infer the declaration of a table.

    Args:
        raw: The table as the file writes it.
        target: Name of the target column.
        positive: Label of the customers who left; None: inferred.
        task: What is predicted; None: inferred.
        description: One line about the table.

    Returns:
        A declaration under which the table is valid, with the reason for each guess.

    Raises:
        CustomerTableError: The target is absent or has one value only, or the table has no rows or no usable feature.
    """
    header = [str(name).strip().lstrip("\ufeff").strip('"').strip() for name in raw.columns]
    body = raw.drop(index=find_header_rows(raw)).set_axis(header, axis=1)
    _require_target(header, target, len(body))
    doubts: list[str] = []
    _require_distinct_names(header)
    # Repeated rows are ignored in the search for a key.
    distinct_rows = len(body) - int(body.duplicated().sum())
    decimal = _find_decimal(body)
    if decimal == ",":
        doubts.append("numbers are written with a decimal comma")
    labels, found_task, target_guess, unlabelled = _guess_target(
        _summarise_cells(body, target, decimal), positive=positive, task=task
    )
    guesses = [
        target_guess if name == target else _guess_column(_summarise_cells(body, name, decimal), distinct_rows)
        for name in header
        if name
    ]
    _keep_one_identifier(guesses)
    if "" in header:
        doubts.append("a column without a name was left out")
    if not any(guess.fields.get("role", "feature") == "feature" for guess in guesses):
        raise CustomerTableError(
            "The table has no usable feature: every column except for the target is constant, free text or an "
            "identifier."
        )
    declaration = _validate(
        {
            "description": description or "Customers of …",
            "task": found_task,
            "labels": labels,
            "decimal": decimal,
            "columns": [guess.fields for guess in guesses],
        }
    )
    ids = declaration.id_names
    if not ids:
        doubts.append("no column identifies a customer: predictions come in the order of the file")
    by_time = declaration.time is not None and bool(ids) and bool(body.duplicated(ids).any())
    if by_time:
        doubts.append(
            f"customers have several rows over {declaration.time}: the split is by time, with the latest rows for test"
        )
    return Onboarding(declaration, guesses, doubts, target_guess.seen, unlabelled, by_time)


def _validate(declared: dict[str, Any]) -> CustomerDeclaration:
    try:
        return CustomerDeclaration.model_validate(declared)
    except ValidationError as error:
        reasons = "; ".join(found["msg"].removeprefix("Value error, ") for found in error.errors())
        raise CustomerTableError(f"The table cannot be declared: {reasons}. Correct it in the file.") from error


def _require_distinct_names(header: list[str]) -> None:
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise CustomerTableError(f"The file has more than one column named {repeated}: rename or remove the others.")


def _keep_one_identifier(guesses: list[ColumnGuess]) -> None:
    """Keep one identifier, so that phone numbers and addresses do not appear in the scored list."""
    keys = [guess for guess in guesses if guess.fields.get("role") == "id"]
    of_customers = [guess for guess in keys if _CUSTOMER_ID_NAME.search("_".join(_divide_name(guess.name)).casefold())]
    for guess in keys:
        reserved = guess.name in RESERVED_NAMES or guess.name.startswith("probability_")
        if guess is (of_customers or keys)[0] and not reserved:
            continue
        for key in ("nullable", "missing"):
            guess.fields.pop(key, None)
        guess.fields["role"] = "ignored"
        reason = "the scored list has a column of this name" if reserved else "another column identifies customers"
        guess.doubts.append(f"an identifier that is left out: {reason}")


def _require_target(header: Sequence[str], target: str, rows: int) -> None:
    if not target or target not in header:
        from difflib import get_close_matches

        nearest = get_close_matches(target, list(filter(None, header)), n=1, cutoff=0.5)
        raise CustomerTableError(
            f"There is no column '{target}'{f'; the nearest is {nearest[0]!r}' if nearest else ''}. The file has: "
            f"{', '.join(header)}."
        )
    if not rows:
        raise CustomerTableError("The table has a header but no rows: there is nothing to infer a declaration from.")


def _find_decimal(body: pd.DataFrame) -> str:
    """Find the decimal mark: a comma where nearly all cells of a column are numbers under this reading."""
    for position in range(body.shape[1]):
        sample = as_text(body.iloc[:, position]).dropna().head(1000)
        sample = sample[sample != ""]
        commas = sample.str.match(_DECIMAL_COMMA)
        # 1,234 may have a thousands separator; decimals vary in the number of digits.
        other_digits = ~sample[commas].str.match(r"^[-+]?\d{1,3},\d{3}$")
        if len(sample) and other_digits.any():
            plain = pd.to_numeric(sample[~commas], errors="coerce").notna()
            if (commas.sum() + plain.sum()) / len(sample) >= _MOSTLY:
                return ","
    return "."


def _summarise_cells(body: pd.DataFrame, name: str, decimal: str) -> _Cells:
    cells = body[name]
    text = as_text(cells)
    text = text.where(text != "")
    counts = text.value_counts()
    folded = [str(level).casefold() for level in counts.index]
    markers = [str(level) for level, word in zip(counts.index, folded, strict=True) if word in _CERTAIN_MARKERS]
    blank = int(text.isna().sum())
    if markers:
        text = text.where(~text.isin(markers))
        counts = counts.drop(markers)
    return _Cells(name, cells, text, markers, blank, counts, decimal)


def _guess_target(
    cells: _Cells, *, positive: str | None, task: Task | None
) -> tuple[dict[str, Any] | None, Task, ColumnGuess, float]:
    if cells.distinct < 2:
        raise CustomerTableError(
            f"The target '{cells.name}' has {cells.distinct} different values: a model cannot be trained on it."
        )
    numbers = cells.numbers()
    numeric = bool(numbers.notna().all())
    levels: list[Level] = [_number(value) for value in np.unique(numbers)] if numeric else sorted(cells.levels)
    number = None if numeric else next(filter(is_number, cells.levels), None)
    if number is not None and task != "regression":
        raise CustomerTableError(
            f"The target '{cells.name}' has the label {number!r}, a number, among labels that are not numbers. Use "
            "words for all of them in the file, or numbers in the digits 0 to 9."
        )
    doubts: list[str] = []
    found = task or _guess_task(cells, levels, doubts)
    guess: dict[str, Any] = {"name": cells.name, "role": "target", "description": describe_name(cells.name)}
    if cells.markers:
        guess["missing"] = cells.markers
    labels: dict[str, Any] | None = None
    match found:
        case "regression":
            if not numeric:
                raise CustomerTableError(
                    f"The target '{cells.name}' is not numeric, for example {cells.levels[0]!r}; --task regression "
                    "needs numbers."
                )
            seen = f"numbers from {numbers.min():g} to {numbers.max():g}"
        case "binary":
            chosen, other = _choose_positive(cells, levels, positive, doubts)
            labels = {"positive": chosen, "negative": other}
            share = cells.counts[[_same(level, chosen) for level in cells.levels]].sum() / cells.filled
            seen = f"{chosen!r} in {share:.1%} of the rows, else {other!r}"
        case "multiclass":
            labels = {"classes": levels}
            seen = f"{len(levels)} classes: {_listed(cells.levels)}"
    if cells.missing:
        doubts.append(f"{cells.missing:,} rows have no target: they are rejected")
    return labels, found, ColumnGuess(guess, seen, doubts), cells.missing / len(cells.text)


def _guess_task(cells: _Cells, levels: list[Level], doubts: list[str]) -> Task:
    if len(levels) == 2:
        return "binary"
    few = len(levels) <= _MAX_CLASSES
    if isinstance(levels[0], str):
        _require_one_spelling(cells)
        if few:
            return "multiclass"
        raise CustomerTableError(
            f"The target '{cells.name}' has {len(levels)} different words, more than the {_MAX_CLASSES} classes that "
            "are supported, and is not numeric."
        )
    # Each class occurs often; values of a measurement do not.
    rarest = int(cells.counts.iloc[-1])
    if few and all(isinstance(level, int) for level in levels) and rarest >= max(_LEAST_CLASS, 0.01 * cells.filled):
        doubts.append(f"{len(levels)} whole numbers are taken for classes; if they are counts, use --task regression")
        return "multiclass"
    return "regression"


def _require_one_spelling(cells: _Cells) -> None:
    spellings: dict[str, list[str]] = {}
    for level in cells.levels:
        spellings.setdefault(level.casefold(), []).append(level)
    several = [words for words in spellings.values() if len(words) > 1]
    if several:
        raise CustomerTableError(
            f"The target '{cells.name}' has several spellings of one word: {_listed(several[0])}, each of which would "
            "be a class. Use one spelling in the file."
        )


def _same(text: str, level: Level) -> bool:
    return text == level if isinstance(level, str) else float(text.replace(",", ".")) == level


def _choose_positive(cells: _Cells, levels: list[Level], wanted: str | None, doubts: list[str]) -> tuple[Level, Level]:
    """Choose the label of the customers who left; return it and the other one."""
    if len(levels) != 2:
        raise CustomerTableError(
            f"The target '{cells.name}' has {len(levels)} different values, not two: {_listed(cells.levels)}."
        )
    pairs = [(levels[1], levels[0]), (levels[0], levels[1])]
    if wanted is not None:
        for chosen, other in pairs:
            if str(chosen) == wanted:
                return chosen, other
        raise CustomerTableError(
            f"The target '{cells.name}' has no label {wanted!r}; it has {' and '.join(map(repr, levels))}."
        )
    # 1 is the positive label beside 0 or -1, but not beside 2.
    conclusive = isinstance(levels[0], str) or set(levels) in ({0, 1}, {-1, 1})
    for chosen, other in pairs if conclusive else []:
        if str(chosen).casefold() in _POSITIVE_WORDS or str(other).casefold() in _NEGATIVE_WORDS:
            return chosen, other
    rarest = cells.levels[-1]
    chosen, other = next(pair for pair in pairs if _same(rarest, pair[0]))
    doubts.append(f"which label means that the customer left is unclear; the rarer one is taken: {chosen!r}")
    return chosen, other


def _guess_column(cells: _Cells, distinct_rows: int) -> ColumnGuess:
    fields: dict[str, Any] = {"name": cells.name}
    doubts: list[str] = []
    if cells.distinct == 1 and cells.missing >= _FLAG_SHARE * len(cells.text):
        only = cells.numbers().iloc[0]
        fields |= {"kind": "categorical", "domain": [cells.levels[0] if np.isnan(only) else _number(only)]}
        doubts.append("one value or missing: check when it is filled, which may be after the outcome")
        return _finish(fields, cells, f"{cells.levels[0]!r} or nothing", doubts)
    if cells.distinct <= 1:
        only = f"always {cells.levels[0]!r}" if cells.distinct else "no value at all"
        fields |= {"role": "ignored"}
        return _finish(fields, cells, f"{only}: no information", doubts)
    guess = (
        _guess_typed_dates(cells, fields)
        or _guess_dates(cells, fields, doubts)
        or _guess_identifier(cells, fields, distinct_rows)
        or _guess_numbers(cells, fields, doubts)
        or _guess_words(cells, fields, doubts)
    )
    return _finish(fields, cells, guess, doubts)


def _finish(fields: dict[str, Any], cells: _Cells, seen: str, doubts: list[str]) -> ColumnGuess:
    role = fields.get("role", "feature")
    if role in ("feature", "time", "id"):
        if cells.missing or fields.get("missing"):
            fields["nullable"] = True
        markers = [*cells.markers, *fields.pop("missing", [])]
        if markers:
            fields["missing"] = markers
            doubts.append(f"{_listed(markers)} taken for missing")
    else:
        fields.pop("missing", None)
    if cells.missing and role != "ignored":
        seen += f"; {cells.missing:,} missing"
    fields["description"] = describe_name(cells.name)
    return ColumnGuess(fields, seen, doubts)


def _guess_typed_dates(cells: _Cells, fields: dict[str, Any]) -> str:
    if not pd.api.types.is_datetime64_any_dtype(cells.typed.dtype):
        return ""
    return _declare_date(cells, fields, cells.typed.min(), cells.typed.max())


def _guess_identifier(cells: _Cells, fields: dict[str, Any], distinct_rows: int) -> str:
    """Check whether a column is a key of the rows, by values and name."""
    unique = cells.distinct == distinct_rows >= _KEY_SHARE * len(cells.text) and not cells.missing
    numbers = cells.numbers()
    numeric = bool(numbers.notna().all())
    whole = numeric and bool((numbers == numbers.round()).all())
    named = bool(_ID_NAME.search(cells.words))
    if unique and whole and _ROW_NAME.search(cells.words):
        fields["role"] = "ignored"
        return "number of the row"
    if unique and len(cells.text) > _FEW_ROWS:
        steps = np.diff(np.sort(numbers)) if whole else np.array([0.0])
        # Equal steps, or more digits and rows than distinct amounts would have by chance.
        counted = whole and bool((steps == steps[0]).all() or _is_long_number(cells))
        described = (
            cells.text.str.contains(r"\s") | cells.text.str.match(_AMOUNT_LIKE) | cells.text.str.match(_DATE_LIKE)
        )
        text_key = not numeric and cells.text.str.len().max() <= 64 and not described.mean() > 1 - _MOSTLY
        if (named and (whole or not numeric)) or counted or text_key:
            fields["role"] = "id"
            return "a different value in every row"
    least = _FEW_ROWS if _CUSTOMER_ID_NAME.search(cells.words) else max(_FEW_ROWS, 0.5 * cells.filled)
    if named and not unique and (whole or not numeric) and cells.distinct > least:
        fields["role"] = "id"
        return f"an identifier that repeats: {cells.distinct:,} different ones"
    return ""


def _is_long_number(cells: _Cells) -> bool:
    digits = cells.text.str.len()
    return len(cells.text) >= _MANY_ROWS and bool(digits.min() == digits.max() >= _ID_DIGITS)


def _guess_numbers(cells: _Cells, fields: dict[str, Any], doubts: list[str]) -> str:
    numbers = cells.numbers()
    rows = cells.counts.to_numpy()
    non_numeric = [level for level, number in zip(cells.levels, numbers, strict=True) if np.isnan(number)]
    if rows[numbers.notna()].sum() < _MOSTLY * cells.filled or len(non_numeric) > _MAX_MARKERS:
        if cells.text.dropna().str.match(_AMOUNT_LIKE).mean() >= _MOSTLY:
            fields["role"] = "ignored"
            doubts.append(
                "amounts with currency signs or thousands separators are not read: write plain numbers and declare it"
            )
            return f"amounts such as {cells.levels[0]!r}"
        return ""
    if non_numeric:
        fields["missing"] = non_numeric
    known = pd.Series(np.unique(numbers.dropna()))
    low, high, whole = known.iloc[0], known.iloc[-1], bool((known == known.round()).all())
    spread = f"{'whole ' if whole else ''}numbers from {low:.15g} to {high:.15g}"
    if len(known) == 1:
        fields["role"] = "ignored"
        return f"always {low:.15g}: no information"
    if len(known) == 2 and whole:
        fields |= {"kind": "binary", "domain": [_number(low), _number(high)]}
        return f"{low:.15g} or {high:.15g}"
    if whole and len(known) <= _MAX_CLASSES and _CODE_NAME.search(cells.words):
        fields |= {"kind": "categorical", "domain": [_number(value) for value in known]}
        doubts.append("whole numbers taken for codes by the column's name; if they are ordered, use kind numeric")
        return f"{len(known)} codes from {low:.15g} to {high:.15g}"
    fields["kind"] = "numeric"
    # Counts and amounts are near zero; values far from it (latitudes, years) may be negative in other rows.
    if 0 <= low <= 0.2 * high:
        fields["domain"] = {"min": 0}
    sentinel = _find_sentinel(known, cells)
    if sentinel:
        doubts.append(sentinel)
    return spread


def _find_sentinel(known: pd.Series, cells: _Cells) -> str:
    """Find a number such as -999 that is far from all others and repeats."""
    for value, neighbour in ((known.iloc[0], known.iloc[1]), (known.iloc[-1], known.iloc[-2])):
        rest = known[known != value]
        width = max(rest.max() - rest.min(), 1.0)
        repeated_nines = re.fullmatch(r"-?9{2,}|-1", f"{value:.15g}") is not None
        rows = int(cells.counts[cells.counts.index.isin([f"{value:.15g}", f"{value:.1f}"])].sum())
        if repeated_nines and rows > 1 and (abs(value - neighbour) > width / 2 or (value == -1 and neighbour >= 0)):
            return f"{value:.15g} occurs {rows:,} times and may mean missing: then add it to missing"
    return ""


def _number(value: float) -> Level:
    return int(value) if float(value).is_integer() else float(value)


def _guess_dates(cells: _Cells, fields: dict[str, Any], doubts: list[str]) -> str:
    levels = pd.Series(cells.levels, dtype="str")
    if cells.numbers().notna().any() or levels.head(20).str.match(_DATE_LIKE).mean() < _MOSTLY:
        return ""
    fitting = []
    for date_format in _DATE_FORMATS:
        dates, faulty = read_dates(levels, [], date_format)
        if faulty.mean() <= 1 - _MOSTLY and faulty.sum() <= _MAX_MARKERS:
            fitting.append((date_format, dates, levels[faulty].tolist()))
            if date_format is None:
                break
    if not fitting:
        return ""
    date_format, dates, unparsed = min(fitting, key=lambda fit: len(fit[2]))
    if date_format is not None:
        fields["date_format"] = date_format
    if unparsed:
        fields["missing"] = unparsed
    if sum(len(fit[2]) == len(unparsed) for fit in fitting) > 1:
        doubts.append(f"day and month are ambiguous; {date_format} is assumed")
    return _declare_date(cells, fields, dates.min(), dates.max())


def _declare_date(cells: _Cells, fields: dict[str, Any], first: pd.Timestamp, last: pd.Timestamp) -> str:
    if _TIME_NAME.search(cells.words) and not cells.missing:
        fields["role"] = "time"
    else:
        fields["kind"] = "date"
    return f"dates from {first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _guess_words(cells: _Cells, fields: dict[str, Any], doubts: list[str]) -> str:
    words = cells.text.dropna().head(2000).str.count(r"\s+").mean() + 1
    if words >= _FREE_TEXT_WORDS and cells.distinct > _MAX_DECLARED_LEVELS:
        fields["role"] = "ignored"
        return f"free text, {words:.0f} words on average"
    if cells.distinct > max(_FEW_ROWS, _IDENTIFYING_SHARE * cells.filled):
        fields["role"] = "ignored"
        return f"{cells.distinct:,} different words in {cells.filled:,} rows: identifies customers"
    levels: list[Any] = sorted(cells.levels, key=str.casefold)
    if len({level.casefold() for level in levels}) < len(levels):
        doubts.append("words that differ in upper and lower case only: each spelling is a separate level")
    if any(map(is_number, levels)):
        # A declared domain cannot mix numbers and words.
        fields["kind"] = "categorical"
        doubts.append("numbers among words: the levels are those of the training customers")
        return f"{cells.distinct:,} levels such as {_listed(cells.levels)}"
    if cells.distinct == 2:
        first, second = levels
        if first.casefold() in _POSITIVE_WORDS or second.casefold() in _NEGATIVE_WORDS:
            levels = [second, first]
        fields |= {"kind": "binary", "domain": levels}
        return f"{levels[0]!r} or {levels[1]!r}"
    if cells.distinct > _MAX_DECLARED_LEVELS:
        fields["kind"] = "categorical"
        return f"{cells.distinct:,} levels such as {_listed(cells.levels)}; not declared"
    scale = _find_scale(levels)
    if scale:
        fields |= {"kind": "ordinal", "domain": scale}
        return f"a scale: {' < '.join(scale)}"
    fields |= {"kind": "categorical", "domain": levels}
    unusual = [str(level) for level in levels if level.casefold() in MISSING_WORDS]
    if unusual:
        doubts.append(f"{_listed(unusual)} is taken for a level; if it means missing, add it to missing")
    return f"{cells.distinct} levels: {_listed(cells.levels)}"


def _find_scale(levels: list[str]) -> list[str]:
    by_word = {level.casefold(): level for level in levels}
    for scale in _SCALES:
        if set(by_word) <= set(scale):
            return [by_word[word] for word in scale if word in by_word]
    return []


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(repr(str(word)) for word in words[:_SHOWN])
    return shown + (", …" if len(words) > _SHOWN else "")
