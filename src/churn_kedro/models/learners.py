"""Trees of XGBoost in ONNX, and learners in the form that is fastest for few rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import copy
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_estimators.ensembles import BlendClassifier, BlendRegressor

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# What a learner answers for its inputs: ``predict_proba``, or ``predict`` of a regression.
Predict = Callable[[np.ndarray], np.ndarray]
# From more rows on, XGBoost is faster than ONNX Runtime.
MOST_ONNX_ROWS = 32
# Names of the tensors of the trees.
TREE_INPUTS, TREE_MARGINS = "inputs", "margins"
ONNX_DOMAIN, ONNX_OPSET, ONNX_IR = "ai.onnx.ml", 3, 10
# Largest exponent in XGBoost's logistic function.
LARGEST_EXPONENT = 88.7
_OBJECTIVES = ("binary:logistic", "multi:softprob", "reg:squarederror")


class NoTreesError(ValueError):
    """A learner whose trees cannot be written in ONNX."""


def compile_learner(learner: Any, *, regression: bool) -> Predict:
    """Return the fastest way to ask a learner about few rows.

    Args:
        learner: Fitted classifier or regressor.
        regression: Whether it predicts a number.

    Returns:
        Function of inputs, float64 array of shape (n, n_inputs), to what ``predict_proba``, or ``predict`` of a
        regression, returns. Trees of XGBoost, also in ensembles, are evaluated by ONNX Runtime where it is installed;
        any other learner is asked itself.
    """
    if isinstance(learner, BlendClassifier | BlendRegressor):
        members = [_CompiledMember(compile_learner(each, regression=regression)) for each in learner.members]
        learner = copy(learner).set_params(members=members)
    elif _is_xgboost(learner):
        try:
            return _use_onnx(learner) if has_onnx() else _use_xgboost(learner)
        except NoTreesError:
            pass
    predict: Predict = learner.predict if regression else learner.predict_proba
    return predict


def has_onnx() -> bool:
    """Return whether trees can be converted to ONNX and evaluated (extra ``serve``)."""
    return find_spec("onnxruntime") is not None and find_spec("onnxmltools") is not None


class _CompiledMember:
    """Compiled learner as a member of an ensemble."""

    def __init__(self, predict: Predict) -> None:
        self.predict = self.predict_proba = predict


def _is_xgboost(learner: Any) -> bool:
    # Only if it is loaded, since the import takes long.
    return type(learner).__module__.startswith("xgboost.")


def _configuration(learner: Any) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(learner.get_booster().save_config())["learner"]
    return configuration


def _find_finish(learner: Any) -> Predict:
    """Return the function from margins, float32 of shape (n, n_outputs), to what the learner returns.

    It computes in float32 as XGBoost does.
    """
    objective = _configuration(learner)["objective"]["name"]
    if objective == "binary:logistic":
        return _finish_binary
    if objective == "multi:softprob":
        return _softmax
    if objective == "reg:squarederror":
        return lambda margins: margins[:, 0]
    raise NoTreesError(f"objective {objective}, expected one of {', '.join(_OBJECTIVES)}")


def _finish_binary(margins: np.ndarray) -> np.ndarray:
    if len(margins) == 1:
        # Of a single row, ten times as fast as numpy.
        exponential = np.float32(math.exp(min(-margins.item(), LARGEST_EXPONENT)))
        positive = np.float32(1.0) / (exponential + np.float32(1.0))
        return np.array([[np.float32(1.0) - positive, positive]])
    exponents = np.minimum(-margins[:, 0].astype(np.float64), LARGEST_EXPONENT)
    probability = np.float32(1.0) / (np.exp(exponents).astype(np.float32) + np.float32(1.0))
    return np.column_stack([np.float32(1.0) - probability, probability])


def _softmax(margins: np.ndarray) -> np.ndarray:
    powers = np.exp((margins - margins.max(axis=1, keepdims=True)).astype(np.float64)).astype(np.float32)
    return np.asarray(powers / powers.sum(axis=1, dtype=np.float64, keepdims=True).astype(np.float32))


def _use_xgboost(learner: Any) -> Predict:
    booster, finish = learner.get_booster(), _find_finish(learner)

    def predict(inputs: np.ndarray) -> np.ndarray:
        margins = booster.inplace_predict(inputs, predict_type="margin")
        return finish(margins.reshape(len(inputs), -1))

    return predict


def _use_onnx(learner: Any) -> Predict:
    run, names = start_session(build_tree_model(learner)).run, [TREE_MARGINS]
    finish, many = _find_finish(learner), _use_xgboost(learner)

    def predict(inputs: np.ndarray) -> np.ndarray:
        if len(inputs) > MOST_ONNX_ROWS:
            return many(inputs)
        with np.errstate(over="ignore"):
            # Larger numbers become infinite, as in XGBoost.
            single = inputs.astype(np.float32)
        return finish(run(names, {TREE_INPUTS: single})[0])

    return predict


def start_session(model: ModelProto) -> Any:
    """Start ONNX Runtime with one thread.

    Args:
        model: The model.

    Returns:
        The session.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A single row is done before a second thread has started, and the requests of a service share the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def build_tree_model(learner: Any) -> ModelProto:
    """Write the trees of a learner in ONNX.

    Args:
        learner: Fitted ``XGBClassifier`` or ``XGBRegressor``.

    Returns:
        Model from float32 inputs of shape (n, n_inputs) to margins of shape (n, n_outputs), equal to those of XGBoost.

    Raises:
        NoTreesError: The learner is another one, or has another objective.
    """
    from onnx import TensorProto, helper

    node, n_outputs = tree_node(learner, TREE_INPUTS, TREE_MARGINS)
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info(TREE_INPUTS, TensorProto.FLOAT, [None, learner.n_features_in_])],
        [helper.make_tensor_value_info(TREE_MARGINS, TensorProto.FLOAT, [None, n_outputs])],
    )
    return helper.make_model(graph, opset_imports=opsets(), ir_version=ONNX_IR)


def opsets() -> list[Any]:
    """Return the versions of ONNX's operators."""
    from onnx import helper

    return [helper.make_opsetid("", 18), helper.make_opsetid(ONNX_DOMAIN, ONNX_OPSET)]


def tree_node(learner: Any, inputs: str, margins: str) -> tuple[NodeProto, int]:
    """Write the trees of a learner as a node.

    Args:
        learner: Fitted ``XGBClassifier`` or ``XGBRegressor``.
        inputs: Name of the inputs, float32 of shape (n, n_inputs).
        margins: Name of the margins, float32 of shape (n, n_outputs).

    Returns:
        The node, and the number of its outputs.

    Raises:
        NoTreesError: The learner is another one, or has another objective.
    """
    from onnx import helper
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    if not _is_xgboost(learner):
        raise NoTreesError(f"the learner is a {type(learner).__name__}, expected trees of XGBoost")
    _find_finish(learner)
    configuration = _configuration(learner)
    if configuration["gradient_booster"]["name"] != "gbtree":
        raise NoTreesError(f"the booster is {configuration['gradient_booster']['name']}, expected gbtree")
    converted = convert_xgboost(learner, initial_types=[("inputs", FloatTensorType([None, learner.n_features_in_]))])
    found = {one.name: helper.get_attribute_value(one) for one in converted.graph.node[0].attribute}
    # The converter adds the base margin after the trees and applies the link function; XGBoost's float32 sums begin
    # with it. So it becomes the first tree of each output, and the result is the margin.
    bases = _base_margins(configuration)
    n_outputs, base_ids = len(bases), range(len(bases))
    leaves = "class" if "class_ids" in found else "target"
    n_bases = [0] * n_outputs
    attributes: dict[str, Any] = {
        name: [*n_bases, *values] for name, values in found.items() if name.startswith("nodes_")
    }
    attributes["nodes_treeids"] = [*base_ids, *(n_outputs + tree for tree in found["nodes_treeids"])]
    attributes["nodes_modes"] = [b"LEAF"] * n_outputs + list(found["nodes_modes"])
    attributes["nodes_values"] = [0.0] * n_outputs + list(found["nodes_values"])
    attributes["target_treeids"] = [*base_ids, *(n_outputs + tree for tree in found[f"{leaves}_treeids"])]
    attributes["target_nodeids"] = [*n_bases, *found[f"{leaves}_nodeids"]]
    attributes["target_ids"] = [*base_ids, *(tree % n_outputs for tree in found[f"{leaves}_treeids"])]
    attributes["target_weights"] = [*bases, *found[f"{leaves}_weights"]]
    options: dict[str, Any] = {"n_targets": n_outputs, "aggregate_function": "SUM", "post_transform": "NONE"}
    node = helper.make_node(
        "TreeEnsembleRegressor",
        [inputs],
        [margins],
        domain=ONNX_DOMAIN,
        **options,
        **attributes,
    )
    return node, n_outputs


def _base_margins(configuration: dict[str, Any]) -> list[float]:
    parameters = configuration["learner_model_param"]
    n_outputs = max(1, int(parameters["num_class"]))
    scores = [np.float32(score) for score in np.atleast_1d(json.loads(parameters["base_score"]))]
    if configuration["objective"]["name"] == "binary:logistic":
        # The ratio is rounded to float32, as in XGBoost.
        scores = [np.float32(-math.log(np.float32(1.0) / score - np.float32(1.0))) for score in scores]
    return [float(score) for score in (scores * n_outputs if len(scores) == 1 else scores)]
