"""Nodes of the snapshots pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import SnapshotParameters, SnapshotReport, build_snapshots


def take_snapshots(
    events: pd.DataFrame, parameters: SnapshotParameters
) -> tuple[pd.DataFrame, pd.DataFrame, SnapshotReport]:
    """Describe customers at several points in time, and say who left after each.

    Args:
        events: Event table as the file writes it, one row an event.
        parameters: Columns, cut-offs and windows.

    Returns:
        Labelled rows, rows to score as of the day after the last event, and what was counted.

    Raises:
        CustomerTableError: The events cannot be used.
    """
    return build_snapshots(events, parameters)
