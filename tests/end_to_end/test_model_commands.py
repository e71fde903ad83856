"""`kedro models` as a user types it: what it prints, how it ends, and what has become of the registry."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.datasets.mlflow.registry import ModelRegistry
from churn_kedro.models.interface import RegisteredModel
from tests.end_to_end.conftest import QUICK, Project
from tests.mlflow_store import mlflow_at

pytestmark = pytest.mark.slow

WORSE = "training.search.n_trials=1,training.search.max_rounds=3,training.search.early_stopping_rounds=3"
AGAIN = ("run", "--pipelines", "training,evaluation,registry")


@dataclass(frozen=True)
class Step:
    """One command of a story, and what the registry looked like after it."""

    status: int
    printed: str
    error: str
    aliases: dict[str, int]

    @property
    def data(self) -> Any:
        return json.loads(self.printed)


class Story:
    """Commands, one after the other."""

    def __init__(self, project: Project, use_case: str) -> None:
        self.project, self._use_case = project, use_case
        self.steps: dict[str, Step] = {}

    def __getitem__(self, name: str) -> Step:
        return self.steps[name]

    def tell(self, name: str, *arguments: str) -> None:
        ended = self.project.kedro(*arguments, check=False)
        there = self.project.client.search_registered_models(f"name = '{self._use_case}_churn'")
        aliases = self.project.aliases(self._use_case) if there else {}
        self.steps[name] = Step(ended.returncode, ended.stdout, ended.stderr, aliases)

    def tell_together(self, commands: dict[str, tuple[str, ...]]) -> None:
        """Commands that change nothing, two at a time."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: self.tell(name, *commands[name]), commands))


def _load(project: Project, version: int) -> RegisteredModel:
    with mlflow_at(project.tracking_uri):
        model = RegistryModelDataset(model_name="bank_churn", model_version=version).load()
    assert isinstance(model, RegisteredModel)
    return model


def _let_go_early(project: Project) -> None:
    file = project.path / "conf/base/parameters/registry.yml"
    text = file.read_text(encoding="utf-8")
    changed = text.replace("keep_last: 20", "keep_last: 1").replace("keep_days: 90", "keep_days: 0")
    assert changed.count("keep_last: 1\n") == changed.count("keep_days: 0\n") == 1
    file.write_text(changed, encoding="utf-8")


@pytest.fixture(scope="module")
def story(clone: Callable[[str], Project]) -> Story:
    """A good version, a bad one, and what people do with them."""
    project = clone("models")
    told = Story(project, "bank")
    tell = told.tell
    tell("nothing there", "models", "list")
    tell("first", "run", "--params", QUICK)
    tell("worse", *AGAIN, "--params", WORSE)
    told.tell_together(
        {
            "list": ("models", "list"),
            "list as json": ("models", "list", "--json"),
            "info": ("models", "info", "challenger"),
            "info as json": ("models", "info", "champion", "--json"),
            "compare": ("models", "compare", "1", "challenger", "--json"),
            "card": ("models", "card", "champion"),
            "export": ("models", "export", "champion", "exported/folder"),
            "export zip": ("models", "export", "1", "exported/model.zip"),
            "export onnx": ("models", "export", "1", "exported/onnx", "--format", "onnx"),
            "export over work": ("models", "export", "champion", "docs", "--force"),
            "unknown": ("models", "info", "99"),
            "promote": ("models", "promote", "2", "--yes"),
            "promote unasked": ("models", "promote", "2", "--override", "the campaign starts"),
        }
    )
    told.tell_together(
        {
            "export again": ("models", "export", "champion", "exported/folder"),
            "export by force": ("models", "export", "champion", "exported/model.zip", "--force"),
        }
    )
    tell("override", "models", "promote", "2", "--override", "the campaign starts", "--yes", "--by", "Ann", "--json")
    tell("retire champion", "models", "retire", "champion")
    tell("roll back", "models", "rollback", "--yes", "--reason", "complaints")
    tell("roll back again", "models", "rollback", "--yes")
    tell("reject", "models", "reject", "2", "--reason", "unfair")
    tell("retire", "models", "retire", "2")
    tell("promote retired", "models", "promote", "2", "--override", "please", "--yes")
    tell("undo", "models", "retire", "2", "--undo")
    tell("wrong use", "models", "retire", "2", "--expired")
    tell("third", *AGAIN, "--params", f"{QUICK},registry.approval=manual")
    tell("approve unasked", "models", "approve")
    tell("approve", "models", "approve", "--yes", "--reason", "looks good")
    _let_go_early(project)
    tell("retire expired", "models", "retire", "--expired")
    tell("delete unasked", "models", "retire", "--expired", "--delete")
    tell("delete", "models", "retire", "--expired", "--delete", "--yes")
    tell("history of deleted", "models", "history", "2")
    tell("history", "models", "history", "--json")
    return told


def test_before_the_first_training_there_is_nothing_to_list(story: Story) -> None:
    assert story["nothing there"].status == 1
    assert (
        "There is no registered model 'bank_churn'. Train a version first: `kedro run`."
        in story.steps["nothing there"].error
    )


def test_a_worse_version_is_refused_with_reasons_and_the_run_goes_well(story: Story) -> None:
    assert (story["worse"].status, story["worse"].aliases) == (0, {"champion": 1, "challenger": 2})
    tags = story.project.client.get_model_version("bank_churn", "1").tags
    assert tags["decision"] == "promoted"
    assert "beyond the margin of -0.01" in story["worse"].printed


def test_the_list_shows_every_version_the_newest_first(story: Story) -> None:
    printed = [line.split() for line in story["list"].printed.splitlines()]

    assert story["list"].status == 0
    assert printed[0] == ["bank_churn"]
    assert printed[2][:5] == ["version", "aliases", "decision", "age", "algorithm"]
    assert printed[3][:3] == ["2", "challenger", "refused"]
    assert printed[4][:3] == ["1", "champion", "promoted"]


def test_the_list_for_programs_is_what_the_registry_says(story: Story) -> None:
    rows = story["list as json"].data
    first = story.project.client.get_model_version("bank_churn", "1")

    assert [(row["version"], row["aliases"], row["decision"]) for row in rows] == [
        (2, ["challenger"], "refused"),
        (1, ["champion"], "promoted"),
    ]
    logged = story.project.runs("bank")[0].data.metrics
    for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
        assert rows[1]["metrics"]["roc_auc"][end] == pytest.approx(logged[f"evaluation/roc_auc{suffix}"], rel=1e-5)
    assert pd.Timestamp(rows[1]["created"]).timestamp() == first.creation_timestamp // 1000
    assert 0 <= rows[0]["age_days"] <= rows[1]["age_days"] < 1
    assert rows[0]["metrics"]["roc_auc"]["value"] < rows[1]["metrics"]["roc_auc"]["value"]


def test_the_facts_of_a_version_tell_why_it_was_refused(story: Story) -> None:
    printed = story["info"].printed

    assert printed.startswith("bank_churn version 2\n")
    assert "aliases             challenger" in printed
    assert "- roc_auc 0." in printed
    assert "beyond the margin" in printed


def test_the_facts_for_programs_hold_tags_metrics_and_history(story: Story) -> None:
    known = story["info as json"].data
    first = story.project.client.get_model_version("bank_churn", "1")

    assert (known["version"], known["run_id"], known["aliases"]) == (1, first.run_id, ["champion"])
    assert known["tags"]["model_digest"] == first.tags["model_digest"]
    assert known["metrics"]["roc_auc"]["value"] == story.project.runs("bank")[0].data.metrics["evaluation/roc_auc"]
    assert [(event["action"], event["outcome"]) for event in known["history"]] == [("decide", "promoted")]
    assert all(reason.startswith("+ ") for reason in known["reasons"])


def test_a_comparison_has_the_numbers_of_scikit_learn(story: Story) -> None:
    compared = story["compare"].data
    test = pd.read_parquet(story.project.path / "data/05_model_input/bank/test.parquet")
    values, left = compared["values"], test["Exited"]
    first = _load(story.project, 1).estimator.scores(test)

    assert (compared["candidate"], compared["baseline"]) == ("version 1", "version 2 (challenger)")
    assert compared["rows"] == len(test)
    assert values["roc_auc"][0] == pytest.approx(roc_auc_score(left, first))
    assert values["pr_auc"][0] == pytest.approx(average_precision_score(left, first))
    assert values["brier"][0] == pytest.approx(brier_score_loss(left, first))
    # The second version was deleted in the end; its own evaluation is kept.
    second = story.project.runs("bank")[1].data.metrics
    assert {name: values[name][1] for name in ("roc_auc", "brier")} == pytest.approx(
        {name: second[f"evaluation/{name}"] for name in ("roc_auc", "brier")}
    )
    difference = compared["differences"]["roc_auc"]
    assert difference["value"] == pytest.approx(values["roc_auc"][0] - values["roc_auc"][1])
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert compared["disagreements"]


def test_the_card_has_the_metrics_of_the_evaluation(story: Story) -> None:
    card = story["card"].printed

    assert card.startswith("# ")
    assert f"| ROC-AUC | {story.project.runs('bank')[0].data.metrics['evaluation/roc_auc']:.3f} |" in card


def _probabilities_elsewhere(model: Path, project: Project, folder: Path) -> np.ndarray:
    """Answers of an exported model where neither churn_kedro nor the registry is."""
    script = folder / "score.py"
    script.write_text(
        f"""
import sys
sys.path.append({sysconfig.get_paths()["purelib"]!r})
try:
    import churn_kedro
except ImportError:
    pass
else:
    raise SystemExit("churn_kedro is installed here")
import mlflow
import pandas as pd
raw = pd.read_csv({(project.path / "data/01_raw/bank/new_customers.csv").as_posix()!r})
mlflow.pyfunc.load_model({model.as_posix()!r}).predict(raw).to_parquet("answer.parquet")
""",
        encoding="utf-8",
    )
    # Without the site module no .pth file is read, so the editable installation of churn_kedro is out of reach.
    subprocess.run([sys.executable, "-I", "-S", script], cwd=folder, check=True)
    return pd.read_parquet(folder / "answer.parquet")["probability"].to_numpy()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_exported_version_gives_the_same_probabilities_where_this_project_is_not_installed(
    story: Story, tmp_path: Path, kind: str
) -> None:
    exported = story.project.path / "exported" / "folder"
    if kind == "zip":
        with zipfile.ZipFile(story.project.path / "exported" / "model.zip") as archive:
            archive.extractall(tmp_path)
        exported = tmp_path / "bank_churn-1"
    # Away from the project.
    model = Path(shutil.copytree(exported, tmp_path / "model"))

    scores = _probabilities_elsewhere(model, story.project, tmp_path)

    raw = pd.read_csv(story.project.path / "data/01_raw/bank/new_customers.csv")
    expected = _load(story.project, 1).estimator.scores(raw)
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    facts = json.loads((model / "version.json").read_text(encoding="utf-8"))
    assert (facts["model"], facts["version"], facts["aliases"]) == ("bank_churn", 1, ["champion"])
    assert "requirements.txt" in (model / "README.md").read_text(encoding="utf-8")
    assert (model / "evaluation" / "model_card.md").is_file()


def test_an_export_to_onnx_scores_raw_rows_and_says_how_close_it_is(story: Story) -> None:
    import onnxruntime

    folder = story.project.path / "exported" / "onnx"
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    raw = pd.read_csv(story.project.path / "data/01_raw/bank/new_customers.csv")
    feeds = {
        one["name"]: raw[one["name"]].to_numpy(object if one["type"] == "string" else np.float64)[:, None]
        for one in described["inputs"]
    }
    scores = onnxruntime.InferenceSession(folder / "model.onnx").run(None, feeds)[0]

    assert re.search(
        r"10 columns, with their treatment\n  compared    \d+ rows: largest difference", story["export onnx"].printed
    )
    np.testing.assert_allclose(scores, _load(story.project, 1).estimator.scores(raw), rtol=0, atol=1e-6)
    assert json.loads((folder / "version.json").read_text(encoding="utf-8"))["version"] == 1
    assert "(n, 1): a double, NaN where missing" in (folder / "README.md").read_text(encoding="utf-8")


def test_an_export_overwrites_an_export_when_told_to_and_nothing_else(story: Story) -> None:
    assert (story["export"].status, story["export again"].status, story["export by force"].status) == (0, 1, 0)
    assert "is there already. Choose another PATH, or overwrite it with --force." in story["export again"].error
    assert story["export over work"].status == 1
    assert "holds no exported version" in story["export over work"].error
    assert (story.project.path / "docs" / "house.md").is_file()
    assert sorted(path.name for path in (story.project.path / "exported").iterdir()) == [
        "folder",
        "model.zip",
        "onnx",
    ]


def test_an_unknown_version_is_answered_with_those_there_are(story: Story) -> None:
    assert story["unknown"].status == 1
    assert (
        "There is no version or alias '99' of the model 'bank_churn'; the last versions: 1, 2; "
        "aliases: challenger (version 2), champion (version 1)." in story["unknown"].error
    )
    assert "Traceback" not in story["unknown"].error


def test_a_refused_version_is_promoted_only_against_the_gate_and_for_a_reason(story: Story) -> None:
    assert (story["promote"].status, story["promote"].aliases["champion"]) == (3, 1)
    assert "Version 2 of bank_churn was refused.\n  - " in story["promote"].error
    assert "beyond the margin" in story["promote"].error
    assert story["override"].status == 0
    assert story["override"].aliases == {"champion": 2, "previous_champion": 1}
    assert story["override"].data["moves"]["champion"] == {"before": 1, "after": 2}


@pytest.mark.parametrize(
    ("name", "before"),
    [("promote unasked", "worse"), ("approve unasked", "third"), ("delete unasked", "retire expired")],
)
def test_where_nobody_can_be_asked_yes_must_be_said(story: Story, name: str, before: str) -> None:
    assert story[name].status == 1
    assert "Nobody can be asked here: say --yes to do it." in story[name].error
    assert story[name].aliases == story[before].aliases


def test_a_rollback_returns_to_the_former_champion_once(story: Story) -> None:
    assert (story["roll back"].status, story["roll back"].aliases) == (0, {"champion": 1})
    assert "bank_churn version 2: rolled back" in story["roll back"].printed
    assert (story["roll back again"].status, story["roll back again"].aliases) == (0, {"champion": 1})
    assert "rolled back to version 1 already" in story["roll back again"].printed
    assert "nothing was changed" in story["roll back again"].printed


def test_what_is_in_use_is_not_retired_and_what_is_retired_is_not_promoted(story: Story) -> None:
    assert story["retire champion"].status == 3
    assert "Version 2 is the champion of bank_churn: promote another version" in story["retire champion"].error
    assert [story[name].status for name in ("reject", "retire", "promote retired", "undo")] == [0, 0, 3, 0]
    assert "`kedro models retire 2 --undo`" in story["promote retired"].error
    assert "bank_churn version 2: back in use" in story["undo"].printed


def test_wrong_usage_ends_with_2(story: Story) -> None:
    assert story["wrong use"].status == 2
    assert "Name one VERSION" in story["wrong use"].error


def test_where_people_approve_what_passes_waits_for_them(story: Story) -> None:
    assert (story["third"].status, story["third"].aliases) == (0, {"champion": 1, "challenger": 3})
    assert story["approve"].status == 0
    assert story["approve"].aliases == {"champion": 3, "previous_champion": 1}
    assert story.project.client.get_model_version("bank_churn", "3").tags["decision"] == "approved"


def test_retention_lets_go_only_what_has_no_alias(story: Story) -> None:
    assert "bank_churn: 1 versions retired (2)" in story["retire expired"].printed
    assert "Delete 1 versions of bank_churn for good (2)?" in story["delete unasked"].error
    assert "bank_churn: 1 versions deleted (2)" in story["delete"].printed
    left = story.project.client.search_model_versions("name = 'bank_churn'")
    assert sorted(int(version.version) for version in left) == [1, 3]
    assert story["delete"].aliases == {"champion": 3, "previous_champion": 1}


def test_the_history_tells_all_of_it_and_why(story: Story) -> None:
    events = story["history"].data

    assert [(event["action"], event["version"], event["outcome"]) for event in events] == [
        ("decide", 1, "promoted"),
        ("decide", 2, "refused"),
        ("promote", 2, "overridden"),
        ("rollback", 2, "rolled_back"),
        ("reject", 2, "rejected"),
        ("retire", 2, None),
        ("restore", 2, None),
        ("decide", 3, "awaiting_approval"),
        ("approve", 3, "approved"),
        ("retire", 2, None),
        ("delete", 2, None),
    ]
    assert events[2]["by"] == "Ann"
    assert events[2]["reasons"] == ["the gate was overridden: the campaign starts"]
    assert [events[number]["reasons"] for number in (3, 4, 8)] == [["complaints"], ["unfair"], ["looks good"]]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=story.project.path, capture_output=True, text=True, check=True
    )
    assert {event["git_commit"] for event in events} == {head.stdout.strip()}
    assert {event["result"] for event in events} == {"done"}
    deleted = story["history of deleted"].printed
    assert deleted.index("delete version 2") < deleted.index("promote version 2") < deleted.index("decide version 2")
    assert "because  the gate was overridden: the campaign starts" in deleted
    assert "by       Ann, code" in deleted


def test_the_history_is_the_audit_of_the_registry(story: Story) -> None:
    with mlflow_at(story.project.tracking_uri):
        registry = ModelRegistry("bank_churn", experiment="bank_churn", by="Ann", git_commit="abc")
        assert [event.model_dump(mode="json") for event in registry.history()] == story["history"].data


def test_no_command_leaves_anything_beside_the_places_the_house_knows(story: Story) -> None:
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=story.project.path, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert sorted(changed) == [" M conf/base/parameters/registry.yml", "?? exported/"]
    assert [model.name for model in story.project.client.search_registered_models()] == ["bank_churn"]


def test_the_same_commands_work_against_a_server_above_postgresql(clone: Callable[[str], Project], server: str) -> None:
    project = clone("served_models")
    # Other tests share the server: this use case is theirs alone.
    use_case = ("--env", "telco")
    project = replace(project, environment={**project.environment, "MLFLOW_TRACKING_URI": server})
    told = Story(project, "telco")

    told.tell("first", "run", *use_case, "--params", QUICK)
    told.tell("second", *AGAIN, *use_case, "--params", f"{QUICK},registry.approval=manual")
    told.tell("approve", "models", "approve", "--yes", "--by", "Ann", *use_case)
    told.tell("list", "models", "list", "--json", *use_case)
    told.tell("roll back", "models", "rollback", "--yes", *use_case)
    told.tell("retire", "models", "retire", "2", *use_case)
    told.tell("export", "models", "export", "1", "exported", *use_case)
    told.tell("history", "models", "history", "--json", *use_case)

    assert [step.error for step in told.steps.values() if step.status] == []
    assert told["second"].aliases == {"champion": 1, "challenger": 2}
    assert told["approve"].aliases == {"champion": 2, "previous_champion": 1}
    assert [(row["version"], row["aliases"]) for row in told["list"].data] == [
        (2, ["champion"]),
        (1, ["previous_champion"]),
    ]
    assert told["roll back"].aliases == told["history"].aliases == {"champion": 1}
    assert [(event["action"], event["version"]) for event in told["history"].data] == [
        ("decide", 1),
        ("decide", 2),
        ("approve", 2),
        ("rollback", 2),
        ("retire", 2),
    ]
    assert (project.path / "exported" / "model.skops").is_file()
    assert not (project.path / "mlflow.db").exists()
    assert not (project.path / "mlartifacts").exists()
