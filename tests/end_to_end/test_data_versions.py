"""A model version is trained again from the tables that DVC has kept, after the table has changed."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests import ROOT
from tests.end_to_end.conftest import Project
from tests.servers import object_store

DVC = ROOT / ".venv-dvc" / "bin" / "dvc"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DVC.is_file(), reason="DVC is not installed: make dvc-env"),
]

QUICK = "training.search.n_trials=1,training.search.max_rounds=30,training.search.early_stopping_rounds=10"
REMOTES = ("local", "s3")


class _Repository:
    """The clone with DVC and git."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.environment = {**project.environment, "DVC_NO_ANALYTICS": "1"}

    def dvc(self, *arguments: str) -> str:
        return self._run(str(DVC), *arguments)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        return self._run("git", *identity, *arguments)

    def _run(self, *command: str) -> str:
        ended = subprocess.run(
            command, cwd=self.project.path, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-3000:]
        return ended.stdout

    def keep_tables(self, subject: str) -> str:
        """Ingest and process what the source has, and commit and push it."""
        self.dvc("repro", "data_processing@bank")
        self.git("add", "dvc.lock")
        self.git("commit", "-qm", subject)
        for remote in REMOTES:
            self.dvc("push", "-q", "--remote", remote)
        return self.git("rev-parse", "HEAD").strip()


def _fill_source(file: Path, customers: pd.DataFrame) -> None:
    with closing(sqlite3.connect(file)) as source, source:
        customers.to_sql("customers", source, index=False, if_exists="replace")


def _set_up(project: Project, source: Path) -> _Repository:
    """Add what a clone of the project has of DVC, with a table in SQLite as source."""
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (project.path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project.path / name)
    (project.path / "data/01_raw/bank/customers.parquet").unlink(missing_ok=True)
    stages = yaml.safe_load((project.path / "dvc.yaml").read_text(encoding="utf-8"))
    del stages["stages"]["ingestion"]["do"]["deps"]
    stages["stages"]["ingestion"]["do"]["always_changed"] = True
    (project.path / "dvc.yaml").write_text(yaml.safe_dump(stages))
    query = {
        "type": "pandas.SQLQueryDataset",
        "sql": "SELECT * FROM customers ORDER BY RowNumber",
        "credentials": "source_database",
    }
    entry = {"source_customers": {"type": "churn_kedro.datasets.SourceTableDataset", "dataset": query}}
    (project.path / "conf/local/catalog_source.yml").write_text(yaml.safe_dump(entry))
    credentials = {"source_database": {"con": f"sqlite:///{source}"}}
    (project.path / "conf/local/credentials.yml").write_text(yaml.safe_dump(credentials))
    repository = _Repository(project)
    repository.dvc("remote", "modify", "local", "url", str(source.parent / "remote"))
    repository.git("add", "-A")
    repository.git("commit", "-qm", "Versions of the tables")
    return repository


def test_a_version_is_rebuilt_from_the_tables_of_its_commit(clone: Callable[[str], Project], tmp_path: Path) -> None:
    project = clone("data_versions")
    customers = pd.read_csv(ROOT / "data/01_raw/bank/customers.csv", nrows=2000)
    data = project.path / "data"
    with object_store("churn-tables") as bucket:
        project.environment.update(bucket)
        _fill_source(tmp_path / "source.db", customers)
        repository = _set_up(project, tmp_path / "source.db")
        first = repository.keep_tables("Tables of January")
        project.kedro("run", "--pipelines", "training", "--params", QUICK)

        _fill_source(tmp_path / "source.db", customers.assign(Balance=customers["Balance"] * 2).head(1900))
        second = repository.keep_tables("Tables of February")
        project.kedro("run", "--pipelines", "training", "--params", QUICK)

        commits = {n: project.client.get_model_version("bank_churn", str(n)).tags["git_commit"] for n in (1, 2)}
        dirty = {project.client.get_model_version("bank_churn", str(n)).tags["git_dirty"] for n in (1, 2)}
        refused = project.kedro("models", "rebuild", "1", check=False)
        for place, remote in ((1, "s3"), (2, "local")):
            shutil.rmtree(project.path / ".dvc" / "cache")
            repository.git("checkout", "-q", commits[place], "--", "dvc.lock")
            repository.dvc("pull", "-q", "--force", "--remote", remote, "--with-deps", "data_processing@bank")
            rows = len(pd.read_parquet(data / "01_raw/bank/customers.parquet"))

            rebuilt = project.kedro("models", "rebuild", str(place))

            assert rows == (2000 if place == 1 else 1900)
            assert f"bank_churn version {place}, trained again: the same model" in rebuilt.stdout

    assert commits == {1: first, 2: second}
    assert dirty == {"false"}
    assert refused.returncode == 1
    restored = f"`git checkout {first} -- dvc.lock && dvc pull --with-deps data_processing@bank`."
    assert f"or, if DVC has the tables, {restored}" in refused.stderr
