"""Monitoring as a user runs it: after scoring, on tables, with outcomes, with a training; and what it is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn_kedro.pipelines.fabrication.shapes import FabricationParameters, fabricate
from churn_kedro.pipelines.fabrication.shapes.drift import Drift
from tests.end_to_end.conftest import QUICK, Project, clone_project

pytestmark = pytest.mark.slow

EARLY, LATE = "2026-01-05T06:00:00+00:00", "2026-04-06T06:00:00+00:00"


def bank(rows: int, seed: int, drift: Drift | None = None) -> pd.DataFrame:
    return fabricate(FabricationParameters(shape="bank", rows=rows, new_rows=0, seed=seed, drift=drift)).labelled


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A champion, and a batch of January whose outcomes are known in April."""
    project = clone_project(tmp_path_factory.mktemp("monitoring"))
    project.kedro("run", "--pipelines", "data_processing,training,evaluation,registry", "--params", QUICK)
    customers = bank(3000, seed=50)
    customers.drop(columns="Exited").to_csv(project.path / "january.csv", index=False)
    customers[["CustomerId", "Exited"]].to_csv(project.path / "outcomes.csv", index=False)
    parameters = f"new_customers=january.csv,inference.as_of={EARLY},inference.holdout_share=0.5"
    project.kedro("run", "--pipelines", "inference", "--params", parameters)
    return project


def reports(project: Project) -> list[dict[str, Any]]:
    folder = project.path / "data" / "08_reporting" / "bank" / "monitoring_reports"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime)]


def monitor(project: Project, parameters: str = "", **arguments: Any) -> tuple[int, str, dict[str, Any]]:
    options = ["--params", parameters] if parameters else []
    ended = project.kedro("run", "--pipelines", "monitoring", *options, check=False, **arguments)
    return ended.returncode, ended.stdout + ended.stderr, reports(project)[-1] if reports(project) else {}


def test_no_predictions_in_the_window_are_said_and_no_error(project: Project) -> None:
    status, text, report = monitor(project, "monitoring.as_of=2025-06-01,monitoring.fail_on=warning")

    assert status == 0, text
    assert (report["rows"], report["verdict"]) == (0, "ok")
    assert "There are no predictions in this window" in text


def test_the_batch_is_examined_in_its_week_and_its_page_and_metrics_are_there(project: Project) -> None:
    status, text, report = monitor(project, f"monitoring.as_of={EARLY}")

    assert status == 0, text
    assert (report["rows"], report["verdict"], report["source"]) == (3000, "ok", "the prediction log")
    assert report["estimated"]["metrics"]["roc_auc"]["value"] == pytest.approx(0.87, abs=0.03)
    page = (project.path / "data" / "08_reporting" / "bank" / "monitoring.html").read_text()
    assert "Nothing has changed beyond chance" in page
    assert "<script" not in page
    series = project.client.search_runs([project.runs("bank")[0].info.experiment_id], "tags.monitoring_series = 'bank'")
    assert len(series) == 1
    history = project.client.get_metric_history(series[0].info.run_id, "monitoring/feature_drift_score")
    assert 20458 in [point.step for point in history]  # 5 January 2026


def test_customers_of_another_kind_are_an_alarm_with_exit_status_4_and_a_warning_when_they_are_scored(
    project: Project,
) -> None:
    drift = Drift(kind="mean_shift", column="Age", size=0.6)
    bank(2000, seed=51, drift=drift).drop(columns="Exited").to_csv(project.path / "older.csv", index=False)

    scored = project.kedro("run", "--pipelines", "inference", "--params", "new_customers=older.csv")
    status, text, report = monitor(project, "monitored=batch,monitoring.fail_on=alarm")

    assert "not those that the version knows: Age" in scored.stdout
    assert (
        "are not those that the version knows"
        in (project.path / "data" / "08_reporting" / "bank" / "inference_batch.html").read_text()
    )
    assert status == 4, text
    assert report["findings"][0]["subject"] == "Age"
    assert "Report: data/08_reporting/bank/monitoring.html" in text
    assert report["retraining"]["wanted"]
    assert not report["retraining"]["run"]
    rules = (project.path / "data" / "08_reporting" / "bank" / "monitoring.prom").read_text()
    assert 'churn_monitoring_severity{use_case="bank"} 2.0' in rules


def test_a_batch_of_the_same_run_is_examined(project: Project) -> None:
    bank(700, seed=56).drop(columns="Exited").to_csv(project.path / "same_run.csv", index=False)
    before = monitor(project)[2]["rows"]

    project.kedro("run", "--pipelines", "monitoring,inference", "--params", "new_customers=same_run.csv")

    assert reports(project)[-1]["rows"] == before + 700


def test_outcomes_measure_the_quality_of_customers_who_were_not_contacted(project: Project) -> None:
    status, text, report = monitor(project, f"monitoring.as_of={LATE},outcomes=outcomes.csv")

    assert status == 0, text
    realised = report["realised"]
    assert realised["counts"]["matched"] == 3000
    assert 0 < realised["counts"]["holdout"] < realised["counts"]["matched"]
    assert realised["customers"] == 3000 - realised["counts"]["treated"]
    assert not realised["uses_treated"]
    assert realised["metrics"]["roc_auc"]["low"] < 0.88 < realised["metrics"]["roc_auc"]["high"]
    assert {one["name"]: one["found"] for one in report["shifts"]} == {
        "covariate shift": None,
        "label shift": False,
        "concept drift": False,
    }


def test_outcomes_of_other_customers_are_refused_with_identifiers_of_both(project: Project) -> None:
    pd.DataFrame({"CustomerId": [1, 2], "Exited": [0, 1]}).to_csv(project.path / "others.csv", index=False)

    status, text, _ = monitor(project, f"monitoring.as_of={LATE},outcomes=others.csv")

    assert status == 1
    assert "No outcome belongs to a prediction" in text
    assert "Traceback" not in text


def test_a_file_of_outcomes_that_is_named_and_absent_is_an_error(project: Project) -> None:
    status, text, _ = monitor(project, "outcomes=nowhere.csv")

    assert status == 1
    assert "nowhere.csv does not exist" in text


def test_a_table_without_a_column_of_the_model_is_refused_by_name(project: Project) -> None:
    bank(100, seed=52).drop(columns=["Exited", "Age"]).to_csv(project.path / "lacking.csv", index=False)

    status, text, _ = monitor(project, "monitored=lacking.csv")

    assert status == 1
    assert "'Age'" in text
    assert "Traceback" not in text


def test_a_column_of_another_type_and_one_that_is_empty_are_reported(project: Project) -> None:
    customers = bank(500, seed=53).drop(columns="Exited").assign(Balance="")
    customers["Geography"] = "42"
    customers.to_csv(project.path / "odd.csv", index=False)

    _, text, report = monitor(project, "monitored=odd.csv")

    assert report["verdict"] == "alarm", text
    assert {one["subject"] for one in report["findings"][:2]} == {"Geography", "Balance"}


def test_a_column_that_has_become_text_is_an_alarm_that_names_it_as_are_new_columns(project: Project) -> None:
    customers = bank(400, seed=57).drop(columns="Exited").assign(Age="middle-aged", Loyalty=3)
    customers.to_csv(project.path / "text.csv", index=False)

    status, text, report = monitor(project, "monitored=text.csv")

    assert status == 0, text
    assert (report["rows"], report["verdict"]) == (0, "alarm")
    assert report["findings"][0]["subject"] == "Age"
    assert "400 rows could not be read" in report["findings"][0]["sentence"]
    assert "Columns that are not declared are not examined: Loyalty." in report["notes"]
    assert "middle-aged" not in json.dumps(report)


def test_ten_customers_are_reported_as_few(project: Project) -> None:
    bank(10, seed=54).drop(columns="Exited").to_csv(project.path / "ten.csv", index=False)

    status, text, report = monitor(project, "monitored=ten.csv")

    assert status == 0
    assert (report["rows"], report["verdict"]) == (10, "ok")
    assert "10 customers are few" in text


def test_a_policy_starts_an_ordinary_run_on_the_newer_table_and_the_gate_decides(project: Project) -> None:
    drift = Drift(kind="mean_shift", column="Age", size=0.6)
    bank(4000, seed=55, drift=drift).to_csv(project.path / "newer.csv", index=False)
    catalog = project.path / "conf" / "base" / "catalog" / "monitoring.yml"
    original = catalog.read_text()
    quick = "".join(f"    {one.replace('=', ': ')}\n" for one in QUICK.split(","))
    catalog.write_text(
        original.replace('  table: ${runtime_params:raw_customers, ""}\n',
                         f'  table: ${{runtime_params:raw_customers, ""}}\n  parameters:\n{quick}')
    )  # fmt: skip
    policy = "monitoring.retraining.cool_down_days=0,raw_customers=newer.csv,monitored=older.csv"

    _, planned, before = monitor(project, policy)
    status, text, report = monitor(project, f"{policy},monitoring.retraining.mode=run")
    catalog.write_text(original)

    assert before["retraining"]["train"], planned
    assert not before["retraining"]["run"]
    assert status == 0, text
    assert report["retraining"]["run"]
    assert report["retraining"]["new_rows"] == 4000
    assert len(project.client.search_model_versions("name = 'bank_churn'")) == 2
    assert "gate        version 2" in text


def test_a_version_without_a_profile_gets_one_from_its_splits_or_is_refused(project: Project, tmp_path: Path) -> None:
    # The splits in the data folder are those of version 2.
    found = project.client.get_model_version("bank_churn", "2")
    artifacts = Path(project.client.get_run(str(found.run_id)).info.artifact_uri.removeprefix("file://")) / "training"
    shutil.move(artifacts / "reference_profile.json", tmp_path / "kept.json")

    status, text, report = monitor(project, "scoring_version=2,monitored=newer.csv")
    splits = project.path / "data" / "05_model_input" / "bank"
    shutil.move(splits / "train.parquet", tmp_path / "train.parquet")
    refused, reason, _ = monitor(project, "scoring_version=2,monitored=newer.csv")
    shutil.move(tmp_path / "kept.json", artifacts / "reference_profile.json")

    assert status == 0, text
    assert (report["model_version"], report["verdict"]) == (2, "ok")
    assert refused == 1
    assert "Version 2 of bank_churn has no reference profile" in reason
    assert "Run data_processing on the table of that time, or train a new version" in reason
    assert "Traceback" not in reason
