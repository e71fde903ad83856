"""Claims about the one estimator: features, model, calibration and threshold."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost as xgb
from pydantic import ValidationError
from sklearn.metrics import f1_score, log_loss

from churn_estimators.model import CustomerModel
from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.splits import SplitManifest, describe_splits
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow.stored_models import TRUSTED_TYPES
from churn_kedro.datasets.runtime.matrix_parts import ParquetParts
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.models.interface import TrainedModel
from churn_kedro.models.learning import describe_learning
from churn_kedro.training.algorithms import AlgorithmName, Problem, load_algorithm
from churn_kedro.training.calibration import choose_calibration
from churn_kedro.training.candidates import compare_candidates
from churn_kedro.training.folds import build_development
from churn_kedro.training.parameters import Ensemble
from churn_kedro.training.recipe import Training, describe_problem, fit_model
from tests.task_cases import (
    SMALL,
    SPLIT,
    TaskCase,
    compare_given,
    configure,
    declare,
    quick_parameters,
    task_case,
    train_given,
    treat,
)
from tests.treatment_cases import SELECTIONS, treatment_case

Declare = Callable[..., CustomerDeclaration]
Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
Calibration = Literal["none", "temperature", "sigmoid", "isotonic"]
Fit = Callable[..., Training]

TASKS: tuple[Task, ...] = ("multiclass", "regression")
CALIBRATIONS: tuple[Calibration, ...] = ("none", "temperature", "sigmoid", "isotonic")


@pytest.fixture(scope="module")
def fit(splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration) -> Fit:
    def fit_again(
        calibration: Calibration = "temperature", declared: CustomerDeclaration = declaration, **changed: Any
    ) -> Training:
        return train_given(*splits[:2], manifest, declared, **({"calibration": {"method": calibration}} | changed))

    return fit_again


@pytest.fixture(scope="module")
def calibrated(fit: Fit) -> dict[Calibration, TrainedModel]:
    return {calibration: fit(calibration).model for calibration in CALIBRATIONS}


def train_again(case: TaskCase, train: pd.DataFrame, validation: pd.DataFrame, **changed: Any) -> Training:
    """Train on changed splits of a case."""
    declaration = changed.pop("declaration", case.declaration)
    manifest = describe_splits(train, validation, case.test, declaration, SPLIT, {})
    return train_given(train, validation, manifest, declaration, **changed)


def threshold_of(estimator: CustomerModel) -> float:
    threshold = estimator.threshold
    assert threshold is not None
    return threshold


def uncalibrated_probability(model: TrainedModel, customers: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.estimator.learner.predict_proba(model.estimator.inputs(customers))[:, 1])


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
    reached = estimator.scores(splits[2]) >= threshold_of(estimator)

    np.testing.assert_array_equal(estimator.decide(splits[2]), reached)
    assert (estimator.predict(splits[2])["decision"] == np.where(reached, "contact", "no_contact")).all()
    assert 0 < reached.sum() < 100


def test_the_model_learned_something(trained: TrainedModel, splits: Splits) -> None:
    probability, left = trained.estimator.scores(splits[2]), splits[2]["Left"] == 1

    assert probability[left].mean() > probability[~left].mean() + 0.2


def test_the_same_seed_gives_the_same_probabilities(trained: TrainedModel, fit: Fit, splits: Splits) -> None:
    again = fit().model

    np.testing.assert_array_equal(again.estimator.scores(splits[2]), trained.estimator.scores(splits[2]))
    assert again.facts == trained.facts


def test_temperature_keeps_the_order_of_the_customers(trained: TrainedModel, splits: Splits) -> None:
    before = uncalibrated_probability(trained, splits[2])
    after = trained.estimator.scores(splits[2])

    order = np.argsort(before, kind="stable")
    assert len(np.unique(before)) > 50
    assert (np.diff(after[order])[np.diff(before[order]) > 0] > 0).all()
    assert not np.allclose(before, after, atol=1e-3)


def test_temperature_multiplies_every_log_odds_by_one_number(trained: TrainedModel, splits: Splits) -> None:
    before = uncalibrated_probability(trained, splits[2]).astype(float)
    after = trained.estimator.scores(splits[2])

    ratio = np.log(after / (1 - after)) / np.log(before / (1 - before))

    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_isotonic_never_turns_two_customers_around(calibrated: dict[Calibration, TrainedModel], splits: Splits) -> None:
    model = calibrated["isotonic"]
    order = np.argsort(uncalibrated_probability(model, splits[2]), kind="stable")

    assert (np.diff(model.estimator.scores(splits[2])[order]) >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_threshold_is_the_best_of_a_hundred_on_customers_that_were_not_learned_from(
    calibration: Calibration, splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration
) -> None:
    compared = compare_given(*splits[:2], manifest, declaration, calibration={"method": calibration})
    found = compared.candidate_comparison.out_of_fold
    probability = choose_calibration(
        found.target,
        found.prediction,
        found.fold,
        compared.problem.learning,
        compared.configuration.training.calibration,
    )[1]
    summary = train_given(*splits[:2], manifest, declaration, calibration={"method": calibration}).summary

    def f1_at(threshold: float) -> float:
        return float(f1_score(found.target, probability >= threshold))

    grid = np.linspace(probability.min(), probability.max(), 100)
    assert summary.threshold is not None
    assert f1_at(summary.threshold.threshold) >= max(f1_at(threshold) for threshold in grid)
    assert summary.out_of_fold["f1"] == pytest.approx(f1_at(summary.threshold.threshold))
    assert summary.out_of_fold["log_loss"] == pytest.approx(log_loss(found.target, probability))


def test_the_map_and_the_threshold_leave_the_trees_as_they_are(
    trained: TrainedModel, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    for model in calibrated.values():
        np.testing.assert_array_equal(
            uncalibrated_probability(model, splits[2]), uncalibrated_probability(trained, splits[2])
        )
    assert trained.estimator.learner.get_booster().num_boosted_rounds() == 12


def test_the_final_trees_are_those_that_xgboost_grows_on_all_development_customers(
    trained: TrainedModel, splits: Splits, declaration: CustomerDeclaration
) -> None:
    both = pd.concat(splits[:2], ignore_index=True)
    inputs = treat(both, declaration)
    plain = xgb.XGBClassifier(
        n_estimators=12,
        max_depth=3,
        learning_rate=0.3,
        enable_categorical=True,
        feature_types=inputs.types,
        random_state=5,
        n_jobs=1,
    ).fit(inputs.values, both["Left"])

    expected = plain.predict_proba(inputs.transformer.transform(splits[2]))[:, 1]

    np.testing.assert_allclose(uncalibrated_probability(trained, splits[2]), expected, rtol=1e-5)


def test_the_model_records_its_columns_and_its_origin(trained: TrainedModel, manifest: SplitManifest) -> None:
    assert {reader.column: reader.cells for reader in trained.estimator.readers} == {
        "City": "text",
        "Age": "number",
        "Country": "text",
        "Charges": "number",
        "Tier": "number",
        "Contract": "text",
        "Card": "number",
    }
    assert list(trained.example) == [reader.column for reader in trained.estimator.readers]
    assert len(trained.example) == 5
    assert trained.facts == {
        "task": "binary",
        "classes": "[0, 1]",
        "algorithm": "xgboost",
        "calibration": "temperature",
        "threshold_objective": "f1",
        "decision_threshold": f"{threshold_of(trained.estimator):.6f}",
        "n_estimators": "12",
        "train_digest": manifest.train.digest,
        "validation_digest": manifest.validation.digest,
    }


def test_ids_notes_and_the_target_have_no_influence(trained: TrainedModel, splits: Splits) -> None:
    changed = splits[2].assign(Id="x", Left=0, Surname="y")

    np.testing.assert_array_equal(trained.estimator.scores(changed), trained.estimator.scores(splits[2]))
    np.testing.assert_array_equal(
        trained.estimator.scores(splits[2].drop(columns=["Id", "Left"])),
        trained.estimator.scores(splits[2]),
    )


def reloaded(model: TrainedModel) -> CustomerModel:
    return cast(CustomerModel, skops.io.loads(skops.io.dumps(model.estimator), trusted=list(TRUSTED_TYPES)))


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_model_comes_back_from_skops_with_identical_probabilities(
    calibration: Calibration, calibrated: dict[Calibration, TrainedModel], splits: Splits
) -> None:
    model = calibrated[calibration]
    again = reloaded(model)

    np.testing.assert_array_equal(again.scores(splits[2]), model.estimator.scores(splits[2]))
    assert threshold_of(again) == threshold_of(model.estimator)


COLUMN_KINDS: dict[str, list[str]] = {
    "numbers": ["Age", "Card"],
    "number levels": ["Tier"],
    "text levels": ["Country", "Contract"],
    "learned levels": ["City"],
    "numbers and learned levels": ["Age", "City"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kinds", COLUMN_KINDS)
def test_a_model_of_any_kind_of_column_comes_back_from_skops(
    kinds: str, fit: Fit, splits: Splits, declaration: CustomerDeclaration
) -> None:
    columns = [c for c in declaration.columns if c.name in (*COLUMN_KINDS[kinds], "Left")]
    model = fit(declared=declaration.model_copy(update={"columns": columns})).model

    assert set(skops.io.get_untrusted_types(data=skops.io.dumps(model.estimator))) <= set(TRUSTED_TYPES)
    np.testing.assert_array_equal(reloaded(model).scores(splits[2]), model.estimator.scores(splits[2]))


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("task", ["binary", *TASKS])
def test_a_model_with_every_treatment_comes_back_from_skops_and_reads_raw_rows(task: Task, selection: str) -> None:
    case = treatment_case(task, selection)
    raw = case.raw.drop(columns="Outcome")

    np.testing.assert_array_equal(reloaded(case.trained).scores(raw), case.trained.estimator.scores(raw))


ALGORITHMS: tuple[AlgorithmName, ...] = tuple(SMALL)
ENSEMBLES: tuple[Ensemble, ...] = ("soft_vote", "stack")


PAIRS = [(name, task) for name in ALGORITHMS for task in ("binary", *TASKS) if task in load_algorithm(name).tasks]


@cache
def model_of(algorithm: AlgorithmName, task: Task) -> TrainedModel:
    """A model of an algorithm."""
    case = task_case(task)
    return train_given(case.train, case.validation, case.manifest, case.declaration, algorithms=[algorithm]).model


@cache
def ensemble_of(kind: Ensemble, task: Task) -> TrainedModel:
    """An ensemble of XGBoost and a linear model, chosen or not."""
    case = task_case(task)
    linear: AlgorithmName = "ridge" if task == "regression" else "logistic_regression"
    changed: dict[str, Any] = {"algorithms": ["xgboost", linear], "ensembles": [kind]}
    compared = compare_given(case.train, case.validation, case.manifest, case.declaration, **changed)
    searches = compared.search.searches
    with pytest.MonkeyPatch.context() as patched:
        # Whether it earns its place is another question.
        patched.setattr(
            "churn_kedro.training.candidates._choose", lambda evaluated, *_: (evaluated[-1], "It was to be.")
        )
        candidate_comparison = compare_candidates(searches, [kind], compared.folds, compared.problem, time.perf_counter)
    return fit_model(
        compared.development,
        candidate_comparison,
        compared.search,
        compared.problem,
        compared.configuration,
    ).model


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "task"), PAIRS)
def test_every_algorithm_learns_its_tasks_and_comes_back_from_skops_with_identical_answers(
    algorithm: AlgorithmName, task: Task
) -> None:
    model, case = model_of(algorithm, task), task_case(task)
    answers = model.estimator.scores(case.test)
    learning = describe_learning(case.train, case.declaration)
    target = case.test["Outcome"].to_numpy()

    np.testing.assert_array_equal(reloaded(model).scores(case.test), answers)
    assert learning.measure(target, answers) < 0.8 * learning.measure_constant(case.train["Outcome"].to_numpy(), target)
    assert model.facts["algorithm"] == algorithm


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", *TASKS])
@pytest.mark.parametrize("kind", ENSEMBLES)
def test_every_ensemble_comes_back_from_skops_with_identical_answers(kind: Ensemble, task: Task) -> None:
    model, case = ensemble_of(kind, task), task_case(task)

    np.testing.assert_array_equal(reloaded(model).scores(case.test), model.estimator.scores(case.test))
    assert model.facts["algorithm"] == kind


@pytest.mark.slow
def test_no_type_is_trusted_without_need(calibrated: dict[Calibration, TrainedModel]) -> None:
    models = [*calibrated.values(), *(task_case(task).trained for task in TASKS)]
    models += [treatment_case(task, selection).trained for task in ("binary", *TASKS) for selection in SELECTIONS]
    models += [ensemble_of(kind, task) for kind in ENSEMBLES for task in ("binary", *TASKS)]
    models += [model_of(algorithm, task) for algorithm, task in PAIRS]
    economics = {"contact_cost": 2, "offer_cost": 5, "save_probability": 0.4, "value": 60}
    case = task_case("binary")
    models.append(
        train_again(case, case.train, case.validation, campaigns={"objective": "profit", "economics": economics}).model
    )
    needed = {name for model in models for name in skops.io.get_untrusted_types(data=skops.io.dumps(model.estimator))}

    assert needed == set(TRUSTED_TYPES)


def test_raw_rows_score_like_normalised_ones(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    normalised = normalise(raw_customers, declaration, with_target=True).table

    assert {"NA"} < set(raw_customers["Charges"])
    assert {"none"} < set(raw_customers["Tier"])
    np.testing.assert_array_equal(trained.estimator.scores(raw_customers), trained.estimator.scores(normalised))


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_another_task_has_no_threshold_and_names_what_it_predicts(task: Task) -> None:
    case = task_case(task)

    assert case.trained.estimator.threshold is None
    assert case.trained.facts["task"] == task
    assert "decision_threshold" not in case.trained.facts
    assert case.trained.facts.get("classes") == {"multiclass": '["basic", "plus", "premium"]'}.get(task)


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_another_task_comes_back_from_skops_with_identical_answers(task: Task) -> None:
    case = task_case(task)

    again = reloaded(case.trained)

    np.testing.assert_array_equal(again.scores(case.test), case.trained.estimator.scores(case.test))


def test_several_classes_get_calibrated_probabilities_that_sum_to_one_and_keep_the_predicted_class() -> None:
    case = task_case("multiclass")
    before = case.trained.estimator.learner.predict_proba(case.trained.estimator.inputs(case.test))

    after = case.trained.estimator.scores(case.test)

    assert after.shape == (150, 3)
    np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    assert (after.argmax(axis=1) == case.test["Outcome"]).mean() > 0.75
    assert not np.allclose(before, after, atol=1e-3)
    # One temperature: every logit, up to a constant of the row, is multiplied by the same number.
    logits = [np.log(table) - np.log(table).mean(axis=1, keepdims=True) for table in (before.astype(float), after)]
    ratio = (logits[1] / logits[0])[np.abs(logits[0]) > 0.1]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_every_calibration_takes_several_classes(calibration: Calibration) -> None:
    case = task_case("multiclass")
    model = train_again(case, case.train, case.validation, calibration={"method": calibration}).model

    probability = reloaded(model).scores(case.test)

    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert (probability.argmax(axis=1) == case.test["Outcome"]).mean() > 0.75


def test_two_classes_may_be_declared_as_several() -> None:
    case, declared = task_case("multiclass"), declare("multiclass", ["some", "more"])
    train, validation, test = (
        part.assign(Outcome=(part["Outcome"] > 0).astype("int64")) for part in (case.train, case.validation, case.test)
    )
    model = train_again(replace(case, declaration=declared, test=test), train, validation).model

    probability = reloaded(model).scores(test)

    assert probability.shape == (150, 2)
    assert (probability.argmax(axis=1) == test["Outcome"]).mean() > 0.9


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_class_that_only_training_customers_have_is_learned(task: Task) -> None:
    case = task_case(task)
    without = case.validation[case.validation["Outcome"] != 1]

    model = train_again(case, case.train, without).model

    probability = model.estimator.predict_proba(case.test)
    hit = case.test["Outcome"] == 1
    assert probability.shape == (150, len(case.declaration.classes))
    assert probability[hit, 1].mean() > probability[~hit, 1].mean() + 0.3


@pytest.mark.slow
@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.filterwarnings("error")
def test_a_class_may_be_rare(task: Task, calibration: Calibration) -> None:
    case = task_case(task)
    rare = case.train["Outcome"] == 1
    train = pd.concat([case.train[~rare], case.train[rare].head(2)])

    model = train_again(
        case, train, case.validation[case.validation["Outcome"] != 1], calibration={"method": calibration}
    ).model

    probability = model.estimator.predict_proba(case.test)
    assert np.isfinite(probability).all()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "ridge"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.filterwarnings("ignore:.*eval_set")
def test_every_algorithm_takes_a_class_of_two_customers(task: Task, algorithm: AlgorithmName) -> None:
    case = task_case(task)
    rare = case.train["Outcome"] == 1
    train = pd.concat([case.train[~rare], case.train[rare].head(2)])

    model = train_again(case, train, case.validation[case.validation["Outcome"] != 1], algorithms=[algorithm]).model

    assert np.isfinite(model.estimator.predict_proba(case.test)).all()


@pytest.mark.slow
@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_class_may_be_rare_among_customers_that_are_judged_once(task: Task, calibration: Calibration) -> None:
    case = task_case(task)
    rare = case.validation["Outcome"] == 1
    # Five rows apart: a division by position would put both into one part.
    rows = [*case.validation[~rare].index]
    first, second = case.validation[rare].index[:2]
    validation = case.validation.loc[[first, *rows[:4], second, *rows[4:]]]
    linear: AlgorithmName = "logistic_regression"

    summary = train_again(
        case,
        case.train,
        validation,
        algorithms=["xgboost", linear],
        ensembles=["stack"],
        calibration={"method": calibration},
        folds={"n_splits": 2, "max_rows": 150},
    ).summary

    assert len(summary.comparison.candidates) == 3
    assert np.isfinite(summary.out_of_fold["log_loss"])


@pytest.mark.parametrize(("task", "label"), [("binary", "'leaves'"), ("multiclass", "'plus'")])
def test_a_class_that_no_customer_has_is_an_error(task: Task, label: str) -> None:
    case = task_case(task)
    train, validation = (part[part["Outcome"] != 1] for part in (case.train, case.validation))

    with pytest.raises(
        CustomerTableError,
        match=f"None of the {len(train) + len(validation)} training customers has Outcome = {label}",
    ):
        train_again(case, train, validation)


def test_a_number_is_what_the_trees_say() -> None:
    case = task_case("regression")
    features, regressor = case.trained.estimator.features, case.trained.estimator.learner

    predicted = case.trained.estimator.scores(case.test)

    np.testing.assert_array_equal(predicted, regressor.predict(features.transform(case.test)))
    assert np.corrcoef(predicted, case.test["Outcome"])[0, 1] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "hyperparameters"),
    [
        ("xgboost", {"max_depth": 4, "gamma": 2.0, "reg_alpha": 1.0}),
        ("hist_gradient_boosting", {}),
        ("neural_network", {}),
        ("ridge", {}),
        ("catboost", {}),
        ("lightgbm", {}),
    ],
)
def test_a_number_in_another_unit_gives_the_same_model(
    algorithm: AlgorithmName, hyperparameters: dict[str, Any]
) -> None:
    case = task_case("regression")
    given = SMALL | {algorithm: (SMALL[algorithm][0] | hyperparameters, SMALL[algorithm][1])}
    # A power of two changes no digit.
    answers = []
    for unit in (1.0, 2.0**-12):
        train, validation = (part.assign(Outcome=part["Outcome"] * unit) for part in (case.train, case.validation))
        model = train_again(case, train, validation, given=given, algorithms=[algorithm]).model
        answers.append(model.estimator.scores(case.test) / unit)

    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4)


def test_the_summary_describes_the_fitted_model() -> None:
    case = task_case("multiclass")
    summary, facts = case.training.summary, case.trained.facts
    booster = case.trained.estimator.learner.get_booster()
    leaves = int((booster.trees_to_dataframe()["Feature"] == "Leaf").sum())

    (member,) = summary.members
    assert (summary.model, member.algorithm, member.n_estimators) == ("xgboost", "xgboost", 20)
    assert member.complexity == {"trees": 60, "leaves": leaves}
    assert summary.rows == {"trained": 450, "validated": 450, "searched": 450}
    assert summary.recipe.train_digest == facts["train_digest"] == case.manifest.train.digest
    assert summary.recipe.configuration.declaration == case.declaration
    assert summary.inputs == len(case.training.inputs.sources)


def test_a_training_can_be_repeated_from_its_recipe() -> None:
    case = task_case("binary")
    recipe = type(case.training.summary.recipe).model_validate_json(case.training.summary.recipe.model_dump_json())

    configuration = recipe.configuration

    again = train_given(
        case.train,
        case.validation,
        case.manifest,
        configuration.declaration,
        features=configuration.features,
        given={"xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 20)},
        campaigns=configuration.campaigns.model_dump(),
        **configuration.training.model_dump(),
    )

    np.testing.assert_array_equal(again.model.estimator.scores(case.test), case.trained.estimator.scores(case.test))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_matrix_in_files_gives_the_same_model_and_leaves_no_file_behind(task: Task, tmp_path: Path) -> None:
    case, folder = task_case(task), tmp_path / "matrix"
    given = SMALL | {"xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 20)}
    arguments = (case.train, case.validation, case.manifest, case.declaration)

    weighted: Any = {"given": given, "class_weight": None if task == "regression" else "balanced"}
    parts = ParquetParts(folder)

    model = train_given(*arguments, parts=parts, external_memory=True, **weighted).model

    assert not folder.exists()
    expected = train_given(*arguments, **weighted).model
    in_memory, in_files = (one.estimator.scores(case.test) for one in (expected, model))
    scale = np.std(in_memory) if task == "regression" else 1.0
    assert np.abs(in_files - in_memory).mean() < 0.01 * scale


def test_files_are_removed_when_growing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, folder = task_case("binary"), tmp_path / "matrix"
    given = SMALL | {"xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 20)}
    arguments = (case.train, case.validation, case.manifest, case.declaration)
    written: list[str] = []

    class Broken(ParquetParts):
        def read(self, part: int) -> pd.DataFrame:
            written.extend(path.name for path in folder.iterdir())
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        train_given(*arguments, parts=Broken(folder), external_memory=True, given=given)

    assert {"part-00000.parquet", "part-00001.parquet"} <= set(written)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"algorithms": ["xgboost", "xgboost"]}, "algorithms contains duplicates"),
        ({"algorithms": []}, "at least 1 item"),
        ({"algorithms": ["xgbost"]}, "Input should be 'xgboost'"),
        ({"ensembles": ["stack"]}, "need at least two algorithms, found .'xgboost'."),
        ({"external_memory": True, "algorithms": ["ridge"]}, "external_memory supports XGBoost only"),
        ({"spaces": {"forest": {}}}, "spaces.forest"),
        ({"class_weight": "blanced"}, "class_weight"),
        ({"folds": {"n_splits": 1}}, "greater than or equal to 2"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"search": {"n_trials": 0}}, "n_trials"),
        ({"search": {"n_trials": 1, "timeout_seconds": 0}}, "timeout_seconds"),
        ({"search": {"n_trials": 1, "objectives": []}}, "objectives"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        quick_parameters(**changed)


def describe(task: Task, declaration: CustomerDeclaration | None = None, **changed: Any) -> Problem:
    case = task_case(task)
    declaration = declaration or case.declaration
    development = build_development(case.train, case.validation, case.manifest, declaration, FeatureParameters())
    return describe_problem(development, configure(declaration, **changed))


@pytest.mark.parametrize(
    ("algorithm", "task", "hint"),
    [("logistic_regression", "regression", "choose ridge"), ("ridge", "binary", "choose logistic_regression")],
)
def test_an_algorithm_for_another_task_is_refused_with_the_one_that_fits(
    algorithm: AlgorithmName, task: Task, hint: str
) -> None:
    with pytest.raises(ParameterError, match=f"contains {algorithm}, which does not support task {task}; {hint}"):
        describe(task, algorithms=[algorithm])


def limited(task: Task, limit: str) -> CustomerDeclaration:
    fields = task_case(task).declaration.model_dump()
    if "monotone" in limit:
        next(column for column in fields["columns"] if column["name"] == "Age")["monotone"] = "increasing"
    if "interactions" in limit:
        fields["interactions"] = [["Age"], ["Country", "Visits"]]
    return CustomerDeclaration.model_validate(fields)


@pytest.mark.parametrize("limit", ["monotone", "interactions", "interactions and monotone"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_that_cannot_keep_a_declared_limit_is_refused(algorithm: AlgorithmName, limit: str) -> None:
    task: Task = "regression" if algorithm == "ridge" else "binary"
    broken = sorted(set(limit.split(" and ")) - load_algorithm(algorithm).keeps)
    declaration = limited(task, limit)

    if not broken:
        assert describe(task, declaration, algorithms=[algorithm]).learning.task == task
        return
    message = f"declares {' and '.join(broken)} constraints, which {algorithm} does not support"
    with pytest.raises(ParameterError, match=message):
        describe(task, declaration, algorithms=[algorithm])


@pytest.mark.parametrize("name", ["catboost", "lightgbm"])
def test_an_extra_that_is_not_installed_is_named(name: AlgorithmName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, f"churn_kedro.training.algorithms.{name}_trees", raising=False)
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ParameterError, match=rf"{name} is not installed. Install the extra `boosters`: `pip install"):
        describe("binary", algorithms=["xgboost", name])


def without_cuda() -> bool:
    from churn_kedro.training.algorithms.xgboost_trees import find_device

    return find_device("auto") == "cpu"


def test_the_processor_is_taken_where_it_is_wanted() -> None:
    assert describe("binary", device="cpu").device == "cpu"


@pytest.mark.skipif(not without_cuda(), reason="there is a CUDA device")
def test_without_a_cuda_device_auto_takes_the_processor_and_cuda_is_refused() -> None:
    assert describe("binary", device="auto").device == "cpu"
    with pytest.raises(ParameterError, match=r"training.device is cuda, but XGBoost finds no CUDA device"):
        describe("binary", device="cuda")
    # The device is XGBoost's.
    assert describe("binary", device="cuda", algorithms=["logistic_regression"]).device == "cpu"


def test_weighted_classes_are_mended_by_calibration(splits: Splits) -> None:
    case = task_case("binary")
    changed: dict[str, Any] = {"class_weight": "balanced", "calibration": {"method": "auto"}}
    rare = case.train["Outcome"].to_numpy() == 1
    train = pd.concat([case.train[~rare], case.train[rare].iloc[::3]])

    training = train_again(case, train, case.validation, **changed)

    development = pd.concat([train, case.validation])
    probability = training.model.estimator.scores(development)
    raw = uncalibrated_probability(training.model, development)
    share = development["Outcome"].mean()
    assert training.summary.calibration is not None
    assert training.summary.calibration.method != "none"
    assert abs(probability.mean() - share) < 0.03 < raw.mean() - share


def test_weighted_classes_without_calibration_are_refused() -> None:
    case = task_case("binary")

    with pytest.raises(ParameterError, match=r"class_weight is balanced and training.calibration.method is none"):
        train_again(case, case.train, case.validation, class_weight="balanced", calibration={"method": "none"})


def test_the_threshold_for_profit_reads_the_value_of_each_customer() -> None:
    case = task_case("binary")
    fields = case.declaration.model_dump()
    fields["columns"].append({"name": "Worth", "role": "value", "description": "What a customer is worth"})
    declaration = CustomerDeclaration.model_validate(fields)
    economics = {"contact_cost": 5.0, "offer_cost": 10.0, "save_probability": 0.5}
    chosen = []
    for worth in (30.0, 3000.0):
        train, validation, test = (part.assign(Worth=worth) for part in (case.train, case.validation, case.test))
        threshold = {"objective": "profit", "economics": {**economics, "value": {"column": "Worth", "factor": 1.0}}}
        summary = train_again(
            replace(case, declaration=declaration, test=test), train, validation, campaigns=threshold
        ).summary
        assert summary.threshold is not None
        chosen.append(summary.threshold)

    # A contact costs the same, and saves more of a customer who is worth more.
    assert chosen[1].contacted_share > chosen[0].contacted_share
    assert chosen[1].profit_per_customer is not None
    assert chosen[0].profit_per_customer is not None
    assert chosen[1].profit_per_customer > 10 * chosen[0].profit_per_customer
