"""Small models as they were registered, with their answers: later packages must reproduce them.

`python -m tests.churn_estimators.registered_models` adds the cases that are not there yet. What is there is never
written again: it stands for the versions that users have registered.
"""

import json
import zipfile
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io

from churn_estimators.ensembles import BlendClassifier
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow.stored_models import package_digest
from churn_kedro.models.interface import TrainedModel
from tests.task_cases import task_case, train_given
from tests.treatment_cases import treatment_case

FOLDER = Path(__file__).with_name("registered")
N_ROWS = 12
Case = tuple[TrainedModel, pd.DataFrame]


def _trained(task: Task, **changed: Any) -> Case:
    case = task_case(task)
    model = train_given(case.train, case.validation, case.manifest, case.declaration, **changed).model
    return model, case.raw.drop(columns=["Id", "Outcome"])


def _treated(task: Task, selection: str) -> Case:
    case = treatment_case(task, selection)
    return case.trained, case.raw.drop(columns="Outcome")


def _by_value() -> Case:
    """Contacts by expected profit, with the value of a customer in a column."""
    economics = {
        "contact_cost": 2,
        "offer_cost": 5,
        "save_probability": 0.4,
        "value": {"column": "Visits", "factor": 9},
    }
    return _trained(
        "binary", campaigns={"objective": "profit", "economics": economics}, calibration={"method": "sigmoid"}
    )


def _blend() -> Case:
    """An ensemble of two algorithms, with an isotonic calibration."""
    linear, rows = _trained("binary", algorithms=["logistic_regression"])
    trees, _ = _trained("binary", calibration={"method": "isotonic"})
    blend = BlendClassifier([linear.estimator.learner, trees.estimator.learner])
    return replace(trees, estimator=copy(trees.estimator).set_params(learner=blend)), rows


CASES: dict[str, Callable[[], Case]] = {
    "binary_by_value": _by_value,
    "binary_blend": _blend,
    "binary_treatments": lambda: _treated("binary", "model"),
    "multiclass": lambda: _trained("multiclass"),
    "regression": lambda: _trained("regression"),
    "regression_treatments": lambda: _treated("regression", "mutual_information"),
}


def odd_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The first rows, some of them with blank, unknown and unreadable cells."""
    odd = rows.head(N_ROWS).reset_index(drop=True)
    odd.loc[0, "Age"], odd.loc[1, "Age"], odd.loc[2, "Country"], odd.loc[3, "Country"] = "old", "", "Utopia", " Spain "
    odd.loc[4, "Visits"], odd.loc[5, "Age"] = "1e1", "inf"
    return odd


def answers_of(model: Any, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """What pyfunc answers, as JSON keeps it."""
    answer: pd.DataFrame = model.predict(rows)
    found: list[dict[str, Any]] = json.loads(answer.to_json(orient="records", double_precision=15))
    return found


if __name__ == "__main__":
    for name, make in CASES.items():
        if (FOLDER / f"{name}.json").exists():
            continue
        trained, table = make()
        rows = odd_rows(table)
        record = {
            "package": package_digest(),
            "rows": rows.to_dict("records"),
            "answers": answers_of(trained.estimator, rows),
        }
        file = FOLDER / f"{name}.skops"
        skops.io.dump(trained.estimator, file, compression=zipfile.ZIP_DEFLATED, compresslevel=9)
        (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
