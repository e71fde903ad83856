"""Nodes of the data_processing pipeline."""

from __future__ import annotations

import logging

import pandas as pd

from churn_kedro.customers import (
    CustomerDeclaration,
    CustomerParts,
    DataQuality,
    DisplayNames,
    LargeTables,
    LeakageParameters,
    LeakageReport,
    NormalisedCustomers,
    ProfiledColumns,
    ProfileParameters,
    SchemaChanges,
    SplitManifest,
    SplitParameters,
    TableProfile,
    TableSchema,
    check_leakage,
    compare_schemas,
    correlate,
    describe_large_table,
    describe_quality,
    describe_schema,
    describe_splits,
    describe_stages,
    drop_duplicates,
    list_rejected,
    normalise,
    prepare_large_table,
    profile_columns,
    require_few_rejections,
    require_no_leak,
    set_aside_invalid,
    split_customers,
)
from churn_kedro.evaluation import RunMetrics
from churn_kedro.features import EncodedCustomers, FeatureParameters, encode_training_customers, find_training_outliers
from churn_kedro.reporting import (
    Figure,
    draw_correlations,
    draw_distributions,
    draw_encoded,
    draw_findings,
    draw_stages,
    render_data_report,
)

logger = logging.getLogger(__name__)


def normalise_customers(raw: pd.DataFrame, declaration: CustomerDeclaration) -> NormalisedCustomers:
    """Read names, types and missing values as declared.

    Args:
        raw: Customer table as the file writes it.
        declaration: The table's declaration.

    Returns:
        The typed table and every cell that could not be read.
    """
    return normalise(raw, declaration, with_target=True)


def set_aside_invalid_customers(
    normalised: NormalisedCustomers, declaration: CustomerDeclaration
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Separate customers that break the declaration.

    Args:
        normalised: Typed table and unreadable cells.
        declaration: The table's declaration.

    Returns:
        Valid customers, broken rules, and the rejected rows as the file writes them with their reasons.
    """
    valid, violations = set_aside_invalid(normalised.table, normalised.unreadable, declaration, with_target=True)
    return valid, violations, list_rejected(normalised.named.raw, violations)


def drop_duplicate_customers(customers: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Keep the first of rows that are equal in every declared column.

    Args:
        customers: Valid customers.
        declaration: The table's declaration.

    Returns:
        Distinct customers.
    """
    return drop_duplicates(customers, declaration)


def measure_quality(
    normalised: NormalisedCustomers,
    violations: pd.DataFrame,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
) -> DataQuality:
    """Count what was read, rejected, dropped and kept.

    Args:
        normalised: Typed table, with renamed and ignored columns.
        violations: Broken rules of the rejected rows.
        customers: Customers that remain.
        declaration: The table's declaration.

    Returns:
        The counts.
    """
    return describe_quality(normalised=normalised, violations=violations, kept=customers, declaration=declaration)


def accept_customers(customers: pd.DataFrame, quality: DataQuality, max_rejected_share: float) -> pd.DataFrame:
    """Check that not too many rows were rejected.

    Args:
        customers: Customers that remain.
        quality: Counts of the table.
        max_rejected_share: Maximum share of rejected rows, 0 to 1.

    Returns:
        The customers with a new index.

    Raises:
        CustomerTableError: Too many rows were rejected, or none is left.
    """
    require_few_rejections(quality, max_rejected_share)
    return customers.reset_index(drop=True)


def divide_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration, split: SplitParameters
) -> CustomerParts:
    """Divide the customers into train, validation and test.

    Args:
        customers: Accepted customers.
        declaration: The table's declaration.
        split: Method, shares and seed.

    Returns:
        Train, validation and test.

    Raises:
        CustomerTableError: A class is absent or too rare, or a part would be empty.
    """
    return split_customers(customers, declaration, split)


def leave_out_training_outliers(
    divided: CustomerParts, declaration: CustomerDeclaration, features: FeatureParameters
) -> CustomerParts:
    """Drop outliers from the training set if the treatment says so. Validation and test set are unchanged.

    Args:
        divided: All parts.
        declaration: The table's declaration.
        features: Treatment of the columns.

    Returns:
        The parts, with training customers without outliers under a new index.
    """
    outlying = find_training_outliers(divided.train, declaration, features)
    return divided._replace(train=divided.train[~outlying].reset_index(drop=True)) if outlying.any() else divided


def check_customers(
    customers: pd.DataFrame,
    parts: CustomerParts,
    manifest: SplitManifest,
    scoring_header: list[str] | None,
    declaration: CustomerDeclaration,
    leakage: LeakageParameters,
) -> LeakageReport:
    """Check the table and its parts for leakage before training.

    Args:
        customers: Accepted customers in the order of the file.
        parts: Train, validation and test.
        manifest: Manifest of the parts.
        scoring_header: Columns of the table to score; None if absent.
        declaration: The table's declaration.
        leakage: Limits of the checks.

    Returns:
        All findings with their evidence, and the digests of the parts.
    """
    return check_leakage(customers, *parts, manifest, scoring_header, declaration, leakage)


def prepare_all_customers(tables: LargeTables, declaration: CustomerDeclaration, split: SplitParameters) -> LargeTables:
    """Normalise, validate and split a table larger than memory, partition by partition.

    Args:
        tables: The table as its files have it; empty if the table is read into memory.
        declaration: The table's declaration.
        split: Parameters of the split.

    Returns:
        All rows with their part, computed when they are saved.

    Raises:
        ParameterError: The split depends on more than the row.
    """
    return prepare_large_table(tables, declaration, split)


def describe_parts(
    customers: pd.DataFrame,
    divided: CustomerParts,
    parts: CustomerParts,
    all_customers: LargeTables,
    declaration: CustomerDeclaration,
    split: SplitParameters,
    max_rejected_share: float,
) -> SplitManifest:
    """Describe the split in a manifest.

    Args:
        customers: Accepted customers.
        divided: The parts before outliers were left out.
        parts: Train, validation and test.
        all_customers: Parts of the table of which the customers are a sample; empty if they are all.
        declaration: The table's declaration.
        split: Parameters of the split.
        max_rejected_share: Maximum share of rejected rows of that table, 0 to 1.

    Returns:
        Rows, classes and digest of each part, and the rows in no part.

    Raises:
        CustomerTableError: Too many rows of the large table were rejected, or a part of it is empty.
    """
    left_out = {
        "gap": len(customers) - sum(map(len, divided)),
        "outliers": len(divided.train) - len(parts.train),
    }
    whole = describe_large_table(all_customers, declaration, max_rejected_share)
    return describe_splits(*parts, declaration, split, left_out, whole)


def accept_splits(
    parts: CustomerParts,
    manifest: SplitManifest,
    report: LeakageReport,
    page: str,
    schema: TableSchema,
    declaration: CustomerDeclaration,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, SplitManifest, TableSchema]:
    """Check that the parts have no leakage before training.

    Args:
        parts: Train, validation and test.
        manifest: Manifest of the parts.
        report: Findings of the checks.
        page: The data report; an input, so that it is written before this node can stop the run.
        schema: Schema of the table.
        declaration: The table's declaration, which may allow findings by name.

    Returns:
        Train, validation, test, their manifest and the schema, unchanged. The schema is the baseline of the next run; a
        run that stops before leaves that of the last accepted table.

    Raises:
        CustomerTableError: There is a leak that the declaration does not allow.
    """
    require_no_leak(report, declaration)
    return *parts, manifest, schema


def compare_with_last_schema(
    normalised: NormalisedCustomers, previous: TableSchema | None, declaration: CustomerDeclaration
) -> tuple[TableSchema, SchemaChanges]:
    """Compare columns and size of the table with those of the last accepted one.

    Args:
        normalised: Typed table.
        previous: Schema of the last accepted table of the use case; None for the first.
        declaration: The table's declaration.

    Returns:
        The present schema, and the changes.
    """
    present = describe_schema(normalised, declaration)
    compared = compare_schemas(previous, present)
    for warning in compared.warnings:
        logger.warning("Customer table: %s", warning)
    return present, compared


def encode_customers(
    parts: CustomerParts, declaration: CustomerDeclaration, features: FeatureParameters
) -> EncodedCustomers:
    """Apply the column treatment to the training customers.

    Args:
        parts: Train, validation and test.
        declaration: The table's declaration.
        features: Treatment of the columns.

    Returns:
        Model inputs of the training customers.
    """
    return encode_training_customers(parts.train, declaration, features)


def profile_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ProfileParameters
) -> tuple[ProfiledColumns, pd.DataFrame]:
    """Describe the columns.

    Args:
        customers: Accepted customers.
        declaration: The table's declaration.
        parameters: Maximum number of rows, and the seed of the sample.

    Returns:
        Profile of each column, and rank correlations.
    """
    return profile_columns(customers, declaration, parameters), correlate(customers, declaration, parameters)


def profile_stages(
    normalised: NormalisedCustomers,
    valid: pd.DataFrame,
    customers: pd.DataFrame,
    parts: CustomerParts,
    encoded: EncodedCustomers,
    manifest: SplitManifest,
    profiled: ProfiledColumns,
) -> tuple[TableProfile, RunMetrics]:
    """Describe the table at each stage from the file to the model inputs.

    Args:
        normalised: Typed table.
        valid: Rows that satisfy the declaration.
        customers: Accepted customers.
        parts: Train, validation and test.
        encoded: Model inputs of the training customers.
        manifest: Manifest of the parts.
        profiled: Profiles of the columns.

    Returns:
        The profile and its metrics.
    """
    profile = TableProfile(
        stages=describe_stages(normalised, valid, customers, parts._asdict(), encoded.table, manifest),
        **profiled._asdict(),
        train_classes=manifest.train.classes,
        outliers_removed=manifest.rows_left_out.get("outliers", 0),
    )
    return profile, RunMetrics(profile.metrics())


def draw_data(
    profile: TableProfile,
    correlations: pd.DataFrame,
    parts: CustomerParts,
    encoded: EncodedCustomers,
    report: LeakageReport,
    leakage: LeakageParameters,
    declaration: CustomerDeclaration,
) -> dict[str, Figure]:
    """Draw the figures of the data report.

    Args:
        profile: Stages and columns.
        correlations: Rank correlations.
        parts: Train, validation and test.
        encoded: Model inputs of the training customers.
        report: Findings of the leakage checks.
        leakage: Limits of the checks.
        declaration: The table's declaration, for the names of columns, levels and classes.

    Returns:
        Figures by file name.
    """
    names = DisplayNames.of(declaration)
    return {
        "stages.png": draw_stages(profile),
        **draw_findings(report, leakage, names),
        **draw_distributions(profile, names),
        "correlations.png": draw_correlations(correlations, names),
        **draw_encoded(parts.train, encoded.table, encoded.sources, names),
    }


def write_data_report(
    quality: DataQuality,
    profile: TableProfile,
    schema: SchemaChanges,
    report: LeakageReport,
    manifest: SplitManifest,
    pictures: dict[str, bytes],
    declaration: CustomerDeclaration,
) -> str:
    """Write the data report.

    Args:
        quality: Counts of rows read, rejected and dropped.
        profile: Stages and columns.
        schema: Changes since the last run.
        report: Findings of the leakage checks.
        manifest: Manifest of the parts.
        pictures: Figures as PNG by name.
        declaration: The table's declaration.

    Returns:
        A self-contained HTML page.
    """
    return render_data_report(quality, profile, schema, report, manifest, pictures, declaration)
