"""The trained model on its way through MLflow: logged, registered, loaded, promoted."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from kedro.io import AbstractDataset, DatasetError
from kedro_mlflow.io.models import MlflowModelRegistryDataset, MlflowModelTrackingDataset
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import churn_kedro
from churn_kedro.customers import SignatureType
from churn_kedro.datasets.model_files import log_model
from churn_kedro.models import RegisteredModel, TrainedModel
from churn_kedro.promotion import Promotion
from churn_kedro.provenance import describe_code

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

_FLAVOR = "mlflow.sklearn"
# What churn_kedro's estimators are made of beyond the types that skops trusts by itself.
TRUSTED_TYPES = (
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRegressor",
    "churn_kedro.transformers.Binner",
    "churn_kedro.transformers.BlendClassifier",
    "churn_kedro.transformers.BlendRegressor",
    "churn_kedro.transformers.CategoryNames",
    "churn_kedro.transformers.Combiner",
    "churn_kedro.transformers.DateReader",
    "churn_kedro.transformers.ImportanceSelector",
    "churn_kedro.transformers.InformationSelector",
    "churn_kedro.transformers.LevelReader",
    "churn_kedro.transformers.LogOddsClassifier",
    "churn_kedro.transformers.MissingFlags",
    "churn_kedro.transformers.NumberReader",
    "churn_kedro.transformers.OtherColumnsImputer",
    "churn_kedro.transformers.OutlierFences",
    "churn_kedro.transformers.RowOutliers",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)
# What it takes to load and call the estimator; pinned to the versions it was trained with.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "skops", "xgboost")


def _signature(model: TrainedModel) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    types: dict[SignatureType, Any] = {
        "any": AnyType(),  # type: ignore[no-untyped-call]
        "string": DataType.string,
    }
    answer = np.asarray(getattr(model.estimator, model.answer)(model.example))
    return ModelSignature(
        inputs=Schema([ColSpec(types[kind], name) for name, kind in model.inputs.items()]),
        outputs=Schema([TensorSpec(answer.dtype, (-1, *answer.shape[1:]))]),
    )


@contextmanager
def _travelling_code() -> Iterator[str]:
    """Folder ``churn_kedro`` with nothing but the transformers, to be stored with the model."""
    source = Path(churn_kedro.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / source.name
        package.mkdir()
        (package / "__init__.py").write_text('"""Transformers that this model needs."""\n', encoding="utf-8")
        shutil.copy(source / "transformers.py", package)
        yield str(package)


class TrackedModelDataset(MlflowModelTrackingDataset):
    """Logs a trained model to the active run and registers it as a new version.

    kedro-mlflow's tracking dataset takes its arguments from YAML; the signature, the example, the pinned requirements
    and the tags depend on the model and are added here. The model's file is canonical, so that the version's tags
    ``model_sha256`` and ``model_bytes`` tell whether another training gave the same model.

    Args:
        name: Name of the logged model within its run.
        registered_model_name: Registered model that gets the version.
        use_case: Name of the use case, a tag.
        project_path: Folder of the project, whose git commit is a tag.
        metadata: For plugins; Kedro ignores it.
    """

    _save_args: dict[str, Any]

    def __init__(
        self,
        *,
        name: str,
        registered_model_name: str,
        use_case: str,
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
        self._project_path = project_path

    def _save(self, model: TrainedModel) -> None:
        if not self._logging_activated:
            return
        with _travelling_code() as code:
            self.model_info, file = log_model(
                model.estimator,
                **self._save_args,
                pip_requirements=[
                    f"{package}=={installed_version(package)}" for package in (*_REQUIREMENTS, *model.libraries)
                ],
                code_paths=[code],
                pyfunc_predict_fn=model.answer,
                signature=_signature(model),
                input_example=model.example,
                metadata=dict(model.facts),
            )
        self._last_saved_model_uri = self.model_info.model_uri
        tags = {
            "use_case": self._use_case,
            **model.facts,
            **describe_code(Path(self._project_path)),
            "model_sha256": file.sha256,
            "model_bytes": str(file.n_bytes),
        }
        client = MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(
                self._save_args["registered_model_name"], str(self.model_info.registered_model_version), key, value
            )


class RegistryModelDataset(MlflowModelRegistryDataset):
    """Loads one version of a registered model, with its name, number and tags.

    Args:
        model_name: Registered model.
        version: Version number, or ``latest``; not together with ``alias``.
        alias: Alias of the version.
        missing_ok: Load None where there is no such version yet, instead of failing.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        model_name: str,
        model_version: str | int | None = None,
        alias: str | None = None,
        missing_ok: bool = False,
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

    def _load(self) -> RegisteredModel | None:
        found = self._find_version()
        if found is None:
            if self._missing_ok:
                return None
            raise DatasetError(self._explain_absence())
        uri = f"models:/{found.name}/{found.version}"
        _require_trusted(uri)
        return RegisteredModel(
            name=found.name,
            version=int(found.version),
            model_id=str(found.source).removeprefix("models:/"),
            run_id=str(found.run_id),
            tags=dict(found.tags),
            estimator=self._mlflow_model_module.load_model(uri),
        )

    def _find_version(self) -> ModelVersion | None:
        client = MlflowClient()
        try:
            if self.alias is not None:
                return client.get_model_version_by_alias(self.model_name, self.alias)
            if self.stage_or_version != "latest":
                return client.get_model_version(self.model_name, self.stage_or_version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        newest = client.search_model_versions(
            f"name = '{self.model_name}'", max_results=1, order_by=["version_number DESC"]
        )
        return newest[0] if newest else None

    def _explain_absence(self) -> str:
        versions = sorted(
            int(version.version) for version in MlflowClient().search_model_versions(f"name = '{self.model_name}'")
        )
        if not versions:
            return (
                f"There is no version of the model '{self.model_name}' in the registry {mlflow.get_registry_uri()}. "
                "Train one first: `kedro run`, or `kedro run --pipelines data_processing,training`."
            )
        listed = ", ".join(str(version) for version in versions[-10:])
        if self.alias is not None:
            return (
                f"No version of the model '{self.model_name}' has the alias '{self.alias}'; versions: {listed}. "
                "The gate gives it to a version that shows enough. If it refused them, its reasons are in the summary "
                "of that run and in the version's tags; what it asks for is in parameters/registry.yml (registry.gate)."
            )
        return f"There is no version {self.stage_or_version} of the model '{self.model_name}'; the last are {listed}."


def _require_trusted(uri: str) -> None:
    """Refuse a model that is no skops file of known types: its own list of trusted types is not to be trusted."""
    flavor = mlflow.models.get_model_info(uri).flavors.get("sklearn", {})
    if flavor.get("serialization_format") != "skops":
        raise DatasetError(f"The model {uri} is not stored in skops format; loading it could run foreign code.")
    unknown = sorted(set(flavor.get("skops_trusted_types") or []) - set(TRUSTED_TYPES))
    if unknown:
        raise DatasetError(f"The model {uri} holds types that churn_kedro does not know: {', '.join(unknown)}.")


class PromotionDataset(AbstractDataset[Promotion, Promotion]):
    """Carries a promotion out: tags and alias of a registered model's version.

    The alias is moved last and only if the champion is still the one the decision was made against, so an interrupted
    promotion leaves the champion as it was.

    Args:
        project_path: Folder of the project, whose git commit is a tag.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, project_path: str, metadata: dict[str, Any] | None = None) -> None:
        self._project_path = project_path
        self.metadata = metadata

    def load(self) -> Promotion:
        """Refuse: the registry itself is read through :class:`RegistryModelDataset`."""
        raise DatasetError("A promotion cannot be loaded; read the version's tags and aliases instead.")

    def save(self, data: Promotion) -> None:
        """Write the tags, then move the alias.

        Args:
            data: What to do.

        Raises:
            DatasetError: Another champion was named since the decision.
        """
        client = MlflowClient()
        aliases = client.get_registered_model(data.model_name).aliases
        champion = aliases.get("champion")
        if (None if champion is None else int(champion)) != data.expected_champion:
            raise DatasetError(
                f"The champion of {data.model_name} is version {champion} now; the decision was made against "
                f"{data.expected_champion}. Nothing was changed. Run `kedro run --pipelines registry` again."
            )
        version = str(data.version)
        if not data.tags and data.alias is None:
            return
        code = {f"decision_{key}": value for key, value in describe_code(Path(self._project_path)).items()}
        for key, value in {**data.tags, **code}.items():
            client.set_model_version_tag(data.model_name, version, key, value)
        if data.alias is not None:
            client.set_registered_model_alias(data.model_name, data.alias, version)
        if data.alias == "champion" and str(aliases.get("challenger")) == version:
            client.delete_registered_model_alias(data.model_name, "challenger")

    def _describe(self) -> dict[str, Any]:
        return {}
