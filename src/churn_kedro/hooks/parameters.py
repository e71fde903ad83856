"""Validation of the parameters of all pipelines when the configuration is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from churn_kedro.base import ParameterError, Parameters
from churn_kedro.campaigns import CampaignParameters, InferenceParameters
from churn_kedro.customers import CustomerDeclaration, DataProcessingParameters, SnapshotParameters
from churn_kedro.evaluation import EvaluationParameters
from churn_kedro.features import FeatureParameters
from churn_kedro.registry import RegistryParameters
from churn_kedro.training import TrainingParameters

# Parameters of the command line that the catalog reads.
RUNTIME_PARAMETERS = (
    "baseline",
    "events",
    "model_version",
    "new_customers",
    "predictions",
    "raw_customers",
    "snapshot_table",
    "snapshots_to_score",
)


class ProjectParameters(Parameters):
    """All groups of parameters, except for ``fabrication``, which its pipeline validates."""

    customers: CustomerDeclaration
    data_processing: DataProcessingParameters
    features: FeatureParameters
    training: TrainingParameters
    campaigns: CampaignParameters
    evaluation: EvaluationParameters
    registry: RegistryParameters
    inference: InferenceParameters
    snapshots: SnapshotParameters | None = None


def validate_parameters(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the parameters of all pipelines.

    Args:
        raw: Parameters as configured, with those of the command line merged in.

    Returns:
        The same with each group as its typed class; groups without one stay as they are.

    Raises:
        ParameterError: A name is unknown, or a value is missing or invalid. The message lists all such parameters.
    """
    allowed = {*ProjectParameters.model_fields, *RUNTIME_PARAMETERS, "fabrication"}
    problems = [_explain_unknown(name, allowed) for name in raw if name not in allowed]
    validated = dict(raw)
    try:
        groups = {name: raw[name] for name in ProjectParameters.model_fields if name in raw}
        typed = ProjectParameters.model_validate(groups)
        validated |= {name: getattr(typed, name) for name in groups}
    except ValidationError as error:
        problems += list(_explain(error))
    if problems:
        raise ParameterError("Invalid parameters:\n" + "\n".join(f"- {problem}" for problem in problems))
    return validated


def _explain(error: ValidationError) -> Iterator[str]:
    for found in error.errors():
        path = [str(part) for part in found["loc"]]
        name = ".".join(path)
        if found["type"] == "extra_forbidden":
            yield _explain_unknown(name, _names_beside(path))
        elif found["type"] == "missing":
            yield f"'{name}' is missing."
        else:
            given = "" if isinstance(found["input"], dict | list) else f", found {found['input']!r}"
            yield f"'{name}': {found['msg'].removeprefix('Value error, ')}{given}."


def _names_beside(path: list[str]) -> set[str]:
    """Dotted names of the fields beside a path; empty where the path leads through anything but classes."""
    model: Any = ProjectParameters
    for part in path[:-1]:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = None if field is None else field.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return set()
    return {".".join([*path[:-1], name]) for name in model.model_fields}


def _dotted_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all fields of a class and of the classes within."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _dotted_names(kind, f"{prefix}{name}.")


def _explain_unknown(name: str, known: set[str]) -> str:
    # Also names within the groups: `split` instead of `data_processing.split`.
    places = {place.rpartition(".")[2]: place for place in reversed([*_dotted_names(ProjectParameters)])}
    last = name.rpartition(".")[2]
    close = get_close_matches(name, sorted(known), n=1)
    if not close:
        close = [places[found] for found in get_close_matches(last, sorted(places), n=1)]
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"'{name}' is unknown.{hint}"
