"""Artifacts of the training run of a registered version: summary and data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from churn_kedro.customers import SplitManifest, table_digest
from churn_kedro.datasets.mlflow.registry import find_model_version
from churn_kedro.training import TrainingSummary

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from mlflow.entities.model_registry import ModelVersion

_PARTS = ("train", "validation", "test")
# Artifact with the training summary; the catalog's training_summary.
SUMMARY_ARTIFACT = "training/training_summary.json"


@dataclass(frozen=True)
class RecordedVersion:
    """A version and its recorded training.

    Attributes:
        name: Registered model.
        version: Its number.
        run_id: Run that trained it.
        tags: Tags of the version.
        summary: Summary of the training.
    """

    name: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    summary: TrainingSummary


def find_commit(model_name: str, version: str) -> str:
    """Find the commit of the training code of a version.

    Args:
        model_name: Registered model.
        version: Number, or the name of an alias.

    Returns:
        The commit.

    Raises:
        DatasetError: There is no such version, or it was trained outside of git.
    """
    found = _find(model_name, version)
    commit = (found.tags or {}).get("git_commit", "unknown")
    if commit == "unknown":
        raise DatasetError(
            f"Version {found.version} of {model_name} has no recorded commit: rebuild it without --at-commit."
        )
    if (found.tags or {}).get("git_dirty") == "true":
        raise DatasetError(
            f"Version {found.version} of {model_name} was trained with uncommitted changes (git_dirty): "
            f"commit {commit} cannot rebuild it. Try without --at-commit."
        )
    return commit


def _find(model_name: str, version: str) -> ModelVersion:
    found = find_model_version(model_name, version)
    if found is None:
        numbers = sorted(int(one.version) for one in MlflowClient().search_model_versions(f"name = '{model_name}'"))
        raise DatasetError(
            f"There is no version or alias '{version}' of the model '{model_name}'; "
            f"versions: {', '.join(map(str, numbers[-10:])) or 'none'}."
        )
    return found


def find_version(model_name: str, version: str) -> RecordedVersion:
    """Read the record of a version.

    Args:
        model_name: Registered model.
        version: Number, or the name of an alias.

    Returns:
        Its tags and its training.

    Raises:
        DatasetError: There is no such version, or its run has no summary that this code can read.
    """
    found = _find(model_name, version)
    where = f"version {found.version} of {model_name} (run {found.run_id})"
    try:
        text = _read_text(str(found.run_id), SUMMARY_ARTIFACT)
    except (MlflowException, OSError) as error:
        raise DatasetError(
            f"The run of {where} has no {SUMMARY_ARTIFACT}: it was trained before versions could be "
            "rebuilt, or its artifacts are lost. Train a new version."
        ) from error
    try:
        summary = TrainingSummary.model_validate_json(text)
    except ValidationError as error:
        raise DatasetError(
            f"The training summary of {where} was written by another version of the code: {error.error_count()} fields "
            f"differ, the first: {error.errors()[0]['loc']}. Rebuild it with the code that trained it: `--at-commit`."
        ) from error
    return RecordedVersion(model_name, int(found.version), str(found.run_id), dict(found.tags or {}), summary)


def _read_text(run_id: str, path: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return Path(download_artifacts(run_id=run_id, artifact_path=path, dst_path=folder)).read_text(encoding="utf-8")


class RecordedTrainingDataset(AbstractDataset[TrainingSummary, TrainingSummary | None]):
    """Recorded training of a registered version.

    Args:
        model_name: Registered model.
        model_version: Number, name of an alias, or ``latest``.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self, *, model_name: str, model_version: str | int = "latest", metadata: dict[str, Any] | None = None
    ) -> None:
        self._model_name = model_name
        self._model_version = str(model_version)
        self.metadata = metadata

    def load(self) -> TrainingSummary | None:
        """Read the summary.

        Returns:
            None if the run has no summary that this code can read.

        Raises:
            DatasetError: There is no such version.
        """
        found = _find(self._model_name, self._model_version)
        try:
            return TrainingSummary.model_validate_json(_read_text(str(found.run_id), SUMMARY_ARTIFACT))
        except (MlflowException, OSError, ValidationError):
            return None

    def save(self, data: TrainingSummary) -> None:
        """Raise an error, since the training run writes the summary.

        Args:
            data: Ignored.
        """
        raise DatasetError("The recorded training is read-only.")

    def _describe(self) -> dict[str, Any]:
        return {"model_name": self._model_name, "model_version": self._model_version}


def find_splits(recorded: RecordedVersion, catalog: DataCatalog) -> tuple[dict[str, pd.DataFrame], SplitManifest]:
    """Find the training data of a version in the data folder or among the artifacts of its run.

    Args:
        recorded: The version.
        catalog: The project's catalog.

    Returns:
        Tables ``train`` and ``validation``, ``test`` if found, and their manifest.

    Raises:
        DatasetError: The data is in neither place.
    """
    wanted = {
        "train": recorded.summary.recipe.train_digest,
        "validation": recorded.summary.recipe.validation_digest,
    }
    here = _load_here(catalog)
    if here is not None and all(table_digest(here[0][part]) == digest for part, digest in wanted.items()):
        return here
    try:
        kept = _load_artifacts(recorded.run_id)
    except (MlflowException, OSError):
        kept = None
    if kept is not None and all(table_digest(kept[0][part]) == digest for part, digest in wanted.items()):
        return kept
    found = "no splits" if here is None else f"other splits (train {table_digest(here[0]['train'])})"
    commit, use_case = recorded.tags.get("git_commit", "COMMIT"), recorded.tags.get("use_case", "USE_CASE")
    raise DatasetError(
        f"The data that version {recorded.version} of {recorded.name} was trained on (train {wanted['train']}, "
        f"validation {wanted['validation']}) was not found: the data folder has {found}, and run "
        f"{recorded.run_id} did not store them. Run data_processing on the table of that time, with its parameters; "
        f"or, if DVC has the tables, `git checkout {commit} -- dvc.lock && dvc pull --with-deps "
        f"data_processing@{use_case}`."
    )


def _load_here(catalog: DataCatalog) -> tuple[dict[str, pd.DataFrame], SplitManifest] | None:
    if not all(catalog.exists(name) for name in ("split_manifest", *(f"{part}_customers" for part in _PARTS))):
        return None
    return {part: catalog.load(f"{part}_customers") for part in _PARTS}, catalog.load("split_manifest")


def _load_artifacts(run_id: str) -> tuple[dict[str, pd.DataFrame], SplitManifest]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(download_artifacts(run_id=run_id, artifact_path="data", dst_path=folder))
        manifest = SplitManifest.model_validate(json.loads((data / "split_manifest.json").read_text(encoding="utf-8")))
        tables = {part: pd.read_parquet(data / f"{part}.parquet") for part in _PARTS}
    return tables, manifest
