"""The terminal of a run: one console, so that progress bars and log lines do not overwrite each other."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@functools.cache
def terminal() -> Console:
    """Return the console of standard error; ``is_terminal`` is false if it is a file or a pipe."""
    from rich.console import Console

    return Console(stderr=True)


def progress_bar() -> Progress:
    """Make a progress bar on the terminal: description, bar, steps, elapsed time and a note (field ``note``)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=terminal(),
        refresh_per_second=4,
        transient=True,
    )


def rows_bar() -> Progress:
    """Make a progress bar for a table: bar, rows (field ``rows``), rows per second (``speed``) and time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f} rows/s", markup=False),
        TimeRemainingColumn(),
        TextColumn("left", markup=False),
        console=terminal(),
        refresh_per_second=4,
        transient=True,
    )
