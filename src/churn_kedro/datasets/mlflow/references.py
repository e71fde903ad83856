"""Reference profiles of registered versions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from churn_kedro.customers import CustomerDeclaration, table_digest
from churn_kedro.datasets.files import open_filesystem
from churn_kedro.datasets.mlflow.registry import find_model_version
from churn_kedro.datasets.mlflow.stored_models import load_model
from churn_kedro.monitoring import Reference, ReferenceProfile, rebuild_reference

# Artifacts of the training run; the catalog's reference_profile and reference_sample.
PROFILE_ARTIFACT = "training/reference_profile.json"
SAMPLE_ARTIFACT = "training/reference_sample.parquet"
_PARTS = ("train", "validation", "test")


def load_reference(run_id: str) -> Reference | None:
    """Load the reference that a training run has recorded.

    Args:
        run_id: The run.

    Returns:
        The reference; None if the run has none that this code can read.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            profile = download_artifacts(run_id=run_id, artifact_path=PROFILE_ARTIFACT, dst_path=folder)
            sample = download_artifacts(run_id=run_id, artifact_path=SAMPLE_ARTIFACT, dst_path=folder)
            return Reference(
                ReferenceProfile.model_validate_json(Path(profile).read_text(encoding="utf-8")),
                pd.read_parquet(sample),
            )
        except (MlflowException, OSError, ValidationError):
            return None


class VersionReferenceDataset(AbstractDataset[Reference, Reference | None]):
    """What a version was trained on, as histograms. It is read-only.

    The profile of a version that was trained before there were any is built from its training data, if that is still in
    the data folder.

    Args:
        model_name: Registered model.
        model_version: Number, name of an alias, or ``latest``.
        splits: Folder of the splits, from which a missing profile is built; None: it is not built.
        declaration: Declaration of the customers.
        missing_ok: Return None instead of raising if there is none.
        credentials: Arguments of the fsspec file system of the splits.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        model_name: str,
        model_version: str | int = "champion",
        splits: str | None = None,
        declaration: Mapping[str, Any] | None = None,
        missing_ok: bool = False,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._model_name = model_name
        self._model_version = str(model_version)
        self._splits = splits
        self._declaration = dict(declaration or {})
        self._missing_ok = missing_ok
        self._credentials = credentials
        self.metadata = metadata

    def load(self) -> Reference | None:
        """Load the reference of the version.

        Returns:
            The reference; None if there is none and ``missing_ok``.

        Raises:
            DatasetError: There is no such version, or it has no reference and its training data is gone.
        """
        found = find_model_version(self._model_name, self._model_version)
        if found is None:
            if self._missing_ok:
                return None
            raise DatasetError(
                f"There is no version or alias {self._model_version} of the model '{self._model_name}'. Train one "
                "first: `kedro run`."
            )
        reference = load_reference(str(found.run_id))
        if reference is not None or self._missing_ok:
            return reference
        tables = self._load_splits(found.tags or {})
        if tables is None:
            raise DatasetError(
                f"Version {found.version} of {self._model_name} has no reference profile: it was trained before there "
                f"were any, or {PROFILE_ARTIFACT} of its run {found.run_id} is lost. It can be built from the training "
                f"data, and the splits in {self._splits} are not those of this version. Run data_processing on the "
                "table of that time, or train a new version: `kedro run`."
            )
        declaration = CustomerDeclaration.model_validate(self._declaration)
        training = pd.concat([tables["train"], tables["validation"]], ignore_index=True)
        return rebuild_reference(load_model(found), training, tables["test"], declaration)

    def _load_splits(self, tags: Mapping[str, str]) -> dict[str, pd.DataFrame] | None:
        """Load the splits if they are those that the version was trained on."""
        if self._splits is None:
            return None
        tables = {}
        for part in _PARTS:
            filesystem, path = open_filesystem(str(PurePosixPath(self._splits) / f"{part}.parquet"), self._credentials)
            if not filesystem.isfile(str(path)):
                return None
            with filesystem.open(str(path), "rb") as file:
                tables[part] = pd.read_parquet(file)
        matching = all(table_digest(tables[part]) == tags.get(f"{part}_digest") for part in ("train", "validation"))
        return tables if matching else None

    def save(self, data: Reference) -> None:
        """Raise an error, since training writes the reference."""
        raise DatasetError("The reference of a version is written by its training.")

    def _describe(self) -> dict[str, Any]:
        return {"model_name": self._model_name, "model_version": self._model_version}
