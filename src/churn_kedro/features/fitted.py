"""A readable record of the fitted treatment: fill values, fences, edges, levels and scales."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers import Column, CustomerDeclaration, Kind
from churn_kedro.features.columns import TreatedColumn, treat_columns
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.sources import branch_steps
from churn_kedro.features.treatment import TrainingInputs

_MISSING = "(missing)"
# Facts that are recorded for each output of a column.
_BY_NUMBER = frozenset({"fills", "scaling"})


class Fences(Record):
    """Fences beyond which numbers are outliers."""

    lower: float
    upper: float


class Scale(Record):
    """Scaling: (number - centre) / scale."""

    centre: float
    scale: float


class FittedColumn(Record):
    """One column and its fitted values. Values that do not apply are null or empty."""

    name: str
    kind: Kind
    made_of: str | None = Field(None, description="Operation and operands of a derived column.")
    treatment: dict[str, Any] = Field(description="The treatment that applies, complete.")
    inputs: list[str] = Field(description="Model inputs made of it.")
    levels: dict[str, float | str | list[float]] = Field(
        default_factory=dict,
        description="Encoding of each level: its position; the name of the input that is 1 (one_hot); the shrunken "
        "mean of the target among its customers (target; one number per class where there are several).",
    )
    fills: dict[str, float | str] = Field(default_factory=dict, description="Fill value of missing cells, by output.")
    fences: Fences | None = None
    bin_edges: list[float] = Field(
        default_factory=list, description="Inner edges; an edge belongs to the bin above, the lowest bin is 0."
    )
    scaling: dict[str, Scale] = Field(default_factory=dict, description="Centre and scale, by output.")
    latest_date: str | None = Field(None, description="Date from which ages are counted back.")


class FittedInput(Record):
    """One model input."""

    name: str
    column: str = Field(description="Its source column.")
    type: Literal["category", "quantity"]


class ScoredInput(Record):
    """The selection score of one input."""

    name: str
    score: float = Field(description="Variance, mutual information in nats, or share of the gain.")
    kept: bool


class FittedFeatures(Record):
    """The fitted treatment of a customer table."""

    columns: list[FittedColumn] = Field(description="Columns in declared order, derived ones last.")
    inputs: list[FittedInput] = Field(description="Model inputs, in order.")
    selection: list[ScoredInput] = Field(default_factory=list, description="Every input that selection scored.")


def describe_features(
    inputs: TrainingInputs, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> FittedFeatures:
    """Describe the fitted treatment.

    Args:
        inputs: The fitted treatment.
        declaration: The table's declaration.
        parameters: Treatments by kind.

    Returns:
        Fill values, fences, edges, levels, centres and scales, column by column, and what was selected.
    """
    facts: dict[str, dict[str, Any]] = {}
    for name, fact, value in _fitted_facts(inputs.transformer):
        facts.setdefault(name, {})[fact] = value
    return FittedFeatures(
        columns=[_describe(column, facts, inputs) for column in treat_columns(declaration, parameters)],
        inputs=[
            FittedInput(name=name, column=source, type="category" if kind == "c" else "quantity")
            for (name, source), kind in zip(inputs.sources.items(), inputs.types, strict=True)
        ],
        selection=_selection(inputs.transformer),
    )


def _describe(column: TreatedColumn, facts: dict[str, dict[str, Any]], inputs: TrainingInputs) -> FittedColumn:
    fitted: dict[str, Any] = {}
    # The steps after the first name the parts of a date, not the date.
    for name in dict.fromkeys([column.name, *column.numbers]):
        for fact, value in facts.get(name, {}).items():
            if fact in _BY_NUMBER:
                fitted.setdefault(fact, {})[name] = value
            else:
                fitted[fact] = value
    origin = column.origin
    return FittedColumn(
        name=column.name,
        kind=column.kind,
        made_of=None if isinstance(origin, Column) else f"{origin.operation} of {origin.of[0]} and {origin.of[1]}",
        treatment=column.treatment.model_dump(exclude_none=True),
        inputs=[name for name, source in inputs.sources.items() if source == column.name],
        **fitted,
    )


def _fitted_facts(transformer: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the fitted values of each step: column or output, name of the fact, value."""
    for name, part, columns in transformer["read"].transformers_:
        if name != "remainder":
            yield from _facts_of_reading(branch_steps(part), [str(column) for column in columns])
    for step in ("clip", "fill", "bin", "scale"):
        if step in transformer.named_steps:
            for _, part, columns in transformer[step].transformers_:
                yield from _facts_of_numbers(part, columns)


def _facts_of_reading(steps: list[Any], columns: list[str]) -> Iterator[tuple[str, str, Any]]:
    from churn_estimators.transformers import Combiner, DateParts, LevelEncoder, MissingFlags, OutlierFences

    reader, last = steps[0], steps[-1]
    if isinstance(last, MissingFlags):
        return
    if isinstance(last, OutlierFences):
        names = [str(name) for step in steps if isinstance(step, Combiner) for name in step.names]
        yield from _facts_of_numbers(last, names or columns)
    if isinstance(reader, DateParts):
        for column, latest in zip(columns, reader.latest_, strict=True):
            yield column, "latest_date", latest
    if isinstance(reader, LevelEncoder):
        for place, column in enumerate(columns):
            labels = reader.level_labels(place)
            yield column, "levels", _encodings(last, place, column, labels)
            fill = reader.fill_positions_[place]
            if not math.isnan(fill):
                yield column, "fills", labels[int(fill)]


def _encodings(encoder: Any, place: int, column: str, labels: list[str]) -> dict[str, float | str | list[float]]:
    """Return the encoding of each level of a column."""
    from sklearn.preprocessing import OneHotEncoder, TargetEncoder

    match encoder:
        case OneHotEncoder():
            known = [str(label) for label in encoder.categories_[place]]
            return {_MISSING if label == "nan" else label: f"{column}_{label}" for label in known}
        case TargetEncoder():
            width = len(encoder.classes_) if encoder.target_type_ == "multiclass" else 1
            means = np.column_stack(encoder.encodings_[place * width : (place + 1) * width])
            names = [_MISSING if math.isnan(code) else labels[int(code)] for code in encoder.categories_[place]]
            return {name: float(row[0]) if width == 1 else row.tolist() for name, row in zip(names, means, strict=True)}
        case _:
            return {label: float(position) for position, label in enumerate(labels)}


def _facts_of_numbers(part: Any, columns: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the fitted values of a transformer with one output per input."""
    from sklearn.impute import SimpleImputer

    from churn_estimators.transformers import Binner, OtherColumnsImputer, OutlierFences

    facts: list[Any] = []
    match part:
        case OutlierFences():
            fences = zip(part.lower_.tolist(), part.upper_.tolist(), strict=True)
            name, facts = "fences", [Fences(lower=lower, upper=upper) for lower, upper in fences]
        case SimpleImputer():
            name, facts = "fills", part.statistics_.tolist()
        case OtherColumnsImputer():
            columns = part.columns
            name, facts = "fills", ["from the other numbers of the row"] * len(columns)
        case Binner():
            name, facts = "bin_edges", [edges.tolist() for edges in part.edges_]
        case _:
            name, facts = "scaling", _scales(part)
    for column, fact in zip(columns if facts else [], facts, strict=True):
        yield column, name, fact


def _scales(part: Any) -> list[Scale]:
    """Centres and scales of a scaler; empty for other transformers."""
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    match part:
        case StandardScaler():
            centres, scales = part.mean_, part.scale_
        case MinMaxScaler():
            centres, scales = part.data_min_, 1 / part.scale_
        case RobustScaler():
            centres, scales = part.center_, part.scale_
        case _:
            return []
    return [Scale(centre=centre, scale=scale) for centre, scale in zip(centres.tolist(), scales.tolist(), strict=True)]


def _selection(transformer: Any) -> list[ScoredInput]:
    if "select" not in transformer.named_steps:
        return []
    selector = transformer["select"]
    scores = selector.scores_ if hasattr(selector, "scores_") else selector.variances_
    return [
        ScoredInput(name=str(name), score=float(score), kept=bool(kept))
        for name, score, kept in zip(selector.feature_names_in_, scores, selector.get_support(), strict=True)
    ]
