"""A small customer table that has one column of every kind, and a small model trained on it."""

import os
from collections.abc import Callable, Iterator
from typing import Any

# Read when OpenMP is loaded: the tests that run side by side share the cores, and waiting threads must not spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.splits import SplitManifest, SplitParameters, describe_splits, split_customers
from churn_kedro.models.interface import TrainedModel
from tests.servers import mlflow_server, postgres_database
from tests.task_cases import train_given

Declare = Callable[..., CustomerDeclaration]
Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

CUSTOMERS = 400
SHARES = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)

# How long an example takes says nothing about whether it holds.
settings.register_profile("churn_kedro", deadline=None)
# Each of thousands of mutants runs the tests.
settings.register_profile("mutation", deadline=None, max_examples=20, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "churn_kedro"))


def _declare(*columns: dict[str, Any], positive: Any = 1, negative: Any = 0) -> CustomerDeclaration:
    return CustomerDeclaration.model_validate(
        {
            "description": "Customers of a test",
            "task": "binary",
            "labels": {"positive": positive, "negative": negative},
            "columns": [{"description": "A column"} | column for column in columns],
        }
    )


# Files that take longest, the longest first: side by side, no worker is left alone with one of them at the end.
_LONGEST = ("end_to_end", "datasets/mlflow/test_registry", "pipelines/test_pipelines", "training/test_recipe")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((place for place, part in enumerate(_LONGEST) if part in path), len(_LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def declare() -> Declare:
    """Makes a declaration out of columns that lack no more than a description."""
    return _declare


@pytest.fixture(scope="session")
def declaration() -> CustomerDeclaration:
    return _declare(
        {"name": "Id", "role": "id"},
        {"name": "City", "kind": "categorical", "nullable": True},
        {"name": "Age", "kind": "numeric", "domain": {"min": 18, "max": 100}},
        {"name": "Country", "kind": "categorical", "domain": ["France", "Spain"]},
        {"name": "Charges", "kind": "numeric", "domain": {"min": 0}, "nullable": True, "missing": ["NA", "-1"]},
        {"name": "Tier", "kind": "categorical", "domain": [2, 1, 3], "nullable": True, "missing": ["none"]},
        {"name": "Contract", "kind": "ordinal", "domain": ["month", "year"]},
        {"name": "Card", "kind": "binary", "domain": [0, 1]},
        {"name": "Note", "role": "ignored"},
        {"name": "Left", "role": "target"},
    )


@pytest.fixture(scope="session")
def _fabricated() -> pd.DataFrame:
    random = np.random.default_rng(7)
    age = random.integers(18, 81, CUSTOMERS)
    country = random.choice(["France", "Spain"], CUSTOMERS)
    tier = random.choice([1, 2, 3], CUSTOMERS)
    contract = random.choice(["month", "year"], CUSTOMERS)
    log_odds = (age - 50) / 8 + 1.5 * (country == "Spain") + 2 * (tier == 2) - 2 * (contract == "year") - 1
    left = random.random(CUSTOMERS) < 1 / (1 + np.exp(-log_odds))
    charges = random.uniform(0, 100, CUSTOMERS).round(2).astype(str)
    raw = {
        "Id": np.arange(1, CUSTOMERS + 1),
        "City": random.choice(["Lyon", "Nice", "Vigo", ""], CUSTOMERS),
        "Age": age,
        "Country": country,
        "Charges": np.where(random.random(CUSTOMERS) < 0.1, "NA", charges),
        "Tier": np.where(random.random(CUSTOMERS) < 0.1, "none", tier.astype(str)),
        "Contract": contract,
        "Card": random.integers(0, 2, CUSTOMERS),
        "Note": "-",
        "Left": left.astype(int),
    }
    return pd.DataFrame(raw).astype("str")


@pytest.fixture
def raw_customers(_fabricated: pd.DataFrame) -> pd.DataFrame:
    """400 customers as a CSV file writes them: every cell is text."""
    return _fabricated.copy()


@pytest.fixture(scope="session")
def _normalised(_fabricated: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    return normalise(_fabricated, declaration, with_target=True).table.astype({"Left": "int64"})


@pytest.fixture
def customers(_normalised: pd.DataFrame) -> pd.DataFrame:
    """The same customers with typed columns."""
    return _normalised.copy()


@pytest.fixture(scope="session")
def splits(_normalised: pd.DataFrame, declaration: CustomerDeclaration) -> Splits:
    """Train, validation and test: 200, 100 and 100 customers. Not to be changed."""
    return split_customers(_normalised, declaration, SHARES)


@pytest.fixture(scope="session")
def manifest(splits: Splits, declaration: CustomerDeclaration) -> SplitManifest:
    return describe_splits(*splits, declaration, SHARES, {})


@pytest.fixture(scope="session")
def trained(splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration) -> TrainedModel:
    """A model of twelve trees on 300 customers."""
    return train_given(*splits[:2], manifest, declaration).model


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server above PostgreSQL; all tests share it, so each has names of its own."""
    with postgres_database() as store, mlflow_server(store, tmp_path_factory.mktemp("server")) as uri:
        yield uri
