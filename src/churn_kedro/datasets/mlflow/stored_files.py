"""Stored files of registered versions: where they are, and whether they can be read."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from churn_kedro.base import hide_secrets
from churn_kedro.datasets.mlflow.failures import first_line
from churn_kedro.datasets.mlflow.signatures import PACKAGE_DIGEST_TAG
from churn_kedro.datasets.mlflow.stored_models import MODEL_FILE, digest_package, known_packages
from churn_kedro.registry import StoredFiles, check_version

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_DESCRIPTION, _CODE, _PACKAGE = "MLmodel", "code", "churn_estimators"


def find_place(version: ModelVersion) -> tuple[str, str | None]:
    """Find the files of a version.

    Args:
        version: The version.

    Returns:
        Path or address of the files, and why they are lost; None if they are there.
    """
    source = str(version.source)
    place = source
    try:
        if source.startswith("models:/"):
            model_id = source.removeprefix("models:/")
            place = str(MlflowClient().get_logged_model(model_id).artifact_location)
            found = MlflowClient().list_logged_model_artifacts(model_id)
        else:
            from mlflow.artifacts import list_artifacts

            found = list_artifacts(source)
    except (MlflowException, OSError) as error:
        return _shown(place), f"the files are lost ({first_line(error)})"
    return _shown(place), None if found else "the files are lost"


def explain_stored_files(version: ModelVersion) -> str | None:
    """Explain what is wrong with the files of a version.

    Args:
        version: The version.

    Returns:
        Sentences with the files and what to do; None if the files can be read.
    """
    number = int(version.version)
    result = check_version(version.name, number, version.tags or {}, read_stored_files(version))
    if result.health != "wrong":
        return None
    return f"Version {number} of {version.name} is damaged or lost. {result.found}. {result.advice}"


def read_stored_files(version: ModelVersion) -> StoredFiles:
    """Read the files of a version and check that they are whole.

    Args:
        version: The version.

    Returns:
        SHA-256 and size of the model file, and what is missing or damaged.
    """
    from mlflow.artifacts import download_artifacts

    place, lost = find_place(version)
    if lost is not None:
        return StoredFiles(place=place, sha256=None, bytes=None, problems=[lost])
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = Path(download_artifacts(artifact_uri=str(version.source), dst_path=folder))
        except (MlflowException, OSError) as error:
            problem = f"the files cannot be read ({first_line(error)})"
            return StoredFiles(place=place, sha256=None, bytes=None, problems=[problem])
        found = (_check_description(files), _check_model(files), _check_code(files, version.tags or {}))
        problems = [problem for problem in found if problem is not None]
        content = (files / MODEL_FILE).read_bytes() if (files / MODEL_FILE).is_file() else None
    return StoredFiles(
        place=place,
        sha256=None if content is None else hashlib.sha256(content).hexdigest(),
        bytes=None if content is None else len(content),
        problems=problems,
    )


def _check_description(files: Path) -> str | None:
    try:
        described = yaml.safe_load((files / _DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{_DESCRIPTION} is missing"
    except (yaml.YAMLError, UnicodeDecodeError):
        return f"{_DESCRIPTION} is damaged"
    return None if isinstance(described, dict) and described.get("flavors") else f"{_DESCRIPTION} is empty or damaged"


def _check_model(files: Path) -> str | None:
    try:
        with zipfile.ZipFile(files / MODEL_FILE) as archive:
            damaged = archive.testzip()
    except FileNotFoundError:
        return f"{MODEL_FILE} is missing"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        return f"{MODEL_FILE} is damaged ({first_line(error)})"
    return None if damaged is None else f"{MODEL_FILE} is damaged (its part {damaged})"


def _check_code(files: Path, tags: Mapping[str, str]) -> str | None:
    """Check the modules that pyfunc would import in a process without this project."""
    code = files / _CODE
    names = {path.name for path in code.iterdir()} - {"__pycache__"} if code.is_dir() else set()
    if foreign := sorted(names - {_PACKAGE}):
        return f"its folder {_CODE} contains {', '.join(foreign)}, which pyfunc would import"
    recorded = tags.get(PACKAGE_DIGEST_TAG)
    if recorded is None or not names:
        return None
    digest = digest_package(code / _PACKAGE)
    if digest != recorded:
        return f"its package {_CODE}/{_PACKAGE} has digest {digest}, recorded is {recorded}: pyfunc would import it"
    return None if digest in known_packages() else f"it was made with {_PACKAGE} {digest}, which is not known here"


def _shown(place: str) -> str:
    return hide_secrets(place.removeprefix("file://"))
