"""Reports keep their type from one process to the next."""

from pathlib import Path

import mlflow
import pytest
from kedro.io import DatasetError

from churn_kedro.datasets.reports import ReportDataset
from churn_kedro.training.search import AlgorithmSearch, SearchResult, Trial

TRIAL = Trial(number=0, score=0.25, n_estimators=7, hyperparameters={"max_depth": 3, "gamma": 0.5})
RESULT = SearchResult(
    metric="log_loss",
    objectives=["loss"],
    n_splits=5,
    rows=100,
    searches=[AlgorithmSearch(algorithm="xgboost", best=TRIAL, trials=[TRIAL], seconds=1.0)],
)


def _dataset(path: Path, artifact_path: str | None = None) -> ReportDataset:
    return ReportDataset(
        filepath=path.as_posix(),
        model="churn_kedro.training.search.SearchResult",
        artifact_path=artifact_path,
        made_by="training",
    )


def test_a_report_comes_back_equal_with_whole_numbers_whole(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path / "folder/result.json")

    dataset.save(RESULT)
    loaded = dataset.load()

    assert loaded == RESULT
    assert isinstance(loaded, SearchResult)
    assert type(loaded.searches[0].best.hyperparameters["max_depth"]) is int


def test_an_absent_report_names_the_pipeline_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Run `kedro run --pipelines training` first"):
        _dataset(tmp_path / "result.json").load()


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"best": 1}', encoding="utf-8")

    with pytest.raises(DatasetError, match="is not a report of type SearchResult"):
        _dataset(path).load()


def test_a_truncated_report_names_the_pipeline_that_makes_it_again(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    _dataset(path).save(RESULT)
    path.write_bytes(path.read_bytes()[:40])

    with pytest.raises(DatasetError, match=r"Invalid JSON: EOF .*`kedro run --pipelines training`") as caught:
        _dataset(path).load()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_report_of_another_type_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Expected a SearchResult, got Trial"):
        _dataset(tmp_path / "result.json").save(TRIAL)
    assert list(tmp_path.iterdir()) == []


def test_the_active_run_gets_a_copy(tmp_path: Path, tracking: str) -> None:
    with mlflow.start_run() as run:
        _dataset(tmp_path / "result.json", artifact_path="training").save(RESULT)

    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/training/result.json")
    assert SearchResult.model_validate_json(text) == RESULT
