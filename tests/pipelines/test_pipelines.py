"""Each pipeline on a small table, with every dataset in memory."""

import io
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.runner import SequentialRunner

from churn_kedro.campaigns.parameters import CampaignParameters
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.parameters import DataProcessingParameters
from churn_kedro.customers.splits import SplitManifest, SplitParameters
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.runtime.matrix_parts import ParquetParts
from churn_kedro.datasets.runtime.trial_archive import StudyArchive
from churn_kedro.evaluation.comparison import BaselineRequest
from churn_kedro.evaluation.explanations import ExplanationParameters
from churn_kedro.evaluation.fairness import FairnessParameters
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters
from churn_kedro.evaluation.parameters import EvaluationParameters
from churn_kedro.evaluation.slices import SliceParameters
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.models.interface import RegisteredModel, TrainedModel
from churn_kedro.models.training_rows import digest_training_rows
from churn_kedro.pipelines import data_processing, evaluation, registry, training
from churn_kedro.registry.gate import GateParameters, TaskGate
from churn_kedro.registry.parameters import RegistryParameters
from churn_kedro.registry.retention import RetentionParameters
from tests import ROOT
from tests.evidence_cases import no_leaks
from tests.inference_cases import Kept, score
from tests.model_cases import column_model
from tests.task_cases import CLASSES, quick_parameters, task_case

CONF = ROOT / "conf" / "base" / "parameters"
Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

GATE = GateParameters(
    binary=TaskGate(bounds={"roc_auc": 0.6}, metric="roc_auc", margin=0.01, segment_margin=0.05),
    multiclass=TaskGate(bounds={"roc_auc": 0.6}, metric="roc_auc", margin=0.01, segment_margin=0.05),
    regression=TaskGate(bounds={"r2_low": 0.0}, metric="r2", margin=0.01, segment_margin=0.05),
    confidence=0.95,
    n_resamples=200,
    random_state=1,
)
SPLIT = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)
BOOTSTRAP = BootstrapParameters(n_resamples=200, confidence=0.95, random_state=1)
EVALUATION = EvaluationParameters(
    bootstrap=BOOTSTRAP,
    explanations=ExplanationParameters(
        max_explained=30, max_permuted=50, n_repeats=2, max_grid_customers=20, random_state=1
    ),
    slices=SliceParameters(n_resamples=100, min_rows=10),
    fairness=FairnessParameters(n_resamples=100),
    training_rows_in_test="refuse",
    n_disagreements=5,
)
REPORTED = ("evaluation", "assessment", "evaluation_report", "model_card", "model_card_page")
REGISTRY = RegistryParameters(approval="auto", gate=GATE, retention=RetentionParameters(keep_last=5, keep_days=1))


class KeptFigures(Kept):
    """Figures as the catalog keeps them: they go in as figures and come out as pictures."""

    def load(self) -> dict[str, bytes]:
        pictures = {}
        for name, figure in super().load().items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=30)
            pictures[name.removesuffix(".png")] = buffer.getvalue()
        return pictures


def _catalog_of(pipeline: Any, inputs: dict[str, Any]) -> DataCatalog:
    """The inputs of a pipeline, parts of parameters among them, in memory."""
    # Without a table larger than memory.
    inputs = {"all_raw_customers": {}, "all_customers": {}, **inputs}
    given = {}
    for name in pipeline.inputs():
        whole, *parts = name.split(".")
        given[name] = reduce(getattr, parts, inputs[whole]) if name.startswith("params:") else inputs[name]
    catalog = DataCatalog({name: MemoryDataset(data, copy_mode="assign") for name, data in given.items()})
    for name in pipeline.all_outputs():
        if name in ("data_figures", "performance_figures", "explanation_figures"):
            catalog[name] = KeptFigures(copy_mode="assign")
    return catalog


def _run(pipeline: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a pipeline and give every dataset it made, by name."""
    catalog = _catalog_of(pipeline, inputs)
    made = pipeline.all_outputs()
    for name in made:
        if name not in catalog:
            catalog[name] = Kept(copy_mode="assign")
    SequentialRunner().run(pipeline, catalog)
    return {name: catalog.load(name) for name in made}


def _registered(trained: TrainedModel, version: int) -> RegisteredModel:
    return RegisteredModel(
        name="test_churn",
        version=version,
        model_id=f"m-{version}",
        run_id="r",
        tags=trained.facts,
        estimator=trained.estimator,
    )


def _data_inputs(raw: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, Any]:
    """A raw table with the parameters that the project ships, but for the split."""
    shipped = yaml.safe_load((CONF / "data_processing.yml").read_text(encoding="utf-8"))["data_processing"]
    return {
        "raw_customers": raw,
        "scoring_header": None,
        "last_table_schema": None,
        "params:customers": declaration,
        "params:data_processing": DataProcessingParameters.model_validate(shipped | {"split": SPLIT}),
        "params:features": FeatureParameters.model_validate(
            yaml.safe_load((CONF / "features.yml").read_text(encoding="utf-8"))["features"]
        ),
    }


def _process(raw: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, Any]:
    return _run(data_processing.create_pipeline(), _data_inputs(raw, declaration))


@pytest.mark.slow
def test_every_raw_row_is_rejected_dropped_or_in_exactly_one_split(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw = pd.concat([raw_customers, raw_customers.iloc[[3, 4]]], ignore_index=True)
    raw.loc[0, "Age"] = "12"
    raw.loc[1, "Left"] = "perhaps"

    made = _process(raw, declaration)

    ids = [
        *made["rejected_customers"]["Id"],
        *made["train_customers"]["Id"],
        *made["validation_customers"]["Id"],
        *made["test_customers"]["Id"],
    ]
    assert sorted(ids) == sorted(raw_customers["Id"])
    quality = made["data_quality"]
    assert (quality.rows_read, quality.rows_rejected, quality.duplicates_dropped) == (402, 2, 2)
    assert made["rejected_customers"]["reasons"].tolist() == [
        "Age: 12 is below 18",
        "Left: 'perhaps' is neither 0 nor 1",
    ]
    made["split_manifest"].verify(
        train=made["train_customers"], validation=made["validation_customers"], test=made["test_customers"]
    )


@pytest.mark.slow
def test_the_stages_are_counted_and_drawn(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    raw = pd.concat([raw_customers, raw_customers.iloc[[3, 4]]], ignore_index=True)
    raw.loc[0, "Age"] = "12"

    made = _process(raw, declaration)

    stages = {stage.name: stage for stage in made["table_profile"].stages}
    assert {name: stage.rows for name, stage in stages.items()} == {
        "raw": 402,
        "validated": 401,
        "deduplicated": 399,
        "train": 199,
        "validation": 100,
        "test": 100,
        "encoded": 199,
    }
    assert stages["raw"].columns == len(raw.columns)
    assert stages["raw"].missing_values == int((raw == "").to_numpy().sum())
    assert stages["train"].missing_values == int(made["train_customers"].isna().to_numpy().sum())
    metrics = made["data_metrics"].values
    assert metrics["raw_rows"] == 402
    assert metrics["final_train_samples"] == 199
    assert metrics["final_features"] == len(declaration.features)
    assert metrics["train_class_0"] + metrics["train_class_1"] == 199
    assert metrics["outliers_removed_count"] == 0
    page = made["data_report"]
    assert page.count("data:image/png;base64,") == len(made["data_figures"]) >= 4 + len(declaration.features)
    assert all(column.name in page for column in declaration.features)
    assert "with the validation rows: search by cross-validation, calibration, threshold and final fit" in page
    assert "have no order: they are ranked by the share that left of each level" in page
    assert made["schema_changes"].compared is False


@pytest.mark.slow
def test_the_page_escapes_what_stands_in_the_table(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw = raw_customers.assign(**{"<script>alert(1)</script>": "x"})
    raw.loc[0, "Age"] = "<b>old</b>"

    page = _process(raw, declaration)["data_report"]

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>old" not in page


@pytest.mark.slow
def test_outliers_are_left_out_of_training_alone(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    raw_customers.loc[::20, "Charges"] = "90000"
    inputs = _data_inputs(raw_customers, declaration)
    shipped = inputs["params:features"].model_dump()
    shipped["numeric"]["outliers"] = {"method": "iqr", "threshold": 3, "action": "drop"}

    made = _run(
        data_processing.create_pipeline(), inputs | {"params:features": FeatureParameters.model_validate(shipped)}
    )

    assert made["train_customers"]["Charges"].max() < 90000
    assert made["test_customers"]["Charges"].max() == 90000
    removed = 200 - len(made["train_customers"])
    assert made["data_metrics"].values["outliers_removed_count"] == removed > 0
    assert made["split_manifest"].rows_left_out == {"outliers": removed}


@pytest.mark.slow
def test_a_leak_stops_the_run_after_the_report_was_written_unless_it_is_allowed(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    leaking = raw_customers.assign(City=raw_customers["Left"].map({"0": "Lyon", "1": "Vigo"}))
    inputs = _data_inputs(leaking, declaration)
    catalog = _catalog_of(data_processing.create_pipeline(), inputs)
    catalog["data_report"] = (page := Kept())
    catalog["table_schema"] = (schema := Kept())

    with pytest.raises(CustomerTableError, match=r"target_copy of 'City'(.|\n)*check: target_copy"):
        SequentialRunner().run(data_processing.create_pipeline(), catalog)

    assert "target_copy" in page.load()
    # The next run compares with the last accepted table.
    with pytest.raises(DatasetError):
        schema.load()
    allowed = {"check": "target_copy", "column": "City", "reason": "A test that knows what it does"}
    made = _process(
        leaking, CustomerDeclaration.model_validate(declaration.model_dump() | {"allowed_leaks": [allowed]})
    )
    assert "A test that knows what it does" in made["data_report"]
    assert len(made["train_customers"]) == 200


@pytest.mark.slow
def test_changes_since_the_last_run_are_reported(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    last = _process(raw_customers, declaration)["table_schema"]
    later = raw_customers.assign(City=raw_customers["City"].replace("Nice", "Paris"), Extra="1")

    made = _run(data_processing.create_pipeline(), _data_inputs(later, declaration) | {"last_table_schema": last})

    assert made["schema_changes"].changes == [
        "the file has a new column 'Extra'",
        "column 'City' has new levels: Paris",
        "column 'City' no longer has the levels: Nice",
    ]


@pytest.mark.slow
def test_a_table_of_a_hundredth_of_the_last_size_is_a_warning(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration, caplog: pytest.LogCaptureFixture
) -> None:
    last = _process(raw_customers, declaration)["table_schema"]
    inputs = _data_inputs(raw_customers, declaration)
    large = last.model_copy(update={"rows": 100 * last.rows})

    made = _run(data_processing.create_pipeline(), inputs | {"last_table_schema": large})

    [warning] = made["schema_changes"].warnings
    assert warning.startswith("the table has 400 rows, and had 40,000 in the last accepted run")
    assert warning in made["data_report"]
    assert warning in caplog.text


def test_a_table_with_too_many_broken_rows_stops_after_they_were_set_aside(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[:39, "Age"] = "young"
    inputs = _data_inputs(raw_customers, declaration)
    catalog = _catalog_of(data_processing.create_pipeline(), inputs)
    catalog["rejected_customers"] = (rejected := Kept())

    with pytest.raises(CustomerTableError, match=r"40 of 400 rows \(10\.0%\) break the declaration"):
        SequentialRunner().run(data_processing.create_pipeline(), catalog)

    assert len(rejected.load()) == 40


SPACE = {"max_depth": {"low": 2, "high": 4, "integer": True}, "learning_rate": {"low": 0.1, "high": 0.3}}


def _training_inputs(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    folder: Path,
    **changed: Any,
) -> dict[str, Any]:
    """What training is given, with a database and a folder of their own."""
    fields: dict[str, Any] = {
        "spaces": {"xgboost": SPACE},
        "search": {"n_trials": 3, "max_rounds": 60, "early_stopping_rounds": 5},
        "folds": {"n_splits": 3},
    }
    return {
        "train_customers": train,
        "validation_customers": validation,
        "split_manifest": manifest,
        "params:customers": declaration,
        "params:features": FeatureParameters(),
        "params:training": quick_parameters(**(fields | changed)),
        "params:campaigns": CampaignParameters(objective="f1"),
        "trial_archive": StudyArchive(f"sqlite:///{folder / 'studies.db'}"),
        "matrix_parts": ParquetParts(folder / "matrix"),
    }


def _train(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    folder: Path,
    **changed: Any,
) -> dict[str, Any]:
    inputs = _training_inputs(train, validation, manifest, declaration, folder, **changed)
    pipeline = training.create_pipeline()
    return _run(pipeline, inputs)


@pytest.mark.slow
def test_training_gives_an_estimator_that_ranks_churners_first(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    train, validation, test = splits
    made = _train(train, validation, manifest, declaration, tmp_path)

    model = made["churn_model@tracking"]
    probability = model.estimator.scores(test)
    left = test["Left"].to_numpy() == 1
    pairs = probability[left][:, None] - probability[~left][None, :]
    assert ((pairs > 0) + 0.5 * (pairs == 0)).mean() > 0.75
    assert model.facts["train_digest"] == manifest.train.digest
    best = made["search_result"].searches[0].best
    assert model.facts["n_estimators"] == str(best.n_estimators)
    assert made["training_summary"].members[0].hyperparameters == best.hyperparameters
    assert made["training_summary"].score == pytest.approx(best.score, rel=0.1)


@pytest.mark.slow
def test_training_logs_parameters_and_metrics(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    made = _train(*splits[:2], manifest, declaration, tmp_path)

    best = made["search_result"].searches[0].best
    parameters, metrics = made["model_parameters"], made["training_metrics"].values
    assert parameters["algorithm"] == "xgboost"
    assert {name: parameters[name] for name in best.hyperparameters} == best.hyperparameters
    assert parameters["n_estimators"] == best.n_estimators
    assert metrics["cv_log_loss_uncalibrated"] == made["training_summary"].score
    assert [run.name for run in made["trial_runs"]] == [
        *(f"xgboost trial {number}" for number in (1, 2, 3)),
        "learning curves",
    ]


@pytest.mark.slow
def test_a_training_that_is_repeated_finds_its_trials_in_the_archive_and_gives_the_same_model(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    first, second = (_train(*splits[:2], manifest, declaration, tmp_path) for _ in range(2))

    assert [trial.known for trial in first["search_result"].searches[0].trials] == [False] * 3
    assert [trial.known for trial in second["search_result"].searches[0].trials] == [True] * 3
    one, other = (made["churn_model@tracking"].estimator.scores(splits[2]) for made in (first, second))
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_several_algorithms_and_their_ensembles_compete(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    algorithms = ["xgboost", "logistic_regression", "random_forest"]
    spaces = {"xgboost": SPACE, "logistic_regression": {"C": 0.5}, "random_forest": {"n_estimators": 10}}
    made = _train(
        *splits[:2],
        manifest,
        declaration,
        tmp_path,
        algorithms=algorithms,
        ensembles=["soft_vote", "stack"],
        spaces=spaces,
    )

    summary = made["training_summary"]
    assert [candidate.name for candidate in summary.comparison.candidates] == [*algorithms, "soft_vote", "stack"]
    assert summary.model == summary.comparison.chosen == made["churn_model@tracking"].facts["algorithm"]
    assert [found.algorithm for found in made["search_result"].searches] == algorithms
    assert made["churn_model@tracking"].estimator.scores(splits[2]).shape == (100,)


def test_training_refuses_splits_of_two_different_runs(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    train, validation, _ = splits

    with pytest.raises(CustomerTableError, match=r"The train table .* is not the one the split manifest describes"):
        _train(train.iloc[1:], validation, manifest, declaration, tmp_path)


def _evaluate(
    model: RegisteredModel,
    splits: Splits,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    request: BaselineRequest | None = None,
    last: str = "write_report",
    **changed: Any,
) -> dict[str, Any]:
    return _run(
        evaluation.create_pipeline().to_nodes(f"evaluation.{last}"),
        {
            "churn_model@registry": model,
            "baseline_request": request or BaselineRequest(by_default=True),
            "train_customers": splits[0],
            "validation_customers": splits[1],
            "test_customers": splits[2],
            "split_manifest": manifest,
            "leakage_report": no_leaks(manifest.digests, task=declaration.task),
            "training_record": None,
            "params:customers": declaration,
            "params:features": FeatureParameters(),
            "params:training": quick_parameters(),
            "params:campaigns": CampaignParameters(objective="f1"),
            "params:evaluation": EVALUATION.model_copy(update=changed),
        },
    )


@pytest.mark.slow
def test_evaluation_measures_the_version_it_was_given_and_draws_its_figures(
    trained: TrainedModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    made = _evaluate(_registered(trained, 3), splits, manifest, declaration)

    result = made["evaluation"]
    assert (result.model_name, result.model_version, result.test_rows) == ("test_churn", 3, 100)
    assert result.test_digest == manifest.test.digest
    assert made["evaluation_metrics"].model_id == "m-3"
    assert made["evaluation_metrics"].values["roc_auc_low"] == result.metrics["roc_auc"].low
    assert {"confusion_matrix", "roc_curve", "calibration_curve", "gain_curve", "comparison_roc"} <= set(
        made["performance_figures"]
    )
    assert "shap_waterfall_1" in made["explanation_figures"]
    assert all(
        isinstance(picture, bytes) for picture in (made["performance_figures"] | made["explanation_figures"]).values()
    )


@pytest.mark.slow
def test_a_version_is_compared_with_another_one_or_with_a_simple_model(
    trained: TrainedModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    model = _registered(trained, 3)
    other = _registered(trained, 2)
    given = {
        "logistic_regression (trained here)": BaselineRequest(by_default=True),
        "constant (trained here)": BaselineRequest(name="constant"),
        "version 2 (champion)": BaselineRequest(model=other, alias="champion", by_default=True),
    }
    for label, request in given.items():
        comparison = _evaluate(model, splits, manifest, declaration, request, "assess_version")["assessment"].comparison
        assert comparison.baseline == label
        assert comparison.rows == 100
    # The same model: nothing differs, and nobody is disagreed on.
    assert comparison.differences["roc_auc"].high == 0
    assert comparison.disagreements == []
    # The champion itself has nobody to be compared with but a simple model.
    itself = BaselineRequest(model=model, alias="champion", by_default=True)
    alone = _evaluate(model, splits, manifest, declaration, itself, "assess_version")["assessment"]
    assert alone.comparison.baseline == "logistic_regression (trained here)"
    nothing = _evaluate(model, splits, manifest, declaration, BaselineRequest(), "draw_evaluation")
    assert nothing["assessment"].comparison is None
    assert "comparison_roc" not in nothing["performance_figures"]


def test_a_baseline_of_another_table_is_refused_and_a_champion_of_one_is_replaced(
    trained: TrainedModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    stranger = replace(_registered(trained, 2), estimator=column_model("Balance"))
    reason = "version 2 reads columns that are not declared: Balance"

    with pytest.raises(CustomerTableError, match=reason):
        _evaluate(_registered(trained, 3), splits, manifest, declaration, BaselineRequest(model=stranger))
    request = BaselineRequest(model=stranger, alias="champion", by_default=True)
    made = _evaluate(_registered(trained, 3), splits, manifest, declaration, request, "assess_version")
    comparison = made["assessment"].comparison
    assert comparison.baseline == "logistic_regression (trained here)"
    assert reason in comparison.note


@pytest.mark.slow
def test_a_version_is_not_evaluated_on_customers_that_it_has_learned_from(
    trained: TrainedModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    known = pd.concat([splits[0], splits[2].head(25)])
    older = {**trained.facts, "train_digest": "of another split"}
    model = replace(_registered(trained, 3), tags=older, training_rows=digest_training_rows(known, declaration))
    unrecorded = replace(_registered(trained, 3), tags={"train_digest": manifest.test.digest})

    with pytest.raises(CustomerTableError, match=r"version 3 was trained on 25\.0% of the 100 test customers"):
        _evaluate(model, splits, manifest, declaration)
    with pytest.raises(CustomerTableError, match=r"version 3 was trained on 100\.0% of the 100 test customers"):
        _evaluate(unrecorded, splits, manifest, declaration)
    forced = _evaluate(model, splits, manifest, declaration, training_rows_in_test="include")
    assert forced["evaluation"].training_row_share == 0.25
    assert "25" in forced["version_documents"].tags["training_row_share"]
    fresh = replace(model, training_rows=digest_training_rows(splits[0], declaration))
    unseen = _evaluate(fresh, splits, manifest, declaration, last="measure_performance")
    assert unseen["evaluation"].training_row_share == 0


@pytest.mark.slow
def test_an_evaluation_is_published_with_the_version(
    trained: TrainedModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    made = _evaluate(_registered(trained, 3), splits, manifest, declaration)

    documents, evaluation_ = made["version_documents"], made["evaluation"]
    assert (documents.model_name, documents.version, documents.model_id) == ("test_churn", 3, "m-3")
    assert float(documents.tags["roc_auc_low"]) == pytest.approx(evaluation_.metrics["roc_auc"].low, rel=1e-5)
    assert set(documents.files) == {"report.html", "model_card.md", "model_card.html"}
    assert documents.files["report.html"] == made["evaluation_report"]
    assert len(documents.description) <= 4500
    assert "data:image/png;base64," in made["evaluation_report"]
    assert "http://" not in made["evaluation_report"].replace("http://www.w3.org", "")


@pytest.mark.slow
@pytest.mark.parametrize("incumbent", [None, 1])
def test_registry_promotes_a_first_and_an_equal_candidate(
    trained: TrainedModel,
    splits: Splits,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    incumbent: int | None,
) -> None:
    candidate = _registered(trained, 2)
    evaluated = _evaluate(candidate, splits, manifest, declaration, last="write_report")

    made = _run(
        registry.create_pipeline(),
        {
            **{name: evaluated[name] for name in REPORTED},
            "churn_model@registry": candidate,
            "incumbent_model": _registered(trained, incumbent) if incumbent else None,
            "test_customers": splits[2],
            "split_manifest": manifest,
            "params:customers": declaration,
            "params:registry": REGISTRY,
        },
    )

    promotion = made["champion_model@promotion"]
    assert (promotion.version, promotion.alias, promotion.expected_champion) == (2, "champion", incumbent)
    assert promotion.tags["decided_on"] == manifest.test.digest
    assert made["promotion_decision"].verdict == "promoted"
    assert "Gate: no decision yet" in evaluated["evaluation_report"]
    for name in ("decided_report", "decided_card", "decided_card_page"):
        assert "Gate: promoted" in made[name]
        assert "no decision yet" not in made[name]
    documents = made["decided_documents"]
    assert documents.files["report.html"] == made["decided_report"]
    assert (documents.version, documents.description, documents.tags) == (2, None, {})


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_task_goes_from_its_splits_to_a_champion_and_a_scored_list(task: Task, tmp_path: Path) -> None:
    case = task_case(task)
    splits = (case.train, case.validation, case.test)
    search = {"n_trials": 2, "max_rounds": 40, "early_stopping_rounds": 5}
    made = _train(case.train, case.validation, case.manifest, case.declaration, tmp_path, search=search)
    candidate = _registered(made["churn_model@tracking"], 2)
    evaluated = _evaluate(candidate, splits, case.manifest, case.declaration)
    decided = _run(
        registry.create_pipeline(),
        {
            **{name: evaluated[name] for name in REPORTED},
            "churn_model@registry": candidate,
            "incumbent_model": case.registered(1),
            "test_customers": case.test,
            "split_manifest": case.manifest,
            "params:customers": case.declaration,
            "params:registry": REGISTRY,
        },
    )
    new = case.raw.drop(columns="Outcome")
    new.loc[3, "Age"] = "old"
    scored = score(new, candidate, case.declaration, tmp_path)

    assert made["search_result"].metric == ("rmse" if task == "regression" else "log_loss")
    assert (evaluated["evaluation"].task, evaluated["evaluation"].test_rows) == (task, 150)
    assert sum(evaluated["evaluation"].test_classes.values()) == (0 if task == "regression" else 150)
    assert {"shap_summary", "permutation_importance", "partial_dependence_1"} <= set(evaluated["explanation_figures"])
    # Whether two good models differ by more than the margin is chance on so few customers.
    assert decided["promotion_decision"].alias in ("champion", "challenger")
    predictions, report = scored["predictions"], scored["batch_report"]
    assert len(predictions) == report.rows_scored == 599
    assert scored["unscored_customers"]["Id"].tolist() == [4]
    metrics = scored["batch_metrics"].values
    match task:
        case "binary":
            assert metrics["contacts"] == (predictions["decision"] == "contact").sum() == len(scored["campaign_list"])
        case "multiclass":
            truth = case.raw.loc[case.raw["Id"] != "4", "Outcome"]
            assert (predictions["prediction"].to_numpy() == truth.to_numpy()).mean() > 0.75
            for label in CLASSES:
                assert metrics[f"predicted_{label}"] == (predictions["prediction"] == label).sum()
        case "regression":
            truth = case.raw.loc[case.raw["Id"] != "4", "Outcome"].astype(float)
            assert np.corrcoef(predictions["prediction"], truth)[0, 1] > 0.9
            assert metrics["mean_prediction"] == pytest.approx(predictions["prediction"].mean())


def test_a_version_of_another_task_is_neither_evaluated_nor_scored_with(tmp_path: Path) -> None:
    case, stranger = task_case("regression"), task_case("multiclass").registered(7)
    splits = (case.train, case.validation, case.test)
    reason = "version 7 was trained for task multiclass, the declaration says regression"

    with pytest.raises(CustomerTableError, match=reason):
        _evaluate(stranger, splits, case.manifest, case.declaration)
    with pytest.raises(CustomerTableError, match=reason):
        score(case.raw, stranger, case.declaration, tmp_path)
