"""Validation: the declaration as a pandera schema, and rows that break it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from churn_kedro.customers.declaration import Column, CustomerDeclaration, CustomerTableError, Range

if TYPE_CHECKING:
    import pandera.pandas as pa

_SHOWN = 5
_SHOWN_LEVELS = 20
_TYPES = {"number": "float64", "text": "str"}


def _checks(column: Column) -> list[pa.Check]:
    import pandera.pandas as pa

    checks = []
    if isinstance(column.domain, Range):
        if column.domain.min is not None:
            checks.append(pa.Check.ge(column.domain.min, error=f"is below {column.domain.min:.15g}"))
        if column.domain.max is not None:
            checks.append(pa.Check.le(column.domain.max, error=f"is above {column.domain.max:.15g}"))
    if column.role == "weight":
        checks.append(pa.Check.gt(0, error="is not above 0, as a weight must be"))
    if column.whole:
        checks.append(pa.Check(lambda cells: cells == cells.round(), error="is not a whole number"))
    if column.levels:
        shown = ", ".join(str(level) for level in column.levels[:_SHOWN_LEVELS])
        allowed = shown + (", …" if len(column.levels) > _SHOWN_LEVELS else "")
        checks.append(pa.Check.isin(column.levels, error=f"is not one of: {allowed}"))
    return checks


def _are_dates(cells: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(cells.dtype))


def customer_schema(declaration: CustomerDeclaration, *, with_target: bool = True) -> pa.DataFrameSchema:
    """Build the schema of a normalised customer table.

    Args:
        declaration: The table's declaration.
        with_target: Whether the table holds the target, as class codes or as a number.

    Returns:
        A strict schema: exactly the declared columns, with their types, domains and nullability.
    """
    import pandera.pandas as pa

    columns = {}
    for column in declaration.required_columns(with_target=with_target):
        if column.role == "target":
            codes = list(range(len(declaration.classes)))
            labels = " or ".join(repr(label) for label in declaration.classes)
            checks = [pa.Check.isin(codes, error=f"is not {labels}")] if codes else _checks(column)
            columns[column.name] = pa.Column("int64" if codes else "float64", checks, coerce=True)
        else:
            # pandera would convert dates to nanoseconds, so their type is checked without conversion.
            dates = column.cells == "date"
            checks = [pa.Check(_are_dates, error="is not a date"), *_checks(column)] if dates else _checks(column)
            columns[column.name] = pa.Column(
                None if dates else _TYPES[column.cells], checks, nullable=column.nullable, coerce=not dates
            )
    return pa.DataFrameSchema(columns, strict=True, description=declaration.description)


def _find_violations(table: pd.DataFrame, declaration: CustomerDeclaration, *, with_target: bool) -> pd.DataFrame:
    """One row per broken rule: ``row`` (index label), ``column``, ``reason``."""
    import pandera.pandas as pa

    schema = customer_schema(declaration, with_target=with_target)
    # float64, so that a missing label is reported as missing, not as a failed conversion to an integer.
    if with_target:
        schema = schema.update_column(declaration.target, dtype="float64")
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return pd.DataFrame(columns=["row", "column", "reason"])
    of_table = cases[cases["index"].isna()]
    if len(of_table):
        raise CustomerTableError(f"The table breaks its declaration as a whole:\n{of_table.to_string(index=False)}")
    reasons = [
        f"{column}: is missing" if check == "not_nullable" else f"{column}: {_shown(value)} {check}"
        for column, check, value in zip(cases["column"], cases["check"], cases["failure_case"], strict=True)
    ]
    return pd.DataFrame({"row": cases["index"].to_numpy(), "column": cases["column"].to_numpy(), "reason": reasons})


def _shown(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else repr(value)


def set_aside_invalid(
    table: pd.DataFrame, unreadable: pd.DataFrame, declaration: CustomerDeclaration, *, with_target: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate valid rows from rows that break the declaration.

    Args:
        table: Normalised table.
        unreadable: Cells that could not be read (``row``, ``column``, ``reason``).
        declaration: The table's declaration.
        with_target: Whether the table holds the target.

    Returns:
        The valid rows, in order and with their index, and one row per broken rule of the others: ``row`` (index label),
        ``column``, ``reason``.
    """
    violations = _find_violations(table, declaration, with_target=with_target)
    # An unreadable cell is missing in the table and must not be reported twice.
    reported = set(zip(unreadable["row"], unreadable["column"], strict=True))
    cells = zip(violations["row"], violations["column"], strict=True)
    broken = pd.concat([unreadable, violations[[cell not in reported for cell in cells]]], ignore_index=True)
    valid = table[~table.index.isin(broken["row"])] if len(broken) else table
    if with_target and declaration.classes:
        valid = valid.astype({declaration.target: "int64"})
    return valid, broken


def list_rejected(raw: pd.DataFrame, violations: pd.DataFrame) -> pd.DataFrame:
    """List rejected rows as in the file, with their reasons.

    Args:
        raw: The raw table.
        violations: Broken rules (``row``, ``column``, ``reason``).

    Returns:
        ``row`` (1: the first row below the header), ``reasons`` and the raw cells of each rejected row.
    """
    reasons = violations.groupby("row", sort=True)["reason"].agg("; ".join).astype("str")
    rejected = raw.loc[reasons.index].reset_index(drop=True)
    rejected.insert(0, "row", raw.index.get_indexer(reasons.index) + 1, allow_duplicates=True)
    rejected.insert(1, "reasons", reasons.to_numpy(), allow_duplicates=True)
    return rejected


class CustomerTableValidator:
    """Catalog validator that raises for a table that breaks the declaration.

    Args:
        declaration: The declaration, as configuration.
        with_target: Whether the table holds the target.
    """

    def __init__(self, declaration: dict[str, Any], with_target: bool = True) -> None:
        self._schema = customer_schema(CustomerDeclaration.model_validate(declaration), with_target=with_target)

    def validate(self, data: pd.DataFrame) -> pd.DataFrame:
        """Check a table.

        Args:
            data: Normalised customer table.

        Returns:
            The table with the declared types.

        Raises:
            CustomerTableError: The table breaks the declaration.
        """
        import pandera.pandas as pa

        try:
            return self._schema.validate(data, lazy=True)
        except pa.errors.SchemaErrors as error:
            cases = error.failure_cases
            shown = cases[["column", "check", "failure_case"]].head(_SHOWN).to_string(index=False)
            raise CustomerTableError(
                f"The table breaks its declaration in {len(cases)} places, the first of them:\n{shown}\n"
                "Run `kedro run --pipelines data_processing` again, which rejects such rows."
            ) from error
