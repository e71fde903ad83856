"""The routes of one use case: predictions, explanations, and facts of the served version."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from pydantic_core import to_json
from starlette.responses import Response

from churn_kedro.campaigns import explain_reasons
from churn_kedro.customers import DisplayNames
from churn_kedro.datasets import fetch_file
from churn_kedro.reporting import DOCUMENTS_FOLDER
from churn_kedro.serving.log_writer import AnsweredRequest
from churn_kedro.serving.metrics import ServiceMetrics
from churn_kedro.serving.model_holder import ModelHolder
from churn_kedro.serving.requests import CustomerRequests, RequestError
from churn_kedro.serving.scoring import Answer, ServedModel, as_table

if TYPE_CHECKING:
    from starlette.requests import Request

    from churn_kedro.serving.parameters import ServingParameters
    from churn_kedro.serving.settings import UseCase

Rows = Sequence[Mapping[str, Any]]
_JSON = "application/json"
_NO_CARD = b""


class UseCaseRoutes:
    """The routes of one use case.

    Args:
        use_case: The use case.
        requests: Types of its requests.
        holder: Its served version.
        metrics: Metrics of this process.
        parameters: Parameters of the service.
        threads: Limits batches and explanations that are computed at once.
        log: Takes each answered request and its number of rows.
    """

    def __init__(
        self,
        use_case: UseCase,
        requests: CustomerRequests,
        holder: ModelHolder,
        metrics: ServiceMetrics,
        parameters: ServingParameters,
        threads: CapacityLimiter,
        log: Callable[[AnsweredRequest, int], Any],
    ) -> None:
        self.use_case = use_case
        self.requests = requests
        self.holder = holder
        self._parameters = parameters
        self._threads = threads
        self._log = log
        self._names = DisplayNames.of(use_case.declaration)
        self._id_names = use_case.declaration.id_names
        self._cache: OrderedDict[tuple[int, bytes], tuple[Rows, list[Answer]]] = OrderedDict()
        self._hits = metrics.cache.labels("hit")
        self._misses = metrics.cache.labels("miss")
        self._probability = metrics.probability.labels(use_case.name)
        self._warnings = metrics.warnings
        self._predictions = metrics.predictions
        self._outcomes: dict[str, Any] = {}
        self._cards: dict[int, bytes] = {}

    async def predict(self, request: Request) -> Response:
        """Answer for one customer."""
        model, rows, answers = await self._answer_request(request)
        (prediction_id,) = self.record(request, model, rows, answers)
        return self._respond(request, model, {**self._describe(rows[0], answers[0]), "prediction_id": prediction_id})

    async def _answer_request(self, request: Request) -> tuple[ServedModel, Rows, list[Answer]]:
        """Answer for one customer, by the version that is served when the body is complete."""
        body = await self.read_body(request)
        model = self.holder.model
        rows, answers = await self._answer_one(model, body)
        if answers[0].unreadable:
            raise RequestError(422, "The customer cannot be scored: see problems.", answers[0].unreadable)
        return model, rows, answers

    async def _answer_one(self, model: ServedModel, body: bytes) -> tuple[Rows, list[Answer]]:
        size = self._parameters.cache_size
        if not size:
            return await self._score_one(model, body)
        key = (model.version, hashlib.sha256(body).digest())
        found = self._cache.get(key)
        if found is not None:
            self._hits.inc()
            self._cache.move_to_end(key)
            return found
        self._misses.inc()
        found = await self._score_one(model, body)
        self._cache[key] = found
        while len(self._cache) > size:
            self._cache.popitem(last=False)
        return found

    async def _score_one(self, model: ServedModel, body: bytes) -> tuple[Rows, list[Answer]]:
        rows = [self.requests.read_one(body)]
        # A compiled form answers in less time than another thread takes to begin.
        if model.scorer.is_compiled:
            return rows, model.answer(rows)
        return rows, await to_thread.run_sync(model.answer, rows, limiter=self._threads)

    async def predict_batch(self, request: Request) -> Response:
        """Answer for several customers."""
        body = await self.read_body(request)
        model = self.holder.model

        def score() -> tuple[Rows, list[Answer]]:
            rows = self.requests.read_many(body)
            return rows, model.answer(rows)

        rows, answers = await to_thread.run_sync(score, limiter=self._threads)

        def describe() -> dict[str, Any]:
            ids = self.record(request, model, rows, answers)
            return {
                "predictions": [
                    {**self._describe(row, answer), "prediction_id": prediction_id}
                    if not answer.unreadable
                    else {**self._identify(row), "unreadable": [problem.write() for problem in answer.unreadable]}
                    for row, answer, prediction_id in zip(rows, answers, ids, strict=True)
                ],
                "unreadable": sum(bool(answer.unreadable) for answer in answers),
            }

        return self._respond(request, model, await to_thread.run_sync(describe, limiter=self._threads))

    async def explain(self, request: Request) -> Response:
        """Answer for one customer, with reasons."""
        if self.use_case.declaration.task != "binary":
            raise RequestError(
                404, f"Reasons are for task binary; {self.use_case.name} has task {self.use_case.declaration.task}."
            )
        model, rows, answers = await self._answer_request(request)
        estimator = model.registered.estimator

        def find_reasons() -> list[dict[str, Any]]:
            (reasons,) = explain_reasons(
                estimator,
                as_table(rows, estimator),
                self._names,
                self._parameters.n_reasons,
                model.examples,
                falling=True,
            )
            return [
                {"column": reason.column, "text": reason.text, "points": round(reason.points, 2)} for reason in reasons
            ]

        reasons = await to_thread.run_sync(find_reasons, limiter=self._threads)
        (prediction_id,) = self.record(request, model, rows, answers)
        described = {**self._describe(rows[0], answers[0]), "reasons": reasons, "prediction_id": prediction_id}
        return self._respond(request, model, described)

    async def model(self, request: Request) -> Response:
        """Describe the served version."""
        holder, model = self.holder, self.holder.model
        registered = model.registered
        tags = registered.tags
        metrics = {
            name: {"value": float(tags[name]), "low": float(tags[f"{name}_low"]), "high": float(tags[f"{name}_high"])}
            for name in tags
            if f"{name}_low" in tags and f"{name}_high" in tags
        }
        facts = ("algorithm", "calibration", "decision_threshold", "train_digest", "evaluated_at", "git_commit")
        described = {
            "use_case": self.use_case.name,
            "aliases": holder.aliases,
            "registered_at": registered.created,
            "task": registered.estimator.task,
            "classes": list(registered.estimator.classes),
            "signature": {
                "inputs": [
                    {"name": reader.column, "type": reader.cells, "required": reader.required}
                    for reader in registered.estimator.readers
                ],
                "outputs": self.outputs,
            },
            "facts": {name: tags[name] for name in facts if name in tags},
            "metrics": metrics,
            "card": f"/{self.use_case.name}/model/card",
            "is_compiled": model.scorer.is_compiled,
            "fallback_reason": model.scorer.fallback_reason or None,
            "refused": None if holder.refusal is None else vars(holder.refusal),
            **self.staleness,
        }
        return self._respond(request, model, described)

    async def card(self, request: Request) -> Response:
        """Return the model card of the served version."""
        model = self.holder.model
        if model.version not in self._cards:

            def fetch() -> bytes:
                name, version = model.registered.name, model.version
                try:
                    return fetch_file(name, version, f"{DOCUMENTS_FOLDER}/model_card.html")
                except Exception:  # The registry is down, or the version was not evaluated.
                    return _NO_CARD

            card = await to_thread.run_sync(fetch, limiter=self._threads)
            if not card:
                raise RequestError(404, f"Version {model.version} has no model card, or the registry is down.")
            self._cards = {model.version: card}
        # The card has pictures and styles within, and no script.
        policy = b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
        request.scope["state"]["policy"] = policy
        return Response(self._cards[model.version], media_type="text/html", headers=self._headers(model))

    @property
    def staleness(self) -> dict[str, Any]:
        """Whether the registry responds, and since when it does not."""
        holder = self.holder
        return {
            "stale": holder.failure is not None,
            "registry_checked_at": holder.checked_at,
            "registry_failure": holder.failure,
        }

    @property
    def outputs(self) -> list[str]:
        """Names of the fields of a prediction."""
        match self.use_case.declaration.task:
            case "binary":
                return ["probability", "decision", "holdout", "expected_value", "risk_band"]
            case "multiclass":
                return ["prediction", "probabilities"]
            case "regression":
                return ["prediction"]

    async def read_body(self, request: Request) -> bytes:
        """Read the body of a request.

        Args:
            request: The request.

        Returns:
            The body.

        Raises:
            RequestError: It is too large, or is not declared as JSON.
        """
        headers = request.headers
        kind = headers.get("content-type", _JSON)
        if "json" not in kind:
            raise RequestError(415, f"The request has Content-Type {kind[:100]}, expected {_JSON}.")
        limit = self._parameters.max_body_bytes
        length = headers.get("content-length", "")
        too_large = RequestError(413, f"The request is larger than {limit:,} bytes (serving.max_body_bytes).")
        if length.isdecimal() and int(length) > limit:
            raise too_large
        body = b""
        async for piece in request.stream():
            body = body + piece if body else piece
            if len(body) > limit:
                raise too_large
        return body

    def record(self, request: Request, model: ServedModel, rows: Rows, answers: Sequence[Answer]) -> list[str]:
        """Count predictions and hand them to the prediction log.

        Args:
            request: The request.
            model: The version that answered.
            rows: Cells of the customers.
            answers: Their answers.

        Returns:
            Identifiers of the predictions.
        """
        state = request.scope["state"]
        ids = [secrets.token_hex(16) for _ in rows]
        state["record"] = {"use_case": self.use_case.name, "model_version": model.version, "rows": len(rows)}
        for answer in answers:
            if answer.unreadable:
                continue
            outcome = answer.risk_band or answer.decision
            if outcome is not None:
                counter = self._outcomes.get(outcome)
                if counter is None:
                    counter = self._outcomes[outcome] = self._predictions.labels(self.use_case.name, outcome)
                counter.inc()
            if answer.risk_band is not None and answer.score is not None:
                self._probability.observe(answer.score)
            for problem in answer.warnings:
                self._warnings.labels(self.use_case.name, problem.field).inc()
        answered = AnsweredRequest(
            state["request_id"],
            model.registered.name,
            model.version,
            rows,
            answers,
            ids,
            datetime.now(UTC),
            round(1000 * (perf_counter() - state["begun"]), 3),
        )
        self._log(answered, len(rows))
        return ids

    def _identify(self, row: Mapping[str, Any]) -> dict[str, Any]:
        ids = {name: row[name] for name in self._id_names if row[name] is not None}
        return {"ids": ids} if ids else {}

    def _describe(self, row: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        return {
            **self._identify(row),
            **answer.fields,
            "warnings": [problem.write() for problem in answer.warnings],
        }

    def _headers(self, model: ServedModel) -> dict[str, str]:
        return {"x-model-name": model.registered.name, "x-model-version": str(model.version)}

    def _respond(self, request: Request, model: ServedModel, fields: Mapping[str, Any]) -> Response:
        body = {
            **fields,
            "model_name": model.registered.name,
            "model_version": model.version,
            "request_id": request.scope["state"]["request_id"],
        }
        return Response(to_json(body, inf_nan_mode="null"), headers=self._headers(model), media_type=_JSON)


def describe_body(schema: Mapping[str, Any], example: Mapping[str, Any], max_rows: int | None = None) -> dict[str, Any]:
    """Describe the body of a request for OpenAPI.

    Args:
        schema: JSON schema of a customer.
        example: A customer.
        max_rows: Largest number of customers of a batch; None: the body is one customer.

    Returns:
        Value of ``requestBody``.
    """
    if max_rows is not None:
        items = {"type": "array", "items": schema, "minItems": 1, "maxItems": max_rows}
        schema = {
            "type": "object",
            "properties": {"customers": items},
            "required": ["customers"],
            "additionalProperties": False,
        }
        example = {"customers": [example]}
    content = {"schema": json.loads(json.dumps(schema)), "example": example}
    return {"required": True, "content": {_JSON: content}}
