"""Claims about the one estimator: features, trees, calibration and threshold."""

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import f1_score

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.datasets.models import TRUSTED_TYPES
from churn_kedro.models import ChurnEstimator, TrainedModel, boosted_trees, churn_probability
from churn_kedro.normalisation import normalise
from churn_kedro.splits import SplitManifest
from churn_kedro.training import FitParameters, fit_estimator
from churn_kedro.tuning import Trial

Declare = Callable[..., CustomerDeclaration]
Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
Calibration = Literal["temperature", "sigmoid", "isotonic"]
Fit = Callable[..., TrainedModel]

CALIBRATIONS: tuple[Calibration, ...] = ("temperature", "sigmoid", "isotonic")


@pytest.fixture(scope="module")
def fit(splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, small_trial: Trial) -> Fit:
    def fit_again(
        calibration: Calibration = "temperature", declared: CustomerDeclaration = declaration, **changed: Any
    ) -> TrainedModel:
        fields = {"random_state": 5, "n_jobs": 1, "calibration": calibration, "threshold_metric": "f1"}
        parameters = FitParameters.model_validate(fields | changed)
        return fit_estimator(splits[0], splits[1], manifest, declared, small_trial, parameters)

    return fit_again


@pytest.fixture(scope="module")
def calibrated(fit: Fit) -> dict[Calibration, TrainedModel]:
    return {calibration: fit(calibration) for calibration in CALIBRATIONS}


def uncalibrated_probability(model: TrainedModel, customers: pd.DataFrame) -> np.ndarray:
    features, classifier = boosted_trees(model.estimator)
    return np.asarray(classifier.predict_proba(features.transform(customers))[:, 1])


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_probabilities_are_between_zero_and_one_and_sum_to_one(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    probability = calibrated[calibration].estimator.predict_proba(splits[2])

    assert probability.shape == (100, 2)
    assert probability.min() >= 0
    np.testing.assert_allclose(probability.sum(axis=1), 1)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_customer_is_flagged_where_the_probability_reaches_the_threshold(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    estimator = calibrated[calibration].estimator
    reached = churn_probability(estimator, splits[2]) >= estimator.threshold

    np.testing.assert_array_equal(estimator.predict(splits[2]), reached.astype(int))
    assert 0 < reached.sum() < 100


def test_the_model_learned_something(trained: TrainedModel, splits: Splits) -> None:
    probability, left = churn_probability(trained.estimator, splits[2]), splits[2]["Left"] == 1

    assert probability[left].mean() > probability[~left].mean() + 0.2


def test_the_same_seed_gives_the_same_probabilities(trained: TrainedModel, fit: Fit, splits: Splits) -> None:
    again = fit()

    np.testing.assert_array_equal(
        churn_probability(again.estimator, splits[2]), churn_probability(trained.estimator, splits[2])
    )
    assert again.facts == trained.facts


def test_temperature_keeps_the_order_of_the_customers(trained: TrainedModel, splits: Splits) -> None:
    before = uncalibrated_probability(trained, splits[2])
    after = churn_probability(trained.estimator, splits[2])

    order = np.argsort(before, kind="stable")
    assert len(np.unique(before)) > 50
    assert (np.diff(after[order])[np.diff(before[order]) > 0] > 0).all()
    assert not np.allclose(before, after, atol=1e-3)


def test_temperature_multiplies_every_log_odds_by_one_number(trained: TrainedModel, splits: Splits) -> None:
    before = uncalibrated_probability(trained, splits[2]).astype(float)
    after = churn_probability(trained.estimator, splits[2])

    ratio = np.log(after / (1 - after)) / np.log(before / (1 - before))

    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_isotonic_never_turns_two_customers_around(calibrated: dict[Calibration, TrainedModel], splits: Splits) -> None:
    model = calibrated["isotonic"]
    order = np.argsort(uncalibrated_probability(model, splits[2]), kind="stable")

    assert (np.diff(churn_probability(model.estimator, splits[2])[order]) >= 0).all()


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_threshold_is_the_best_of_a_hundred_on_the_validation_customers(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    estimator, validation = calibrated[calibration].estimator, splits[1]
    probability = churn_probability(estimator, validation)

    def f1_at(threshold: float) -> float:
        return float(f1_score(validation["Left"], probability >= threshold))

    grid = np.linspace(probability.min(), probability.max(), 100)
    assert f1_at(estimator.threshold) == pytest.approx(max(f1_at(threshold) for threshold in grid))


def test_the_trees_have_seen_the_training_customers_only(trained: TrainedModel, fit: Fit, splits: Splits) -> None:
    other = fit(calibration="sigmoid")

    np.testing.assert_array_equal(
        uncalibrated_probability(other, splits[2]), uncalibrated_probability(trained, splits[2])
    )
    assert boosted_trees(trained.estimator)[1].get_booster().num_boosted_rounds() == 12


def test_the_model_says_what_it_reads_and_where_it_comes_from(trained: TrainedModel, manifest: SplitManifest) -> None:
    assert dict(trained.inputs) == {
        "City": "string",
        "Age": "any",
        "Country": "string",
        "Charges": "any",
        "Tier": "any",
        "Contract": "string",
        "Card": "any",
    }
    assert list(trained.example) == list(trained.inputs)
    assert len(trained.example) == 5
    assert trained.facts == {
        "decision_threshold": f"{trained.estimator.threshold:.6f}",
        "n_estimators": "12",
        "train_digest": manifest.train.digest,
        "validation_digest": manifest.validation.digest,
    }


def test_ids_notes_and_the_target_have_no_influence(trained: TrainedModel, splits: Splits) -> None:
    changed = splits[2].assign(Id="x", Left=0, Surname="y")

    np.testing.assert_array_equal(
        churn_probability(trained.estimator, changed), churn_probability(trained.estimator, splits[2])
    )
    np.testing.assert_array_equal(
        churn_probability(trained.estimator, splits[2].drop(columns=["Id", "Left"])),
        churn_probability(trained.estimator, splits[2]),
    )


def reloaded(model: TrainedModel) -> ChurnEstimator:
    return cast(ChurnEstimator, skops.io.loads(skops.io.dumps(model.estimator), trusted=list(TRUSTED_TYPES)))


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_model_comes_back_from_skops_with_identical_probabilities(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    model = calibrated[calibration]
    again = reloaded(model)

    np.testing.assert_array_equal(churn_probability(again, splits[2]), churn_probability(model.estimator, splits[2]))
    assert again.threshold == model.estimator.threshold


COLUMN_KINDS: dict[str, list[str]] = {
    "numbers": ["Age", "Card"],
    "number levels": ["Tier"],
    "text levels": ["Country", "Contract"],
    "learned levels": ["City"],
    "numbers and learned levels": ["Age", "City"],
}


@pytest.mark.parametrize("kinds", COLUMN_KINDS)
def test_a_model_of_any_kind_of_column_comes_back_from_skops(
    kinds: str, fit: Fit, splits: Splits, declaration: CustomerDeclaration
) -> None:
    columns = [c for c in declaration.columns if c.name in (*COLUMN_KINDS[kinds], "Left")]
    model = fit(declared=declaration.model_copy(update={"columns": columns}))

    assert set(skops.io.get_untrusted_types(data=skops.io.dumps(model.estimator))) <= set(TRUSTED_TYPES)
    np.testing.assert_array_equal(
        churn_probability(reloaded(model), splits[2]), churn_probability(model.estimator, splits[2])
    )


def test_no_type_is_trusted_without_need(calibrated: dict[Calibration, TrainedModel]) -> None:
    needed = {
        name
        for model in calibrated.values()
        for name in skops.io.get_untrusted_types(data=skops.io.dumps(model.estimator))
    }

    assert set(TRUSTED_TYPES) == needed


def test_raw_rows_score_like_normalised_ones(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    normalised = normalise(raw_customers, declaration, with_target=True).table

    assert {"NA"} < set(raw_customers["Charges"])
    assert {"none"} < set(raw_customers["Tier"])
    np.testing.assert_array_equal(
        churn_probability(trained.estimator, raw_customers), churn_probability(trained.estimator, normalised)
    )
