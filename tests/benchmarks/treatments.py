"""What each treatment of the columns does to a model that is otherwise the same.

``python -m tests.benchmarks.treatments`` prints the tables of docs/features.md. Trees are fixed and untuned. Treatment
and trees are fitted on four fifths of the customers and evaluated on the fifth, for several divisions, the same
for every case, so that the difference from the default is paired.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.features.outliers import find_training_outliers
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.treatment import fit_features
from tests import ROOT

REAL_DATA = Path(os.environ.get("CHURN_REAL_DATA") or ROOT.parent / "shared" / "data")
SEED = 42
FOLDS = 5
# Of the numbers, in the second table.
BLANKED = 0.1
BINS = 10
TREES: Mapping[str, Any] = {
    "n_estimators": 200,
    "max_depth": 4,
    "learning_rate": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 5,
    "enable_categorical": True,
    "random_state": SEED,
    "n_jobs": 1,
}
LEVELS = ("binary", "ordinal", "categorical")


@dataclass(frozen=True)
class Table:
    """A use case's table, real where it is there."""

    use_case: str
    environment: str
    real_file: str
    derived: list[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """A treatment that differs from the default."""

    name: str
    features: dict[str, Any] = field(default_factory=dict)
    derived: bool = False


TABLES = (
    Table(
        "bank",
        "base",
        "Churn_Modelling.csv",
        [
            {"name": "BalanceShare", "operation": "ratio", "of": ["Balance", "EstimatedSalary"]},
            {"name": "TenureByAge", "operation": "ratio", "of": ["Tenure", "Age"]},
            {"name": "BalanceByProduct", "operation": "ratio", "of": ["Balance", "NumOfProducts"]},
        ],
    ),
    Table(
        "telco",
        "telco",
        "Telco-Customer-Churn.csv",
        [
            {"name": "MeanCharges", "operation": "ratio", "of": ["TotalCharges", "tenure"]},
            {"name": "Expected", "operation": "product", "of": ["MonthlyCharges", "tenure"]},
        ],
    ),
)


def _numeric(**treatment: Any) -> dict[str, Any]:
    return {"numeric": treatment}


def _outliers(method: str, threshold: float, action: str) -> dict[str, Any]:
    return _numeric(outliers={"method": method, "threshold": threshold, "action": action})


def _strange_rows(action: str) -> dict[str, Any]:
    return {"row_outliers": {"action": action, "contamination": 0.02, "random_state": SEED}}


def _encoded(encoding: str) -> dict[str, Any]:
    return {"categorical": {"encoding": encoding}}


CASES = (
    Case("default: native, missing kept"),
    Case("one-hot categories", _encoded("one_hot")),
    Case("ordinal categories", _encoded("ordinal")),
    Case("target-encoded categories", _encoded("target")),
    Case("one-hot, all levels", {kind: {"encoding": "one_hot"} for kind in LEVELS}),
    Case("clip, IQR 1.5", _outliers("iqr", 1.5, "clip")),
    Case("clip, IQR 3", _outliers("iqr", 3, "clip")),
    Case("clip, z-score 3", _outliers("zscore", 3, "clip")),
    Case("flag, IQR 1.5", _outliers("iqr", 1.5, "flag")),
    Case("drop from training, IQR 1.5", _outliers("iqr", 1.5, "drop")),
    Case("isolation forest 2 %, flag", _strange_rows("flag")),
    Case("isolation forest 2 %, drop", _strange_rows("drop")),
    Case(f"{BINS} quantile bins", _numeric(binning={"method": "quantile", "bins": BINS})),
    Case(f"{BINS} bins of equal width", _numeric(binning={"method": "width", "bins": BINS})),
    Case("standard scaling", _numeric(scaling="standard")),
    Case("robust scaling", _numeric(scaling="robust")),
    Case("variance above 0.05", {"selection": {"method": "variance", "threshold": 0.05}}),
    Case("8 inputs by mutual information", {"selection": {"method": "mutual_information", "number": 8}}),
    Case("8 inputs by a model", {"selection": {"method": "model", "number": 8}}),
    Case("derived columns", derived=True),
)
BLANKED_CASES = (
    Case("default: missing kept"),
    Case("kept, indicator", _numeric(indicator=True)),
    Case("median", _numeric(missing="median")),
    Case("median, indicator", _numeric(missing="median", indicator=True)),
    Case("mean", _numeric(missing="mean")),
    Case("most frequent", _numeric(missing="most_frequent")),
    Case("KNN", _numeric(missing="knn")),
    Case("iterative", _numeric(missing="iterative")),
)


def load(table: Table) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Typed customers, their declaration, and where they are from."""
    declared = yaml.safe_load(
        (ROOT / "conf" / table.environment / "parameters" / "customers.yml").read_text(encoding="utf-8")
    )["customers"]
    real = REAL_DATA / table.real_file
    path = real if real.is_file() else ROOT / "data" / "01_raw" / table.use_case / "customers.csv"
    raw = pd.read_csv(path, dtype="str", na_filter=False)
    declaration = CustomerDeclaration.model_validate(declared)
    customers = normalise(raw, declaration, with_target=True).table.astype({declaration.target: "int64"})
    return customers, declared, "real" if path == real else "sample"


def declare(declared: dict[str, Any], customers: pd.DataFrame, table: Table, case: Case) -> CustomerDeclaration:
    """The declaration, with derived columns where the case asks, and no bins for a handful of different numbers."""
    columns = [dict(column) for column in declared["columns"]]
    for column in columns:
        if column.get("kind") == "numeric" and customers[column["name"]].nunique() < BINS:
            column["treatment"] = {"binning": None}
    derived = table.derived if case.derived else []
    return CustomerDeclaration.model_validate({**declared, "columns": columns, "derived": derived})


def measure(customers: pd.DataFrame, declaration: CustomerDeclaration, case: Case, repeats: int) -> np.ndarray:
    """ROC-AUC, PR-AUC and log loss on each fold, shape (folds, 3)."""
    import xgboost as xgb
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
    from sklearn.model_selection import RepeatedStratifiedKFold

    parameters = FeatureParameters.model_validate(case.features)
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=SEED)
    rows = []
    for train_rows, test_rows in folds.split(customers, customers[declaration.target]):
        train, test = customers.iloc[train_rows], customers.iloc[test_rows]
        train = train[~find_training_outliers(train, declaration, parameters)]
        inputs = fit_features(train, declaration, parameters)
        trees = xgb.XGBClassifier(feature_types=inputs.types, **TREES).fit(inputs.values, train[declaration.target])
        probability = trees.predict_proba(inputs.transformer.transform(test))[:, 1]
        target = test[declaration.target]
        rows.append(
            (
                roc_auc_score(target, probability),
                average_precision_score(target, probability),
                log_loss(target, probability),
            )
        )
    return np.array(rows)


def blank(customers: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """The customers without a tenth of their numbers, by chance."""
    random = np.random.default_rng(SEED)
    blanked = customers.copy()
    for column in declaration.features:
        if column.kind == "numeric":
            blanked.loc[random.random(len(blanked)) < BLANKED, column.name] = np.nan
    return blanked


def report(title: str, cases: tuple[Case, ...], table: Table, repeats: int, *, blanked: bool) -> None:
    """Print one table."""
    customers, declared, origin = load(table)
    print(f"\n{table.use_case} ({origin}, {len(customers):,} customers), {title}; {repeats} x {FOLDS} folds\n")
    print("| treatment | ROC-AUC | against default | PR-AUC | log loss | seconds a fold |")
    print("|---|---|---|---|---|---|")
    base: np.ndarray | None = None
    for case in cases:
        declaration = declare(declared, customers, table, case)
        rows = blank(customers, declaration) if blanked else customers
        started = time.perf_counter()
        scores = measure(rows, declaration, case, repeats)
        seconds = (time.perf_counter() - started) / len(scores)
        base = scores if base is None else base
        paired = scores[:, 0] - base[:, 0]
        against = "" if scores is base else f"{paired.mean():+.4f} ± {paired.std():.4f}"
        cells = [f"{scores[:, metric].mean():.4f} ± {scores[:, metric].std():.4f}" for metric in range(3)]
        print(f"| {case.name} | {cells[0]} | {against} | {cells[1]} | {cells[2]} | {seconds:.2f} |", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="divisions into five folds (default 3)")
    repeats = parser.parse_args().repeats
    for table in TABLES:
        report("as they are", CASES, table, repeats, blanked=False)
    for table in TABLES:
        report(f"a share of {BLANKED:g} of the numbers blanked", BLANKED_CASES, table, repeats, blanked=True)


if __name__ == "__main__":
    main()
