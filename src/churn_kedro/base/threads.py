"""How many threads a computation gets."""

from __future__ import annotations

_ROWS_PER_THREAD = 20_000


def available_cores() -> int:
    """Cores that this process may use; limits of a container and of the scheduler count.

    Returns:
        At least 1.
    """
    import joblib

    return int(joblib.cpu_count())


def training_threads(n_rows: int, n_jobs: int | None) -> int:
    """Threads for growing trees.

    On few rows, threads wait for each other longer than they work, and far longer when another process wants the same
    cores (measured in docs/training.md).

    Args:
        n_rows: Training rows.
        n_jobs: Wanted threads, or None for one per 20,000 rows.

    Returns:
        At least 1 and never more than the available cores.
    """
    wanted = max(1, n_rows // _ROWS_PER_THREAD) if n_jobs is None else n_jobs
    return min(wanted, available_cores())
