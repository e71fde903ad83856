"""The prediction log in SQLite and PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from churn_kedro.campaigns import LoggedBatch, LoggedPrediction
from churn_kedro.datasets import PredictionLog, PredictionLogDataset, prediction_log
from tests.servers import postgres_database


def prediction(number: int, **changes: object) -> LoggedPrediction:
    values = {
        "prediction_id": f"request:{number}",
        "source": "online",
        "batch_id": "request",
        "customer_id": str(number),
        "predicted_at": f"2026-11-2{number}T08:00:00+00:00",
        "model_name": "bank_churn",
        "model_version": 3,
        "features": {"Age": np.float64(41.0), "Geography": "Spaña", "Balance": float("nan")},
        "score": 0.25,
        "decision": "contact",
        **changes,
    }
    return LoggedPrediction(**values)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/log/predictions.db"
    else:
        with postgres_database() as address:
            yield address


def test_a_prediction_is_stored_once(url: str) -> None:
    log = PredictionLog(url)

    new = log.append([prediction(1), prediction(2)])
    again = log.append([prediction(2, score=0.9), prediction(3)])

    rows = log.read()
    log.close()
    assert (new, again) == (2, 1)
    assert rows["prediction_id"].tolist() == ["request:1", "request:2", "request:3"]
    assert rows["score"].tolist() == [0.25, 0.25, 0.25]
    assert rows["features"][0] == {"Age": 41.0, "Geography": "Spaña", "Balance": None}
    assert rows["holdout"].tolist() == [False, False, False]


def test_a_table_is_stored_as_single_predictions_are(url: str) -> None:
    features = pd.DataFrame({"Age": [41.0, np.nan], "Geography": ["Spa\u2028ña", None], "Active": [1, 0]})
    predictions = pd.DataFrame(
        {
            "prediction_id": ["b:0", "b:1"],
            "source": "batch",
            "batch_id": "b",
            "customer_id": ["7", None],
            "predicted_at": "2026-11-20T08:00:00+00:00",
            "model_name": "bank_churn",
            "model_version": 3,
            "score": [0.5, 0.123456789012345],
            "holdout": [True, False],
        }
    )
    log = PredictionLog(url)

    assert log.append_table(predictions, features) == 2
    assert log.append_table(predictions, features) == 0

    rows = log.read(model_version=3)
    log.close()
    assert rows["features"].tolist() == [
        {"Age": 41.0, "Geography": "Spa\u2028ña", "Active": 1},
        {"Age": None, "Geography": None, "Active": 0},
    ]
    assert rows["score"].tolist() == [0.5, 0.123456789012345]
    assert rows["customer_id"].fillna("none").tolist() == ["7", "none"]
    assert rows["holdout"].tolist() == [True, False]
    assert rows["decision"].isna().all()


def test_a_customer_without_identifier_and_one_with_a_nul_are_stored(url: str) -> None:
    log = PredictionLog(url)

    log.append([prediction(1, customer_id=None), prediction(2, customer_id="a\0b")])

    assert log.read()["customer_id"].fillna("none").tolist() == ["none", "ab"]
    log.close()


def test_predictions_of_a_time_and_a_version_are_read_in_blocks_with_their_cells(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "_ROWS_PER_BLOCK", 2)
    log = PredictionLog(url)
    log.append([prediction(number, model_version=4 if number == 5 else 3) for number in range(1, 8)])

    blocks = list(log.iterate(since="2026-11-22T08:00:00+00:00", until="2026-11-26T08:00:00+00:00", model_version=3))
    every = list(log.iterate())
    log.close()

    assert [block.predictions["customer_id"].tolist() for block in blocks] == [["2", "3"], ["4", "6"]]
    assert blocks[0].features["Geography"].tolist() == ["Spaña", "Spaña"]
    assert blocks[0].features["Balance"].isna().all()
    assert blocks[0].predictions["holdout"].tolist() == [False, False]
    assert sum(len(block.predictions) for block in every) == 7


def test_old_predictions_are_deleted(url: str) -> None:
    log = PredictionLog(url)
    log.append([prediction(1), prediction(2), prediction(3)])

    assert log.delete_before("2026-11-22T08:00:00+00:00") == 1

    assert log.count() == 2
    assert log.read(since="2026-11-23T00:00:00+00:00")["customer_id"].tolist() == ["3"]
    log.close()


def test_private_cells_are_stored_as_keyed_hashes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    log = PredictionLog(url, ["Age"], private_ids=True, key="a key of 16 letters")
    other = PredictionLog(f"sqlite:///{tmp_path}/other.db", ["Age"], private_ids=True, key="another secret key")
    table = pd.DataFrame(
        {
            "prediction_id": ["b:0"],
            "source": "batch",
            "batch_id": "b",
            "customer_id": ["1"],
            "predicted_at": "2026-11-21T08:00:00+00:00",
            "model_name": "m",
            "model_version": 1,
            "holdout": False,
        }
    )

    log.append([prediction(1)])
    log.append_table(table, pd.DataFrame({"Age": [41], "Geography": ["Spaña"]}))
    other.append([prediction(1)])

    rows = log.read()
    online, batch = rows[rows["source"] == "online"].iloc[0], rows[rows["source"] == "batch"].iloc[0]
    content = Path(f"{tmp_path}/predictions.db").read_bytes()
    log.close()
    assert online["features"]["Age"] == batch["features"]["Age"] != other.read().iloc[0]["features"]["Age"]
    assert online["customer_id"] == batch["customer_id"] != "1"
    assert online["features"]["Geography"] == "Spaña"
    assert b"41.0" not in content
    other.close()


def test_private_columns_without_a_key_are_refused(tmp_path: Path) -> None:
    dataset = PredictionLogDataset(
        url=f"sqlite:///{tmp_path}/p.db", declaration={"columns": [{"name": "Age", "private": True}]}
    )

    with pytest.raises(DatasetError, match="CHURN_PRIVATE_KEY"):
        dataset.save(LoggedBatch(pd.DataFrame(), pd.DataFrame()))


def test_a_log_that_cannot_be_written_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "predictions.db").write_bytes(b"no database" * 200)

    with pytest.raises(DatasetError, match="not a database"):
        PredictionLog(f"sqlite:///{tmp_path}/predictions.db").append([prediction(1)])
    with pytest.raises(DatasetError, match=r"SQLite \(sqlite:///FILE\) or PostgreSQL"):
        PredictionLog("mysql://user:secret@host/log").count()
    with pytest.raises(DatasetError) as error:
        PredictionLog("postgresql+pg8000://user:secret@127.0.0.1:1/log").count()
    assert "secret" not in str(error.value)


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    first, second = PredictionLog(url), PredictionLog(url)
    first.append([prediction(1)])

    with sqlite3.connect(tmp_path / "predictions.db") as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM predictions").fetchone()
        assert second.append([prediction(2)]) == 1

    features = sqlite3.connect(tmp_path / "predictions.db").execute("SELECT features FROM predictions").fetchall()
    assert [json.loads(cells)["Age"] for (cells,) in features] == [41.0, 41.0]
    first.close()
    second.close()
