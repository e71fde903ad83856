"""How the configuration of a use case is merged with that of base."""

from pathlib import Path
from typing import Any

import yaml

from churn_kedro.hooks.configuration import ProjectConfigLoader


def load_catalog(folder: Path, base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    for env, entries in (("base", base), ("local", other)):
        (folder / env).mkdir(parents=True)
        (folder / env / "catalog.yml").write_text(yaml.safe_dump(entries), encoding="utf-8")
    loader = ProjectConfigLoader(str(folder), base_env="base", default_run_env="local")
    return dict(loader["catalog"])


def test_an_entry_of_the_same_type_changes_what_it_names(tmp_path: Path) -> None:
    base = {"table": {"type": "pandas.CSVDataset", "filepath": "a.csv", "load_args": {"sep": ";"}}}

    merged = load_catalog(tmp_path, base, {"table": {"load_args": {"nrows": 3}}})

    assert merged == {
        "table": {"type": "pandas.CSVDataset", "filepath": "a.csv", "load_args": {"sep": ";", "nrows": 3}}
    }


def test_a_dataset_of_another_type_within_an_entry_replaces_that_of_base(tmp_path: Path) -> None:
    base = {"source": {"type": "A", "dataset": {"type": "File", "filepath": "a.csv"}, "metadata": {"layer": "raw"}}}
    own = {"source": {"type": "A", "dataset": {"type": "Query", "sql": "SELECT 1"}}}

    merged = load_catalog(tmp_path, base, own)

    assert merged["source"] == {**base["source"], "dataset": own["source"]["dataset"]}


def test_an_entry_of_another_type_replaces_that_of_base(tmp_path: Path) -> None:
    base = {"table": {"type": "pandas.CSVDataset", "filepath": "a.csv"}, "other": {"type": "x"}}
    query = {"type": "pandas.SQLQueryDataset", "sql": "SELECT 1"}

    assert load_catalog(tmp_path, base, {"table": query}) == {"table": query, "other": {"type": "x"}}
