"""The application: routes of all use cases, and what begins and ends with a worker process."""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from churn_kedro import __version__
from churn_kedro.datasets import open_prediction_log
from churn_kedro.serving.drift_watch import DriftWatch
from churn_kedro.serving.guard import Endpoint, Guard, RateLimit, error_body
from churn_kedro.serving.log_writer import LogWriter, PredictionSink, RequestsFile
from churn_kedro.serving.metrics import ServiceMetrics, forget_ended_workers
from churn_kedro.serving.model_holder import ModelHolder
from churn_kedro.serving.open_inference import OpenInferenceRoutes, describe_inference_request
from churn_kedro.serving.page import make_page
from churn_kedro.serving.requests import CustomerRequests, RequestError
from churn_kedro.serving.settings import ServiceSettings, UseCase
from churn_kedro.serving.use_case_routes import UseCaseRoutes, describe_body

logger = logging.getLogger(__name__)

_JSON = "application/json"
# Statuses of a refused request, whose body has `error`, `request_id` and, for 422, `problems`.
_ANSWERS: dict[int | str, str] = {
    400: "The body is no valid JSON.",
    401: "The API key is absent or wrong.",
    413: "The request is too large.",
    415: "The body is not declared as JSON.",
    422: "A field is absent, unknown, of a wrong type, or cannot be read.",
    429: "Too many requests.",
}
# Objects between two collections of garbage; seconds after which a waiting thread gets the interpreter.
_GARBAGE, _SWITCH_SECONDS = 10_000, 0.0005
# Seconds for the logs at the end of a worker process, and requests that may wait for their file.
_FLUSH_SECONDS, _WAITING_RECORDS = 20.0, 50_000


class Service:
    """One worker process: served versions, logs and metrics.

    Args:
        settings: Settings of the service.

    Attributes:
        application: The routes behind the guard, an ASGI application.

    Raises:
        DatasetError: A version cannot be loaded, or a prediction log cannot be opened.
        RefusedModelError: The answers of a version are wrong.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        forget_ended_workers()
        self._settings = settings
        parameters = settings.parameters
        self.metrics = ServiceMetrics()
        self._threads = CapacityLimiter(settings.threads)
        self._sinks: list[PredictionSink] = []
        self._writers: list[LogWriter[Any]] = []
        self._direct: dict[str, Endpoint] = {}
        self.use_cases = [self._serve(use_case) for use_case in settings.use_cases]
        records: Callable[[Mapping[str, Any]], Any] = _ignore
        if settings.requests_file is not None:
            file = RequestsFile(settings.requests_file, parameters.log.file_bytes, parameters.log.file_count)
            writer: LogWriter[Mapping[str, Any]] = LogWriter("requests", file.write, _WAITING_RECORDS, self.metrics)
            self._writers.append(writer)
            records = writer.put
        routes = self._build()
        # The middleware of CORS is behind the guard.
        direct = {} if parameters.cors_origins else self._direct
        pages = ["/", *(f"/{use_case.name}" for use_case in settings.use_cases)]
        rate_limit = RateLimit(parameters.rate_limit)
        self.application = Guard(routes, self.metrics, settings.key_digests, rate_limit, records, pages, direct)

    def _serve(self, use_case: UseCase) -> UseCaseRoutes:
        parameters, declaration = self._settings.parameters, use_case.declaration
        requests = CustomerRequests(declaration, parameters.max_batch_rows)
        holder = ModelHolder(use_case, requests, self.metrics, parameters.poll_seconds)
        columns = [column.model_dump() for column in declaration.columns]
        sink = PredictionSink(
            open_prediction_log(use_case.log_url, columns, os.environ),
            requests.identify,
            [column.name for column in requests.columns if column.role != "id"],
            parameters.log.retention_days,
            DriftWatch(use_case.name, declaration, use_case.monitoring, lambda: holder.model, self.metrics).add,
        )
        writer = LogWriter(
            f"predictions of {use_case.name}",
            sink.write,
            parameters.log.queue_rows,
            self.metrics,
            housekeep=sink.expire,
        )
        self._sinks.append(sink)
        self._writers.append(writer)
        return UseCaseRoutes(use_case, requests, holder, self.metrics, parameters, self._threads, writer.put)

    def start(self) -> None:
        """Begin to write logs and to look at the registry."""
        # A collection of garbage that goes through models and libraries takes longer than many requests, and so does
        # the time for which a thread that writes logs may keep the interpreter.
        gc.freeze()
        gc.set_threshold(_GARBAGE, 20, 20)
        sys.setswitchinterval(_SWITCH_SECONDS)
        for writer in self._writers:
            writer.start()
        for routes in self.use_cases:
            routes.holder.start()

    def stop(self) -> None:
        """Write what waits to be logged."""
        for routes in self.use_cases:
            routes.holder.stop()
        for writer in self._writers:
            writer.stop(_FLUSH_SECONDS)
        for sink in self._sinks:
            sink.close()

    @asynccontextmanager
    async def _live(self, _: FastAPI) -> AsyncIterator[None]:
        self.start()
        yield
        await to_thread.run_sync(self.stop)

    def _build(self) -> FastAPI:
        first = self.use_cases[0]
        application = FastAPI(
            title="Predictions of customers",
            description=f"Routes without a use case are those of {first.use_case.name}.",
            version=__version__,
            lifespan=self._live,
            # Their pages load scripts of other servers; /openapi.json remains.
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json",
        )
        if self._settings.parameters.cors_origins:
            from starlette.middleware.cors import CORSMiddleware

            application.add_middleware(
                CORSMiddleware,
                allow_origins=self._settings.parameters.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type", "x-api-key", "x-request-id"],
                expose_headers=["x-model-version", "x-request-id"],
            )
        application.add_exception_handler(HTTPException, _explain_http)
        application.add_exception_handler(Exception, _explain_failure)
        for routes in self.use_cases:
            for prefix in ("", f"/{routes.use_case.name}") if routes is first else (f"/{routes.use_case.name}",):
                self._add_use_case(application, routes, prefix)
        self._add_pages(application)
        self._add_open_inference(application)
        for path, handler, summary in (
            ("/health", self._health, "Whether the process answers"),
            ("/ready", self._ready, "Whether all use cases can answer"),
            ("/metrics", self._render_metrics, "Metrics in the format of Prometheus"),
        ):
            _add(application, path, "GET", handler, summary)
        return application

    def _add_use_case(self, application: FastAPI, routes: UseCaseRoutes, prefix: str) -> None:
        requests, tag = routes.requests, routes.use_case.name
        one = describe_body(requests.schema, requests.example)
        many = describe_body(requests.schema, requests.example, self._settings.parameters.max_batch_rows)
        for path, method, handler, summary, body in (
            ("/predict", "POST", routes.predict, "Predict one customer", one),
            ("/predict/batch", "POST", routes.predict_batch, "Predict several customers", many),
            ("/explain", "POST", routes.explain, "Predict one customer, with reasons", one),
            ("/model", "GET", routes.model, "The served version", None),
            ("/model/card", "GET", routes.card, "Model card of the served version", None),
        ):
            endpoint = _add(application, f"{prefix}{path}", method, handler, summary, body, [tag])
            if path == "/predict":
                self._direct[f"{prefix}{path}"] = endpoint

    def _add_pages(self, application: FastAPI) -> None:
        names = [routes.use_case.name for routes in self.use_cases]
        for name, routes in zip(names, self.use_cases, strict=True):
            others = {other: f"/{other}" for other in names} if len(names) > 1 else {}
            page = make_page(routes, others, needs_key=bool(self._settings.key_digests))
            _add(application, f"/{name}", "GET", page, "A form for one customer", None, [name])
            if name == names[0]:
                _add(application, "/", "GET", page, "A form for one customer")

    def _add_open_inference(self, application: FastAPI) -> None:
        routes = OpenInferenceRoutes(self.use_cases, self._threads)
        body = describe_inference_request()
        for path, method, handler, summary in (
            ("/v2", "GET", routes.server, "The server"),
            ("/v2/health/live", "GET", routes.live, "Whether the process answers"),
            ("/v2/health/ready", "GET", routes.ready, "Whether all models can answer"),
            ("/v2/models/{name}", "GET", routes.metadata, "A model"),
            ("/v2/models/{name}/ready", "GET", routes.model_ready, "Whether a model can answer"),
            ("/v2/models/{name}/infer", "POST", routes.infer, "Predict customers"),
        ):
            for place in (path, path.replace("{name}", "{name}/versions/{version}")):
                given = body if method == "POST" else None
                _add(application, place, method, handler, summary, given, ["open inference protocol"])
                if "{name}" not in path:
                    break

    async def _health(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type=_JSON)

    async def _ready(self, request: Request) -> Response:
        served = {
            routes.use_case.name: {
                "model_name": routes.holder.model.registered.name,
                "model_version": routes.holder.model.version,
                "stale": routes.holder.failure is not None,
            }
            for routes in self.use_cases
        }
        return Response(to_json({"status": "ready", "use_cases": served}), media_type=_JSON)

    async def _render_metrics(self, request: Request) -> Response:
        text, kind = await to_thread.run_sync(self.metrics.render)
        return Response(text, headers={"content-type": kind})


def _ignore(_: Any) -> None:
    """Take no record."""


def _add(
    application: FastAPI,
    path: str,
    method: str,
    handler: Endpoint,
    summary: str,
    body: Mapping[str, Any] | None = None,
    tags: list[str] | None = None,
) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        request.scope["state"]["route"] = path
        try:
            return await handler(request)
        except RequestError as error:
            return _explain_error(request, error)
        except ClientDisconnect:
            return Response(status_code=400)

    extra: dict[str, Any] = {} if body is None else {"requestBody": body}
    names = re.findall(r"{(\w+)}", path)
    if names:
        text = {"type": "string"}
        extra["parameters"] = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    answers = _ANSWERS if method == "POST" else {}
    application.add_api_route(
        path,
        endpoint,
        methods=[method],
        response_model=None,
        response_class=Response,
        name=f"{method.lower()}{path.replace('/', '_')}",
        summary=summary,
        tags=list(tags or ["service"]),
        openapi_extra=extra,
        responses={status: {"description": text} for status, text in answers.items()},
    )
    return endpoint


def _explain_error(request: Request, error: RequestError) -> Response:
    body = error_body(
        error.message, request.scope["state"]["request_id"], [problem.write() for problem in error.problems]
    )
    # What is left of a request that is too large is not read.
    headers = {"connection": "close"} if error.status == 413 else None
    return Response(body, error.status, headers=headers, media_type=_JSON)


async def _explain_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = str(error.detail)
    if error.status_code in (404, 405):
        message = f"There is no {request.method} {request.url.path}; /openapi.json lists the routes."
    body = error_body(message, request.scope["state"]["request_id"])
    return Response(body, error.status_code, headers=error.headers, media_type=_JSON)


async def _explain_failure(request: Request, error: Exception) -> Response:
    request_id = request.scope["state"]["request_id"]
    return Response(error_body("The service failed; its log has the reason.", request_id), 500, media_type=_JSON)
