"""A model as one ONNX file: cells of numbers and text, or inputs of the trees, to probabilities or numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_estimators.calibration import CalibrationMap
from churn_estimators.cells import is_number
from churn_kedro.base import ParameterError
from churn_kedro.models.compiled import TOLERANCE
from churn_kedro.models.generated_rows import Row, generate_rows, table_of
from churn_kedro.models.input_formulas import (
    Bin,
    Clip,
    Combine,
    Fill,
    Formula,
    InputFormulas,
    IsMissing,
    IsOutside,
    Lookup,
    Rescale,
    Result,
    Standardise,
    Transform,
    UnknownStepError,
    derive_formulas,
)
from churn_kedro.models.learners import (
    LARGEST_EXPONENT,
    ONNX_DOMAIN,
    ONNX_IR,
    TREE_INPUTS,
    NoTreesError,
    has_onnx,
    opsets,
    start_session,
    tree_node,
)

if TYPE_CHECKING:
    from onnx import ModelProto

    from churn_estimators.cells import CellReader
    from churn_estimators.model import CustomerModel

# Probabilities are clipped by this, as in churn_estimators.calibration.
_EPSILON = 1e-12
# Key of a table that would otherwise be empty.
_NO_LEVEL = "a level that no table has"
_OPERATORS = {"ratio": "Div", "product": "Mul", "difference": "Sub", "sum": "Add"}


class _NotInOnnxError(ValueError):
    """A part of a model that cannot be written in ONNX."""


@dataclass(frozen=True)
class OnnxExport:
    """A model in ONNX.

    Attributes:
        model: The file.
        description: Inputs, output and decision, for JSON.
        largest_difference: Largest difference between its scores and those of the model on the rows of the comparison;
            relative for numbers above 1.
        n_rows: Number of these rows.
        reason: Why the treatment of the columns is not part of the file; empty if it is.
    """

    model: bytes
    description: dict[str, Any]
    largest_difference: float
    n_rows: int
    reason: str


def export_to_onnx(model: CustomerModel, examples: pd.DataFrame) -> OnnxExport:
    """Write a model in ONNX and compare its scores with those of the model.

    Args:
        model: The model.
        examples: Some raw customers. The scores are compared on them, and on rows generated from them.

    Returns:
        The file with one input per column where this gives the scores of the model; else with the inputs of the trees.

    Raises:
        ParameterError: The model has no trees of XGBoost, or a calibration that is not known; the scores differ; or the
            extra ``serve`` is not installed.
    """
    if not has_onnx():
        raise ParameterError(
            "An export to ONNX needs onnxmltools and onnxruntime, and they are not installed: "
            "`pip install 'churn_kedro[serve]'`."
        )
    try:
        formulas = derive_formulas(model.features, model.readers)
    except UnknownStepError as error:
        raise ParameterError(f"The model cannot be written in ONNX: {error}.") from error
    levels = {formulas.columns[one.of]: list(one.numbers) for one in formulas.formulas if isinstance(one, Lookup)}
    rows = generate_rows(model.readers, levels, examples)
    try:
        reason = ""
        try:
            return _compare(model, formulas, rows, reason, with_treatment=True)
        except _NotInOnnxError as error:
            reason = str(error)
        return _compare(model, formulas, rows, reason, with_treatment=False)
    except (NoTreesError, _NotInOnnxError) as error:
        raise ParameterError(
            f"The model cannot be written in ONNX: {error}. `kedro models export VERSION PATH` writes it with the "
            "package that answers it."
        ) from error


def _compare(
    model: CustomerModel, formulas: InputFormulas, rows: Sequence[Row], reason: str, *, with_treatment: bool
) -> OnnxExport:
    """Write the model, and compare it."""
    from onnx import helper

    graph = _Graph([*formulas.columns, TREE_INPUTS])
    output = "prediction" if model.task == "regression" else "probability"
    if with_treatment:
        graph.read_columns(model.readers, formulas)
    else:
        graph.take_inputs(len(formulas.inputs))
    graph.score(model, output)
    written = graph.build(output, len(model.classes) if model.task == "multiclass" else None)
    try:
        session = start_session(written)
    except Exception as error:  # ONNX Runtime raises errors of its own for what it does not support.
        raise _NotInOnnxError(f"ONNX Runtime does not support it: {error}") from error
    table = model.read(table_of(rows, model.readers)).table
    feeds = _feed_columns(rows, table, model.readers) if with_treatment else _feed_inputs(model, table)
    scores, expected = session.run([graph.output], feeds)[0], model.scores(table)
    difference = float((np.abs(scores - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not difference <= TOLERANCE:
        raise _NotInOnnxError(f"its scores differ from those of the model by up to {difference:g}")
    description = {
        "task": model.task,
        "classes": [str(label) for label in model.classes],
        "inputs": _describe_columns(model.readers) if with_treatment else _describe_inputs(model, formulas),
        "output": _describe_output(model, graph.output),
        "threshold": model.threshold,
        "treatment_included": with_treatment,
        "treatment_left_out_because": reason or None,
        "rows_compared": len(rows),
        "largest_difference": difference,
    }
    # So that the file can be used without the description beside it.
    helper.set_model_props(written, {"description": json.dumps(description)})
    return OnnxExport(written.SerializeToString(), description, difference, len(rows), reason)


def _feed_columns(rows: Sequence[Row], table: pd.DataFrame, readers: Sequence[CellReader]) -> dict[str, np.ndarray]:
    """Return the cells as the file takes them: numbers as they are, text without blanks."""
    feeds: dict[str, np.ndarray] = {}
    for reader in readers:
        cells = table[reader.column]
        if reader.cells == "text":
            feeds[reader.column] = cells.astype(object).where(cells.notna(), "").to_numpy(dtype=object)[:, None]
            continue
        numbers = cells.to_numpy(dtype=np.float64).copy()
        for place, row in enumerate(rows):
            cell = row.get(reader.column)
            if isinstance(cell, float) or (isinstance(cell, int) and abs(cell) < 2**63 and not isinstance(cell, bool)):
                numbers[place] = cell
        feeds[reader.column] = numbers[:, None]
    return feeds


def _feed_inputs(model: CustomerModel, table: pd.DataFrame) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):
        return {TREE_INPUTS: model.inputs(table).astype(np.float32)}


def _describe_columns(readers: Sequence[CellReader]) -> list[dict[str, Any]]:
    return [
        {
            "name": reader.column,
            "type": "string" if reader.cells == "text" else "double",
            "shape": ["n", 1],
            "missing": "" if reader.cells == "text" else "NaN",
            "also_missing": list(reader.missing),
        }
        for reader in readers
    ]


def _describe_inputs(model: CustomerModel, formulas: InputFormulas) -> list[dict[str, Any]]:
    names = model.features[-1].get_feature_names_out()
    inputs = [
        {"position": position, "name": str(name), "computed": _describe(place, formulas)}
        for position, (name, place) in enumerate(zip(names, formulas.inputs, strict=True))
    ]
    return [{"name": TREE_INPUTS, "type": "float", "shape": ["n", len(inputs)], "missing": "NaN", "columns": inputs}]


def _describe(place: int, formulas: InputFormulas) -> Any:
    """Return a column, or an operation with its operands."""
    if place < len(formulas.columns):
        return {"column": formulas.columns[place]}
    formula = formulas.formulas[place - len(formulas.columns)]
    described: dict[str, Any] = {"operation": type(formula).__name__}
    for one in fields(formula):
        value = getattr(formula, one.name)
        if one.name in ("of", "first", "second"):
            described[one.name] = (
                [_describe(each, formulas) for each in value]
                if isinstance(value, tuple)
                else _describe(value, formulas)
            )
        elif one.name == "transform":
            described[one.name] = type(value.__self__).__name__ if hasattr(value, "__self__") else str(value)
        elif isinstance(value, Mapping):
            described[one.name] = {str(level): number for level, number in value.items()}
        else:
            described[one.name] = None if isinstance(value, float) and math.isnan(value) else value
    return described


def _describe_output(model: CustomerModel, name: str) -> dict[str, Any]:
    if model.task == "regression":
        return {"name": name, "type": "double", "shape": ["n"], "meaning": "predicted number"}
    if model.task == "multiclass":
        return {"name": name, "type": "double", "shape": ["n", len(model.classes)], "meaning": "probability of a class"}
    return {"name": name, "type": "double", "shape": ["n"], "meaning": "probability of leaving"}


class _Graph:
    """An ONNX graph under construction. Values are the names of tensors.

    Args:
        taken: Names that are not available for inner tensors.
    """

    def __init__(self, taken: Sequence[str]) -> None:
        self._taken = set(taken)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._input = ""
        self.output = ""

    def _name(self, wanted: str) -> str:
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted

    def _constant(self, value: Any, dtype: Any = np.float64) -> str:
        from onnx import numpy_helper

        name = self._name(f"constant_{len(self._constants)}")
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def _add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or self._name(f"value_{len(self._nodes)}")
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def _cast(self, value: str, kind: str) -> str:
        from onnx import TensorProto

        return self._add("Cast", value, to=getattr(TensorProto, kind))

    def read_columns(self, readers: Sequence[CellReader], formulas: InputFormulas) -> None:
        """Add one input per column, and the formulas of the inputs of the trees."""
        from onnx import TensorProto, helper

        values = []
        for reader in readers:
            if reader.cells == "date":
                raise _NotInOnnxError(f"column '{reader.column}' is a date")
            kind = TensorProto.STRING if reader.cells == "text" else TensorProto.DOUBLE
            self._inputs.append(helper.make_tensor_value_info(reader.column, kind, ["n", 1]))
            values.append(reader.column if reader.cells == "text" else self._read_numbers(reader))
        for formula in formulas.formulas:
            values.append(self._compute(formula, values, readers))
        inputs = self._add("Concat", *(values[place] for place in formulas.inputs), axis=1)
        self._input = self._cast(inputs, "FLOAT")

    def take_inputs(self, n_inputs: int) -> None:
        """Add one input: those of the trees."""
        from onnx import TensorProto, helper

        self._inputs.append(helper.make_tensor_value_info(TREE_INPUTS, TensorProto.FLOAT, ["n", n_inputs]))
        self._input = TREE_INPUTS

    def _nan(self) -> str:
        return self._constant(math.nan)

    def _read_numbers(self, reader: CellReader) -> str:
        """Infinite numbers and the markers of missing cells become NaN."""
        missing = self._add("IsInf", reader.column)
        for marker in reader.missing:
            if is_number(marker):
                marked = self._add("Equal", reader.column, self._constant(float(marker)))
                missing = self._add("Or", missing, marked)
        return self._add("Where", missing, self._nan(), reader.column)

    def _compute(self, formula: Formula, values: Sequence[str], readers: Sequence[CellReader]) -> str:
        match formula:
            case Lookup(of, numbers, missing):
                return self._look_up(values[of], numbers, missing, readers[of])
            case Combine(operation, first, second):
                result = self._add(_OPERATORS[operation], values[first], values[second])
                infinite = self._add("Or", self._add("IsInf", result), self._add("IsNaN", result))
                return self._add("Where", infinite, self._nan(), result)
            case Clip(of, lower, upper) | IsOutside(of, lower, upper):
                low, high = self._constant(lower), self._constant(upper)
                below, above = self._add("Less", values[of], low), self._add("Greater", values[of], high)
                if isinstance(formula, IsOutside):
                    return self._cast(self._add("Or", below, above), "DOUBLE")
                return self._add("Where", below, low, self._add("Where", above, high, values[of]))
            case Bin(of, edges):
                position = self._count_reached(values[of], edges)
                return self._add("Where", self._add("IsNaN", values[of]), self._nan(), position)
            case Transform(transform=transform):
                name = type(getattr(transform, "__self__", transform)).__name__
                raise _NotInOnnxError(f"{name} has no ONNX form")
            case Result():
                raise _NotInOnnxError("a transformer has no ONNX form")
        return self._compute_from_one(formula, values[formula.of])

    def _compute_from_one(self, formula: IsMissing | Fill | Standardise | Rescale, value: str) -> str:
        match formula:
            case IsMissing():
                return self._cast(self._add("IsNaN", value), "DOUBLE")
            case Fill(number=number):
                return self._add("Where", self._add("IsNaN", value), self._constant(number), value)
            case Standardise(centre=centre, scale=scale):
                return self._add("Div", self._add("Sub", value, self._constant(centre)), self._constant(scale))
            case Rescale(factor=factor, offset=offset):
                return self._add("Add", self._add("Mul", value, self._constant(factor)), self._constant(offset))

    def _look_up(self, cells: str, numbers: Mapping[Any, float], missing: float, reader: CellReader) -> str:
        if reader.cells == "text":
            markers = {marker.strip() for marker in reader.missing}
            levels = [level for level in numbers if level not in markers] or [_NO_LEVEL]
            position = self._add(
                "LabelEncoder",
                cells,
                domain=ONNX_DOMAIN,
                keys_strings=levels,
                values_int64s=list(range(len(levels))),
                default_int64=len(levels),
            )
            return self._add(
                "Gather", self._constant([*(numbers.get(level, missing) for level in levels), missing]), position
            )
        same = self._cast(self._add("Equal", cells, self._constant([list(numbers)])), "INT64")
        # Position of the level that is equal, from 1; 0 where none is.
        places = self._constant([range(1, len(numbers) + 1)], np.int64)
        position = self._add("ReduceSum", self._add("Mul", same, places), self._constant([1], np.int64), keepdims=1)
        return self._add("Gather", self._constant([missing, *numbers.values()]), position)

    def _count_reached(self, value: str, edges: Sequence[float]) -> str:
        """Count the edges that a number of shape (n, 1) is not below."""
        reached = self._cast(self._add("GreaterOrEqual", value, self._constant([list(edges)])), "DOUBLE")
        return self._add("ReduceSum", reached, self._constant([1], np.int64), keepdims=1)

    def score(self, model: CustomerModel, output: str) -> None:
        """Add trees, link function and calibration."""
        self.output = self._name(output)
        margins = self._name("margins")
        node, _ = tree_node(model.learner, self._input, margins)
        self._nodes.append(node)
        axis = self._constant([1], np.int64)
        if model.task == "regression":
            self._add("Squeeze", self._cast(margins, "DOUBLE"), axis, output=self.output)
            return
        probability = self._cast(self._link(margins, binary=model.task == "binary"), "DOUBLE")
        if model.calibration is not None:
            probability = self._calibrate(model.calibration, probability, len(model.classes))
        if model.task == "binary":
            self._add("Squeeze", probability, axis, output=self.output)
        else:
            self._add("Identity", probability, output=self.output)

    def _link(self, margins: str, *, binary: bool) -> str:
        """Add the link function, rounded to float32 where XGBoost does, since a calibration can be steep."""
        if binary:
            one = self._constant(1.0, np.float32)
            negative = self._add("Min", self._add("Neg", margins), self._constant(LARGEST_EXPONENT, np.float32))
            power = self._cast(self._add("Exp", self._cast(negative, "DOUBLE")), "FLOAT")
            return self._add("Div", one, self._add("Add", power, one))
        centred = self._add("Sub", margins, self._add("ReduceMax", margins, self._constant([1], np.int64)))
        power = self._cast(self._add("Exp", self._cast(centred, "DOUBLE")), "FLOAT")
        total = self._add("ReduceSum", self._cast(power, "DOUBLE"), self._constant([1], np.int64), keepdims=1)
        return self._add("Div", power, self._cast(total, "FLOAT"))

    def _calibrate(self, calibration: Any, probability: str, n_classes: int) -> str:
        """Binary: from and to the probability of the second class; else of each class."""
        if not isinstance(calibration, CalibrationMap):
            raise _NotInOnnxError(f"the calibration {type(calibration).__name__} has no ONNX form")
        clipped = self._add(
            "Max", self._add("Min", probability, self._constant(1 - _EPSILON)), self._constant(_EPSILON)
        )
        scores = self._add("Log", clipped)
        binary = n_classes == 2
        if binary:
            scores = self._add("Sub", scores, self._add("Log", self._add("Sub", self._constant(1.0), clipped)))
        if calibration.joint:
            inverse = float(np.ravel(calibration.maps[0].beta_)[0])
            scaled = self._add("Mul", scores, self._constant(2 * inverse if binary else inverse))
            return self._add("Sigmoid", scaled) if binary else self._add("Softmax", scaled, axis=1)
        if binary:
            return self._map(calibration.maps[0], scores)
        columns = []
        for code, one in enumerate(calibration.maps):
            column = self._add("Gather", scores, self._constant([code], np.int64), axis=1)
            columns.append(self._map(one, column))
        each = self._add("Concat", *columns, axis=1)
        total = self._add("ReduceSum", each, self._constant([1], np.int64), keepdims=1)
        nothing = self._add("Equal", total, self._constant(0.0))
        return self._add("Where", nothing, self._constant(1 / n_classes), self._add("Div", each, total))

    def _map(self, fitted: Any, score: str) -> str:
        """Add a map of log-odds of shape (n, 1)."""
        match type(fitted).__name__:
            case "_SigmoidCalibration":
                slope, intercept = self._constant(-float(fitted.a_)), self._constant(-float(fitted.b_))
                return self._add("Sigmoid", self._add("Add", self._add("Mul", score, slope), intercept))
            case "IsotonicRegression":
                return self._interpolate(score, fitted.X_thresholds_, fitted.y_thresholds_)
        raise _NotInOnnxError(f"the calibration map {type(fitted).__name__} has no ONNX form")

    def _interpolate(self, score: str, places: np.ndarray, heights: np.ndarray) -> str:
        slopes = np.append(np.diff(heights) / np.diff(places), 0.0)
        limited = self._add("Max", self._add("Min", score, self._constant(places[-1])), self._constant(places[0]))
        reached = self._cast(self._count_reached(limited, places.tolist()), "INT64")
        place = self._add("Sub", reached, self._constant(1, np.int64))
        start, height, slope = (self._add("Gather", self._constant(each), place) for each in (places, heights, slopes))
        return self._add("Add", height, self._add("Mul", slope, self._add("Sub", limited, start)))

    def build(self, title: str, n_classes: int | None) -> ModelProto:
        """Return the model."""
        from onnx import TensorProto, helper

        shape: list[str | int | None] = ["n"] if n_classes is None else ["n", n_classes]
        outputs = [helper.make_tensor_value_info(self.output, TensorProto.DOUBLE, shape)]
        used = {name for node in self._nodes for name in node.input}
        constants = [constant for constant in self._constants if constant.name in used]
        graph = helper.make_graph(self._nodes, title, self._inputs, outputs, constants)
        return helper.make_model(graph, opset_imports=opsets(), ir_version=ONNX_IR, producer_name="churn_kedro")
