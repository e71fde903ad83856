"""Sources of customers that arrive in a stream."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from churn_kedro.campaigns.logged_predictions import LoggedBatch
from churn_kedro.campaigns.parameters import StreamParameters, TrackerParameters
from churn_kedro.campaigns.streams import MicroBatch, ScoredMicroBatch, StreamCounts
from churn_kedro.datasets import stream_results
from churn_kedro.datasets.prediction_log import PredictionLog
from churn_kedro.datasets.stream_results import InferenceTracker, StreamPredictionsDataset
from churn_kedro.datasets.streams import CustomerStream, CustomerStreamDataset, FolderSource, LineSource
from tests.servers import redis_server

QUICK = StreamParameters(micro_batch=2, wait_seconds=0.01, stop_when_idle_seconds=0.3)


def put(folder: Path, name: str, content: str) -> None:
    """A file that was written some seconds ago."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    os.utime(path, (time.time() - 10, time.time() - 10))


def read_all(stream: CustomerStream, parameters: StreamParameters = QUICK) -> list[MicroBatch]:
    batches = []
    for batch in stream.micro_batches(parameters):
        batches.append(batch)
        batch.acknowledge()
    return batches


def test_files_of_a_folder_are_read_in_order_of_arrival_and_moved_when_they_are_stored(tmp_path: Path) -> None:
    put(tmp_path, "b.jsonl", '{"id": 1}\n\n{"id": 2}\nnot json\n')
    put(tmp_path, "a.csv", "id,plan\n3,basic\n4,\n")
    os.utime(tmp_path / "a.csv", (time.time() - 5, time.time() - 5))
    (tmp_path / "c.jsonl").write_text('{"id": 9}')
    put(tmp_path, "notes.txt", "no customers")

    batches = read_all(CustomerStream(lambda: FolderSource(str(tmp_path))))

    assert [message for batch in batches for message in batch.messages] == [
        {"id": 1},
        {"id": 2},
        "not json",
        {"id": "3", "plan": "basic"},
        {"id": "4", "plan": ""},
    ]
    assert max(len(batch.ids) for batch in batches) == 2
    assert sorted(path.name for path in (tmp_path / "processed").iterdir()) == ["a.csv", "b.jsonl"]
    # It may still be written.
    assert (tmp_path / "c.jsonl").exists()


def test_a_file_that_was_read_in_part_is_read_again_with_the_same_ids(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", "".join(f'{{"id": {number}}}\n' for number in range(5)))
    first = next(CustomerStream(lambda: FolderSource(str(tmp_path))).micro_batches(QUICK))
    first.acknowledge()

    again = read_all(CustomerStream(lambda: FolderSource(str(tmp_path))))

    assert list(again[0].ids) == list(first.ids)
    assert sum(len(batch.ids) for batch in again) == 5
    assert len({key for batch in again for key in batch.ids}) == 5
    put(tmp_path, "a.jsonl", '{"id": 7}\n')
    assert read_all(CustomerStream(lambda: FolderSource(str(tmp_path))))[0].ids[0] not in again[0].ids
    assert sorted(path.name for path in (tmp_path / "processed").iterdir()) == ["a.1.jsonl", "a.jsonl"]


def test_lines_of_standard_input_have_ids_of_the_stream_and_their_number() -> None:
    reader, writer = os.pipe()
    os.write(writer, '{"name": "Zoë"}\n{"id": 2}\n\n{"id": '.encode())
    stream = CustomerStream(lambda: LineSource("crm", reader)).micro_batches(QUICK)

    first = next(stream)
    os.write(writer, b"3}\n[4]")
    os.close(writer)
    rest = list(stream)
    os.close(reader)

    assert (list(first.ids), list(first.messages)) == (["stdin:crm:1", "stdin:crm:2"], [{"name": "Zoë"}, {"id": 2}])
    assert [key for batch in rest for key in batch.ids] == ["stdin:crm:4", "stdin:crm:5"]
    assert [message for batch in rest for message in batch.messages] == [{"id": 3}, "[4]"]


def test_a_stream_ends_after_the_present_micro_batch_when_it_is_asked_to(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"id": 1}\n{"id": 2}\n{"id": 3}\n')
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    for batch in CustomerStream(lambda: FolderSource(str(tmp_path))).micro_batches(QUICK):
        seen.append(len(batch.ids))
        os.kill(os.getpid(), signal.SIGTERM)

    assert seen == [2]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("kafka://host/topic", "unknown kind; expected a folder, stdin, or redis"),
        ("redis://127.0.0.1:1/0", "does not name a stream"),
        ("redis://127.0.0.1:1/0?stream=s&grp=g", "unknown options: grp"),
        ("redis://ann:s3cret@127.0.0.1:1/0?stream=s", "does not work"),
    ],
)
def test_an_address_that_cannot_be_read_is_explained_without_its_password(address: str, reason: str) -> None:
    stream = CustomerStreamDataset(address=address).load()

    with pytest.raises(DatasetError, match=reason) as error:
        list(stream.micro_batches(QUICK))
    assert "s3cret" not in str(error.value)


@pytest.mark.slow
def test_entries_of_a_killed_redis_consumer_are_delivered_again_and_none_is_lost() -> None:
    import redis

    with redis_server() as address:
        client: Any = redis.Redis.from_url(address, decode_responses=True)
        for number in range(7):
            client.xadd("customers", {"json": json.dumps({"id": number})} if number % 2 else {"id": number})
        there = f"{address}?stream=customers&group=g&take_over_ms=200"
        dead = CustomerStreamDataset(address=f"{there}&consumer=dead").load().micro_batches(QUICK)
        taken = next(dead)
        time.sleep(0.3)

        batches = read_all(CustomerStreamDataset(address=f"{there}&consumer=alive").load())
        own = CustomerStreamDataset(address=f"{there}&consumer=dead").load()

        ids = [key for batch in batches for key in batch.ids]
        assert set(taken.ids) <= set(ids)
        assert len(ids) == len(set(ids)) == 7
        assert {str(dict(message)["id"]) for batch in batches for message in batch.messages} == set("0123456")  # type: ignore[arg-type]
        assert client.xpending("customers", "g")["pending"] == 0
        assert read_all(own) == []


def micro_batch(ids: list[str], acknowledged: list[str]) -> ScoredMicroBatch:
    predictions = pd.DataFrame(
        {
            "prediction_id": ids,
            "source": "stream",
            "batch_id": ids[0],
            "customer_id": ids,
            "predicted_at": "2026-01-31T12:00:00+00:00",
            "model_name": "m",
            "model_version": 1,
            "score": 0.5,
            "holdout": False,
        }
    )
    logged = LoggedBatch(predictions, pd.DataFrame({"Age": [1.0] * len(ids)}))
    return ScoredMicroBatch(logged, [{"id": "x", "reason": "r", "message": "m"}], lambda: acknowledged.extend(ids))


def test_messages_are_acknowledged_after_they_are_stored_and_a_second_delivery_adds_nothing(tmp_path: Path) -> None:
    url, acknowledged = f"sqlite:///{tmp_path}/log.db", list[str]()
    dataset = StreamPredictionsDataset(url=url, rejected=str(tmp_path / "rejected.jsonl"))

    dataset.save(micro_batch(["a", "b"], acknowledged))
    dataset.save(micro_batch(["b", "c"], acknowledged))

    log = PredictionLog(url)
    assert log.read()["prediction_id"].tolist() == ["a", "b", "c"]
    log.close()
    assert acknowledged == ["a", "b", "b", "c"]
    assert json.loads((tmp_path / "rejected.jsonl").read_text().splitlines()[0])["reason"] == "r"


def test_messages_that_cannot_be_stored_are_not_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"no database" * 200)
    acknowledged: list[str] = []

    with pytest.raises(DatasetError, match="prediction log"):
        StreamPredictionsDataset(url=f"sqlite:///{tmp_path}/log.db", rejected=str(tmp_path / "r")).save(
            micro_batch(["a"], acknowledged)
        )

    assert acknowledged == []


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What MLflow was asked to log; ``down`` makes it fail."""
    kept: dict[str, Any] = {"down": False, "metrics": [], "texts": []}

    class Client:
        def log_batch(self, run_id: str, metrics: list[Any]) -> None:
            if kept["down"]:
                raise ConnectionError("no server")
            kept["metrics"].append({metric.key: (metric.value, metric.step) for metric in metrics})

    import mlflow

    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    monkeypatch.setattr(mlflow, "log_text", lambda text, name, run_id: kept["texts"].append((name, json.loads(text))))
    monkeypatch.setattr(stream_results, "_RETRY_SECONDS", 0.05)
    return kept


def counts(predictions: int) -> StreamCounts:
    return StreamCounts(
        model_name="m",
        model_version=1,
        task="binary",
        predictions=predictions,
        sum_of_predictions=predictions / 4,
        bands={"low": predictions, "medium": 0, "high": 0},
    )


def wait_until(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_tracker_logs_every_n_predictions_and_what_is_left_at_the_end(store: dict[str, Any]) -> None:
    tracker = InferenceTracker("run", TrackerParameters(every_predictions=100, every_seconds=60))

    for _ in range(5):
        tracker.add(counts(50))
    tracker.close()

    sizes = [metrics["inference/batch_size"] for metrics in store["metrics"]]
    assert sizes == [(100, 0), (100, 1), (50, 2)]
    assert store["metrics"][0]["inference/avg_churn_probability"][0] == 0.25
    assert [name for name, _ in store["texts"]] == [f"inference_batches/stream-{step:06}.json" for step in range(3)]


def test_the_tracker_logs_after_some_seconds_at_the_latest(store: dict[str, Any]) -> None:
    tracker = InferenceTracker("run", TrackerParameters(every_predictions=100, every_seconds=0.05))

    tracker.add(counts(1))
    wait_until(lambda: store["metrics"])
    tracker.close()

    assert len(store["metrics"]) == 1


def test_summaries_wait_while_mlflow_is_down_and_the_oldest_are_dropped_beyond_the_limit(
    store: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    store["down"] = True
    tracker = InferenceTracker("run", TrackerParameters(every_predictions=1, every_seconds=60, max_pending=3))

    for _ in range(5):
        tracker.add(counts(1))
    wait_until(lambda: tracker.dropped == 2)
    store["down"] = False
    wait_until(lambda: tracker.logged == 3)
    tracker.close()

    assert [metrics["inference/batch_size"][1] for metrics in store["metrics"]] == [2, 3, 4]
    assert caplog.text.count("MLflow does not accept a summary of predictions (no server)") == 1
    assert "2 summaries of predictions were not logged" in caplog.text
