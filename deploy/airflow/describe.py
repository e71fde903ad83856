"""Write what the DAGs need to know of the project: `python deploy/airflow/describe.py`.

Airflow runs in an environment of its own, in which the project is not installed. So the DAG file reads a description.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from kedro.framework.project import find_pipelines
from kedro.framework.startup import bootstrap_project

from churn_kedro.pipelines import MAIN_JOB

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
DESCRIPTION = FOLDER / "dags" / "project.json"
_SCORE, _MONITOR = "inference", "monitoring"


def describe(root: Path = ROOT) -> dict[str, Any]:
    """Describe pipelines and use cases.

    Args:
        root: Folder of the project.

    Returns:
        ``train``, the pipelines of a training in their order; ``score`` and ``monitor``, the pipeline of each;
        ``use_cases``, name and registered model by Kedro environment.

    Raises:
        LookupError: A pipeline does not exist.
    """
    bootstrap_project(root)
    missing = {*MAIN_JOB, _SCORE, _MONITOR} - set(find_pipelines(raise_errors=True))
    if missing:
        raise LookupError(f"There is no pipeline {', '.join(sorted(missing))}.")
    # A use case is a folder with globals; conf/local has credentials only.
    found = {path.parent.name: yaml.safe_load(path.read_text("utf-8")) for path in root.glob("conf/*/globals.yml")}
    use_cases = {
        env: {"name": values["use_case"], "model": values["registered_model"]} for env, values in sorted(found.items())
    }
    return {
        "train": [name for name in MAIN_JOB if name != _SCORE],
        "score": _SCORE,
        "monitor": _MONITOR,
        "use_cases": use_cases,
    }


def render(root: Path = ROOT) -> str:
    """Render the description as JSON.

    Args:
        root: Folder of the project.
    """
    return json.dumps(describe(root), indent=2) + "\n"


if __name__ == "__main__":
    DESCRIPTION.write_text(render(), encoding="utf-8")
