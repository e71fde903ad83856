"""Run a Kedro command as an Airflow task, in a pod of a Kubernetes cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowSkipException
from churn_operators import join

TEMPLATE = Path(__file__).with_name("pod.yaml")


class KedroPodOperator(KubernetesPodOperator):
    """Run ``kedro ARGUMENTS`` in a pod, and wait for its end.

    The pod is that of ``pod.yaml``. It is deleted with the task; if only the worker was lost, the retry finds the pod
    and waits for it. Environment variables: ``CHURN_AIRFLOW_JOB_IMAGE``, ``CHURN_AIRFLOW_SERVE_IMAGE`` and
    ``CHURN_AIRFLOW_NAMESPACE``.

    Args:
        arguments: Arguments of ``kedro``.
        parameters: Values of ``--params``; empty ones are left out.
        accepted: Exit statuses that are no failure: 0, and at most one other.
        asks_service: Whether the command asks the service; only the image of the service has what that needs.
        kwargs: Arguments of every operator.
    """

    arguments: list[str]
    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "parameters")

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        parameters: Sequence[str] = (),
        accepted: Sequence[int] = (0,),
        asks_service: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arguments=list(arguments),
            pod_template_file=str(TEMPLATE),
            image=os.environ.get("CHURN_AIRFLOW_SERVE_IMAGE" if asks_service else "CHURN_AIRFLOW_JOB_IMAGE"),
            namespace=os.environ.get("CHURN_AIRFLOW_NAMESPACE") or None,
            # The provider can tell one other status apart; it calls this skipping.
            skip_on_exit_code=[status for status in accepted if status],
            on_finish_action="delete_pod",
            reattach_on_restart=True,
            get_logs=True,
            **kwargs,
        )
        self.parameters = list(parameters)

    def execute(self, context: Any) -> int:
        """Run the pod.

        Args:
            context: Context of the task.

        Returns:
            Exit status, one of the accepted ones.

        Raises:
            AirflowException: The command failed.
        """
        self.arguments = join(self.arguments, self.parameters)
        try:
            super().execute(context)
        except AirflowSkipException:
            (status,) = self.skip_on_exit_code
            return int(status)
        return 0
