"""The Dask cluster that computes tables larger than memory."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING

from kedro.io import DatasetError

from churn_kedro.base import available_cores

if TYPE_CHECKING:
    from distributed import Client

SCHEDULER_VARIABLE = "CHURN_DASK_SCHEDULER"
_SECONDS = 10
_opened: list[Client] = []


def connect() -> Client:
    """Connect to the cluster of ``CHURN_DASK_SCHEDULER``, or start a local one: a process per core, with one thread.

    Dask then computes all tables of this process there. A second call returns the same connection.

    Returns:
        The connection; it, and a local cluster, are closed when this process ends.

    Raises:
        DatasetError: Dask is not installed, or the scheduler does not respond or has no worker.
    """
    if _opened and _opened[0].status == "running":
        return _opened[0]
    try:
        import dask

        # Read when distributed is imported, here and by workers: else they report each connection and each end.
        dask.config.set(
            {
                "logging": {"distributed": "error"},
                "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "error",
            }
        )
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise DatasetError(
            "sample_rows needs Dask, which is not installed: `pip install 'churn_kedro[dask]'`. Without sample_rows, "
            "the table is read into memory."
        ) from error
    address = os.environ.get(SCHEDULER_VARIABLE)
    if address:
        client = None
        try:
            client = Client(address, timeout=_SECONDS, set_as_default=True)
            client.wait_for_workers(1, timeout=_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            if client is not None:
                client.close()
            raise DatasetError(
                f"No Dask scheduler with workers responds at {address} ({SCHEDULER_VARIABLE}) within {_SECONDS} s. "
                "Start `dask scheduler` and `dask worker` there, correct the address (tcp://HOST:8786), or unset the "
                "variable for a local cluster."
            ) from error
    else:
        cores = available_cores()
        # Half of the memory: this process has the sample, and a worker above its limit is ended.
        limit = _memory_bytes() // (2 * cores)
        cluster = LocalCluster(
            n_workers=cores,
            threads_per_worker=1,
            memory_limit=limit,
            host="127.0.0.1",
            # Who reaches a scheduler without keys can run code as this user.
            security=True,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        )
        client = Client(cluster, set_as_default=True)
    _opened[:] = [client]
    return client


@atexit.register
def disconnect() -> None:
    """Close the connection, and the local cluster if there is one."""
    while _opened:
        client = _opened.pop()
        cluster = client.cluster
        client.close()
        if cluster is not None:
            cluster.close()


def _memory_bytes() -> int:
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)
