"""Print the DAGs as JSON. Run by tests with the Python of Airflow's environment, not with that of the project."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
began = time.perf_counter()
import churn_dags  # noqa: E402

seconds = time.perf_counter() - began


def describe_task(task: Any) -> dict[str, Any]:
    return {
        "kind": type(task).__name__,
        "downstream": sorted(task.downstream_task_ids),
        "arguments": list(getattr(task, "arguments", None) or []),
        "parameters": list(getattr(task, "parameters", None) or []),
        "image": getattr(task, "image", None),
        "retries": task.retries,
        "backoff": float(task.retry_exponential_backoff),
        "limit": task.execution_timeout.total_seconds() if task.execution_timeout else None,
    }


dags = {name: one for name, one in vars(churn_dags).items() if isinstance(one, DAG) and name.startswith("churn_")}
described = {
    one.dag_id: {
        "schedule": str(one.schedule),
        "max_active_runs": one.max_active_runs,
        "catchup": one.catchup,
        "deadline": one.deadline is not None,
        "alerts": one.on_failure_callback is not None,
        "tasks": {task.task_id: describe_task(task) for task in one.tasks},
    }
    for one in dags.values()
}
pod: Any = None
if os.environ.get("CHURN_AIRFLOW_RUNS_IN") == "kubernetes":
    from kubernetes.client import ApiClient

    task = dags["churn_base_train"].get_task("training")
    pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj({}))
print(json.dumps({"seconds": seconds, "dags": described, "pod": pod, "modules": sorted(sys.modules)}))
