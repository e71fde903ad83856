"""Baseline of the comparison of a version."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, get_args

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.evaluation import BASELINES, BaselineRequest
from churn_kedro.registry import Alias

logger = logging.getLogger(__name__)

_DEFAULT, _NOTHING = "auto", "none"


class BaselineDataset(AbstractDataset[BaselineRequest, BaselineRequest]):
    """Find the baseline of the comparison of a version.

    Args:
        model_name: Registered model.
        baseline: A version's number or alias; the name of a simple model to train; ``none``; or ``auto``: the champion,
            or a simple model without one.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self, *, model_name: str, baseline: str | int = _DEFAULT, metadata: dict[str, Any] | None = None
    ) -> None:
        self._model_name = model_name
        self._baseline = str(baseline)
        self.metadata = metadata

    def load(self) -> BaselineRequest:
        """Load the version, or return the name of the simple model.

        Returns:
            The request.

        Raises:
            DatasetError: Neither a version nor a simple model has this name.
        """
        if self._baseline == _NOTHING:
            return BaselineRequest()
        named = next((name for name in BASELINES if name == self._baseline), None)
        if named is not None:
            return BaselineRequest(name=named)
        if self._baseline == _DEFAULT:
            try:
                return replace(self._find("champion", missing_ok=True), by_default=True)
            except DatasetError as error:
                logger.warning("The champion cannot be used as baseline: %s", error)
                return BaselineRequest(by_default=True)
        if not self._baseline.isdecimal() and self._baseline not in get_args(Alias):
            raise DatasetError(
                f"Baseline '{self._baseline}' does not exist. Expected the number of a version, an "
                f"alias ({', '.join(get_args(Alias))}), a simple model to train ({', '.join(BASELINES)}), "
                f"{_DEFAULT} or {_NOTHING}."
            )
        return self._find(self._baseline, missing_ok=False)

    def _find(self, wanted: str, *, missing_ok: bool) -> BaselineRequest:
        model = RegistryModelDataset(
            model_name=self._model_name, model_version=wanted, missing_ok=missing_ok, with_training_rows=True
        ).load()
        return BaselineRequest(model=model, alias=None if wanted.isdecimal() else wanted)

    def save(self, data: BaselineRequest) -> None:
        """Raise an error, since the baseline is a parameter.

        Args:
            data: Ignored.
        """
        raise DatasetError("The baseline is read-only. Choose it with `--params baseline=...`.")

    def _describe(self) -> dict[str, Any]:
        return {"model_name": self._model_name, "baseline": self._baseline}
