"""Models in MLflow: logging, registration, loading and promotion."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_mlflow.io.models import MlflowModelRegistryDataset, MlflowModelTrackingDataset
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from churn_kedro.base import find_distribution
from churn_kedro.datasets.mlflow.descriptions import describe_registered_model
from churn_kedro.datasets.mlflow.model_digests import model_digest
from churn_kedro.datasets.mlflow.registry import ModelRegistry, find_model_version
from churn_kedro.datasets.mlflow.signatures import PACKAGE_DIGEST_TAG
from churn_kedro.datasets.mlflow.stored_models import (
    TRUSTED_TYPES,
    fetch_file,
    installed_package,
    load_model,
    package_digest,
)
from churn_kedro.datasets.runtime.provenance import describe_code, describe_person
from churn_kedro.models import RegisteredModel, TrainedModel
from churn_kedro.registry import DECISION_TAG, FILE_DIGEST_TAG, Promotion, plan_decision

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

_FLAVOR = "mlflow.sklearn"
# Artifact with the digests of the training rows; the catalog's training_rows.
TRAINING_ROWS_ARTIFACT = "training/training_rows.parquet"
# Requirements to load and call the estimator, pinned to the versions of the training.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "skops", "xgboost")


def _signature(model: TrainedModel) -> ModelSignature:
    """Return the columns of the model and of its answer; cells of any type, since the model reads them itself."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    answer = model.estimator.predict(model.example)
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(AnyType(), reader.column, required=reader.required)  # type: ignore[no-untyped-call]
                for reader in model.estimator.readers
            ]
        ),
        outputs=Schema(
            [
                ColSpec(DataType.double if column.dtype.kind in "iuf" else DataType.string, str(name), required=False)
                for name, column in answer.items()
            ]
        ),
    )


class TrackedModelDataset(MlflowModelTrackingDataset):
    """Log a trained model to the active run and register it as a new version.

    kedro-mlflow's tracking dataset takes its arguments from YAML; the signature, the example, the pinned requirements
    and the tags depend on the model and are added here. Of the tags of the version, ``model_digest`` identifies the
    content of the model, ``model_file_sha256`` its file, ``model_bytes`` its size, and ``package_digest`` the package
    ``churn_estimators`` that it was made with.

    Args:
        name: Name of the logged model within its run.
        registered_model_name: Registered model that gets the version.
        use_case: Name of the use case, stored as a tag.
        declaration: Declaration of the customers, whose description is that of the registered model.
        project_path: Folder of the project, whose git commit is stored as a tag.
        metadata: For plugins; Kedro ignores it.
    """

    _save_args: dict[str, Any]

    def __init__(
        self,
        *,
        name: str,
        registered_model_name: str,
        use_case: str,
        declaration: dict[str, Any],
        project_path: str,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            flavor=_FLAVOR,
            save_args={
                "name": name,
                "registered_model_name": registered_model_name,
                "skops_trusted_types": list(TRUSTED_TYPES),
            },
            metadata=metadata,
        )
        self._use_case = use_case
        self._description = str(declaration["description"])
        self._project_path = project_path

    def _save(self, model: TrainedModel) -> None:
        if not self._logging_activated:
            return
        self.model_info = mlflow.sklearn.log_model(
            model.estimator,
            **self._save_args,
            serialization_format="skops",
            pip_requirements=["==".join(find_distribution(library)) for library in (*_REQUIREMENTS, *model.libraries)],
            code_paths=[str(installed_package())],
            pyfunc_predict_fn="predict",
            signature=_signature(model),
            input_example=model.example,
            metadata=dict(model.facts),
        )
        self._last_saved_model_uri = self.model_info.model_uri
        name, version = self._save_args["registered_model_name"], str(self.model_info.registered_model_version)
        stored = fetch_file(name, version)
        tags = {
            "use_case": self._use_case,
            **model.facts,
            **describe_code(Path(self._project_path), self._use_case),
            "model_digest": model_digest(model.estimator),
            "model_bytes": str(len(stored)),
            FILE_DIGEST_TAG: hashlib.sha256(stored).hexdigest(),
            PACKAGE_DIGEST_TAG: package_digest(),
        }
        client = MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
        describe_registered_model(name, self._description)


class RegistryModelDataset(MlflowModelRegistryDataset):
    """Load one version of a registered model, with name, number and tags.

    Args:
        model_name: Registered model.
        version: Version number, or ``latest``; not together with ``alias``.
        alias: Alias of the version.
        missing_ok: Return None instead of raising if there is no such version yet.
        with_training_rows: Load the digests of the training rows as well.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        model_name: str,
        model_version: str | int | None = None,
        alias: str | None = None,
        missing_ok: bool = False,
        with_training_rows: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            model_name=model_name,
            stage_or_version=None if model_version is None else str(model_version),
            alias=alias,
            flavor=_FLAVOR,
            metadata=metadata,
        )
        self._missing_ok = missing_ok
        self._with_training_rows = with_training_rows

    def _load(self) -> RegisteredModel | None:
        found = find_model_version(self.model_name, self.alias or str(self.stage_or_version))
        if found is None:
            if self._missing_ok:
                return None
            raise DatasetError(self._explain_absence())
        return RegisteredModel(
            name=found.name,
            version=int(found.version),
            model_id=str(found.source).removeprefix("models:/"),
            run_id=str(found.run_id),
            tags=dict(found.tags),
            estimator=load_model(found),
            training_rows=_load_training_rows(str(found.run_id)) if self._with_training_rows else None,
            created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        )

    def _explain_absence(self) -> str:
        found = MlflowClient().search_model_versions(f"name = '{self.model_name}'")
        versions = sorted(int(version.version) for version in found)
        waiting = [version.version for version in found if version.tags.get(DECISION_TAG) == "awaiting_approval"]
        if not versions:
            return (
                f"Model '{self.model_name}' has no version in the registry {mlflow.get_registry_uri()}. "
                "Train one first: `kedro run`, or `kedro run --pipelines data_processing,training`."
            )
        listed = ", ".join(str(version) for version in versions[-10:])
        wanted = self.alias or str(self.stage_or_version)
        if wanted == "champion" and waiting:
            return (
                f"No version of the model '{self.model_name}' is champion yet. Version {waiting[0]} has passed the "
                f"gate and waits for approval: `kedro models approve {waiting[0]}`."
            )
        if wanted == "champion":
            return (
                f"No version of the model '{self.model_name}' has the alias 'champion'; versions: {listed}. "
                "The gate gives it to a version that meets its requirements (registry.gate in "
                "parameters/registry.yml). If it refused them, its reasons are in the summary of that run and in the "
                "version's tags."
            )
        return (
            f"There is no version or alias {wanted} of the model '{self.model_name}'; the last versions are {listed}."
        )


def _load_training_rows(run_id: str) -> pd.DataFrame | None:
    """Load the digests of a run's training rows; None if the run did not store them."""
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = download_artifacts(run_id=run_id, artifact_path=TRAINING_ROWS_ARTIFACT, dst_path=folder)
        except (MlflowException, OSError):
            return None
        return pd.read_parquet(path)


class PromotionDataset(AbstractDataset[Promotion, Promotion]):
    """Apply a decision to tags and aliases of a version, and to the audit.

    Args:
        project_path: Folder of the project, whose git commit and user are recorded.
        experiment: Experiment of the audit.
        artifact_location: Artifact location of the experiment, if it does not exist yet.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        project_path: str,
        experiment: str,
        artifact_location: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._project_path = Path(project_path)
        self._experiment = experiment
        self._artifact_location = artifact_location
        self.metadata = metadata

    def load(self) -> Promotion:
        """Raise an error, since the registry is read through :class:`RegistryModelDataset`."""
        raise DatasetError("A promotion cannot be loaded; read the version's tags and aliases instead.")

    def save(self, data: Promotion) -> None:
        """Write the audit, move the aliases and write the tags: all of it, or nothing.

        Args:
            data: Planned changes.

        Raises:
            RefusedActionError: The champion has changed since the decision.
            DatasetError: The registry is busy or does not respond.
        """
        code = describe_code(self._project_path)
        registry = ModelRegistry(
            data.model_name,
            experiment=self._experiment,
            by=describe_person(self._project_path),
            git_commit=code["git_commit"],
            artifact_location=self._artifact_location,
        )
        tags = data.tags | {f"decision_{key}": value for key, value in code.items()} if data.tags else {}
        promotion = data.model_copy(update={"tags": tags})
        registry.apply(lambda state: plan_decision(state, promotion))

    def _describe(self) -> dict[str, Any]:
        return {"experiment": self._experiment}
