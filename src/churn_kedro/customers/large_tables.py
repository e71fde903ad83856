"""Tables larger than memory: preparation partition by partition, and description of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.digests import row_digests
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.quality import drop_duplicates
from churn_kedro.customers.splits import PARTS, SplitParameters, SplitRecord, WholeTable, hash_parts
from churn_kedro.customers.validation import set_aside_invalid

if TYPE_CHECKING:
    import dask.dataframe as dd

# Dask tables by name: raw as the files have it; prepared with all rows; or its parts train, validation and test, and
# rejected and duplicate if there are such rows. Empty if the table is read into memory. Kedro resolves the types of
# nodes, so Dask's, which would have to be imported, is not named.
LargeTables = Mapping[str, Any]
# Columns of a prepared table beside the declared ones. Arrow does not read folders that begin with an underscore.
PART, REASONS = "part_of_split", "reasons_of_rejection"
_EXAMPLES = 3


def prepare_large_table(tables: LargeTables, declaration: CustomerDeclaration, split: SplitParameters) -> LargeTables:
    """Normalise and validate each partition, and assign its rows to the parts of the split.

    Args:
        tables: ``raw``; or nothing.
        declaration: The table's declaration.
        split: Shares and salt of the split; its method must be ``hash``.

    Returns:
        ``prepared``, with the declared columns; :data:`PART`; and :data:`REASONS` of rejected rows; or nothing.

    Raises:
        ParameterError: The part of a row would depend on other rows.
    """
    if not tables:
        return {}
    if split.method != "hash":
        raise ParameterError(
            f"data_processing.split.method is {split.method}, but a table that is read in partitions (sample_rows) can "
            "be split by a hash only. Set it to hash: `--params data_processing.split.method=hash`."
        )
    raw = tables["raw"]
    layout = prepare_partition(raw._meta, declaration, split)
    return {"prepared": raw.map_partitions(prepare_partition, declaration, split, meta=layout)}


def prepare_partition(raw: pd.DataFrame, declaration: CustomerDeclaration, split: SplitParameters) -> pd.DataFrame:
    """Prepare a partition, see :func:`prepare_large_table`.

    Args:
        raw: Rows as the file has them.
        declaration: The table's declaration.
        split: Shares and salt of the split.

    Returns:
        All rows, also rejected ones and duplicates. The target of classes is float64, since it may be missing in a
        rejected row.
    """
    normalised = normalise(raw.reset_index(drop=True), declaration, with_target=True)
    valid, violations = set_aside_invalid(normalised.table, normalised.unreadable, declaration, with_target=True)
    kept = drop_duplicates(valid, declaration)
    part = pd.Series("rejected", index=normalised.table.index, dtype=object)
    part[valid.index] = "duplicate"
    part[kept.index] = hash_parts(kept, declaration, split)
    reasons = violations.groupby("row")["reason"].agg("; ".join)
    prepared = normalised.table.copy()
    prepared[declaration.target] = prepared[declaration.target].astype("float64")
    prepared[PART] = part.astype("str")
    prepared[REASONS] = reasons.reindex(prepared.index).astype("str")
    return prepared.reset_index(drop=True)


def read_customers(prepared: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Return valid rows of a prepared partition as a table in memory would have them.

    Args:
        prepared: Rows of one part.
        declaration: The table's declaration.

    Returns:
        The declared columns with their types.
    """
    columns = [column.name for column in declaration.required_columns(with_target=True)]
    customers = prepared[columns]
    return customers.astype({declaration.target: "int64"}) if declaration.classes else customers


def describe_large_table(
    parts: LargeTables, declaration: CustomerDeclaration, max_rejected_share: float
) -> WholeTable | None:
    """Count the rows of a prepared table, and compute the digests of its parts.

    Args:
        parts: The parts, also of rejected rows and of duplicates.
        declaration: The table's declaration.
        max_rejected_share: Maximum share of rejected rows, 0 to 1.

    Returns:
        The counts; None without a large table.

    Raises:
        CustomerTableError: Too many rows were rejected, or a part is empty.
    """
    if not parts:
        return None
    counted = _count_parts(parts, declaration)
    rows = {name: int(found["rows"].sum()) for name, found in counted.items()}
    rejected, total = rows.get("rejected", 0), sum(rows.values())
    examples = list(counted["rejected"]["reasons"])[:_EXAMPLES] if rejected else []
    if rejected > max_rejected_share * total:
        raise CustomerTableError(
            f"{rejected:,} of {total:,} rows ({rejected / total:.1%}) break the declaration; at most "
            f"{max_rejected_share:.1%} are accepted. For example\n"
            + "".join(f"  {example}\n" for example in examples)
            + "Correct the table or the declaration in parameters/customers.yml, or raise "
            "data_processing.max_rejected_share."
        )
    for name in PARTS:
        if not rows.get(name):
            raise CustomerTableError(
                f"The {name} part of the {total:,} rows is empty. Provide more rows, or choose other shares in "
                "data_processing.split."
            )

    return WholeTable(
        rows_read=total,
        rows_rejected=rejected,
        duplicates_dropped=rows.get("duplicate", 0),
        rejection_examples=examples,
        train=_sum_counts(counted["train"], declaration),
        validation=_sum_counts(counted["validation"], declaration),
        test=_sum_counts(counted["test"], declaration),
    )


def describe_large_part(part: dd.DataFrame, declaration: CustomerDeclaration) -> SplitRecord:
    """Count the rows of one part of a prepared table, and compute its digest.

    Args:
        part: The part.
        declaration: The table's declaration.

    Returns:
        The counts, which do not depend on the order of rows.
    """
    return _sum_counts(_count_parts({"": part}, declaration)[""], declaration)


# Columns of the counts of a partition.
_COUNTS = {"rows": "int64", "digest": "uint64", "classes": "object", "reasons": "object"}


def _count_rows(prepared: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Count the rows of a partition of one part."""
    columns = [column.name for column in declaration.required_columns(with_target=True)]
    target = prepared[declaration.target]
    found = {
        "rows": len(prepared),
        "digest": np.add.reduce(row_digests(prepared[columns])),
        "classes": [int((target == code).sum()) for code in range(len(declaration.classes))],
        "reasons": next(iter(prepared[REASONS]), ""),
    }
    return pd.DataFrame([found]).astype(_COUNTS)


def _count_parts(parts: LargeTables, declaration: CustomerDeclaration) -> dict[str, pd.DataFrame]:
    """Count the rows of each partition of each part."""
    import dask

    counts = {name: frame.map_partitions(_count_rows, declaration, meta=_COUNTS) for name, frame in parts.items()}
    return dict(zip(counts, dask.compute(*counts.values()), strict=True))


def _sum_counts(counted: pd.DataFrame, declaration: CustomerDeclaration) -> SplitRecord:
    classes = np.sum(list(counted["classes"]), axis=0).tolist()
    # The sum of the digests of all rows, modulo 2^64.
    digest = np.add.reduce(counted["digest"].to_numpy(dtype=np.uint64))
    return SplitRecord(
        rows=int(counted["rows"].sum()),
        classes={str(label): int(count) for label, count in zip(declaration.classes, classes, strict=True)},
        digest=f"{int(digest):016x}",
    )
