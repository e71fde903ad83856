"""Results of the last evaluation of a version: files for people, artifacts of the evaluation's run for programs."""

from __future__ import annotations

import tempfile
from pathlib import PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from mlflow.exceptions import MlflowException

from churn_kedro.datasets.mlflow.registry import find_model_version

# Tag of a version: run of its last complete evaluation.
EVALUATION_RUN_TAG = "evaluation_run_id"


class EvaluationDataset(AbstractDataset[Any, Any]):
    """A result of the evaluation of a version.

    It is saved as a file and as an artifact of the run. Another process loads it from the run of the last complete
    evaluation of the version, so it needs neither the file nor the machine that wrote it.

    Args:
        dataset: Configuration of the dataset of the file, with ``filepath`` and ``artifact_path``.
        model_name: Registered model.
        model_version: Number or alias of the version, or ``latest``.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        dataset: dict[str, Any],
        model_name: str,
        model_version: str | int = "latest",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._configuration = dataset
        self._file: AbstractDataset[Any, Any] = AbstractDataset.from_config("file", dict(dataset))
        self._model_name = model_name
        self._model_version = str(model_version)
        # Kedro-Viz reads the kind of preview from the annotation of this method.
        self.preview = getattr(self._file, "preview", None)
        self._is_saved = False
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> Any:
        """Load the result that this process has saved, or that of the last complete evaluation of the version.

        Raises:
            DatasetError: There is no such version, it was not evaluated, or the artifact is lost.
        """
        if self._is_saved:
            return self._file.load()
        from mlflow.artifacts import download_artifacts

        found = find_model_version(self._model_name, self._model_version)
        if found is None:
            raise DatasetError(
                f"There is no version {self._model_version} of the model '{self._model_name}'. Train one first: "
                "`kedro run --pipelines data_processing,training`."
            )
        what = f"version {found.version} of {self._model_name}"
        evaluate = f"`kedro run --pipelines evaluation --params model_version={found.version}`"
        run_id = (found.tags or {}).get(EVALUATION_RUN_TAG)
        if run_id is None:
            raise DatasetError(f"There is no evaluation of {what}. Evaluate it first: {evaluate}.")
        artifact, file = self._configuration["artifact_path"], PurePosixPath(self._configuration["filepath"])
        if file.suffix:
            artifact = f"{artifact}/{file.name}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = download_artifacts(run_id=run_id, artifact_path=artifact, dst_path=folder)
            except (MlflowException, OSError) as error:
                raise DatasetError(
                    f"The evaluation of {what} (artifact {artifact} of run {run_id}) cannot be read: "
                    f"{str(error).splitlines()[-1]}. Evaluate the version again: {evaluate}."
                ) from error
            stored: AbstractDataset[Any, Any] = AbstractDataset.from_config(
                "artifact", {**self._configuration, "filepath": path}
            )
            return stored.load()

    def save(self, data: Any) -> None:
        """Save the result.

        Args:
            data: What the dataset of the file takes.
        """
        self._file._logging_activated = self._logging_activated  # type: ignore[attr-defined]
        self._file.save(data)
        self._is_saved = True

    def _exists(self) -> bool:
        return self._file.exists()

    def _describe(self) -> dict[str, Any]:
        return {"file": self._configuration.get("filepath"), "model_name": self._model_name}
