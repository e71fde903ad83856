"""Every shipped use case runs, and a table that nobody declared becomes one by a single command."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.end_to_end.conftest import QUICK, Project
from tests.end_to_end.recorded_results import differences, read_recorded, summarise_outputs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project]) -> Project:
    return clone("use_cases")


@pytest.mark.parametrize(
    ("use_case", "metric", "least", "columns"),
    [
        ("subscription", "roc_auc", 0.75, {"probability", "decision", "risk_band", "rank"}),
        (
            "iris",
            "roc_auc",
            0.9,
            {"prediction", "probability_setosa", "probability_versicolor", "probability_virginica"},
        ),
        ("housing", "r2", 0.7, {"prediction", "rank"}),
    ],
)
def test_a_shipped_use_case_runs_from_table_to_list(
    project: Project, use_case: str, metric: str, least: float, columns: set[str]
) -> None:
    printed = project.kedro("run", "--env", use_case, "--params", QUICK).stdout

    assert f"{use_case}: what this run did" in printed
    assert project.runs(use_case)[-1].data.metrics[f"evaluation/{metric}"] > least
    predictions = pd.read_csv(project.path / f"data/07_model_output/{use_case}/predictions.csv")
    assert columns <= set(predictions.columns)
    assert project.aliases(use_case)["champion"] == 1
    reports = project.path / f"data/08_reporting/{use_case}"
    page = (reports / "data_report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(list((reports / "data").glob("*.png")))
    assert "Gate: promoted" in (reports / "evaluation_report.html").read_text(encoding="utf-8")
    assert differences(read_recorded(f"quick_{use_case}"), summarise_outputs(project.path, use_case)) == []


def _odd_table(path: Path) -> pd.DataFrame:
    """A table as a colleague sends it: semicolons, decimal commas, Windows accents, words, dates, a repeated header."""
    random = np.random.default_rng(3)
    rows = 1500
    age = random.integers(18, 80, rows)
    fee = random.gamma(4, 10, rows).round(2)
    plan = random.choice(["Básico", "Plus", "Prémium"], rows)
    log_odds = (age - 50) / 9 - fee / 30 + 1.5 * (plan == "Básico")
    table = pd.DataFrame(
        {
            "Nº cliente": np.arange(rows) * 13 + 100_000,
            "Edad [años]": age,
            "Cuota mensual": [f"{value:.2f}".replace(".", ",") for value in fee],
            "Plan": plan,
            "Alta": (pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 2000, rows), unit="D")).strftime(
                "%d.%m.%Y"
            ),
            "Activo": random.choice(["True", "False", ""], rows, p=[0.6, 0.3, 0.1]),
            "País": "España",
            "Baja": np.where(random.random(rows) < 1 / (1 + np.exp(-log_odds)), "Sí", "No"),
        }
    )
    lines = table.to_csv(index=False, sep=";").splitlines()
    lines.insert(700, lines[0])
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    return table


def test_a_table_that_nobody_declared_runs_after_one_command(project: Project, tmp_path: Path) -> None:
    table = _odd_table(tmp_path / "clientes.csv")

    said = project.kedro(
        "customers", "onboard", str(tmp_path / "clientes.csv"), "--target", "Baja", "--name", "gym", "--positive", "Sí"
    ).stdout
    printed = project.kedro("run", "--env", "gym", "--params", QUICK).stdout

    assert "next: kedro run --env gym" in said
    assert "1,501 rows read, 0 rejected, 0 duplicates dropped, 1,500 kept" in printed
    declared = yaml.safe_load((project.path / "conf/gym/parameters/customers.yml").read_text(encoding="utf-8"))
    columns = {column["name"]: column for column in declared["customers"]["columns"]}
    assert declared["customers"]["decimal"] == ","
    assert columns["Nº cliente"]["role"] == "id"
    assert columns["País"]["role"] == "ignored"
    assert columns["Alta"]["date_format"] == "%d.%m.%Y"
    quality = json.loads((project.path / "data/08_reporting/gym/data_quality.json").read_text(encoding="utf-8"))
    assert quality["header_rows_dropped"] == 1
    assert quality["reading"]["encoding"] == "cp1252"
    assert quality["classes"] == {"No": (table["Baja"] == "No").sum(), "Sí": (table["Baja"] == "Sí").sum()}
    assert project.runs("gym")[-1].data.metrics["evaluation/roc_auc"] > 0.8
    # Without new customers, those of the test set.
    assert len(pd.read_csv(project.path / "data/07_model_output/gym/predictions.csv")) == len(table) // 5


def test_an_edited_use_case_is_not_overwritten(project: Project, tmp_path: Path) -> None:
    _odd_table(tmp_path / "clientes.csv")
    arguments = ("customers", "onboard", str(tmp_path / "clientes.csv"), "--target", "Baja", "--name", "mine")
    project.kedro(*arguments)
    declaration = project.path / "conf/mine/parameters/customers.yml"
    declaration.write_text(declaration.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")

    refused = project.kedro(*arguments, check=False)

    assert refused.returncode == 1
    assert "The use case 'mine' is there already" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert declaration.read_text(encoding="utf-8").endswith("# edited\n")
    project.kedro(*arguments, "--force")
    assert not declaration.read_text(encoding="utf-8").endswith("# edited\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "Bajas", "--name", "x"), "There is no column 'Bajas'; the nearest is 'Baja'"),
        (("--target", "Baja", "--name", "Base Case"), "cannot name a use case"),
        (("--target", "Baja", "--name", "base"), "cannot name a use case"),
        (("--target", "Baja", "--name", "x", "--positive", "Yes"), "has no label 'Yes'"),
        (("--target", "Baja", "--name", "x", "--encoding", "utf-8"), "cannot be read as utf-8"),
    ],
)
def test_a_refused_onboarding_writes_nothing(
    project: Project, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    _odd_table(tmp_path / "clientes.csv")

    refused = project.kedro("customers", "onboard", str(tmp_path / "clientes.csv"), *arguments, check=False)

    assert refused.returncode == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (project.path / "conf/x").exists()


def test_events_become_a_use_case_that_is_split_by_time(project: Project, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    customers, days = 400, 720
    rate = random.gamma(2, 0.03, customers)
    lifetime = random.exponential(400, customers)
    events = [
        (f"c{customer:04}", day, round(float(random.gamma(3, 10)), 2))
        for customer in range(customers)
        for day in np.flatnonzero(random.random(days) < rate[customer])
        if day < lifetime[customer]
    ]
    table = pd.DataFrame(events, columns=["customer_id", "day", "amount"])
    table["timestamp"] = (pd.Timestamp("2024-01-01") + pd.to_timedelta(table.pop("day"), unit="D")).dt.strftime(
        "%Y-%m-%d"
    )
    table.to_csv(tmp_path / "events.csv", index=False)

    project.kedro(
        *("customers", "onboard", str(tmp_path / "events.csv"), "--name", "shop"),
        *("--events", "--customer", "customer_id", "--timestamp", "timestamp"),
    )
    project.kedro("run", "--env", "shop", "--pipelines", "snapshots")
    printed = project.kedro("run", "--env", "shop", "--params", QUICK).stdout

    declared = (project.path / "conf/shop/parameters/customers.yml").read_text(encoding="utf-8")
    assert {"name": "snapshot_date", "role": "time"}.items() <= yaml.safe_load(declared)["customers"]["columns"][
        1
    ].items()
    manifest = json.loads((project.path / "data/05_model_input/shop/split_manifest.json").read_text(encoding="utf-8"))
    parts = {
        name: pd.read_parquet(project.path / f"data/05_model_input/shop/{name}.parquet")["snapshot_date"]
        for name in ("train", "validation", "test")
    }
    assert manifest["split"]["method"] == "time"
    assert parts["train"].max() < parts["validation"].min() <= parts["validation"].max() < parts["test"].min()
    assert "customer_in_two_splits" not in printed.split("gate")[0]
    assert project.runs("shop")[-1].data.metrics["evaluation/roc_auc"] > 0.65
