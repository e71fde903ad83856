"""The source column of each model input."""

from __future__ import annotations

from typing import Any


def source_columns(fitted: Any) -> dict[str, str]:
    """Find the source column of each input of a fitted treatment.

    Args:
        fitted: Fitted transformer of :func:`build_features`.

    Returns:
        Name of each input, in order, to the name of its customer column or derived column. The flag of row outliers has
        many sources and maps to itself.
    """
    reading = fitted["read"]
    names = reading.get_feature_names_out()
    sources: dict[str, str] = {}
    for name, transformer, columns in reading.transformers_:
        if name == "remainder":
            continue
        origins = [str(column) for column in columns]
        for step in branch_steps(transformer):
            origins = _output_origins(step, origins)
        sources.update(zip(map(str, names[reading.output_indices_[name]]), origins, strict=True))
    return {str(name): sources[str(name)] for name in fitted.get_feature_names_out()}


def branch_steps(transformer: Any) -> list[Any]:
    """Return the steps of one branch of the first step.

    Args:
        transformer: A pipeline or a single transformer.

    Returns:
        Its steps in order.
    """
    return [step for _, step in transformer.steps] if hasattr(transformer, "steps") else [transformer]


def _output_origins(step: Any, origins: list[str]) -> list[str]:
    """Return the source of each output of a fitted step, given those of its inputs."""
    from sklearn.preprocessing import OneHotEncoder, TargetEncoder

    from churn_estimators.transformers import Combiner, DateParts, RowOutliers

    match step:
        case Combiner():
            return [str(name) for name in step.names]
        case RowOutliers():
            return [step.name]
        case DateParts():
            widths = [len(step.output_parts())] * len(origins)
        case OneHotEncoder():
            widths = [len(levels) for levels in step.categories_]
        case TargetEncoder():
            widths = [len(step.classes_) if step.target_type_ == "multiclass" else 1] * len(origins)
        case _:
            return origins
    return [origin for origin, width in zip(origins, widths, strict=True) for _ in range(width)]
