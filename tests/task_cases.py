"""For each task a small table and a small model trained on it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, Task
from churn_kedro.features import FeatureParameters, TrainingInputs, fit_features
from churn_kedro.models import RegisteredModel, TrainedModel
from churn_kedro.normalisation import normalise
from churn_kedro.splits import SplitManifest, SplitParameters, describe_splits, split_customers
from churn_kedro.training import FitParameters, fit_estimator
from churn_kedro.tuning import Trial

CLASSES = ["basic", "plus", "premium"]
FIT = FitParameters(random_state=5, n_jobs=1, calibration="temperature", threshold_metric="f1")
TRIAL = Trial(number=0, score=0.5, n_estimators=20, hyperparameters={"max_depth": 3, "learning_rate": 0.3})
SPLIT = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)


@dataclass(frozen=True)
class TaskCase:
    """A table, divided, and a model trained on it."""

    declaration: CustomerDeclaration
    raw: pd.DataFrame
    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    manifest: SplitManifest
    trained: TrainedModel

    def registered(self, version: int = 1, **changed: Any) -> RegisteredModel:
        """The model as the registry would give it."""
        fields: dict[str, Any] = {
            "name": "test_churn",
            "version": version,
            "model_id": f"m-{version}",
            "run_id": "r",
            "tags": self.trained.facts,
            "estimator": self.trained.estimator,
        }
        return RegisteredModel(**(fields | changed))


def declare(task: Task, classes: list[Any] | None = None) -> CustomerDeclaration:
    """Declaration of the table below."""
    labels: dict[Task, dict[str, Any]] = {
        "binary": {"labels": {"negative": "stays", "positive": "leaves"}},
        "multiclass": {"labels": {"classes": classes or CLASSES}},
        "regression": {},
    }
    return CustomerDeclaration.model_validate(
        {
            "description": "Customers of a test",
            "task": task,
            **labels[task],
            "columns": [
                {"description": "A column", **column}
                for column in (
                    {"name": "Id", "role": "id"},
                    {"name": "Age", "kind": "numeric"},
                    {"name": "Country", "kind": "categorical", "domain": ["France", "Spain"]},
                    {"name": "Visits", "kind": "numeric", "nullable": True},
                    {"name": "Outcome", "role": "target"},
                )
            ],
        }
    )


def fabricate(task: Task, n_customers: int = 600) -> pd.DataFrame:
    """Customers as a CSV file writes them."""
    random = np.random.default_rng(11)
    age, country = random.integers(18, 81, n_customers), random.choice(["France", "Spain"], n_customers)
    visits = random.poisson(4, n_customers)
    drive = (age - 50) / 10 + 2 * (country == "Spain") + random.normal(0, 0.7, n_customers)
    outcomes: dict[Task, np.ndarray] = {
        "binary": np.where(drive > 1, "leaves", "stays"),
        # The middle class is the most frequent one and the hardest to tell.
        "multiclass": np.asarray(CLASSES)[np.digitize(drive + 0.1 * visits, [-0.5, 2.5])],
        "regression": (1000 + 150 * drive + 10 * visits).round(2),
    }
    return pd.DataFrame(
        {
            "Id": np.arange(1, n_customers + 1),
            "Age": age,
            "Country": country,
            "Visits": np.where(random.random(n_customers) < 0.1, "", visits.astype(str)),
            "Outcome": outcomes[task],
        }
    ).astype("str")


def treat(train: pd.DataFrame, declaration: CustomerDeclaration) -> TrainingInputs:
    """What XGBoost sees of training customers under the default treatment."""
    return fit_features(train, declaration, FeatureParameters())


@cache
def task_case(task: Task) -> TaskCase:
    """The case of a task; not to be changed."""
    declaration, raw = declare(task), fabricate(task)
    table = normalise(raw, declaration, with_target=True).table
    if declaration.classes:
        table = table.astype({declaration.target: "int64"})
    parts = split_customers(table, declaration, SPLIT)
    manifest = describe_splits(*parts, declaration, SPLIT, {})
    trained = fit_estimator(treat(parts[0], declaration), *parts[:2], manifest, declaration, TRIAL, FIT)
    return TaskCase(declaration, raw, *parts, manifest, trained)
