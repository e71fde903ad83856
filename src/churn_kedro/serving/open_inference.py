"""Open Inference Protocol, version 2: the routes of KServe, Seldon and MLServer.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from anyio import CapacityLimiter, to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from churn_kedro import __version__
from churn_kedro.serving.requests import RequestError
from churn_kedro.serving.scoring import Answer, ServedModel
from churn_kedro.serving.use_case_routes import UseCaseRoutes

_JSON = "application/json"
Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
_WHOLE = frozenset({"UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"})
# Fields of a prediction, and their types.
_OUTPUTS: Mapping[str, Datatype] = {
    "probability": "FP64",
    "decision": "BYTES",
    "holdout": "BOOL",
    "expected_value": "FP64",
    "risk_band": "BYTES",
    "probabilities": "FP64",
}


class _Tensor(BaseModel):
    """An input: a column of the table."""

    model_config = ConfigDict(extra="allow")

    name: str
    shape: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, max_length=2)
    datatype: Datatype
    data: Any


class _Output(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class InferenceRequest(BaseModel):
    """A request for predictions; other fields are ignored, as the protocol permits."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, Field(max_length=200)] | None = None
    inputs: list[_Tensor] = Field(min_length=1)
    outputs: list[_Output] | None = None


class OpenInferenceRoutes:
    """The routes of the protocol. A model is a registered model, and its version the served one.

    Args:
        use_cases: The use cases.
        threads: Limits requests that are computed at once.
    """

    def __init__(self, use_cases: Sequence[UseCaseRoutes], threads: CapacityLimiter) -> None:
        self._use_cases = {routes.use_case.model_name: routes for routes in use_cases}
        self._threads = threads

    async def server(self, request: Request) -> Response:
        """Describe the server."""
        return _respond({"name": "churn_kedro", "version": __version__, "extensions": []})

    async def live(self, request: Request) -> Response:
        """Say that the process answers."""
        return _respond({"live": True})

    async def ready(self, request: Request) -> Response:
        """Say that all models can answer."""
        return _respond({"ready": True})

    async def metadata(self, request: Request) -> Response:
        """Describe a model."""
        routes, model = self._find(request)
        readers = model.registered.estimator.readers
        return _respond(
            {
                "name": model.registered.name,
                "versions": [str(model.version)],
                "platform": "churn_kedro",
                "inputs": [
                    {
                        "name": reader.column,
                        "datatype": "FP64" if reader.cells == "number" else "BYTES",
                        "shape": [-1],
                    }
                    for reader in readers
                ],
                "outputs": [
                    {"name": name, "datatype": kind, "shape": [-1, *shape]}
                    for name, kind, shape in self._outputs(routes, model)
                ],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """Say that a model can answer."""
        _, model = self._find(request)
        return _respond({"name": model.registered.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        """Predict customers."""
        routes, model = self._find(request)
        body = await routes.read_body(request)

        def score() -> tuple[InferenceRequest, Sequence[Mapping[str, Any]], list[Answer]]:
            asked = _parse(body)
            rows = routes.requests.read_rows(_as_rows(asked.inputs, routes.requests.max_rows))
            return asked, rows, model.answer(rows)

        asked, rows, answers = await to_thread.run_sync(score, limiter=self._threads)
        unreadable = [
            problem.model_copy(update={"row": row})
            for row, answer in enumerate(answers)
            for problem in answer.unreadable
        ]
        if unreadable:
            # A tensor has no place for a customer without prediction.
            count = len({problem.row for problem in unreadable})
            raise RequestError(422, f"{count} customers cannot be scored: see problems.", unreadable[:20])
        routes.record(request, model, rows, answers)
        wanted = None if asked.outputs is None else [output.name for output in asked.outputs]
        return _respond(
            {
                "model_name": model.registered.name,
                "model_version": str(model.version),
                "id": asked.id or request.scope["state"]["request_id"],
                "outputs": self._write(routes, model, answers, wanted),
            },
            model,
        )

    def _write(
        self, routes: UseCaseRoutes, model: ServedModel, answers: Sequence[Answer], wanted: Sequence[str] | None
    ) -> list[dict[str, Any]]:
        outputs = self._outputs(routes, model)
        names = [name for name, _, _ in outputs]
        unknown = [name for name in wanted or () if name not in names]
        if unknown:
            raise RequestError(400, f"The model has no output {', '.join(unknown)[:200]}; it has {', '.join(names)}.")
        written = []
        for name, kind, shape in outputs:
            if wanted is not None and name not in wanted:
                continue
            values = [answer.fields[name] for answer in answers]
            if name == "probabilities":
                values = [number for value in values for number in value.values()]
            elif kind == "BYTES":
                values = [str(value) for value in values]
            written.append({"name": name, "datatype": kind, "shape": [len(answers), *shape], "data": values})
        return written

    @staticmethod
    def _outputs(routes: UseCaseRoutes, model: ServedModel) -> list[tuple[str, Datatype, list[int]]]:
        """Name, type and further dimensions of each output."""
        estimator = model.registered.estimator
        found: list[tuple[str, Datatype, list[int]]] = []
        for name in routes.outputs:
            if name == "expected_value" and estimator.contact_value is None:
                continue
            kind = _OUTPUTS.get(name) or ("FP64" if estimator.task == "regression" else "BYTES")
            found.append((name, kind, [len(estimator.classes)] if name == "probabilities" else []))
        return found

    def _find(self, request: Request) -> tuple[UseCaseRoutes, ServedModel]:
        name, version = request.path_params["name"], request.path_params.get("version")
        routes = self._use_cases.get(name)
        if routes is None:
            raise RequestError(404, f"There is no model {name[:100]}; served: {', '.join(self._use_cases)}.")
        model = routes.holder.model
        if version is not None and version != str(model.version):
            raise RequestError(404, f"Version {version[:20]} of {name} is not served; version {model.version} is.")
        return routes, model


def describe_inference_request() -> dict[str, Any]:
    """Describe the body of a request for OpenAPI.

    Returns:
        Value of ``requestBody``.
    """
    schema = InferenceRequest.model_json_schema()
    definitions = schema.pop("$defs")

    def inline(node: Any) -> Any:
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            return inline(definitions[name]) if name else {key: inline(value) for key, value in node.items()}
        return [inline(one) for one in node] if isinstance(node, list) else node

    return {"required": True, "content": {_JSON: {"schema": inline(schema)}}}


def _respond(body: Mapping[str, Any], model: ServedModel | None = None) -> Response:
    headers = None if model is None else {"x-model-version": str(model.version)}
    return Response(to_json(body, inf_nan_mode="null"), headers=headers, media_type=_JSON)


def _parse(body: bytes) -> InferenceRequest:
    try:
        return InferenceRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = f"The request does not follow the protocol: {place or 'body'}: {first['msg']}."
        raise RequestError(400, message) from None


def _as_rows(tensors: Sequence[_Tensor], max_rows: int) -> list[dict[str, Any]]:
    """Arrange columns as rows."""
    rows = tensors[0].shape[0]
    if not 1 <= rows <= max_rows:
        raise RequestError(413 if rows else 400, f"The request has {rows:,} rows; from 1 to {max_rows:,} are allowed.")
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        if tensor.name in columns:
            raise RequestError(400, f"The input {tensor.name[:100]} is given twice.")
        columns[tensor.name] = _flatten(tensor, rows)
    names = list(columns)
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _flatten(tensor: _Tensor, rows: int) -> list[Any]:
    name = tensor.name[:100]
    if math.prod(tensor.shape) != rows or tensor.shape[0] != rows:
        raise RequestError(
            400,
            f"The input {name} has shape {tensor.shape}, expected [{rows}] or [{rows}, 1]: each column is an input of "
            "its own, with a row per customer.",
        )
    data = tensor.data if isinstance(tensor.data, list) else [tensor.data]
    if data and all(isinstance(cell, list) and len(cell) == 1 for cell in data):
        data = [cell[0] for cell in data]
    if len(data) != rows:
        raise RequestError(400, f"The input {name} has {len(data):,} values, its shape {tensor.shape} says {rows:,}.")
    if tensor.datatype in _WHOLE:
        wrong = [cell for cell in data if cell is not None and type(cell) is not int]
    elif tensor.datatype == "BYTES":
        wrong = [cell for cell in data if cell is not None and type(cell) is not str]
    elif tensor.datatype == "BOOL":
        wrong = [cell for cell in data if cell is not None and type(cell) is not bool]
    else:
        wrong = [cell for cell in data if cell is not None and type(cell) not in (int, float)]
    if wrong:
        raise RequestError(400, f"The input {name} has {type(wrong[0]).__name__} in data of type {tensor.datatype}.")
    return data
