"""The main job on real customers, if the tables are available; no table is committed."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.models.compiled import compile_model
from churn_kedro.models.generated_rows import rows_of
from churn_kedro.models.interface import RegisteredModel
from churn_kedro.models.learners import start_session
from churn_kedro.models.onnx_export import export_to_onnx
from tests import ROOT
from tests.end_to_end.conftest import QUICK, Project
from tests.end_to_end.recorded_results import differences, read_recorded, summarise_outputs
from tests.mlflow_store import mlflow_at

REAL_DATA = Path(os.environ.get("CHURN_REAL_DATA") or ROOT.parent / "shared" / "data")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real tables in {REAL_DATA}; CHURN_REAL_DATA names another"),
]


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project]) -> Project:
    return clone("real")


def require_same_scores(project: Project, use_case: str, path: Path) -> None:
    """Compare the compiled form and the ONNX file of the newest version with the model, on every row of a table."""
    with mlflow_at(project.tracking_uri):
        registered = RegistryModelDataset(model_name=f"{use_case}_churn", model_version="latest").load()
    assert isinstance(registered, RegisteredModel)
    model, raw = registered.estimator, pd.read_csv(path, dtype=str, keep_default_na=False)
    expected = model.scores(raw)

    scorer, exported = compile_model(model, raw.head(20)), export_to_onnx(model, raw.head(20))

    assert (scorer.fallback_reason, exported.reason) == ("", "")
    single = [scorer.answer([row])[0].scores[0] for row in rows_of(raw)]
    np.testing.assert_allclose(single, expected, rtol=1e-6, atol=1e-6)
    feeds: dict[str, np.ndarray] = {}
    for reader in model.readers:
        cells = reader.read(raw[reader.column]).values
        is_text = reader.cells == "text"
        feeds[reader.column] = (cells.fillna("").to_numpy(object) if is_text else cells.to_numpy(np.float64))[:, None]
    session = start_session(onnx.load_from_string(exported.model))
    np.testing.assert_allclose(session.run(None, feeds)[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("file", "options", "use_case", "expected"),
    [
        # What a tuned XGBoost honestly reaches, within two standard deviations of one random split of this size.
        ("Churn_Modelling.csv", [], "bank", (0.845, 0.885)),
        ("Telco-Customer-Churn.csv", ["--env", "telco"], "telco", (0.82, 0.875)),
    ],
)
def test_a_real_table_is_learned_as_well_as_it_honestly_can_be(
    project: Project, file: str, options: list[str], use_case: str, expected: tuple[float, float]
) -> None:
    path = REAL_DATA / file

    printed = project.kedro("run", *options, "--params", f"raw_customers={path},new_customers={path}").stdout

    rows = len(pd.read_csv(path))
    assert f"{rows:,} rows read, 0 rejected, 0 duplicates dropped" in printed
    assert expected[0] < project.runs(use_case)[-1].data.metrics["evaluation/roc_auc"] < expected[1]
    predictions = pd.read_csv(project.path / f"data/07_model_output/{use_case}/predictions.csv")
    assert len(predictions) == predictions["outcome_known"].sum() == rows
    assert f"no list to act on: the outcome of {rows:,} of them is in the table" in printed
    assert differences(read_recorded(f"real_{use_case}"), summarise_outputs(project.path, use_case)) == []
    require_same_scores(project, use_case, path)


def test_a_messy_table_loses_only_the_rows_it_must(project: Project) -> None:
    path = REAL_DATA / "Churn_Modelling.messy.csv"

    printed = project.kedro("run", "--pipelines", "data_processing", "--params", f"raw_customers={path}").stdout

    assert "10,002 rows read, 4 rejected, 2 duplicates dropped, 9,996 kept" in printed
    rejected = pd.read_csv(project.path / "data/02_intermediate/bank/rejected_customers.csv")
    assert set(rejected["reasons"]) == {
        "HasCrCard: is missing",
        "Geography: is missing",
        "IsActiveMember: is missing",
        "Age: is missing",
    }


@pytest.mark.parametrize(
    ("file", "target", "metric", "expected"),
    [
        ("Churn_Modelling.messy.csv", "Exited", "roc_auc", (0.84, 0.89)),
        ("Telco-Customer-Churn.csv", "Churn", "roc_auc", (0.82, 0.875)),
        ("housing.csv", "median_house_value", "r2", (0.75, 0.9)),
    ],
)
def test_a_real_table_is_onboarded_and_runs_without_an_edit(
    project: Project, file: str, target: str, metric: str, expected: tuple[float, float]
) -> None:
    name = f"new_{target.lower()}"
    project.kedro("customers", "onboard", str(REAL_DATA / file), "--target", target, "--name", name)

    printed = project.kedro("run", "--env", name, "--params", QUICK).stdout

    assert " leaks" not in printed
    assert re.search(r"read +/.*rows.*\n +data/05_model_input/\w+/test.parquet: ", printed)
    assert "no list to act on" in printed
    assert expected[0] < project.runs(name)[-1].data.metrics[f"evaluation/{metric}"] < expected[1]
    assert project.aliases(name)["champion"] == 1
    require_same_scores(project, name, REAL_DATA / file)


def test_a_leaking_table_is_refused_until_its_leaks_are_acknowledged(project: Project) -> None:
    path = REAL_DATA / "customer_churn_dataset.csv"
    project.kedro("customers", "onboard", str(path), "--target", "Churn", "--name", "leaking")

    refused = project.kedro("run", "--env", "leaking", check=False)
    acknowledged = project.kedro(
        "run", "--env", "subscription", "--pipelines", "data_processing", "--params", f"raw_customers={path}"
    ).stdout

    assert refused.returncode == 1
    assert "identifier_order of 'CustomerID'" in refused.stderr
    assert "perfect_model" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (project.path / "data/08_reporting/leaking/data_report.html").is_file()
    assert not (project.path / "data/05_model_input/leaking").exists()
    assert "2 allowed" in acknowledged
