"""Claims about training a version again."""

import pytest

from churn_kedro.campaigns.parameters import CampaignParameters
from churn_kedro.cli.models import describe_rebuild
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow.model_digests import model_digest
from churn_kedro.datasets.runtime.matrix_parts import ParquetParts
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.training.folds import build_development
from churn_kedro.training.parameters import TrainingParameters, configure_training
from churn_kedro.training.progress import NoProgress
from churn_kedro.training.recipe import Training, train
from churn_kedro.training.reproduction import Code, Rebuild, compare_trainings, train_again
from churn_kedro.training.search import NoArchive, SearchContext
from tests.task_cases import TaskCase, task_case

CONTEXT = SearchContext(NoArchive(), NoProgress())
CODE = Code("a" * 40, "false")


def parameters(random_state: int = 3) -> TrainingParameters:
    return TrainingParameters.model_validate(
        {
            "random_state": random_state,
            "spaces": {"xgboost": {"max_depth": {"low": 2, "high": 4, "integer": True}, "learning_rate": 0.3}},
            "folds": {"n_splits": 3},
            "search": {"n_trials": 100, "timeout_seconds": 0.5, "max_rounds": 20},
        }
    )


def first_training(case: TaskCase, random_state: int = 3) -> Training:
    features = FeatureParameters()
    development = build_development(case.train, case.validation, case.manifest, case.declaration, features)
    configuration = configure_training(
        case.declaration, features, parameters(random_state), CampaignParameters(objective="f1")
    )
    return train(development, configuration, CONTEXT)


def again(case: TaskCase, recorded: Training, tmp_path_factory: pytest.TempPathFactory) -> Training:
    tables = {"train": case.train, "validation": case.validation}
    return train_again(
        tables, case.manifest, recorded.summary, CONTEXT, ParquetParts(tmp_path_factory.mktemp("parts") / "matrix")
    )


def compare(case: TaskCase, recorded: Training, rebuilt: Training, now: Code = CODE) -> Rebuild:
    estimators = (recorded.model.estimator, rebuilt.model.estimator)
    digests = (model_digest(estimators[0]), model_digest(estimators[1]))
    return compare_trainings(
        "test_churn", 4, digests, recorded.summary, rebuilt.summary, (CODE, now), estimators, case.test
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_search_against_the_clock_is_repeated(task: Task, tmp_path_factory: pytest.TempPathFactory) -> None:
    case = task_case(task)
    recorded = first_training(case)
    rebuilt = again(case, recorded, tmp_path_factory)

    report = compare(case, recorded, rebuilt)

    assert rebuilt.summary.comparison.candidates[0].trials == recorded.summary.comparison.candidates[0].trials < 100
    assert report.same_model
    assert report.same_metrics
    assert report.differences == []
    assert {name.partition("_")[0] for name in report.metrics} == {"cv", "test"}
    assert "trained again: the same model" in describe_rebuild(report)


@pytest.mark.slow
def test_another_model_is_reported_with_its_differences() -> None:
    case = task_case("binary")
    recorded, other = first_training(case), first_training(case, random_state=4)

    report = compare(case, recorded, other, now=Code("b" * 40, "true"))

    assert not report.same_model
    assert not report.same_metrics
    whats = [difference.what for difference in report.differences]
    assert whats[:2] == ["git commit", "files that differ from the commit"]
    assert report.metrics["cv_log_loss"].recorded != report.metrics["cv_log_loss"].rebuilt
    text = describe_rebuild(report)
    assert "trained again: another model" in text
    assert f"git commit: {'a' * 40} then, {'b' * 40} now" in text
