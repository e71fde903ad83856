"""Check of the tracking server before a run, and after its failure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kedro.framework.hooks import hook_impl

from churn_kedro.datasets import explain_store_failure, require_answer, require_database, tracking_uri

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext


_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class TrackingServerHooks:
    """Check that the tracking server answers, before kedro-mlflow waits for it."""

    def __init__(self) -> None:
        self._retries: str | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Raise if the server does not answer."""
        if self._retries is not None:
            os.environ[_RETRIES], self._retries = self._retries, None
        uri = tracking_uri(Path(context.project_path), os.environ)
        require_answer(uri)
        require_database(uri)

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, error: Exception) -> None:
        """Give up retries once the server has failed, since kedro-mlflow closes the run with further requests."""
        if explain_store_failure(error) is not None:
            self._retries = os.environ.get(_RETRIES)
            os.environ[_RETRIES] = "0"
