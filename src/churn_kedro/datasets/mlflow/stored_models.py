"""The stored file of a registered model: verified and read without anything else that the version contains.

MLflow's loader puts the folder ``code`` of a version on the module path, so a version could replace any module. Here
only the model file is downloaded, and skops builds it from the classes of this installation.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from kedro.io import DatasetError
from mlflow.exceptions import MlflowException

from churn_kedro.datasets.mlflow.signatures import PACKAGE_DIGEST_TAG, require_signature
from churn_kedro.registry import FILE_DIGEST_TAG, explain_lost_files

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion

    from churn_estimators.model import CustomerModel

# File name of a model in skops format in MLflow's sklearn flavor.
MODEL_FILE = "model.skops"
# A few raw rows, which MLflow stores with a model.
_INPUT_EXAMPLE = "input_example.json"
# Digests of the packages whose models this one reproduces, one a line.
_KNOWN_PACKAGES = "digests.txt"
# Types of churn_kedro's models beyond those that skops trusts by default. Private classes are parts of public
# estimators, such as the fitted parts of CalibratedClassifierCV.
TRUSTED_TYPES = (
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRegressor",
    "churn_estimators.calibration.CalibrationMap",
    "churn_estimators.cells.CellReader",
    "churn_estimators.ensembles.BlendClassifier",
    "churn_estimators.ensembles.BlendRegressor",
    "churn_estimators.model.CustomerModel",
    "churn_estimators.transformers.Binner",
    "churn_estimators.transformers.CategoryNames",
    "churn_estimators.transformers.Combiner",
    "churn_estimators.transformers.DateParts",
    "churn_estimators.transformers.ImportanceSelector",
    "churn_estimators.transformers.InformationSelector",
    "churn_estimators.transformers.LevelEncoder",
    "churn_estimators.transformers.MissingFlags",
    "churn_estimators.transformers.OtherColumnsImputer",
    "churn_estimators.transformers.OutlierFences",
    "churn_estimators.transformers.RowOutliers",
    "churn_estimators.transformers.TypedColumnTransformer",
    "churn_estimators.value.ContactValue",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
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


def digest_package(folder: Path) -> str:
    """Compute the digest of a copy of the package ``churn_estimators``.

    Args:
        folder: The package.

    Returns:
        SHA-256 of names and contents of its modules, in hexadecimal digits; the same on every operating system.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def installed_package() -> Path:
    """Return the folder of the installed package, which is stored with each model."""
    import churn_estimators

    return Path(churn_estimators.__file__).parent


@cache
def package_digest() -> str:
    """Return the digest of the installed package."""
    return digest_package(installed_package())


def known_packages() -> list[str]:
    """Return the digests of the packages whose models the installed one reproduces, oldest first."""
    text = resources.files("churn_estimators").joinpath(_KNOWN_PACKAGES).read_text(encoding="utf-8")
    listed = [line for line in text.split("\n") if line and not line.startswith("#")]
    return list(dict.fromkeys([*listed, package_digest()]))


def fetch_file(name: str, version: str | int, path: str = MODEL_FILE) -> bytes:
    """Read one file of a version.

    Args:
        name: Registered model.
        version: Number.
        path: Path of the file within the version.

    Returns:
        The content.

    Raises:
        MlflowException: The file is not there, or the store does not respond.
        OSError: As above.
    """
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        uri = f"models:/{name}/{version}/{path}"
        return Path(download_artifacts(artifact_uri=uri, dst_path=folder)).read_bytes()


def read_verified_file(version: ModelVersion) -> bytes:
    """Read the model file of a version, if it is the one that was registered.

    Args:
        version: The version.

    Returns:
        The content.

    Raises:
        DatasetError: The file is missing or was changed, the version does not say which file it has, or it has no valid
            signature where one is asked for.
    """
    require_signature(version)
    what = f"version {version.version} of {version.name}"
    remedy = explain_lost_files(version.name, int(version.version))
    expected = (version.tags or {}).get(FILE_DIGEST_TAG)
    if expected is None:
        raise DatasetError(
            f"The model file of {what} cannot be verified: the version has no tag {FILE_DIGEST_TAG}. It was registered "
            "by other means or before the first release of this project. Train it again: `kedro run`."
        )
    try:
        content = fetch_file(version.name, version.version)
    except (MlflowException, OSError) as error:
        # MLflow lists the places where it looked, and last what went wrong.
        reason = str(error).strip().split("\n")[-1].rstrip(".")
        raise DatasetError(
            f"The model file of {what} ({version.source}/{MODEL_FILE}) cannot be read: {reason}. {remedy}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DatasetError(
            f"The model file of {what} ({version.source}/{MODEL_FILE}) is not the one that was registered: its SHA-256 "
            f"is {found}, the version's tag {FILE_DIGEST_TAG} says {expected}. It is damaged or was replaced, and is "
            f"not loaded. {remedy}"
        )
    return content


def load_input_example(name: str, version: int) -> pd.DataFrame:
    """Read the input example of a version: a few raw customers.

    Args:
        name: Registered model.
        version: Number.

    Returns:
        The customers, with cells of any type.

    Raises:
        DatasetError: The version has none.
    """
    import pandas as pd

    try:
        example = json.loads(fetch_file(name, version, _INPUT_EXAMPLE))
        return pd.DataFrame(example["data"], columns=example["columns"], dtype=object)
    except (MlflowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().split("\n")[-1].rstrip(".")
        raise DatasetError(
            f"The input example of version {version} of {name} ({_INPUT_EXAMPLE}) cannot be read: {reason}. "
            f"{explain_lost_files(name, version)}"
        ) from error


def load_model(version: ModelVersion) -> CustomerModel:
    """Load the model of a version.

    Args:
        version: The version.

    Returns:
        The model.

    Raises:
        DatasetError: The file is missing or was changed, contains other types than the trusted ones, or was made with a
            package that this installation does not know.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    from churn_estimators.model import CustomerModel

    what = f"version {version.version} of {version.name}"
    content = read_verified_file(version)
    made_with = (version.tags or {}).get(PACKAGE_DIGEST_TAG)
    if made_with not in known_packages():
        raise DatasetError(
            f"The model of {what} was made with churn_estimators {made_with}, which this installation does not know "
            f"(it has {package_digest()}), so it might answer differently. Install the project at the commit that "
            f"trained it ({(version.tags or {}).get('git_commit', 'unknown')}) or a later one; or train a new version, "
            'and replace a champion by `kedro models promote VERSION --override "REASON"`.'
        )
    try:
        model = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise DatasetError(
            f"The model of {what} contains types that are not trusted, and is not loaded: {error}"
        ) from error
    except Exception as error:  # skops raises errors of many kinds for a malformed file.
        raise DatasetError(
            f"The model file of {what} is not a model in skops format: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, CustomerModel):
        raise DatasetError(f"The model of {what} is a {type(model).__name__}, expected a CustomerModel.")
    return model
