"""Which pipelines there are."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

from churn_kedro.pipelines import MAIN_JOB


def register_pipelines() -> dict[str, Pipeline]:
    """Find the pipelines: one per folder, under the folder's name.

    Returns:
        Pipeline by name; ``__default__`` is the main job.
    """
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum((pipelines[name] for name in MAIN_JOB if name in pipelines), Pipeline([]))
    return pipelines
