"""Validation of the parameters of all pipelines when the configuration is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, Field, ValidationError

from churn_kedro.base import ParameterError, Parameters
from churn_kedro.campaigns import CampaignParameters, InferenceParameters, StreamingParameters
from churn_kedro.customers import CustomerDeclaration, DataProcessingParameters, SnapshotParameters
from churn_kedro.evaluation import EvaluationParameters
from churn_kedro.features import FeatureParameters
from churn_kedro.monitoring import MonitoringParameters
from churn_kedro.registry import RegistryParameters
from churn_kedro.serving import ServingParameters
from churn_kedro.training import TrainingParameters

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Names that pydantic gives to simple types in a union.
_TYPE_NAMES = frozenset({"int", "float", "str", "bool", "none"})

# Parameters of the command line that the catalog reads.
RUNTIME_PARAMETERS = (
    "baseline",
    "events",
    "model_version",
    "monitored",
    "new_customers",
    "outcomes",
    "predictions",
    "raw_customers",
    "sample_rows",
    "scoring_version",
    "snapshot_table",
    "snapshots_to_score",
    "source_customers",
    "stream",
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
    monitoring: MonitoringParameters = Field(default_factory=MonitoringParameters)
    serving: ServingParameters
    streaming: StreamingParameters = Field(default_factory=StreamingParameters)
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
        problems += list(_explain(error, raw))
    if problems:
        raise ParameterError("Invalid parameters:\n" + "\n".join(f"- {problem}" for problem in problems))
    return validated


def _explain(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[str]:
    """Describe each invalid parameter once, also where it may be of several types."""
    of_unions: dict[tuple[str, ...], dict[str, list[tuple[list[str], ErrorDetails]]]] = {}
    for found in error.errors():
        path, labels = _follow(found["loc"], raw)
        if not labels:
            yield _describe(path, found)
            continue
        place, label = labels[0]
        of_unions.setdefault(tuple(path[:place]), {}).setdefault(label, []).append((path, found))
    for union, branches in of_unions.items():
        # Pydantic reports the errors of all types; those of the type that fits best are meant.
        fitting = [errors for errors in branches.values() if all(not _is_of_type(union, *one) for one in errors)]
        if fitting:
            yield from (_describe(path, found) for path, found in min(fitting, key=len))
        else:
            (_, first), *others = [one for errors in branches.values() for one in errors]
            alternatives = [found["msg"].removeprefix("Input should be ") for _, found in others]
            yield _describe(list(union), {**first, "msg": ", or ".join([first["msg"], *alternatives])})


def _follow(location: Sequence[str | int], raw: Any) -> tuple[list[str], list[tuple[int, str]]]:
    """Separate the keys of a place in the configuration from the types that pydantic puts between them.

    Returns:
        The keys; and the types, each with the number of keys before it.
    """
    keys: list[str] = []
    labels: list[tuple[int, str]] = []
    for position, part in enumerate(location):
        is_key = (isinstance(raw, Mapping) and part in raw) or (isinstance(raw, list) and isinstance(part, int))
        # The last part of a missing parameter is not in the configuration.
        is_last_name = position == len(location) - 1 and isinstance(raw, Mapping) and str(part).isidentifier()
        if is_key:
            raw = raw[part]
            keys.append(str(part))
        elif is_last_name and not (isinstance(part, str) and part in _TYPE_NAMES):
            keys.append(str(part))
        else:
            labels.append((len(keys), str(part)))
    return keys, labels


def _is_of_type(union: tuple[str, ...], path: list[str], found: ErrorDetails) -> bool:
    return len(path) == len(union) and found["type"].endswith(("_type", "_parsing"))


def _describe(path: list[str], found: ErrorDetails) -> str:
    name = ".".join(path)
    if found["type"] == "extra_forbidden":
        return _explain_unknown(name, _names_beside(path))
    if found["type"] == "missing":
        return f"'{name}' is missing."
    given = "" if isinstance(found["input"], dict | list) else f", found {found['input']!r}"
    allowed = re.findall(r"'([^']*)'", str(found.get("ctx", {}).get("expected", "")))
    close = get_close_matches(str(found["input"]), allowed, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"'{name}': {found['msg'].removeprefix('Value error, ')}{given}.{hint}"


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the classes of parameters in a type, also within lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _names_beside(path: list[str]) -> set[str]:
    """Dotted names of the fields beside a path; empty where the path leads through anything but classes."""
    models: list[type[BaseModel]] = [ProjectParameters]
    for part in path[:-1]:
        if not part.isdecimal():
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    return {".".join([*path[:-1], name]) for model in models for name in model.model_fields}


def _dotted_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all fields of a class and of the classes within, except for those of lists."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _dotted_names(field.annotation, f"{prefix}{name}.")


def _explain_unknown(name: str, known: set[str]) -> str:
    # Also names within the groups: `split` instead of `data_processing.split`.
    places = {place.rpartition(".")[2]: place for place in reversed([*_dotted_names(ProjectParameters)])}
    last = name.rpartition(".")[2]
    close = get_close_matches(name, sorted(known), n=1)
    if not close:
        close = [places[found] for found in get_close_matches(last, sorted(places), n=1)]
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"'{name}' is unknown.{hint}"
