"""What the treatment of the columns learned from the training customers, for people to read."""

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
# Facts that each of a column's numbers has.
_BY_NUMBER = frozenset({"fills", "scaling"})


class Fences(Record):
    """Numbers beyond are outliers."""

    lower: float
    upper: float


class Scale(Record):
    """A number minus the centre, divided by the scale."""

    centre: float
    scale: float


class FittedColumn(Record):
    """One column and all that was learned of it. What does not apply is left out or empty."""

    name: str
    kind: Kind
    made_of: str | None = Field(None, description="Derived columns: how.")
    treatment: dict[str, Any] = Field(description="The treatment that applies, complete.")
    inputs: list[str] = Field(description="Model inputs made of it.")
    levels: dict[str, float | str | list[float]] = Field(
        default_factory=dict,
        description="Each level and what the model sees of it: its position; the name of the input that is 1 "
        "(one_hot); the mean of the target among its customers, shrunk (target; of several classes, a number each).",
    )
    fills: dict[str, float | str] = Field(
        default_factory=dict, description="What stands for a missing value, by number."
    )
    fences: Fences | None = None
    bin_edges: list[float] = Field(
        default_factory=list, description="Inner edges; an edge belongs to the bin above, the lowest bin is 0."
    )
    scaling: dict[str, Scale] = Field(default_factory=dict, description="Centre and scale, by number.")
    latest_date: str | None = Field(None, description="Date from which ages are counted back.")


class FittedInput(Record):
    """One number that XGBoost gets."""

    name: str
    column: str = Field(description="What it was made of.")
    type: Literal["category", "quantity"]


class ScoredInput(Record):
    """An input that selection judged."""

    name: str
    score: float = Field(description="Variance, mutual information in nats, or share of the gain.")
    kept: bool


class FittedFeatures(Record):
    """The treatment of a customer table as training learned it."""

    columns: list[FittedColumn] = Field(description="Columns in declared order, derived ones last.")
    inputs: list[FittedInput] = Field(description="What XGBoost gets, in its order.")
    selection: list[ScoredInput] = Field(default_factory=list, description="Every input that selection judged.")


def describe_features(
    inputs: TrainingInputs, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> FittedFeatures:
    """Write down what was learned.

    Args:
        inputs: The fitted treatment.
        declaration: The table's declaration.
        parameters: Treatments by kind.

    Returns:
        Fill values, fences, edges, levels, centres and scales, column by column, and what was selected.
    """
    facts: dict[str, dict[str, Any]] = {}
    for name, fact, value in _learned(inputs.transformer):
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
    learned: dict[str, Any] = {}
    # The steps after the first know a date by its parts, which are several.
    for name in dict.fromkeys([column.name, *column.numbers]):
        for fact, value in facts.get(name, {}).items():
            if fact in _BY_NUMBER:
                learned.setdefault(fact, {})[name] = value
            else:
                learned[fact] = value
    origin = column.origin
    return FittedColumn(
        name=column.name,
        kind=column.kind,
        made_of=None if isinstance(origin, Column) else f"{origin.operation} of {origin.of[0]} and {origin.of[1]}",
        treatment=column.treatment.model_dump(exclude_none=True),
        inputs=[name for name, source in inputs.sources.items() if source == column.name],
        **learned,
    )


def _learned(transformer: Any) -> Iterator[tuple[str, str, Any]]:
    """What each fitted part knows: column or number, name of the fact, value."""
    for name, part, columns in transformer["read"].transformers_:
        if name != "remainder":
            yield from _learned_reading(branch_steps(part), [str(column) for column in columns])
    for step in ("clip", "fill", "bin", "scale"):
        if step in transformer.named_steps:
            for _, part, columns in transformer[step].transformers_:
                yield from _learned_numbers(part, columns)


def _learned_reading(steps: list[Any], columns: list[str]) -> Iterator[tuple[str, str, Any]]:
    from churn_estimators.transformers import Combiner, DateReader, LevelReader, MissingFlags, OutlierFences

    reader, last = steps[0], steps[-1]
    if isinstance(last, MissingFlags):
        return
    if isinstance(last, OutlierFences):
        names = [str(name) for step in steps if isinstance(step, Combiner) for name in step.names]
        yield from _learned_numbers(last, names or columns)
    if isinstance(reader, DateReader):
        for column, latest in zip(columns, reader.latest_, strict=True):
            yield column, "latest_date", latest
    if isinstance(reader, LevelReader):
        for place, column in enumerate(columns):
            labels = reader.level_labels(place)
            yield column, "levels", _encodings(last, place, column, labels)
            fill = reader.fill_positions_[place]
            if not math.isnan(fill):
                yield column, "fills", labels[int(fill)]


def _encodings(encoder: Any, place: int, column: str, labels: list[str]) -> dict[str, float | str | list[float]]:
    """What the model sees of each level of a column."""
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


def _learned_numbers(part: Any, columns: Any) -> Iterator[tuple[str, str, Any]]:
    """Facts of a step that gives a number for each number."""
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
    """Centres and scales of a scaler; none of anything else."""
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
