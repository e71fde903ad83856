"""Data report: a self-contained page about a customer table."""

from __future__ import annotations

from collections.abc import Mapping

from churn_kedro.customers import (
    CustomerDeclaration,
    DataQuality,
    LeakageReport,
    Reading,
    SchemaChanges,
    SplitManifest,
    TableProfile,
)
from churn_kedro.reporting.pages import embed_picture, html_templates

_PICTURES = ("stages", "leakage", "distributions", "correlations", "treatment")


def render_data_report(
    quality: DataQuality,
    profile: TableProfile,
    schema: SchemaChanges,
    leakage: LeakageReport,
    manifest: SplitManifest,
    pictures: Mapping[str, bytes],
    declaration: CustomerDeclaration,
) -> str:
    """Render the page.

    Args:
        quality: Counts of rows read, rejected and dropped.
        profile: Stages and columns.
        schema: Changes since the last run.
        leakage: Findings of the checks.
        manifest: Manifest of the splits.
        pictures: PNG images ``stages``, ``leakage``, ``distributions``, ``correlations`` and ``treatment``.
        declaration: The table's declaration.

    Returns:
        Self-contained HTML; texts from the table are escaped.
    """
    environment = html_templates()
    environment.filters["number"] = _write_number
    unallowed = [finding for finding in leakage.findings if finding.allowed is None]
    return environment.get_template("data_report.html").render(
        description=declaration.description,
        task=declaration.task,
        target=declaration.target,
        quality=quality,
        reading=_describe_reading(quality.reading) if quality.reading else "",
        quality_lines=describe_findings(quality),
        profile=profile,
        overall=f"{profile.overall_rate:.1%}" if declaration.classes else f"{profile.overall_rate:,.5g}",
        schema=schema,
        leakage=leakage,
        n_leaks=sum(finding.severity == "leak" for finding in unallowed),
        n_warnings=sum(finding.severity == "warning" for finding in unallowed),
        manifest=manifest,
        pictures={name: embed_picture(pictures[name]) for name in _PICTURES},
    )


def _write_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _describe_reading(reading: Reading) -> str:
    parts = [reading.format]
    if reading.encoding is not None:
        mark = " with a byte order mark" if reading.byte_order_mark else ""
        parts.append(f"encoding {reading.encoding}{mark}")
        parts.append(f"{reading.delimiter}-separated")
    if reading.line_endings is not None:
        parts.append(f"lines ending in {reading.line_endings}")
    if reading.quoted_line_breaks:
        parts.append(f"{reading.quoted_line_breaks:,} line breaks within cells")
    return ", ".join(parts)


def describe_findings(quality: DataQuality) -> list[str]:
    """Describe notable facts about reading a table.

    Args:
        quality: Counts of the table.

    Returns:
        One sentence per finding.
    """
    lines = [f"'{name}' is called '{found}' in the file" for name, found in quality.renamed_columns.items()]
    lines += [f"Column '{name}' of the file is not declared and was ignored" for name in quality.undeclared_columns]
    counted = {
        "empty column(s) without a name left out": quality.empty_unnamed_columns,
        "row(s) that repeat the header dropped": quality.header_rows_dropped,
        "repeated row(s) dropped": quality.duplicates_dropped,
        "row(s) equal an earlier one; without an identifier they stay": quality.identical_rows,
        "row(s) share their identifier with an earlier row and differ from it; a split keeps them together": (
            quality.repeated_ids
        ),
    }
    lines += [f"{count:,} {text}" for text, count in counted.items() if count]
    lines += [f"{count:,} row(s) rejected for {name}" for name, count in quality.rejection_reasons.items()]
    lines += list(quality.rejection_examples)
    for name, words in quality.suspected_missing.items():
        counted_words = ", ".join(f"{word!r} ({count:,})" for word, count in words.items())
        lines.append(f"{name}: {counted_words} may mean missing; if it does, declare it in 'missing'")
    lines += [f"{name}: {count:,} missing cells" for name, count in quality.missing_cells.items()]
    return lines
