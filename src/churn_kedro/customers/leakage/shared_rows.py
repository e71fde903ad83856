"""Leakage checks of the split: customers and near-duplicates in more than one part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.leakage.association import lowest_share
from churn_kedro.customers.leakage.findings import Finding, LeakageParameters, Severity
from churn_kedro.customers.near_duplicates import (
    Keys,
    code_features,
    grid_codes,
    grid_edges,
    has_numbers,
    hash_codes,
    number_values,
)

_EXAMPLES = 3
_KEY_COLUMNS = 3
# Near-duplicates are not explained by chance where there are ten times as many as among shuffled columns, and doubtful
# where there are twice as many.
_TIMES_CHANCE, _DOUBTFUL_TIMES_CHANCE = 10, 2
# Copies have the label of their original; customers with equal features by chance often have different labels.
_COPIES_AGREE = 0.95
_LEAST_COMPARED = 20


def check_shared_customers(
    parts: dict[str, pd.DataFrame], declaration: CustomerDeclaration, *, by_time: bool
) -> list[Finding]:
    """Check that no identifier or group is in more than one part of a split.

    Args:
        parts: Train, validation and test by name.
        declaration: The table's declaration.
        by_time: Whether the split is by time, where customers may have rows in several parts.

    Returns:
        One finding per identifier or group column at fault.
    """
    findings: list[Finding] = []
    for name in [*declaration.id_names, *([declaration.group] if declaration.group is not None else [])]:
        values = {title: part[name].dropna().drop_duplicates() for title, part in parts.items()}
        every = pd.concat(values.values(), ignore_index=True)
        shared = every[every.duplicated()].drop_duplicates()
        if shared.empty:
            continue
        n_shared, n_values = len(shared), len(every.drop_duplicates())
        examples = ", ".join(
            f"{value} in {' and '.join(title for title, of_part in values.items() if (of_part == value).any())}"
            for value in shared.head(_EXAMPLES)
        )
        units = "customers" if name != declaration.group else "groups"
        together = "`kedro run --params data_processing.split.method=group`, which keeps its rows in one part"
        advice = f"Give {name} role group in parameters/customers.yml, and {together}; or keep one row of each."
        if name == declaration.group:
            advice = f"Split by group: {together}."
        if by_time:
            advice = "None, if the model is to score customers of its training set at a later time."
        findings.append(
            Finding(
                check="customer_in_two_splits",
                column=name,
                severity="notice" if by_time else "leak",
                evidence=f"{n_shared:,} of {n_values:,} {units} by {name} are in more than one part of the split, "
                f"for example {examples}.",
                value=n_shared / n_values,
                advice=advice + " If the column alone does not identify a customer, give it role ignored.",
            )
        )
    return findings


def check_label_windows(parts: dict[str, pd.DataFrame], declaration: CustomerDeclaration, method: str) -> list[Finding]:
    """Check that labels of earlier rows are known before the first row of a later part.

    Otherwise a model learns from what happened in the time that it is tested on.

    Args:
        parts: Train, validation and test by name.
        declaration: The table's declaration, with ``time`` and ``label_days``.
        method: Method of the split.

    Returns:
        At most one finding.
    """
    time, days = declaration.time, declaration.label_days
    if time is None or days is None:
        return []
    window = pd.Timedelta(days=days)
    evidence = []
    share = 0.0
    for earlier, later in (("train", "validation"), ("validation", "test")):
        first = parts[later][time].min()
        crossing = int((parts[earlier][time] + window > first).sum())
        if crossing:
            share = max(share, crossing / len(parts[earlier]))
            evidence.append(
                f"{crossing:,} of {len(parts[earlier]):,} {earlier} rows have labels that are known after "
                f"{first:%Y-%m-%d}, the first {time} in {later}"
            )
    if not evidence:
        return []
    by_time = method == "time"
    advice = f"Leave out the rows between: `kedro run --params data_processing.split.gap_days={days:g}`."
    if not by_time:
        advice = f"Split by time: data_processing.split.method time and gap_days {days:g}."
    return [
        Finding(
            check="label_windows",
            column=time,
            severity="leak" if by_time else "warning",
            evidence=f"A label takes {days:g} days to be known: {'; '.join(evidence)}.",
            value=share,
            advice=advice,
        )
    ]


@dataclass(frozen=True)
class _NearDuplicates:
    """Rows of a part with an equal or nearly equal row in an earlier part."""

    part: str
    rows: int
    exact: int
    near: int
    # Share of near-duplicates in the part, and the share of their earlier rows with the same label.
    share: float
    same_label: float
    # The same for classes other than the most frequent, and the number of such near-duplicates.
    rare_same_label: float
    rare: int
    # Share of near-duplicates after shuffling the columns of the earlier rows.
    chance: float


def _sample_by_key(
    parts: dict[str, pd.DataFrame], declaration: CustomerDeclaration, max_rows: int, random: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Sample rows of each part by a hash of their features, so that near-duplicates are sampled together."""
    rows = sum(len(part) for part in parts.values())
    if rows <= 2 * max_rows:
        return parts
    sampled = parts["train"].sample(min(len(parts["train"]), max_rows), random_state=random)
    chosen = sorted(declaration.features, key=lambda column: -int(sampled[column.name].nunique()))[:_KEY_COLUMNS]
    edges = {column.name: grid_edges(number_values(sampled[column.name])) for column in chosen if has_numbers(column)}

    def keys(part: pd.DataFrame) -> Keys:
        return hash_codes(
            {
                column.name: grid_codes(number_values(part[column.name]), edges[column.name])
                if column.name in edges
                else pd.util.hash_pandas_object(part[column.name], index=False).to_numpy().astype(np.int64)
                for column in chosen
            }
        )

    every = np.uint64(-(-rows // (2 * max_rows)))
    kept = {title: part[keys(part) % every == 0] for title, part in parts.items()}
    # With few distinct keys, one key may have most of the rows.
    return {
        title: part if len(part) <= 2 * max_rows else part.sample(2 * max_rows, random_state=random)
        for title, part in kept.items()
    }


def _count_near_duplicates(
    parts: dict[str, pd.DataFrame], declaration: CustomerDeclaration, random: np.random.Generator
) -> list[_NearDuplicates]:
    """Count the rows of each further part with an equal or nearly equal row in an earlier part.

    The final model learns from training and validation rows.
    """
    table = pd.concat(parts.values(), ignore_index=True)
    codes = code_features(table, declaration.features)
    exact_keys, near_keys = hash_codes(codes.exact), hash_codes(codes.near)
    part_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts.values()])
    rows = pd.DataFrame({"key": near_keys, "label": table[declaration.target].to_numpy()})
    # Unrelated rows of the most frequent class have the same label too.
    common = rows["label"].mode().iloc[0] if declaration.task != "regression" else None
    counted: list[_NearDuplicates] = []
    for position, title in enumerate(parts):
        of_part, learned = part_of == position, part_of < position
        if not learned.any() or not of_part.any():
            continue
        near_duplicates = rows[of_part & np.isin(near_keys, near_keys[learned])]
        of_pair = rows[learned].groupby(["key", "label"]).size().rename("same").reset_index()
        same = near_duplicates.merge(of_pair, on=["key", "label"], how="left")["same"].fillna(0).to_numpy()
        same = same / rows[learned].groupby("key").size().loc[near_duplicates["key"]].to_numpy()
        rare = (near_duplicates["label"] != common).to_numpy() if common is not None else np.ones(len(same), dtype=bool)
        shuffled = hash_codes({name: random.permutation(column[learned]) for name, column in codes.near.items()})
        counted.append(
            _NearDuplicates(
                part=title,
                rows=int(of_part.sum()),
                exact=int(np.isin(exact_keys[of_part], exact_keys[learned]).sum()),
                near=len(near_duplicates),
                share=len(near_duplicates) / int(of_part.sum()),
                same_label=float(same.mean()) if len(same) else 0.0,
                rare_same_label=float(same[rare].mean()) if rare.any() else 0.0,
                rare=int(rare.sum()),
                chance=float(np.isin(near_keys[of_part], shuffled).mean()),
            )
        )
    return counted


def check_near_duplicates(
    parts: dict[str, pd.DataFrame],
    declaration: CustomerDeclaration,
    parameters: LeakageParameters,
    random: np.random.Generator,
) -> list[Finding]:
    """Check for rows whose features equal those of a row of an earlier part, exactly or on a fine grid.

    Args:
        parts: Train first, then validation and test, by name.
        declaration: The table's declaration.
        parameters: Limits.
        random: Random number generator.

    Returns:
        At most one finding, of the part with the larger share.
    """
    sampled = _sample_by_key(parts, declaration, parameters.max_rows, random)
    counted = _count_near_duplicates(sampled, declaration, random)
    worst = max(counted, key=lambda pair: pair.share, default=None)
    if worst is None or not worst.near:
        return []
    # Shuffling also removes near-duplicates due to dependence between columns; hence, for a leak, the wide margin and
    # the comparison of labels.
    copies = worst.rare >= _LEAST_COMPARED and worst.rare_same_label >= _COPIES_AGREE
    at_least = lowest_share(worst.share, worst.rows)
    severity: Severity = "notice"
    if at_least >= parameters.near_duplicates_leak and copies and worst.share > _TIMES_CHANCE * worst.chance:
        severity = "leak"
    elif at_least >= parameters.near_duplicates_warning and worst.share > _DOUBTFUL_TIMES_CHANCE * worst.chance:
        severity = "warning"
    evidence = "; ".join(
        f"{pair.near:,} of {pair.rows:,} {pair.part} rows ({pair.share:.1%}) have the features of a row that the "
        f"{'final model' if pair.part == 'test' else 'search'} learns from, {pair.exact:,} of them exactly, "
        f"{pair.same_label:.0%} with the same target (shuffled columns would give {pair.chance:.1%})"
        for pair in counted
        if pair.near
    )
    n_sampled, n_rows = (sum(map(len, tables.values())) for tables in (sampled, parts))
    if n_sampled < n_rows:
        evidence += f" (measured on a sample of {n_sampled:,} of {n_rows:,} rows)"
    advice = "None: customers with equal features are not an error."
    if severity != "notice":
        advice = (
            "Check whether rows were copied, for example to balance the classes, and remove the copies from the file. "
            "To keep rows with the same features in one part: `kedro run --params data_processing.split.method=copies`."
        )
    return [
        Finding(check="near_duplicates", severity=severity, evidence=evidence + ".", value=worst.share, advice=advice)
    ]
