"""Parameters of the service."""

from __future__ import annotations

from pydantic import Field

from churn_kedro.base import Parameters


class LogParameters(Parameters):
    """Limits of the prediction log and of the file of requests."""

    queue_rows: int = Field(ge=1, description="Predictions that may wait for the database in each worker process.")
    retention_days: int | None = Field(ge=1, description="Days after which logged predictions are deleted.")
    file_bytes: int = Field(ge=1000, description="Size in bytes at which the file of requests is rotated.")
    file_count: int = Field(ge=0, description="Number of older files of requests that are kept.")


class ServingParameters(Parameters):
    """Parameters of the service."""

    poll_seconds: float = Field(gt=0, description="Seconds between two looks at the registry.")
    max_batch_rows: int = Field(ge=1, description="Largest number of customers in one request.")
    max_body_bytes: int = Field(ge=1000, description="Largest size of a request in bytes.")
    body_seconds: float = Field(gt=0, description="Seconds within which a connection must send a complete request.")
    rate_limit: float = Field(ge=0, description="Requests per second of one key or address; 0: no limit.")
    cache_size: int = Field(ge=0, description="Answers that are kept for repeated requests; 0: none.")
    cors_origins: list[str] = Field(description="Web pages of other origins that may call the service.")
    n_reasons: int = Field(ge=1, le=20, description="Number of reasons of an explanation.")
    log: LogParameters
