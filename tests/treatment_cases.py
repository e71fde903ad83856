"""A customer table on which every treatment is used, as a file with decimal commas writes it, and models of it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.splits import SplitParameters, describe_splits, split_customers
from churn_kedro.customers.tasks import Task
from churn_kedro.features.parameters import FeatureParameters, SelectionParameters
from churn_kedro.features.treatment import TrainingInputs, fit_features
from churn_kedro.models.interface import TrainedModel
from tests.task_cases import train_given

N_CUSTOMERS = 400
_CLASSES = ["basic", "plus", "premium"]
_LABELS: dict[Task, dict[str, Any]] = {
    "binary": {"labels": {"positive": 1, "negative": 0}},
    "multiclass": {"labels": {"classes": _CLASSES}},
    "regression": {},
}
SELECTIONS: dict[str, SelectionParameters | None] = {
    "none": None,
    "variance": SelectionParameters(method="variance", threshold=0.02),
    "mutual_information": SelectionParameters(method="mutual_information", number=8),
    "model": SelectionParameters(method="model", number=8),
}
_IQR = {"method": "iqr", "threshold": 1.5}
_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "Age", "kind": "numeric", "nullable": True, "missing": ["-1"]}
    | {"treatment": {"missing": "knn", "indicator": True, "outliers": {**_IQR, "action": "clip"}}},
    {"name": "Income", "kind": "numeric", "nullable": True}
    | {"treatment": {"missing": "iterative", "outliers": {**_IQR, "action": "flag"}, "scaling": "robust"}},
    {"name": "Visits", "kind": "numeric", "nullable": True}
    | {"treatment": {"missing": "median", "binning": {"method": "quantile", "bins": 4}, "scaling": "min_max"}},
    {"name": "Minutes", "kind": "numeric", "nullable": True}
    | {"treatment": {"missing": "mean", "scaling": "standard"}},
    {"name": "Calls", "kind": "numeric", "nullable": True}
    | {"treatment": {"missing": "constant", "fill_value": 0, "binning": {"method": "edges", "edges": [2, 5]}}},
    {"name": "Card", "kind": "binary", "domain": [0, 1], "nullable": True, "treatment": {"missing": "most_frequent"}},
    {"name": "Since", "kind": "date", "date_format": "%d.%m.%Y", "nullable": True}
    | {"treatment": {"parts": ["age", "month", "season", "weekday"], "missing": "median", "indicator": True}},
    {"name": "Country", "kind": "categorical", "domain": ["France", "Spain"], "nullable": True}
    | {"treatment": {"encoding": "one_hot", "indicator": True}},
    {"name": "City", "kind": "categorical", "nullable": True, "treatment": {"encoding": "target"}},
    {"name": "Tier", "kind": "categorical", "domain": [3, 1, 2], "nullable": True}
    | {"treatment": {"missing": "most_frequent"}},
    {"name": "Shop", "kind": "categorical", "nullable": True}
    | {"treatment": {"missing": "constant", "fill_value": "none"}},
    {"name": "Size", "kind": "ordinal", "domain": ["small", "large"], "treatment": {"encoding": "native"}},
    {"name": "Outcome", "role": "target"},
)


@dataclass(frozen=True)
class TreatmentCase:
    """A table on which every treatment is used, and a model of it."""

    declaration: CustomerDeclaration
    parameters: FeatureParameters
    raw: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame
    inputs: TrainingInputs
    trained: TrainedModel


def declare(task: Task) -> CustomerDeclaration:
    return CustomerDeclaration.model_validate(
        {
            "description": "Customers of a test",
            "task": task,
            **_LABELS[task],
            "decimal": ",",
            "columns": [{"description": "A column", **column} for column in _COLUMNS],
            "derived": [{"name": "Pace", "operation": "ratio", "of": ["Minutes", "Calls"]}],
        }
    )


def fabricate(task: Task) -> pd.DataFrame:
    """Customers as a file writes them: decimal commas, German dates, blanks."""
    random = np.random.default_rng(5)
    age, calls = random.normal(50, 12, N_CUSTOMERS), random.poisson(3, N_CUSTOMERS)
    country = random.choice(["France", "Spain"], N_CUSTOMERS)
    since = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1500, N_CUSTOMERS), unit="D")
    drive = (age - 50) / 8 + 1.5 * (country == "Spain") + 0.3 * calls + random.normal(0, 0.5, N_CUSTOMERS)
    outcomes: dict[Task, Any] = {
        "binary": (drive > 1).astype(int),
        "multiclass": np.asarray(_CLASSES)[np.digitize(drive, [0, 2])],
        "regression": [f"{number:.3f}".replace(".", ",") for number in drive],
    }
    cells: dict[str, Any] = {
        "Age": [f"{number:.1f}" for number in age],
        "Income": [f"{number:.2f}" for number in random.lognormal(8, 0.8, N_CUSTOMERS)],
        "Visits": random.poisson(20, N_CUSTOMERS),
        "Minutes": [f"{number:.2f}" for number in random.uniform(0, 100, N_CUSTOMERS)],
        "Calls": calls,
        "Card": random.integers(0, 2, N_CUSTOMERS),
        "Since": since.strftime("%d.%m.%Y"),
        "Country": country,
        "City": random.choice(["Lyon", "Nice", "Vigo"], N_CUSTOMERS),
        "Tier": random.choice([1, 2, 3], N_CUSTOMERS),
        "Shop": random.choice(["north", "south"], N_CUSTOMERS),
        "Size": random.choice(["small", "large"], N_CUSTOMERS),
        "Outcome": outcomes[task],
    }
    raw = pd.DataFrame(cells).astype("str")
    for name in ("Age", "Income", "Minutes"):
        raw[name] = raw[name].str.replace(".", ",")
    for column in raw.columns.difference(["Outcome", "Size"]):
        raw.loc[random.random(N_CUSTOMERS) < 0.1, column] = "-1" if column == "Age" else ""
    return raw


@cache
def treatment_case(task: Task = "binary", selection: str = "none") -> TreatmentCase:
    """The case of a task; not to be changed."""
    declaration, raw = declare(task), fabricate(task)
    strange_rows = {"action": "flag", "contamination": 0.05, "random_state": 1}
    parameters = FeatureParameters.model_validate(
        {
            # A forest is large: one of the models has one.
            "row_outliers": strange_rows if selection == "none" else None,
            "imputation": {"max_rows": 100},
            "selection": SELECTIONS[selection],
        }
    )
    table = normalise(raw, declaration, with_target=True).table
    if declaration.classes:
        table = table.astype({declaration.target: "int64"})
    shares = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)
    train, validation, test = split_customers(table, declaration, shares)
    manifest = describe_splits(train, validation, test, declaration, shares, {})
    inputs = fit_features(train, declaration, parameters)
    trained = train_given(train, validation, manifest, declaration, features=parameters, fold_inputs=inputs).model
    return TreatmentCase(declaration, parameters, raw, train, test, inputs, trained)
