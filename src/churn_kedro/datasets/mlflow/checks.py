"""Checks of MLflow's store and of runs that are marked as running."""

from __future__ import annotations

from churn_kedro.base import split_credentials
from churn_kedro.datasets.mlflow.addresses import TrackingServerError, require_answer
from churn_kedro.datasets.mlflow.failures import explain_damage, find_damage, sqlite_file
from churn_kedro.datasets.mlflow.runs import find_running
from churn_kedro.datasets.runtime.processes import HOST_TAG, PROCESS_TAG, describe_process, has_ended
from churn_kedro.registry import CheckResult


def check_store(uri: str) -> CheckResult:
    """Check that MLflow's store can be reached and, if it is a SQLite file, that all its pages are intact.

    Args:
        uri: Tracking URI.

    Returns:
        The result.
    """
    address = split_credentials(uri).without_credentials
    file = sqlite_file(uri)
    if file is not None:
        damage = find_damage(file, thorough=True)
        if damage is not None:
            return CheckResult(
                what="store", health="wrong", found=f"{file}: {damage}", advice=explain_damage(file, damage)
            )
        found = f"{file}, {file.stat().st_size:,} bytes, all pages intact" if file.exists() else f"{file} is new"
        return CheckResult(what="store", health="ok", found=found)
    try:
        require_answer(uri)
    except TrackingServerError as error:
        return CheckResult(what="store", health="wrong", found=f"{address} fails", advice=str(error))
    return CheckResult(what="store", health="ok", found=f"{address} answers")


def check_runs(experiment_id: str) -> list[CheckResult]:
    """Check that the processes of running runs exist.

    Args:
        experiment_id: Experiment of the use case.

    Returns:
        One result for each run that is marked as running.
    """
    here = describe_process()[HOST_TAG]
    results = []
    for run in find_running(experiment_id):
        host, process = run.data.tags.get(HOST_TAG), run.data.tags.get(PROCESS_TAG)
        what = f"run {run.info.run_id}"
        if has_ended(run.data.tags):
            results.append(
                CheckResult(
                    what=what,
                    health="wrong",
                    found=f"marked as running, but its process {process} has ended",
                    advice="The next `kedro run` or `kedro models list` marks it as killed.",
                )
            )
        elif host == here:
            results.append(CheckResult(what=what, health="ok", found=f"running in process {process}"))
        else:
            found = f"marked as running on {host or 'an unknown host'}, which cannot be checked from here"
            results.append(CheckResult(what=what, health="not recorded", found=found))
    return results
