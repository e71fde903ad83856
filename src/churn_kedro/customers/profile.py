"""Profile of a customer table: stages of processing, and statistics and histograms of columns."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_estimators.cells import as_text
from churn_kedro.base import Parameters, Record, one_line
from churn_kedro.customers.declaration import Column, CustomerDeclaration, level_text
from churn_kedro.customers.display_names import DisplayNames
from churn_kedro.customers.normalisation import NormalisedCustomers
from churn_kedro.customers.splits import SplitManifest

_MEBIBYTE = 2**20
_BINS = 24
_RATE_BINS = 10
_MOST_LEVELS = 12


class ProfileParameters(Parameters):
    """Parameters of the figures of the data report."""

    max_rows: int = Field(
        ge=100, description="Maximum customers in distributions and correlations; of more, a seeded sample."
    )
    max_correlated: int = Field(ge=2, description="Maximum columns in the correlation figure.")
    random_state: int = Field(ge=0, description="Seed of the sample.")


class Stage(Record):
    """The table after one stage of processing."""

    name: str
    rows: int
    columns: int
    missing_values: int
    memory_mb: float = Field(description="Mebibytes in memory.")
    change: str = Field(description="Change since the stage before, in words.")


class Histogram(Record):
    """Counts of customers by value of a column, and the mean of the target for each."""

    labels: list[str] = Field(description="Levels, or ranges of numbers or dates, in order.")
    rows: list[int] = Field(description="Customers in each.")
    rates: list[float | None] = Field(
        description="Mean of the target in each: the share of the positive class (multiclass: of the most frequent "
        "class). Null where there is no customer."
    )

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        if not len(self.labels) == len(self.rows) == len(self.rates):
            raise ValueError("labels, rows and rates differ in length")
        return self


class ColumnProfile(Record):
    """One column of the accepted customers."""

    name: str
    role: str
    kind: str
    description: str
    missing: int
    missing_share: float
    distinct: int
    summary: dict[str, float] = Field(
        description="min, q25, median, mean, q75, max and std of numbers, else empty; quantiles of the sample, if any."
    )
    histogram: Histogram | None = Field(description="Features only.")


class TableProfile(Record):
    """The profile of a customer table from file to model inputs."""

    stages: list[Stage]
    columns: list[ColumnProfile]
    rate_name: str = Field(description="Name of the rates.")
    overall_rate: float = Field(description="Mean of the target among the accepted customers.")
    sampled_rows: int | None = Field(description="Customers in the histograms; null: all.")
    train_classes: dict[str, int] = Field(description="Training customers by label; empty for a regression.")
    outliers_removed: int = Field(description="Rows left out of training as outliers.")

    def metrics(self) -> dict[str, float]:
        """Return the stages as metrics, for example ``raw_rows``, ``final_features`` and ``train_class_0``."""
        values: dict[str, float] = {}
        for stage in self.stages:
            values |= {
                f"{stage.name}_rows": stage.rows,
                f"{stage.name}_columns": stage.columns,
                f"{stage.name}_missing_values": stage.missing_values,
                f"{stage.name}_memory_mb": stage.memory_mb,
            }
        by_name = {stage.name: stage for stage in self.stages}
        return values | {
            "outliers_removed_count": self.outliers_removed,
            "final_train_samples": by_name["train"].rows,
            "final_validation_samples": by_name["validation"].rows,
            "final_test_samples": by_name["test"].rows,
            "final_features": by_name["encoded"].columns,
            **{f"train_class_{code}": count for code, count in enumerate(self.train_classes.values())},
        }


def describe_stage(name: str, table: pd.DataFrame, change: str) -> Stage:
    """Measure a table.

    Args:
        name: Name of the stage.
        table: The table.
        change: Change since the stage before.

    Returns:
        Rows, columns, missing cells and memory.
    """
    return Stage(
        name=name,
        rows=len(table),
        columns=table.shape[1],
        missing_values=int(table.isna().to_numpy().sum()),
        memory_mb=float(table.memory_usage(index=False, deep=True).sum() / _MEBIBYTE),
        change=change,
    )


def describe_raw(raw: pd.DataFrame) -> Stage:
    """Measure a raw table; blank cells count as missing.

    Args:
        raw: The table as the file writes it.

    Returns:
        The stage ``raw``.
    """
    stage = describe_stage("raw", raw, "as the file writes it")
    blank = sum(int((as_text(raw.iloc[:, position]) == "").sum()) for position in range(raw.shape[1]))
    return stage.model_copy(update={"missing_values": stage.missing_values + blank})


def describe_stages(
    normalised: NormalisedCustomers,
    valid: pd.DataFrame,
    customers: pd.DataFrame,
    parts: dict[str, pd.DataFrame],
    encoded: pd.DataFrame,
    manifest: SplitManifest,
) -> list[Stage]:
    """Measure a table at each stage from file to model inputs.

    Args:
        normalised: The converted table.
        valid: Valid rows.
        customers: Distinct rows.
        parts: ``train``, ``validation`` and ``test``.
        encoded: Model inputs of the training customers.
        manifest: Manifest of the split.

    Returns:
        The stages raw, validated, deduplicated, train, validation, test and encoded.
    """
    raw = normalised.named.raw
    rejected = len(normalised.table) - len(valid)
    outliers = manifest.rows_left_out.get("outliers", 0)
    gap = manifest.rows_left_out.get("gap", 0)
    changes = {
        "train": "with the validation rows: search by cross-validation, calibration, threshold and final fit"
        + (f"; {outliers:,} outliers left out" if outliers else ""),
        "validation": "as the training rows; of a table above training.folds.max_rows they alone validate, and the "
        "threshold of a simple baseline is chosen on them",
        "test": "final evaluation and gate only" + (f"; {gap:,} rows in a gap belong to no part" if gap else ""),
    }
    left_out = raw.shape[1] - normalised.table.shape[1]
    return [
        describe_raw(raw),
        describe_stage(
            "validated",
            valid,
            f"{rejected:,} rows rejected, {len(normalised.named.header_rows):,} repeated headers and "
            f"{left_out} columns left out",
        ),
        describe_stage("deduplicated", customers, f"{len(valid) - len(customers):,} repeated rows dropped"),
        *[describe_stage(name, parts[name], change) for name, change in changes.items()],
        describe_stage("encoded", encoded, "model inputs of the training rows"),
    ]


class ProfiledColumns(NamedTuple):
    """Profiles of all columns.

    Attributes:
        columns: One for each declared column.
        rate_name: Name of the rates.
        overall_rate: The rate among all customers.
        sampled_rows: Number of sampled rows; None: all rows.
    """

    columns: list[ColumnProfile]
    rate_name: str
    overall_rate: float
    sampled_rows: int | None


def profile_columns(
    customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ProfileParameters
) -> ProfiledColumns:
    """Describe every declared column of the accepted customers.

    Args:
        customers: Accepted customers.
        declaration: The table's declaration.
        parameters: Size and seed of the sample.

    Returns:
        Profile of each column, and the overall rate.
    """
    target, rate_name = target_rate(customers[declaration.target], declaration)
    sampled = len(customers) > parameters.max_rows
    shown = customers.sample(parameters.max_rows, random_state=parameters.random_state) if sampled else customers
    rates = target.loc[shown.index]
    columns = [
        _profile_column(customers[column.name], shown[column.name], rates, column)
        for column in declaration.required_columns(with_target=True)
    ]
    return ProfiledColumns(columns, rate_name, float(target.mean()), len(shown) if sampled else None)


def target_rate(target: pd.Series, declaration: CustomerDeclaration) -> tuple[pd.Series, str]:
    """Convert the target to a number whose mean is reported.

    Args:
        target: Class codes or numbers.
        declaration: The table's declaration.

    Returns:
        1 for the positive class (multiclass: the most frequent one) and 0 otherwise, or the number itself; and the name
        of its mean.
    """
    names = DisplayNames.of(declaration)
    match declaration.task:
        case "regression":
            return target.astype("float64"), f"mean of {names.column(declaration.target)}"
        case "binary":
            return target.astype("float64"), "share that left"
        case "multiclass":
            code = int(target.mode()[0]) if len(target) else 0
            return (target == code).astype("float64"), f"share of {names.outcome(str(declaration.classes[code]))}"


def _profile_column(cells: pd.Series, shown: pd.Series, rates: pd.Series, column: Column) -> ColumnProfile:
    missing = int(cells.isna().sum())
    numbers = cells.dtype.kind in "fiu" if isinstance(cells.dtype, np.dtype) else False
    return ColumnProfile(
        name=column.name,
        role=column.role,
        kind=column.kind or "",
        description=column.description,
        missing=missing,
        missing_share=missing / len(cells) if len(cells) else 0.0,
        distinct=int(cells.nunique()),
        summary=_summarise(cells, shown) if numbers and cells.notna().any() else {},
        histogram=count_values(shown, rates, column) if column.role == "feature" else None,
    )


def _summarise(cells: pd.Series, shown: pd.Series) -> dict[str, float]:
    """Extremes and moments of all numbers, quantiles of the sample."""
    low, middle, high = shown.quantile([0.25, 0.5, 0.75])
    found = {
        "min": cells.min(),
        "q25": low,
        "median": middle,
        "mean": cells.mean(),
        "q75": high,
        "max": cells.max(),
        "std": cells.std(),
    }
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def count_values(cells: pd.Series, rates: pd.Series, column: Column) -> Histogram:
    """Count customers by a column's values.

    Args:
        cells: The column.
        rates: The target as a number, on the same index.
        column: Its declaration.

    Returns:
        Levels with their counts, rare ones combined; numbers and dates in ranges of equal width.
    """
    if cells.notna().sum() == 0:
        return Histogram(labels=[], rows=[], rates=[])
    if column.levels:
        groups = cells.map({level: position for position, level in enumerate(column.levels)})
        labels = [level_text(level) for level in column.levels]
    elif column.cells == "text":
        frequent = cells.value_counts().head(_MOST_LEVELS).index
        positions = {level: position for position, level in enumerate(frequent)}
        groups = cells.map(positions).where(cells.isin(frequent), len(frequent)).where(cells.notna())
        labels = [*frequent, *(["others"] if (groups == len(frequent)).any() else [])]
    else:
        groups, labels = _ranges(cells)
    found = rates.groupby(groups.astype("float64")).agg(["size", "mean"]).reindex(range(len(labels)))
    return Histogram(
        labels=labels,
        rows=[int(size) for size in found["size"].fillna(0)],
        rates=[None if np.isnan(mean) else float(mean) for mean in found["mean"]],
    )


def _ranges(cells: pd.Series) -> tuple[pd.Series, list[str]]:
    """Position of each cell among ranges of equal width, and the lower bounds of the ranges."""
    dates = isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "M"
    numbers = cells.astype("int64").where(cells.notna()).astype("float64") if dates else cells.astype("float64")
    values = np.unique(numbers.dropna())
    if len(values) <= _BINS and not dates:
        return numbers.map({value: position for position, value in enumerate(values)}), [
            f"{value:g}" for value in values
        ]
    if dates:
        low = values[0]
        width = (values[-1] - low) / _BINS or 1.0
        starts = low + width * np.arange(_BINS)
        groups = np.floor((numbers - low) / width).clip(upper=_BINS - 1)
        return groups, [f"{start:%Y-%m-%d}" for start in pd.to_datetime(starts.astype("int64"), unit="us")]
    width = _round_width((values[-1] - values[0]) / _BINS)
    first = np.floor(values[0] / width)
    groups = np.floor(numbers / width) - first
    return groups, [shorten(width * place) for place in np.arange(first, np.floor(values[-1] / width) + 1)]


def _round_width(width: float) -> float:
    """Round the width of a range up to 1, 2 or 5 times a power of ten, so that its bounds are round numbers."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * (1 - 1e-9))


def shorten_name(name: str, length: int = 30) -> str:
    """Shorten a long name for a figure; its end is kept, since names with the same beginning differ there.

    Args:
        name: Name of a column.
        length: Maximum number of characters.

    Returns:
        The name on one line, or its beginning and end.
    """
    name = one_line(name)
    if len(name) <= length:
        return name
    return f"{name[: length // 2 - 1]}…{name[-(length - length // 2) :]}"


def shorten(number: float) -> str:
    """Format a number in few characters.

    Args:
        number: Any number.

    Returns:
        ``0.25``, ``52k``, ``1.2M``.
    """
    for unit, size in (("M", 1e6), ("k", 1e4)):
        if abs(number) >= size:
            return f"{number / (size if unit == 'M' else 1e3):.3g}{unit}"
    return f"{number:.4g}"


def correlate(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ProfileParameters) -> pd.DataFrame:
    """Rank correlations between features, and with the target.

    Args:
        customers: Accepted customers.
        declaration: The table's declaration.
        parameters: Maximum rows and columns, and the seed of the sample.

    Returns:
        Square table of Spearman's coefficients: the target first, then the features most correlated with it. Ordered
        levels are ranked by position, unordered ones by the mean of the target.
    """
    sampled = len(customers) > parameters.max_rows
    shown = customers.sample(parameters.max_rows, random_state=parameters.random_state) if sampled else customers
    rates, _ = target_rate(shown[declaration.target], declaration)
    ranked = {declaration.target: rates.rank()}
    for column in declaration.features:
        codes = _as_numbers(shown[column.name], rates, column)
        if codes.nunique() > 1:
            ranked[column.name] = codes.rank()
    found = pd.DataFrame(ranked).corr()
    order = found[declaration.target].abs().sort_values(ascending=False, kind="stable").index
    kept = list(order[: parameters.max_correlated])
    return found.loc[kept, kept]


def _as_numbers(cells: pd.Series, rates: pd.Series, column: Column) -> pd.Series:
    if column.kind == "categorical":
        return cells.map(rates.groupby(cells).mean()).astype("float64")
    if column.cells == "date":
        return cells.astype("int64").where(cells.notna()).astype("float64")
    if column.cells == "text":
        return cells.map({level: position for position, level in enumerate(column.levels)}).astype("float64")
    return cells.astype("float64")


# A table of at most this fraction of the last one's rows is likely truncated.
_SHRUNK = 10


class TableSchema(Record):
    """Columns, types and levels of a table, compared between runs of a use case."""

    file_columns: list[str] = Field(description="Columns of the raw file, in order.")
    types: dict[str, str] = Field(description="Type of each declared column.")
    levels: dict[str, list[str]] = Field(description="Levels that occur, per column of words or codes.")
    rows: int | None = Field(None, description="Rows of the raw file; None in files of older versions.")


class SchemaChanges(Record):
    """Changes of the table since the last run."""

    compared: bool = Field(description="False for the first run of a use case.")
    changes: list[str] = Field(description="One sentence per change.")
    warnings: list[str] = Field(default_factory=list, description="One sentence per change that is likely an error.")


def describe_schema(normalised: NormalisedCustomers, declaration: CustomerDeclaration) -> TableSchema:
    """Describe the columns, types and levels of a table.

    Args:
        normalised: The converted table.
        declaration: The table's declaration.

    Returns:
        The schema.
    """
    table = normalised.table
    words = [column for column in declaration.features if column.levels or column.cells == "text"]
    levels = {column.name: sorted(as_text(table[column.name].drop_duplicates()).dropna()) for column in words}
    return TableSchema(
        file_columns=[str(name) for name in normalised.named.raw.columns],
        types={str(name): str(dtype) for name, dtype in table.dtypes.items()},
        levels={name: found for name, found in levels.items() if len(found) <= 50},
        rows=len(normalised.named.raw),
    )


def compare_schemas(previous: TableSchema | None, present: TableSchema) -> SchemaChanges:
    """Compare the schema of a table with that of the last run.

    Args:
        previous: Schema of the last run, or None.
        present: Schema of this run.

    Returns:
        The changes, in words. A table with less than a tenth of the rows is a warning: it is likely truncated, or a
        sample.
    """
    if previous is None:
        return SchemaChanges(compared=False, changes=[])
    changes = []
    for change, names in (
        ("the file has a new column", [n for n in present.file_columns if n not in previous.file_columns]),
        ("the file no longer has the column", [n for n in previous.file_columns if n not in present.file_columns]),
    ):
        changes += [f"{change} '{name}'" for name in names]
    same = [name for name in present.file_columns if name in previous.file_columns]
    if same != [name for name in previous.file_columns if name in present.file_columns]:
        changes.append("the file's columns are in another order")
    for name, dtype in present.types.items():
        before = previous.types.get(name)
        if before not in (None, dtype):
            changes.append(f"column '{name}' was of type {before} and is now {dtype}")
    for name, levels in present.levels.items():
        known = previous.levels.get(name)
        if known is not None:
            new, gone = sorted(set(levels) - set(known)), sorted(set(known) - set(levels))
            changes += [f"column '{name}' has new levels: {', '.join(new)}"] if new else []
            changes += [f"column '{name}' no longer has the levels: {', '.join(gone)}"] if gone else []
    warnings = []
    if previous.rows is not None and present.rows is not None and present.rows * _SHRUNK <= previous.rows:
        warnings.append(
            f"the table has {present.rows:,} rows, and had {previous.rows:,} in the last accepted run; check "
            "whether the file is complete"
        )
    return SchemaChanges(compared=True, changes=changes, warnings=warnings)
