"""The main job on real customers, where the tables are at hand; no table is committed."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import ROOT, Project

REAL_DATA = Path(os.environ.get("CHURN_REAL_DATA") or ROOT.parent / "shared" / "data")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real tables in {REAL_DATA}; CHURN_REAL_DATA names another"),
]


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project]) -> Project:
    return clone("real")


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
    assert expected[0] < project.runs(use_case)[-1].data.metrics["roc_auc"] < expected[1]
    assert len(pd.read_csv(project.path / f"data/07_model_output/{use_case}/predictions.csv")) == rows


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
