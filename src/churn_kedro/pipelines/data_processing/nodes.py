"""Nodes of the data_processing pipeline."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.customers import (
    CustomerDeclaration,
    DataQuality,
    LeakageParameters,
    LeakageReport,
    NormalisedCustomers,
    ProfileParameters,
    SchemaChanges,
    SplitManifest,
    SplitParameters,
    TableProfile,
    TableSchema,
    check_leakage,
    compare_schemas,
    correlate,
    describe_quality,
    describe_schema,
    describe_splits,
    describe_stages,
    drop_duplicates,
    list_rejected,
    normalise,
    profile_columns,
    require_few_rejections,
    require_no_leak,
    set_aside_invalid,
    split_customers,
)
from churn_kedro.evaluation import RunMetrics
from churn_kedro.features import EncodedCustomers, FeatureParameters, encode_training_customers, find_training_outliers
from churn_kedro.reporting import (
    PICTURES,
    draw_correlations,
    draw_distributions,
    draw_encoded,
    draw_findings,
    draw_stages,
    render_data_report,
    render_png,
)


class DataProcessingParameters(Parameters):
    """Parameters of the data_processing pipeline."""

    max_rejected_share: float = Field(ge=0, le=1, description="Largest share of rows that may break the declaration.")
    split: SplitParameters
    leakage: LeakageParameters
    profile: ProfileParameters


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
    return valid, violations, list_rejected(normalised.raw, violations)


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
        normalised: Typed table and what was renamed or left out.
        violations: Broken rules of the rejected rows.
        customers: Customers that remain.
        declaration: The table's declaration.

    Returns:
        The counts.
    """
    return describe_quality(normalised=normalised, violations=violations, kept=customers, declaration=declaration)


def accept_customers(
    customers: pd.DataFrame, quality: DataQuality, parameters: DataProcessingParameters
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Refuse to go on with a table of which too much was rejected.

    Args:
        customers: Customers that remain.
        quality: Counts of the table.
        parameters: Largest share of rejected rows that is accepted.

    Returns:
        The customers under a fresh index, twice: to be kept as a file, and for the nodes that follow.

    Raises:
        CustomerTableError: Too many rows were rejected, or none is left.
    """
    require_few_rejections(quality, parameters.max_rejected_share)
    accepted = customers.reset_index(drop=True)
    return accepted, accepted


def divide_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: DataProcessingParameters
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Divide the customers into train, validation and test.

    Args:
        customers: Accepted customers.
        declaration: The table's declaration.
        parameters: Method, shares and seed.

    Returns:
        Train, validation and test.

    Raises:
        CustomerTableError: A class is absent or too rare, or a part would be empty.
    """
    return split_customers(customers, declaration, parameters.split)


def leave_out_training_outliers(
    train: pd.DataFrame, declaration: CustomerDeclaration, features: FeatureParameters
) -> pd.DataFrame:
    """Leave outliers out of training, where the treatment says so. No other part loses a row.

    Args:
        train: Training customers.
        declaration: The table's declaration.
        features: Treatment of the columns.

    Returns:
        Training customers without them, under a fresh index.
    """
    outlying = find_training_outliers(train, declaration, features)
    return train[~outlying].reset_index(drop=True) if outlying.any() else train


def check_customers(
    customers: pd.DataFrame,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    scoring_header: list[str] | None,
    declaration: CustomerDeclaration,
    parameters: DataProcessingParameters,
) -> LeakageReport:
    """Look for what would make a model lie, before there is one.

    Args:
        customers: Accepted customers in the order of the file.
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        scoring_header: Columns of the table to score; None where there is none yet.
        declaration: The table's declaration.
        parameters: Limits of the checks.

    Returns:
        Every finding with its evidence.
    """
    return check_leakage(
        customers,
        train,
        validation,
        test,
        scoring_header,
        declaration,
        parameters.leakage,
        by_time=parameters.split.method == "time",
    )


def draw_leakage(report: LeakageReport, parameters: DataProcessingParameters) -> bytes:
    """Draw the evidence of the checks.

    Args:
        report: Findings.
        parameters: Limits of the checks.

    Returns:
        PNG image.
    """
    return render_png(draw_findings(report, parameters.leakage))


def describe_parts(
    customers: pd.DataFrame,
    divided: pd.DataFrame,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: DataProcessingParameters,
) -> SplitManifest:
    """Write down what the split made.

    Args:
        customers: Accepted customers.
        divided: Training customers before outliers were left out.
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        declaration: The table's declaration.
        parameters: How the split was made.

    Returns:
        Rows, classes and digest of each part, and the rows that are in none.
    """
    left_out = {
        "gap": len(customers) - len(divided) - len(validation) - len(test),
        "outliers": len(divided) - len(train),
    }
    return describe_splits(train, validation, test, declaration, parameters.split, left_out)


def accept_splits(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    manifest: SplitManifest,
    report: LeakageReport,
    page: str,
    declaration: CustomerDeclaration,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, SplitManifest]:
    """Let the parts through to training, unless something leaks.

    Args:
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        manifest: Identifies them.
        report: Findings of the checks.
        page: The data report, which people need most where the run stops here.
        declaration: The table's declaration; it may allow a finding by name.

    Returns:
        Train, validation, test and their manifest, unchanged.

    Raises:
        CustomerTableError: There is a leak that the declaration does not allow.
    """
    require_no_leak(report, declaration)
    return train, validation, test, manifest


def compare_with_last_schema(
    normalised: NormalisedCustomers, previous: TableSchema | None, declaration: CustomerDeclaration
) -> tuple[TableSchema, SchemaChanges]:
    """Say how the table's columns differ from those of the last run.

    Args:
        normalised: Typed table.
        previous: Schema of the last run of the use case; None for the first.
        declaration: The table's declaration.

    Returns:
        The present schema, and the changes.
    """
    present = describe_schema(normalised, declaration)
    return present, compare_schemas(previous, present)


def profile_stages(
    normalised: NormalisedCustomers,
    valid: pd.DataFrame,
    customers: pd.DataFrame,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    parameters: DataProcessingParameters,
    features: FeatureParameters,
) -> tuple[TableProfile, RunMetrics, EncodedCustomers]:
    """Describe the table from the file to the model's inputs.

    Args:
        normalised: Typed table.
        valid: Rows that keep the declaration.
        customers: Accepted customers.
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        manifest: How the splits were made.
        declaration: The table's declaration.
        parameters: How much is looked at.
        features: Treatment of the columns.

    Returns:
        The profile, its metrics, and the training customers as the model sees them.
    """
    encoded = encode_training_customers(train, declaration, features)
    parts = {"train": train, "validation": validation, "test": test}
    columns, rate_name, overall, sampled = profile_columns(customers, declaration, parameters.profile)
    profile = TableProfile(
        stages=describe_stages(normalised, valid, customers, parts, encoded.table, manifest),
        columns=columns,
        rate_name=rate_name,
        overall_rate=overall,
        sampled_rows=sampled,
        train_classes=manifest.train.classes,
        outliers_removed=manifest.rows_left_out.get("outliers", 0),
    )
    return profile, RunMetrics(profile.metrics()), encoded


def draw_profile(
    profile: TableProfile,
    customers: pd.DataFrame,
    train: pd.DataFrame,
    encoded: EncodedCustomers,
    declaration: CustomerDeclaration,
    parameters: DataProcessingParameters,
) -> tuple[bytes, bytes, bytes, bytes]:
    """Draw the pictures of the data report.

    Args:
        profile: Stages and columns.
        customers: Accepted customers.
        train: Training customers.
        encoded: What the model sees of them.
        declaration: The table's declaration.
        parameters: How much is looked at.

    Returns:
        PNG images: stages, distributions, correlations, and numbers before and after treatment.
    """
    correlations = correlate(customers, declaration, parameters.profile)
    figures = (
        draw_stages(profile),
        draw_distributions(profile),
        draw_correlations(correlations),
        draw_encoded(train, encoded.table, encoded.sources),
    )
    stages, distributions, correlated, treated = map(render_png, figures)
    return stages, distributions, correlated, treated


def write_data_report(
    quality: DataQuality,
    profile: TableProfile,
    schema: SchemaChanges,
    report: LeakageReport,
    manifest: SplitManifest,
    stages: bytes,
    leakage: bytes,
    distributions: bytes,
    correlations: bytes,
    encoded: bytes,
    declaration: CustomerDeclaration,
) -> str:
    """Write the page that tells people what is in the table.

    Args:
        quality: Counts of what was read, set aside and dropped.
        profile: Stages and columns.
        schema: What changed since the last run.
        report: Findings of the leakage checks.
        manifest: How the splits were made.
        stages: Picture of the stages.
        leakage: Picture of the checks' evidence.
        distributions: Picture of the columns.
        correlations: Picture of the correlations.
        encoded: Picture of the treatment.
        declaration: The table's declaration.

    Returns:
        A self-contained HTML page.
    """
    pictures = dict(zip(PICTURES, (stages, leakage, distributions, correlations, encoded), strict=True))
    return render_data_report(quality, profile, schema, report, manifest, pictures, declaration)
