"""Number of threads of a computation."""

from __future__ import annotations

_ROWS_PER_THREAD = 20_000


def available_cores() -> int:
    """Return the number of cores that this process may use, within the limits of its container and scheduler.

    Returns:
        At least 1.
    """
    import joblib

    return int(joblib.cpu_count())


def training_threads(n_rows: int, n_jobs: int | None) -> int:
    """Return the number of threads for growing trees.

    On few rows, synchronising threads takes longer than the work, and far longer where other processes use the same
    cores (measured in docs/training.md).

    Args:
        n_rows: Number of training rows.
        n_jobs: Requested threads; None for one per 20,000 rows.

    Returns:
        At least 1 and at most the available cores.
    """
    wanted = max(1, n_rows // _ROWS_PER_THREAD) if n_jobs is None else n_jobs
    return min(wanted, available_cores())
