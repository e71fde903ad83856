"""Nodes of the streaming_inference pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from churn_kedro.base import Clock, Stopwatch, perf_counter, utc_now
from churn_kedro.campaigns import (
    InferenceParameters,
    MicroBatch,
    ScoredMicroBatch,
    StreamCounts,
    StreamingParameters,
    StreamParameters,
    StreamReport,
    TrackedCounts,
    score_micro_batch,
)
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.models import RegisteredModel, require_matching_table


class Stream(Protocol):
    """Messages that arrive."""

    def micro_batches(self, parameters: StreamParameters) -> Iterator[MicroBatch]:
        """Yield micro-batches until the stream ends."""
        ...


def score_stream(
    stream: Stream,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
    inference: InferenceParameters,
    streaming: StreamingParameters,
    clock: Clock = utc_now,
    stopwatch: Stopwatch = perf_counter,
) -> Iterator[tuple[ScoredMicroBatch, TrackedCounts]]:
    """Score micro-batches as they arrive.

    Args:
        stream: Where they arrive.
        champion: The model.
        declaration: The table's declaration.
        inference: Risk bands and share of the holdout.
        streaming: Size of micro-batches, and when the stream ends.
        clock: Time of scoring.
        stopwatch: Measures the seconds of scoring.

    Yields:
        The predictions, which are acknowledged when they are stored, and their counts.

    Raises:
        CustomerTableError: The champion was trained for another table.
    """
    require_matching_table(champion, declaration)
    for batch in stream.micro_batches(streaming.stream):
        scored, counts = score_micro_batch(batch, champion, declaration, inference, clock, stopwatch)
        yield scored, TrackedCounts(counts, streaming.tracker)


def report_stream(counts: StreamCounts | None) -> StreamReport:
    """Report on the stream after its end.

    Args:
        counts: Counts of all micro-batches; None if nothing arrived.

    Returns:
        The report.
    """
    return StreamReport(counts=counts)
