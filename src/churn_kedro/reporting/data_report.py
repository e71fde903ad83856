"""Data report: a self-contained page about a customer table."""

from __future__ import annotations

from collections.abc import Mapping

from churn_kedro.customers import (
    ColumnProfile,
    CustomerDeclaration,
    DataQuality,
    DisplayNames,
    LeakageReport,
    Reading,
    SchemaChanges,
    SplitManifest,
    TableProfile,
)
from churn_kedro.reporting.pages import Picture, html_templates
from churn_kedro.reporting.report_content import Tile, Tone
from churn_kedro.reporting.wording import write_number

# Sections with pictures; the names of their pictures begin with that of the section.
_SECTIONS = ("stages", "leakage", "distribution", "correlations", "treatment")
_SUMMARY = ("min", "median", "mean", "max", "std")


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
        pictures: PNG images by name.
        declaration: The table's declaration.

    Returns:
        Self-contained HTML; texts from the table are escaped.
    """
    names = DisplayNames.of(declaration)
    overall = f"{profile.overall_rate:.1%}" if declaration.classes else write_number(profile.overall_rate)
    unallowed = [finding.severity for finding in leakage.findings if finding.allowed is None]
    n_leaks, n_warnings = unallowed.count("leak"), unallowed.count("warning")
    tone: Tone = "bad" if n_leaks else "warning" if n_warnings else "good"
    unordered = [f"“{names.column(one.name)}”" for one in declaration.features if one.kind == "categorical"]
    n_features = sum(column.histogram is not None for column in profile.columns)
    sections = {
        section: [Picture.of(pictures[name]) for name in sorted(pictures) if name.startswith(section)]
        for section in _SECTIONS
    }
    return (
        html_templates()
        .get_template("data_report.html")
        .render(
            description=declaration.description,
            task=declaration.task,
            target=declaration.target,
            target_description=next(one.description for one in declaration.columns if one.role == "target"),
            names=names,
            tiles=[
                Tile(f"{quality.rows_read:,}", "rows read"),
                Tile(
                    f"{quality.rows_rejected:,}", "rejected, with reasons", "warning" if quality.rows_rejected else ""
                ),
                Tile(f"{quality.duplicates_dropped:,}", "duplicate rows dropped"),
                Tile(f"{quality.rows_kept:,}", "customers kept"),
                Tile(overall, profile.rate_name),
                Tile(f"{n_leaks} / {n_warnings}", "leaks / warnings", tone),
            ],
            quality=quality,
            reading=_describe_reading(quality.reading) if quality.reading else "",
            quality_lines=describe_findings(quality, names),
            profile=profile,
            columns=[_describe_column(column, declaration) for column in profile.columns],
            schema=schema,
            leakage=leakage,
            manifest=manifest,
            unordered=", ".join(unordered),
            not_drawn=max(0, n_features - len(sections["distribution"])),
            pictures=sections,
        )
    )


def _describe_column(column: ColumnProfile, declaration: CustomerDeclaration) -> dict[str, object]:
    """Return the cells of a row of the table of columns; codes of levels and classes have no mean."""
    titles = {"std": "deviation"}
    coded = column.kind in ("binary", "ordinal", "categorical") or (column.role == "target" and declaration.classes)
    summary = {} if coded else column.summary
    return {
        "name": column.name,
        "kind": column.kind or column.role,
        "missing": f"{column.missing:,} ({column.missing_share:.1%})" if column.missing else "0",
        "distinct": f"{column.distinct:,}",
        "summary": {titles.get(key, key): write_number(summary[key]) if key in summary else "" for key in _SUMMARY},
        "description": column.description,
    }


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


def describe_findings(quality: DataQuality, names: DisplayNames) -> list[str]:
    """Describe notable facts about reading a table.

    Args:
        quality: Counts of the table.
        names: Names of the columns.

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
        lines.append(f"“{names.column(name)}”: {counted_words} may mean missing; if it does, declare it in 'missing'")
    lines += [f"“{names.column(name)}”: {count:,} missing cells" for name, count in quality.missing_cells.items()]
    return lines
