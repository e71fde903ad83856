"""Claims about the one estimator: features, trees, calibration and threshold."""

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import f1_score

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Task
from churn_kedro.datasets.models import TRUSTED_TYPES
from churn_kedro.models import (
    Classifier,
    Estimator,
    TrainedModel,
    boosted_trees,
    churn_probability,
    decision_threshold,
    predict,
)
from churn_kedro.normalisation import normalise
from churn_kedro.splits import SplitManifest
from churn_kedro.training import FitParameters, fit_estimator
from churn_kedro.tuning import Trial
from tests.task_cases import FIT, TRIAL, declare, task_case, treat
from tests.treatment_cases import SELECTIONS, treatment_case

Declare = Callable[..., CustomerDeclaration]
Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
Calibration = Literal["temperature", "sigmoid", "isotonic"]
Fit = Callable[..., TrainedModel]

TASKS: tuple[Task, ...] = ("multiclass", "regression")
CALIBRATIONS: tuple[Calibration, ...] = ("temperature", "sigmoid", "isotonic")


@pytest.fixture(scope="module")
def fit(splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, small_trial: Trial) -> Fit:
    def fit_again(
        calibration: Calibration = "temperature", declared: CustomerDeclaration = declaration, **changed: Any
    ) -> TrainedModel:
        fields = {"random_state": 5, "n_jobs": 1, "calibration": calibration, "threshold_metric": "f1"}
        parameters = FitParameters.model_validate(fields | changed)
        train, validation, _ = splits
        return fit_estimator(treat(train, declared), train, validation, manifest, declared, small_trial, parameters)

    return fit_again


@pytest.fixture(scope="module")
def calibrated(fit: Fit) -> dict[Calibration, TrainedModel]:
    return {calibration: fit(calibration) for calibration in CALIBRATIONS}


def threshold_of(estimator: Estimator) -> float:
    threshold = decision_threshold(estimator)
    assert threshold is not None
    return threshold


def uncalibrated_probability(model: TrainedModel, customers: pd.DataFrame) -> np.ndarray:
    features, classifier = boosted_trees(model.estimator)
    return np.asarray(classifier.predict_proba(features.transform(customers))[:, 1])


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_probabilities_are_between_zero_and_one_and_sum_to_one(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    probability = cast(Classifier, calibrated[calibration].estimator).predict_proba(splits[2])

    assert probability.shape == (100, 2)
    assert probability.min() >= 0
    np.testing.assert_allclose(probability.sum(axis=1), 1)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_customer_is_flagged_where_the_probability_reaches_the_threshold(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    estimator = calibrated[calibration].estimator
    reached = churn_probability(estimator, splits[2]) >= threshold_of(estimator)

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
    assert f1_at(threshold_of(estimator)) == pytest.approx(max(f1_at(threshold) for threshold in grid))


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
        "task": "binary",
        "classes": "[0, 1]",
        "decision_threshold": f"{threshold_of(trained.estimator):.6f}",
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


def reloaded(model: TrainedModel) -> Estimator:
    return cast(Estimator, skops.io.loads(skops.io.dumps(model.estimator), trusted=list(TRUSTED_TYPES)))


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_model_comes_back_from_skops_with_identical_probabilities(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    model = calibrated[calibration]
    again = reloaded(model)

    np.testing.assert_array_equal(churn_probability(again, splits[2]), churn_probability(model.estimator, splits[2]))
    assert threshold_of(again) == threshold_of(model.estimator)


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


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("task", ["binary", *TASKS])
def test_a_model_with_every_treatment_comes_back_from_skops_and_reads_raw_rows(task: Task, selection: str) -> None:
    case = treatment_case(task, selection)
    raw = case.raw.drop(columns="Outcome")

    np.testing.assert_array_equal(
        predict(reloaded(case.trained), raw, task), predict(case.trained.estimator, raw, task)
    )


def test_no_type_is_trusted_without_need(calibrated: dict[Calibration, TrainedModel]) -> None:
    models = [*calibrated.values(), *(task_case(task).trained for task in TASKS)]
    models += [treatment_case(task, selection).trained for task in ("binary", *TASKS) for selection in SELECTIONS]
    needed = {name for model in models for name in skops.io.get_untrusted_types(data=skops.io.dumps(model.estimator))}

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


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_another_task_has_no_threshold_and_names_what_it_predicts(task: Task) -> None:
    case = task_case(task)

    assert decision_threshold(case.trained.estimator) is None
    assert case.trained.facts["task"] == task
    assert "decision_threshold" not in case.trained.facts
    assert case.trained.facts.get("classes") == {"multiclass": '["basic", "plus", "premium"]'}.get(task)
    assert case.trained.answer == {"multiclass": "predict_proba", "regression": "predict"}[task]


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_another_task_comes_back_from_skops_with_identical_answers(task: Task) -> None:
    case = task_case(task)

    again = reloaded(case.trained)

    np.testing.assert_array_equal(predict(again, case.test, task), predict(case.trained.estimator, case.test, task))


def test_several_classes_get_calibrated_probabilities_that_sum_to_one_and_keep_the_predicted_class() -> None:
    case = task_case("multiclass")
    features, classifier = boosted_trees(case.trained.estimator)
    before = classifier.predict_proba(features.transform(case.test))

    after = predict(case.trained.estimator, case.test, "multiclass")

    assert after.shape == (150, 3)
    np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    assert (after.argmax(axis=1) == case.test["Outcome"]).mean() > 0.75
    assert not np.allclose(before, after, atol=1e-2)
    # One temperature: every logit, up to a constant of the row, is multiplied by the same number.
    logits = [np.log(table) - np.log(table).mean(axis=1, keepdims=True) for table in (before.astype(float), after)]
    ratio = (logits[1] / logits[0])[np.abs(logits[0]) > 0.1]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-2)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_every_calibration_takes_several_classes(calibration: Calibration) -> None:
    case = task_case("multiclass")
    parameters = FIT.model_copy(update={"calibration": calibration})
    model = fit_estimator(
        treat(case.train, case.declaration),
        case.train,
        case.validation,
        case.manifest,
        case.declaration,
        TRIAL,
        parameters,
    )

    probability = predict(reloaded(model), case.test, "multiclass")

    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert (probability.argmax(axis=1) == case.test["Outcome"]).mean() > 0.75


def test_two_classes_may_be_declared_as_several() -> None:
    case, declared = task_case("multiclass"), declare("multiclass", ["some", "more"])
    train, validation, test = (
        part.assign(Outcome=(part["Outcome"] > 0).astype("int64")) for part in (case.train, case.validation, case.test)
    )
    model = fit_estimator(treat(train, declared), train, validation, case.manifest, declared, TRIAL, FIT)

    probability = predict(reloaded(model), test, "multiclass")

    assert probability.shape == (150, 2)
    assert (probability.argmax(axis=1) == test["Outcome"]).mean() > 0.9


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize(("task", "label"), [("binary", "'leaves'"), ("multiclass", "'plus'")])
def test_a_class_that_no_validation_customer_has_keeps_its_probability_and_is_named(
    task: Task, label: str, calibration: Calibration, caplog: pytest.LogCaptureFixture
) -> None:
    case = task_case(task)
    without = case.validation[case.validation["Outcome"] != 1]
    parameters = FIT.model_copy(update={"calibration": calibration})

    model = fit_estimator(
        treat(case.train, case.declaration), case.train, without, case.manifest, case.declaration, TRIAL, parameters
    )

    assert f"None of the {len(without)} validation customers has Outcome = {label}" in caplog.text
    probability = cast(Classifier, model.estimator).predict_proba(case.test)
    assert probability.shape == (150, max(2, len(case.declaration.classes)))
    assert probability[case.test["Outcome"] == 1, 1].mean() > 0.6
    if task == "binary":
        assert decision_threshold(model.estimator) == 0.5


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.filterwarnings("error")
def test_a_class_may_be_rare_among_the_validation_customers(task: Task) -> None:
    case = task_case(task)
    rare = case.validation["Outcome"] == 1
    validation = pd.concat([case.validation[~rare], case.validation[rare].head(1)])

    model = fit_estimator(
        treat(case.train, case.declaration), case.train, validation, case.manifest, case.declaration, TRIAL, FIT
    )

    assert len(cast(Classifier, model.estimator).predict_proba(case.test)) == 150


@pytest.mark.parametrize(("task", "label"), [("binary", "'leaves'"), ("multiclass", "'plus'")])
def test_a_class_that_no_training_customer_has_is_an_error(task: Task, label: str) -> None:
    case = task_case(task)
    train = case.train[case.train["Outcome"] != 1]

    with pytest.raises(CustomerTableError, match=f"None of the {len(train)} training customers has Outcome = {label}"):
        fit_estimator(
            treat(train, case.declaration), train, case.validation, case.manifest, case.declaration, TRIAL, FIT
        )


def test_a_number_is_what_the_trees_say() -> None:
    case = task_case("regression")
    features, regressor = boosted_trees(case.trained.estimator)

    predicted = predict(case.trained.estimator, case.test, "regression")

    np.testing.assert_array_equal(predicted, regressor.predict(features.transform(case.test)))
    assert np.corrcoef(predicted, case.test["Outcome"])[0, 1] > 0.9


def test_a_number_in_another_unit_grows_the_same_trees() -> None:
    case = task_case("regression")
    strict = TRIAL.model_copy(update={"hyperparameters": {"max_depth": 4, "gamma": 2.0, "reg_alpha": 1.0}})
    # A power of two changes no digit.
    answers = [
        predict(
            fit_estimator(
                treat(case.train, case.declaration),
                case.train.assign(Outcome=case.train["Outcome"] * unit),
                case.validation,
                case.manifest,
                case.declaration,
                strict,
                FIT,
            ).estimator,
            case.test,
            "regression",
        )
        / unit
        for unit in (1.0, 2.0**-12)
    ]

    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-5)
