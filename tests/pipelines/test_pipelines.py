"""Each pipeline on a small table, with every dataset in memory."""

from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from churn_kedro.customers import CustomerDeclaration, CustomerTableError
from churn_kedro.metrics import BootstrapParameters
from churn_kedro.models import RegisteredModel, TrainedModel, churn_probability
from churn_kedro.pipelines import data_processing, evaluation, inference, registry, training
from churn_kedro.pipelines.data_processing.nodes import DataProcessingParameters
from churn_kedro.pipelines.evaluation.nodes import EvaluationParameters, ShapParameters
from churn_kedro.pipelines.inference.nodes import InferenceParameters
from churn_kedro.pipelines.registry.nodes import RegistryParameters
from churn_kedro.pipelines.training.nodes import TrainingParameters
from churn_kedro.promotion import GateParameters
from churn_kedro.scoring import BandParameters
from churn_kedro.splits import SplitManifest, SplitParameters
from churn_kedro.training import FitParameters
from churn_kedro.tuning import Interval, SearchParameters

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

GATE = GateParameters(
    minimums={"roc_auc": 0.6}, metric="roc_auc", margin=0.01, confidence=0.95, n_resamples=200, random_state=1
)
SPLIT = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)
FIT = FitParameters(random_state=1, n_jobs=1, calibration="temperature", threshold_metric="f1")
INFERENCE = InferenceParameters(bands=BandParameters(medium=0.3, high=0.6), max_unscored_share=0.05)
BOOTSTRAP = BootstrapParameters(n_resamples=200, confidence=0.95, random_state=1)


class Kept(MemoryDataset):
    """Stays after the last node that reads it, so that a test can look at it."""

    def _release(self) -> None:
        pass


def _run(pipeline: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a pipeline and give every dataset it made, by name."""
    catalog = DataCatalog({name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()})
    made = pipeline.all_outputs()
    for name in made:
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


def _process(raw: pd.DataFrame, declaration: CustomerDeclaration, max_rejected_share: float = 0.05) -> dict[str, Any]:
    return _run(
        data_processing.create_pipeline(),
        {
            "raw_customers": raw,
            "params:customers": declaration,
            "params:data_processing": DataProcessingParameters(max_rejected_share=max_rejected_share, split=SPLIT),
        },
    )


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
        "Left: 'perhaps' is neither 1 nor 0",
    ]
    made["split_manifest"].verify(
        train=made["train_customers"], validation=made["validation_customers"], test=made["test_customers"]
    )


def test_a_table_with_too_many_broken_rows_stops_after_they_were_set_aside(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[:39, "Age"] = "young"
    catalog = DataCatalog(
        {
            "raw_customers": MemoryDataset(raw_customers),
            "params:customers": MemoryDataset(declaration, copy_mode="assign"),
            "params:data_processing": MemoryDataset(
                DataProcessingParameters(max_rejected_share=0.05, split=SPLIT), copy_mode="assign"
            ),
            "rejected_customers": (rejected := Kept()),
        }
    )

    with pytest.raises(CustomerTableError, match=r"40 of 400 rows \(10\.0%\) break the declaration"):
        SequentialRunner().run(data_processing.create_pipeline(), catalog)

    assert len(rejected.load()) == 40


def test_training_gives_an_estimator_that_ranks_churners_first(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    train, validation, test = splits
    made = _run(
        training.create_pipeline(),
        {
            "train_customers": train,
            "validation_customers": validation,
            "split_manifest": manifest,
            "params:customers": declaration,
            "params:training": TrainingParameters(
                search=SearchParameters(
                    n_trials=3,
                    max_rounds=60,
                    early_stopping_rounds=5,
                    random_state=1,
                    n_jobs=1,
                    space={
                        "max_depth": Interval(low=2, high=4, integer=True),
                        "learning_rate": Interval(low=0.1, high=0.3),
                    },
                ),
                fit=FIT,
            ),
        },
    )

    model = made["churn_model@tracking"]
    probability = churn_probability(model.estimator, test)
    left = test["Left"].to_numpy() == 1
    pairs = probability[left][:, None] - probability[~left][None, :]
    assert ((pairs > 0) + 0.5 * (pairs == 0)).mean() > 0.75
    assert model.facts["train_digest"] == manifest.train.digest
    assert model.facts["n_estimators"] == str(made["search_result"].best.n_estimators)


def test_training_refuses_splits_of_two_different_runs(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    train, validation, _ = splits
    search = SearchParameters(
        n_trials=1, max_rounds=5, early_stopping_rounds=5, random_state=1, space={"gamma": Interval(low=0, high=1)}
    )

    with pytest.raises(CustomerTableError, match=r"The train table .* is not the one the split manifest describes"):
        _run(
            training.create_pipeline(),
            {
                "train_customers": train.iloc[1:],
                "validation_customers": validation,
                "split_manifest": manifest,
                "params:customers": declaration,
                "params:training": TrainingParameters(search=search, fit=FIT),
            },
        )


def _evaluate(
    model: RegisteredModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> dict[str, Any]:
    return _run(
        evaluation.create_pipeline(),
        {
            "churn_model@registry": model,
            "test_customers": splits[2],
            "split_manifest": manifest,
            "params:customers": declaration,
            "params:evaluation": EvaluationParameters(
                bootstrap=BOOTSTRAP, shap=ShapParameters(max_explained=30, random_state=1)
            ),
        },
    )


def test_evaluation_measures_the_version_it_was_given_and_draws_six_figures(
    trained: TrainedModel, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    made = _evaluate(_registered(trained, 3), splits, manifest, declaration)

    result = made["evaluation"]
    assert (result.model_name, result.model_version, result.test_rows) == ("test_churn", 3, 100)
    assert result.test_digest == manifest.test.digest
    assert made["evaluation_metrics"].model_id == "m-3"
    assert made["evaluation_metrics"].values["roc_auc_low"] == result.metrics["roc_auc"].low
    figures = {name: figure for name, figure in made.items() if name.endswith("_figure")}
    assert len(figures) == 6
    assert all(figure.axes for figure in figures.values())


@pytest.mark.parametrize("incumbent", [None, 1])
def test_registry_promotes_a_first_and_an_equal_candidate(
    trained: TrainedModel,
    splits: Splits,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    incumbent: int | None,
) -> None:
    candidate = _registered(trained, 2)

    made = _run(
        registry.create_pipeline(),
        {
            "evaluation": _evaluate(candidate, splits, manifest, declaration)["evaluation"],
            "churn_model@registry": candidate,
            "incumbent_model": _registered(trained, incumbent) if incumbent else None,
            "test_customers": splits[2],
            "split_manifest": manifest,
            "params:customers": declaration,
            "params:registry": RegistryParameters(gate=GATE),
        },
    )

    promotion = made["champion_model@promotion"]
    assert (promotion.version, promotion.alias, promotion.expected_champion) == (2, "champion", incumbent)
    assert promotion.tags["data_hash"] == manifest.train.digest
    assert made["promotion_decision"].verdict == "promoted"


def test_inference_scores_readable_customers_and_sets_the_others_aside(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw = raw_customers.drop(columns="Left")
    raw.loc[5, "Age"] = "unknown"
    raw.loc[6, "Country"] = "Italy"

    made = _run(
        inference.create_pipeline(),
        {
            "new_customers": raw,
            "champion_model@registry": _registered(trained, 4),
            "params:customers": declaration,
            "params:inference": INFERENCE,
            "scoring_time": "2026-01-31T09:30:00+00:00",
        },
    )

    predictions = made["predictions"]
    assert len(predictions) == 399
    assert made["unscored_customers"]["Id"].tolist() == ["6"]
    assert made["unscored_customers"]["reasons"].tolist() == ["Age: 'unknown' is not a number"]
    assert predictions["Id"].tolist() == [identifier for identifier in raw["Id"] if identifier != "6"]
    assert list(predictions.columns) == [
        "Id",
        "probability",
        "decision",
        "risk_band",
        "rank",
        "model_version",
        "scored_at",
    ]
    assert (predictions["decision"] == "contact").tolist() == (
        trained.estimator.predict(raw[raw["Id"] != "6"]) == 1
    ).tolist()
    report = made["scoring_report"]
    assert report.unusual == {"Country": 1}
    assert sum(report.bands.values()) == report.rows_scored == 399
    assert made["scoring_metrics"].values["unscored_rows"] == 1


def test_inference_stops_when_a_whole_column_cannot_be_read(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    with pytest.raises(CustomerTableError, match=r"400 of 400 customers cannot be scored"):
        _run(
            inference.create_pipeline(),
            {
                "new_customers": raw_customers.assign(Age="old"),
                "champion_model@registry": _registered(trained, 4),
                "params:customers": declaration,
                "params:inference": INFERENCE,
                "scoring_time": "2026-01-31T09:30:00+00:00",
            },
        )
