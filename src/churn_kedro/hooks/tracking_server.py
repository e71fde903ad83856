"""Check of the tracking server before a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kedro.framework.hooks import hook_impl

from churn_kedro.datasets import require_answer, tracking_uri

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext


class TrackingServerHooks:
    """Check that the tracking server answers, before kedro-mlflow waits for it."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Raise if the server does not answer."""
        require_answer(tracking_uri(Path(context.project_path), os.environ))
