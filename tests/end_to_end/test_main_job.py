"""`kedro run` on the sample, twice, as a user sees it: in the terminal, on disk and in MLflow."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import nbformat
import pandas as pd
import pytest
import xgboost
import yaml
from nbclient import NotebookClient
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from churn_kedro.customers.digests import table_digest
from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.models.interface import RegisteredModel
from churn_kedro.pipelines.fabrication.shapes.ceiling import Ceiling
from churn_kedro.training.recipe import TrainingSummary
from tests import ROOT
from tests.end_to_end.conftest import Project
from tests.end_to_end.recorded_results import differences, read_recorded, summarise_outputs
from tests.mlflow_store import mlflow_at

pytestmark = pytest.mark.slow

MainJob = tuple[Project, list[str]]


def metrics_of(project: Project, place: int) -> dict[str, float]:
    """Metrics of a run of the bank, without their groups."""
    return {name.rpartition("/")[2]: value for name, value in project.runs("bank")[place].data.metrics.items()}


def test_predictions_metrics_and_figures_are_those_recorded_before_the_restructuring(main_job: MainJob) -> None:
    assert differences(read_recorded("quick_bank"), summarise_outputs(main_job[0].path, "bank")) == []


def test_the_summary_says_what_a_person_wants_to_know(main_job: MainJob) -> None:
    first, second = main_job[1]

    assert "10,000 rows read, 0 rejected" in first
    assert "bank_churn version 1" in first
    assert "ROC-AUC 0.8" in first
    assert "PR-AUC  0." in first
    assert "(95% interval 0.8" in first
    assert "version 1 promoted, alias champion" in first
    assert "no champion yet: only the bounds apply" in first
    assert "expected profit" in first
    assert "against logistic_regression (trained here)" in first
    assert "report: data/08_reporting/bank/evaluation_report.html" in first
    assert "data/07_model_output/bank/predictions.csv" in first
    assert re.search(r"read +data/01_raw/bank/customers.csv: 10,000 rows, digest \w{8}, .* old\n", first)
    assert re.search(r" data/01_raw/bank/new_customers.csv: 1,000 rows, digest \w{8}, .* old\n", first)
    assert "data/05_model_input/bank: split_manifest.json, test.parquet, train.parquet, validation.parquet" in first
    assert "no list to act on" not in first
    assert "kedro mlflow ui" in first
    assert "kedro viz" in first
    assert "bank_churn version 2" in second
    assert "ROC-AUC +0.0000 (+0.0000 to +0.0000) against version 1 (champion)" in second
    assert "of champion version 1: gain +0.0000" in second


def test_runs_experiment_and_model_are_named_and_described(main_job: MainJob) -> None:
    project, printed = main_job
    first, second = project.runs("bank")[:2]
    experiment = project.client.get_experiment(first.info.experiment_id)
    described = project.client.get_registered_model("bank_churn").description

    assert [run.info.run_name for run in (first, second)] == [
        f"bank · main job · version {number}" for number in (1, 2)
    ]
    summary = printed[0][printed[0].index("bank: what this run did") :].strip()
    assert first.data.tags["mlflow.note.content"] == f"```\n{summary}\n```"
    page = f"/#/experiments/{first.info.experiment_id}/runs/{first.info.run_id}?workflowType=machine_learning"
    assert f"http://127.0.0.1:5000{page}" in summary
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["mlflow.note.content"] == described == "Customers of a bank, in the public bank-churn shape"


def test_the_log_file_has_the_records_that_the_console_leaves_out(main_job: MainJob) -> None:
    text = (main_job[0].path / "logs" / "bank.log").read_text(encoding="utf-8")

    assert "kedro.io.data_catalog: Loading data from raw_customers" in text
    assert "kedro.pipeline.node: Running node: train_model" in text
    assert text.count("churn_kedro.hooks.progress: training: 10 nodes done") == 2


def test_the_same_seed_gives_the_same_model(main_job: MainJob) -> None:
    project, _ = main_job
    metrics = [
        {name: value for name, value in run.data.metrics.items() if "time" not in name} for run in project.runs("bank")
    ]

    assert metrics[0] == metrics[1]
    assert metrics[0]


def test_the_second_version_is_champion_and_says_why(main_job: MainJob) -> None:
    project, _ = main_job
    champion = project.client.get_model_version_by_alias("bank_churn", "champion")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project.path, capture_output=True, text=True, check=True
    ).stdout.strip()
    train = pd.read_parquet(project.path / "data/05_model_input/bank/train.parquet")

    assert int(champion.version) == 2
    assert champion.tags["decision"] == "promoted"
    assert "gain +0.0000" in champion.tags["decision_reasons"]
    assert champion.tags["train_digest"] == table_digest(train)
    assert champion.tags["git_commit"] == commit
    assert champion.tags["git_dirty"] == "false"


def test_the_metrics_are_those_of_scikit_learn_on_the_registered_model(main_job: MainJob) -> None:
    project, _ = main_job
    test = pd.read_parquet(project.path / "data/05_model_input/bank/test.parquet")
    with mlflow_at(project.tracking_uri):
        model = RegistryModelDataset(model_name="bank_churn", model_version=1).load()
    assert isinstance(model, RegisteredModel)
    probability = model.estimator.scores(test)
    logged = metrics_of(project, 0)

    assert logged["roc_auc"] == pytest.approx(roc_auc_score(test["Exited"], probability))
    assert logged["pr_auc"] == pytest.approx(average_precision_score(test["Exited"], probability))
    assert logged["log_loss"] == pytest.approx(log_loss(test["Exited"], probability))
    assert logged["brier"] == pytest.approx(brier_score_loss(test["Exited"], probability))
    linked = {
        metric.key.removeprefix("evaluation/"): metric.value
        for metric in project.client.get_logged_model(model.model_id).metrics or []
    }
    assert linked["roc_auc"] == logged["roc_auc"]
    assert {
        f"{name}{bound}" for name in ("f1", "recall", "precision", "accuracy") for bound in ("", "_low", "_high")
    } <= set(linked)


def test_no_model_beats_the_true_probabilities_and_a_short_search_comes_close(main_job: MainJob) -> None:
    project, _ = main_job
    test = pd.read_parquet(project.path / "data/05_model_input/bank/test.parquet")
    truth = pd.read_csv(project.path / "data/01_raw/bank/true_probabilities.csv", dtype={"CustomerId": "str"})
    joined = test.merge(truth, on="CustomerId", validate="one_to_one")
    ceiling = roc_auc_score(joined["Exited"], joined["probability"])
    reached = metrics_of(project, 0)["roc_auc"]

    assert ceiling - 0.02 < reached < ceiling + 0.005
    reported = Ceiling.model_validate_json((project.path / "data/01_raw/bank/ceiling.json").read_text(encoding="utf-8"))
    assert 0.86 < reported.roc_auc < 0.89


def test_the_parameters_to_compare_are_searchable_and_all_of_them_are_in_a_file(main_job: MainJob) -> None:
    project, _ = main_job
    run = project.runs("bank")[0]
    parameters = run.data.params
    everything = yaml.safe_load(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/parameters.yml"))

    assert parameters["training/search.n_trials"] == "2"
    assert parameters["data/test_size"] == "0.2"
    assert len(parameters) < 100
    assert everything["training"]["spaces"]["xgboost"]["max_depth"]["low"] == 2
    assert everything["registry"]["gate"]["binary"]["bounds"]["brier"] == 0.25
    assert everything["customers"]["columns"][4]["name"] == "Geography"
    experiment = project.client.get_experiment_by_name("bank_churn")
    assert experiment is not None
    assert len(project.client.search_runs([experiment.experiment_id], "params.`training/search.n_trials` = '2'")) == 2
    summary = TrainingSummary.model_validate_json(
        (project.path / "data/06_models/bank/training_summary.json").read_text(encoding="utf-8")
    )
    member = summary.members[0]
    assert parameters["model/n_estimators"] == str(member.n_estimators)
    assert parameters["model/max_depth"] == str(member.hyperparameters["max_depth"])
    assert parameters["model/random_state"] == "42"
    assert parameters["model/test_size"] == "0.2"
    assert parameters["model/missing_value_strategy"] == "keep"
    assert parameters["model/version.xgboost"] == xgboost.__version__


def test_the_second_run_knows_the_trials_of_the_first_and_gives_the_same_model(main_job: MainJob) -> None:
    project, printed = main_job
    versions = [project.client.get_model_version("bank_churn", str(number)) for number in (1, 2)]
    with mlflow_at(project.tracking_uri):
        folders = [Path(mlflow.artifacts.download_artifacts(f"models:/bank_churn/{number}")) for number in (1, 2)]
    sizes = [(folder / "model.skops").stat().st_size for folder in folders]

    assert "2 trials (2 known from before)" in printed[1]
    assert versions[0].tags["model_digest"] == versions[1].tags["model_digest"]
    assert [int(version.tags["model_bytes"]) for version in versions] == sizes


def test_each_trial_is_a_run_under_the_training(main_job: MainJob) -> None:
    project, _ = main_job
    parent = project.runs("bank")[0]
    children = project.client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    trials = {run.info.run_name: run for run in children}

    assert set(trials) == {"xgboost trial 1", "xgboost trial 2", "learning curves"}
    assert trials["xgboost trial 1"].data.params["max_depth"] == "4"
    folds = [trials["xgboost trial 1"].data.metrics[f"log_loss_fold_{fold}"] for fold in range(1, 6)]
    assert trials["xgboost trial 1"].data.metrics["log_loss"] == pytest.approx(sum(folds) / 5)
    curve = project.client.get_metric_history(trials["learning curves"].info.run_id, "train_log_loss")
    assert curve[-1].value < curve[0].value
    assert {run.info.status for run in children} == {"FINISHED"}


def test_a_version_is_rebuilt_and_nothing_is_registered(main_job: MainJob) -> None:
    project, _ = main_job
    before = len(project.client.search_model_versions("name = 'bank_churn'"))

    report = json.loads(project.kedro("models", "rebuild", "champion", "--json").stdout)

    assert report["model_version"] == 2
    assert report["same_model"] is True
    assert report["same_metrics"] is True
    assert report["recorded_digest"] == project.client.get_model_version("bank_churn", "2").tags["model_digest"]
    assert report["metrics"]["test_roc_auc"]["recorded"] == pytest.approx(metrics_of(project, 1)["roc_auc"])
    assert len(project.client.search_model_versions("name = 'bank_churn'")) == before


def test_a_version_is_rebuilt_from_what_its_run_has_kept_with_the_code_of_its_commit(
    main_job: MainJob, tmp_path: Path
) -> None:
    project, _ = main_job

    elsewhere = project.kedro("models", "rebuild", "1", "--at-commit", CHURN_DATA_ROOT=str(tmp_path))

    assert "bank_churn version 1, trained again: the same model" in elsewhere.stdout
    assert "not as it was" not in elsewhere.stdout
    trees = subprocess.run(
        ["git", "worktree", "list"], cwd=project.path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(trees) == 1


def test_a_version_that_is_not_there_cannot_be_rebuilt(main_job: MainJob) -> None:
    ended = main_job[0].kedro("models", "rebuild", "99", check=False)

    assert ended.returncode == 1
    assert "There is no version or alias '99' of the model 'bank_churn'; versions: 1, 2." in ended.stderr


def test_the_stages_of_the_table_are_metrics_and_its_report_and_splits_are_artifacts(main_job: MainJob) -> None:
    project, _ = main_job
    first, second = project.runs("bank")[:2]
    metrics = metrics_of(project, 0)

    assert metrics["raw_rows"] == 10_000
    assert metrics["raw_columns"] == 14
    assert metrics["raw_memory_mb"] > 0
    assert metrics["final_train_samples"] == metrics["train_class_0"] + metrics["train_class_1"] == 6_000
    assert metrics["final_test_samples"] == 2_000
    assert metrics["final_features"] == 10
    assert metrics["outliers_removed_count"] == 0
    artifacts = {file.path for file in project.client.list_artifacts(first.info.run_id, "data")}
    assert {
        "data/data_report.html",
        "data/distribution_01.png",
        "data/leakage.json",
        "data/split_manifest.json",
        "data/table_schema.json",
        "data/test.parquet",
        "data/train.parquet",
    } <= artifacts
    changes = [
        mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/data/schema_changes.json") for run in (first, second)
    ]
    assert changes == [
        {"compared": False, "changes": [], "warnings": []},
        {"compared": True, "changes": [], "warnings": []},
    ]


def test_the_run_knows_its_inputs_its_code_and_its_use_case(main_job: MainJob) -> None:
    project, _ = main_job
    run = project.runs("bank")[0]
    assert run.inputs is not None
    inputs = {
        entry.dataset.name: (entry.dataset.digest, {tag.key: tag.value for tag in entry.tags}["mlflow.data.context"])
        for entry in run.inputs.dataset_inputs
    }
    folder = project.path / "data/05_model_input/bank"

    for name, context in (("train", "training"), ("validation", "validation"), ("test", "test")):
        digest = table_digest(pd.read_parquet(folder / f"{name}.parquet"))
        assert inputs[f"bank.{name}_customers"] == (digest, context)
    assert inputs["bank.raw_customers"][1] == "raw"
    assert inputs["bank.new_customers"][1] == "scoring"
    assert run.data.tags["use_case"] == "bank"
    assert run.data.tags["pipeline"] == "__default__"
    assert run.data.tags["git_dirty"] == "false"
    assert len(run.data.tags["git_commit"]) == 40


def test_figures_are_on_disk_and_in_mlflow(main_job: MainJob) -> None:
    project, _ = main_job
    run = project.runs("bank")[0]
    folders = {
        "explanations": {
            "feature_importance",
            *(f"partial_dependence_{place}" for place in range(1, 7)),
            "permutation_importance",
            "shap_bars",
            *(f"shap_dependence_{place}" for place in range(1, 5)),
            "shap_summary",
            *(f"shap_waterfall_{place}" for place in range(1, 5)),
        },
        "performance": {
            "calibration_curve",
            "comparison_calibration",
            "comparison_differences",
            "comparison_precision_recall",
            "comparison_roc",
            "confusion_matrix",
            "fairness_1",
            "fairness_2",
            "gain_curve",
            "ks_curve",
            "metrics_over_thresholds",
            "precision_recall_curve",
            "profit_over_share",
            "profit_over_threshold",
            "profit_sensitivity",
            "quality_over_thresholds",
            "roc_curve",
            "slices",
            "slices_calibration",
        },
    }

    for folder, names in folders.items():
        expected = {f"{name}.png" for name in names}
        entries = project.client.list_artifacts(run.info.run_id, f"figures/{folder}")
        assert {Path(entry.path).name for entry in entries} == expected
        for name in expected:
            assert (project.path / "data/08_reporting/bank" / folder / name).read_bytes().startswith(b"\x89PNG")
    assert (project.path / "data/08_reporting/bank/gate.png").read_bytes().startswith(b"\x89PNG")


def test_report_and_card_are_files_artifacts_and_attached_to_the_version(main_job: MainJob) -> None:
    project, _ = main_job
    folder = project.path / "data/08_reporting/bank"
    run = project.runs("bank")[1]
    version = project.client.get_model_version("bank_churn", "2")
    model_id = str(version.source).removeprefix("models:/")
    card = (folder / "model_card.md").read_text(encoding="utf-8")

    logged = {Path(entry.path).name for entry in project.client.list_artifacts(run.info.run_id, "evaluation")}
    attached = {Path(entry.path).name for entry in project.client.list_logged_model_artifacts(model_id, "evaluation")}
    assert {"evaluation_report.html", "model_card.md", "model_card.html", "assessment.json"} <= logged
    assert attached == {"report.html", "model_card.md", "model_card.html"}
    assert (folder / "evaluation_report.html").stat().st_size > 500_000
    assert card.startswith("# Model card: bank_churn, version 2")
    stored = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/evaluation/model_card.md")
    location = project.client.get_logged_model(model_id).artifact_location
    with_version = mlflow.artifacts.load_text(f"{location}/evaluation/model_card.md")
    assert "**Gate: promoted.**" in card
    assert card == stored == with_version
    assert f"{float(version.tags['roc_auc']):.3f}" in card
    assert "Its predictions depend most on" in str(version.description)


def test_the_audit_tells_who_did_what(main_job: MainJob) -> None:
    project, _ = main_job
    run_id = project.client.get_registered_model("bank_churn").tags["audit_run_id"]
    kept = project.client.get_run(run_id).data.params
    # A long event continues in event.000001.1 and so on.
    parts = [[kept[key] for key in sorted(kept) if key.startswith(f"event.{number:06}")] for number in (1, 2)]
    events = [json.loads("".join(texts)) for texts in parts]

    assert [(event["action"], event["version"], event["outcome"]) for event in events] == [
        ("decide", 1, "promoted"),
        ("decide", 2, "promoted"),
    ]
    assert events[1]["moves"]["champion"] == {"before": 1, "after": 2}
    assert events[1]["moves"]["previous_champion"] == {"before": None, "after": 1}
    assert all(event["by"] for event in events)
    assert [json.loads(kept[f"result.{number:06}"])["result"] for number in (1, 2)] == ["done", "done"]


def test_the_scored_list_is_complete_and_counted(main_job: MainJob) -> None:
    project, _ = main_job
    new = pd.read_csv(project.path / "data/01_raw/bank/new_customers.csv")
    predictions = pd.read_csv(project.path / "data/07_model_output/bank/predictions.csv")
    metrics = metrics_of(project, 1)

    assert predictions["CustomerId"].tolist() == new["CustomerId"].tolist()
    assert predictions["probability"].between(0, 1).all()
    by_rank = predictions.sort_values("rank")
    assert by_rank["rank"].tolist() == list(range(1, len(new) + 1))
    assert by_rank["probability"].is_monotonic_decreasing
    assert predictions["model_version"].unique().tolist() == [2]
    assert predictions["scored_at"].nunique() == 1
    for band in ("low", "medium", "high"):
        assert metrics[f"{band}_risk_predictions"] == (predictions["risk_band"] == band).sum()
    assert project.runs("bank")[1].data.metrics["time/inference"] > 0


def test_nothing_is_written_beside_the_places_the_house_knows(main_job: MainJob) -> None:
    project, _ = main_job
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=project.path, capture_output=True, text=True, check=True
    ).stdout

    assert changed == ""
    assert not list(project.path.rglob("*.part*"))


@pytest.mark.parametrize("name", ["01_customers", "02_model", "03_one_customer"])
def test_notebooks_run(main_job: MainJob, name: str) -> None:
    project, _ = main_job
    notebook = nbformat.read(project.path / "notebooks" / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]

    client = NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(project.path / "notebooks")}})
    client.execute(env=project.environment)

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not (project.path / "notebooks" / "mlflow.db").exists()


def test_kedro_viz_builds_a_site_with_layers_and_figure_previews(main_job: MainJob) -> None:
    project, _ = main_job

    project.kedro("viz", "build", "--include-previews")

    site = project.path / "build" / "api"
    graph = json.loads((site / "main").read_text(encoding="utf-8"))
    assert graph["layers"][:3] == ["raw", "intermediate", "primary"]
    for name in ("explanation_figures", "performance_figures", "gate_figure"):
        figure = next(node["id"] for node in graph["nodes"] if node["name"] == name)
        preview = json.loads((site / "nodes" / figure).read_text(encoding="utf-8"))
        assert preview["preview_type"] == "ImagePreview"


def test_two_runs_in_one_process_are_two_runs_in_mlflow(main_job: MainJob) -> None:
    project, _ = main_job
    script = """
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pathlib import Path

bootstrap_project(Path.cwd())
for _ in range(2):
    with KedroSession.create(project_path=Path.cwd()) as session:
        session.run(pipeline_names=["inference"])
"""
    before = len(project.runs("bank"))

    subprocess.run([sys.executable, "-c", script], cwd=project.path, env=project.environment, check=True, timeout=300)

    new = project.runs("bank")[before:]
    assert len(new) == 2
    assert all(run.info.status == "FINISHED" for run in new)
    assert all(run.data.metrics["inference/batch_size"] == 1000 for run in new)
    assert all("mlflow.parentRunId" not in run.data.tags for run in new)


def test_the_committed_sample_is_what_the_generator_makes(main_job: MainJob, tmp_path: Path) -> None:
    project, _ = main_job
    for use_case, option in (("bank", []), ("telco", ["--env", "telco"])):
        project.kedro("run", "--pipelines", "fabrication", *option, CHURN_DATA_ROOT=tmp_path.as_posix())
        for committed in (ROOT / "data" / "01_raw" / use_case).iterdir():
            made = tmp_path / "01_raw" / use_case / committed.name
            assert made.read_bytes() == committed.read_bytes(), committed.name
