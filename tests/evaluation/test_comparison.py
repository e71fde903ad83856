"""Claims about a model beside another one."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.splits import describe_splits
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.comparison import Baseline, BaselineName, compare_models
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters, bootstrap
from churn_kedro.evaluation.slices import measure_slices
from churn_kedro.models.interface import score_labelled
from churn_kedro.models.training_rows import digest_training_rows, find_training_rows, find_version_training_rows
from churn_kedro.registry.gate import Decision, GateCheck
from churn_kedro.reporting.evaluation_results import Assessment
from churn_kedro.reporting.figures.comparison import draw_comparison
from churn_kedro.reporting.figures.gate import draw_gate
from churn_kedro.training.baselines import train_baseline
from tests.evidence_cases import no_leaks, subject
from tests.task_cases import SPLIT, configure, task_case

BOOTSTRAP = BootstrapParameters(n_resamples=100, confidence=0.9, random_state=0)
TASKS: list[Task] = ["binary", "multiclass", "regression"]


def trained_here(task: Task, name: BaselineName) -> Baseline:
    case = task_case(task)
    estimator = train_baseline(name, case.train, case.validation, case.manifest, configure(case.declaration))
    return Baseline(f"{name} (trained here)", estimator)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_difference_is_that_of_the_metrics_and_its_interval_is_paired(task: Task) -> None:
    case = task_case(task)
    scores = score_labelled(case.trained.estimator, case.test, case.declaration)
    baseline = trained_here(task, ("ridge" if task == "regression" else "logistic_regression"))

    compared = compare_models(scores, baseline, case.test, case.declaration, BOOTSTRAP, 5)

    comparison = compared.comparison
    first, second = (bootstrap(one, BOOTSTRAP) for one in (scores, compared.scores))
    for name, (ours, theirs) in comparison.values.items():
        difference = comparison.differences[name]
        assert difference.value == pytest.approx(ours - theirs)
        low, high = np.nanquantile(first[name] - second[name], [0.05, 0.95])
        assert (difference.low, difference.high) == pytest.approx((low, high))
    if task == "binary":
        ours, theirs = comparison.values["roc_auc"]
        assert ours == pytest.approx(roc_auc_score(scores.target, scores.prediction))
        assert theirs == pytest.approx(roc_auc_score(scores.target, compared.scores.prediction))
    again = compare_models(scores, baseline, case.test, case.declaration, BOOTSTRAP, 5, first)
    assert again.comparison == comparison


@pytest.mark.parametrize("task", TASKS)
def test_the_listed_customers_have_the_largest_disagreement(task: Task) -> None:
    case = task_case(task)
    scores = score_labelled(case.trained.estimator, case.test, case.declaration)

    compared = compare_models(
        scores,
        trained_here(task, ("ridge" if task == "regression" else "logistic_regression")),
        case.test,
        case.declaration,
        BOOTSTRAP,
        3,
    )

    listed = compared.comparison.disagreements
    apart = [abs(one.candidate - one.baseline) for one in listed]
    assert len(listed) == 3
    assert apart == sorted(apart, reverse=True)
    rows = case.test.set_index("Id").loc[[one.ids["Id"] for one in listed]]
    if task == "regression":
        assert [float(one.outcome) for one in listed] == pytest.approx(rows["Outcome"].tolist(), rel=1e-5)
        everyone = np.abs(scores.prediction - compared.scores.prediction)
        assert apart[0] == pytest.approx(everyone.max())
    else:
        assert [one.outcome for one in listed] == [scores.classes[code] for code in rows["Outcome"]]


def test_the_constant_predicts_the_share_of_the_training_customers_and_has_no_skill() -> None:
    case = task_case("binary")

    scores = score_labelled(trained_here("binary", "constant").estimator, case.test, case.declaration)

    share = case.train["Outcome"].mean()
    assert scores.prediction == pytest.approx(np.full(len(case.test), share))
    assert scores.threshold is not None
    assert log_loss(scores.target, scores.prediction) > 0.5


def test_a_baseline_that_does_not_learn_the_task_is_refused() -> None:
    with pytest.raises(ParameterError, match="ridge does not support task binary; choose logistic_regression"):
        trained_here("binary", "ridge")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_comparison_is_drawn(task: Task) -> None:
    case = task_case(task)
    scores = score_labelled(case.trained.estimator, case.test, case.declaration)
    compared = compare_models(
        scores,
        trained_here(task, ("ridge" if task == "regression" else "logistic_regression")),
        case.test,
        case.declaration,
        BOOTSTRAP,
        3,
    )

    figures = draw_comparison(scores, compared)

    curves = [figure for name, figure in figures.items() if name != "comparison_differences.png"]
    assert len(curves) == (3 if task == "binary" else 2)
    for figure in curves:
        shown = [text.get_text() for text in figure.legends[0].get_texts()]
        assert shown == ["this version", compared.baseline.label]
    differences = figures["comparison_differences.png"].axes[0]
    assert len(differences.get_yticklabels()) == len(set(compared.comparison.differences) - {"bias"})
    for figure in figures.values():
        figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_customers_are_known_again_whatever_the_order_and_the_type_of_whole_numbers() -> None:
    case = task_case("binary")
    learned = digest_training_rows(case.train, case.declaration)
    shuffled = case.train.sample(frac=1, random_state=0)
    retyped = shuffled.assign(Outcome=shuffled["Outcome"].astype("float64"))

    assert find_training_rows(learned, retyped, case.declaration) is not None
    assert np.asarray(find_training_rows(learned, retyped, case.declaration)).all()
    assert not np.asarray(find_training_rows(learned, case.test, case.declaration)).any()
    # A customer whose row has changed counts as another customer.
    older = case.train.assign(Age=case.train["Age"] + 1)
    assert not np.asarray(find_training_rows(learned, older, case.declaration)).any()


def test_digests_of_other_columns_are_ignored() -> None:
    case = task_case("binary")
    fewer = case.declaration.model_copy(
        update={"columns": [column for column in case.declaration.columns if column.name != "Visits"]}
    )

    assert find_training_rows(digest_training_rows(case.train, fewer), case.train, case.declaration) is None
    assert find_training_rows(None, case.train, case.declaration) is None


def test_digests_hold_no_customer() -> None:
    case = task_case("binary")

    learned = digest_training_rows(case.train, case.declaration)

    assert learned.shape == (len(case.train), 1)
    assert learned.dtypes.iloc[0] == np.uint64
    assert learned.iloc[:, 0].is_monotonic_increasing


def test_without_economics_and_protected_columns_there_are_no_further_metrics() -> None:
    case = task_case("regression")
    scores = score_labelled(case.trained.estimator, case.test, case.declaration)

    slices = measure_slices(scores, case.test, case.declaration)
    assert Assessment(subject=subject(), leakage=no_leaks(), slices=slices).extended_metrics == {}


def test_the_gate_is_drawn_with_every_check() -> None:
    decision = Decision(
        model_name="churn",
        candidate=2,
        incumbent=1,
        verdict="refused",
        checks=[
            GateCheck(name="a $ b", passed=True, reason="fine"),
            GateCheck(name="worse", passed=False, reason="a long reason " * 30),
        ],
        evaluated_on="digest",
    )

    figure = draw_gate(decision)

    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "\N{CHECK MARK}" in texts
    assert "\N{MULTIPLICATION X}" in texts
    assert "worse" in texts
    assert "version 2: refused (champion version 1)" in figure.get_suptitle().replace("\n", " ")
    assert max(len(line) for text in texts for line in text.splitlines()) < 110
    figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_the_index_and_the_row_order_of_a_table_do_not_count() -> None:
    case = task_case("multiclass")
    table = case.train.set_axis(range(1000, 1000 + len(case.train)))

    pd.testing.assert_frame_equal(
        digest_training_rows(table, case.declaration), digest_training_rows(case.train.iloc[::-1], case.declaration)
    )


def test_who_moved_from_validation_to_test_is_known_again() -> None:
    case = task_case("binary")
    validation, test = case.validation.head(50), case.validation.tail(100)
    moved = describe_splits(case.train, validation, test, case.declaration, SPLIT, {})
    learned = digest_training_rows(pd.concat([case.train, case.validation]), case.declaration)
    model = replace(case.registered(1), training_rows=learned)

    own = find_version_training_rows(model, case.test, case.manifest, case.declaration)
    shifted = find_version_training_rows(model, test, moved, case.declaration)

    assert own is not None
    assert not own.any()
    assert shifted is not None
    assert shifted.all()
