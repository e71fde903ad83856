"""A run shows which table it used: its columns, its size, and a digest of every cell."""

import json
from pathlib import Path

import mlflow
import pandas as pd

from churn_kedro.customers.digests import table_digest
from churn_kedro.datasets.mlflow.inputs import TableInput

TABLE = pd.DataFrame({"name": ["a", None, "c"], "balance": [1.5, None, 2.0], "left": [1, 0, 1]})


def test_a_run_shows_a_table_with_its_columns_size_and_place(tracking: str, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    TABLE.to_csv(path, index=False)

    with mlflow.start_run() as run:
        mlflow.log_input(TableInput(TABLE, path.as_posix(), "bank.customers"), context="training")

    inputs = mlflow.get_run(run.info.run_id).inputs
    assert inputs is not None
    logged = inputs.dataset_inputs[0].dataset
    assert (logged.name, logged.digest) == ("bank.customers", table_digest(TABLE))
    columns = json.loads(logged.schema or "")["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("name", "string"),
        ("balance", "double"),
        ("left", "long"),
    ]
    assert json.loads(logged.profile or "") == {"num_rows": 3, "num_elements": 9}
    assert path.as_posix() in logged.source


def test_a_change_in_the_last_row_changes_the_digest(tmp_path: Path) -> None:
    rows = pd.DataFrame({"balance": [0.0] * 20_000})
    path = (tmp_path / "customers.csv").as_posix()
    before = TableInput(rows, path, "customers").digest

    rows.loc[19_999, "balance"] = 1.0

    assert TableInput(rows, path, "customers").digest != before
