"""Nodes of the snapshots pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import SnapshotParameters, SnapshotReport, build_snapshots


def take_snapshots(
    events: pd.DataFrame, parameters: SnapshotParameters
) -> tuple[pd.DataFrame, pd.DataFrame, SnapshotReport]:
    """Compute customer features at several cut-offs and label who left after each.

    Args:
        events: Raw event table, one row per event.
        parameters: Columns, cut-offs and windows.

    Returns:
        Labelled rows, rows to score as of the day after the last event, and counts.

    Raises:
        CustomerTableError: The event table is invalid.
    """
    return build_snapshots(events, parameters)
