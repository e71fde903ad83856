"""This project's training beside its peers: how good, how fast, how large.

``python -m tests.benchmarks.training`` (or ``make benchmark-training``) divides the bank and the telco table into
stratified folds that no candidate trained on, and fits on the rest of each: this project's training and FLAML with the
same wall-clock budgets, and XGBoost, logistic regression and CatBoost as their libraries ship them. Each candidate runs
in a process of its own. FLAML wants another XGBoost than this project, so it gets an environment of its own.

``--rows 10000 100000 1000000`` measures instead how long one XGBoost training takes on fabricated customers, against
bare ``xgboost.train`` on the same inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from churn_kedro.campaigns.parameters import CampaignParameters
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.training.parameters import configure_training
from tests import ROOT
from tests.benchmarks.treatments import SEED, TABLES, load

FLAML = ("flaml[automl]==2.7.0", "catboost==1.2.10")
METRICS = ("ROC-AUC", "PR-AUC", "log loss", "Brier", "ECE")
FIXED = ("xgboost defaults", "logistic regression", "catboost defaults")
SCALE_ROUNDS = 300

Fit = Callable[[pd.DataFrame, pd.Series], Callable[[pd.DataFrame], np.ndarray]]


def configured() -> dict[str, Any]:
    """Training parameters as the project ships them."""
    text = (ROOT / "conf" / "base" / "parameters" / "training.yml").read_text(encoding="utf-8")
    parameters: dict[str, Any] = yaml.safe_load(text)["training"]
    return parameters


def fit_ours(declaration: CustomerDeclaration, budget: float) -> Fit:
    """This project's training; the search gets what the rest of it leaves of the budget."""
    from churn_kedro.customers.splits import SplitParameters, describe_splits, split_customers
    from churn_kedro.features.parameters import FeatureParameters
    from churn_kedro.training.folds import build_development
    from churn_kedro.training.parameters import TrainingParameters
    from churn_kedro.training.progress import NoProgress
    from churn_kedro.training.recipe import train
    from churn_kedro.training.search import NoArchive, SearchContext

    parameters = configured()
    campaigns = CampaignParameters.model_validate(
        yaml.safe_load((ROOT / "conf/base/parameters/campaigns.yml").read_text(encoding="utf-8"))["campaigns"]
    )
    parameters["search"] |= {"n_trials": 100_000, "timeout_seconds": budget * 0.85}
    training, features = TrainingParameters.model_validate(parameters), FeatureParameters()
    split = SplitParameters(test_size=0.2, validation_size=0.2, random_state=SEED)

    def fit(customers: pd.DataFrame, target: pd.Series) -> Callable[[pd.DataFrame], np.ndarray]:
        table = customers.assign(**{declaration.target: target}).reset_index(drop=True)
        # The split's test part is learned from, too: here, the benchmark's own folds are the test.
        first, second, third = split_customers(table, declaration, split)
        learned = pd.concat([first, third], ignore_index=True)
        manifest = describe_splits(learned, second, second, declaration, split, {})
        development = build_development(learned, second, manifest, declaration, features)
        configuration = configure_training(declaration, features, training, campaigns)
        fitted = train(development, configuration, SearchContext(NoArchive(), NoProgress()))
        return lambda others: fitted.model.estimator.scores(others)

    return fit


def _categorical(declaration: CustomerDeclaration, customers: pd.DataFrame) -> pd.DataFrame:
    names = [column.name for column in declaration.features if column.cells == "text"]
    levels = {name: pd.CategoricalDtype(sorted(customers[name].dropna().unique())) for name in names}
    return customers[declaration.feature_names].astype(levels)


def fit_fixed(name: str, declaration: CustomerDeclaration, whole: pd.DataFrame) -> Fit:
    """A library's model with its own defaults."""
    table = _categorical(declaration, whole)
    text = [str(column) for column in table.columns if isinstance(table[column].dtype, pd.CategoricalDtype)]
    cores = os.cpu_count() or 1

    def build() -> Any:
        if name == "xgboost defaults":
            import xgboost as xgb

            return xgb.XGBClassifier(enable_categorical=True, n_jobs=cores, random_state=SEED)
        if name == "catboost defaults":
            from catboost import CatBoostClassifier

            return CatBoostClassifier(
                cat_features=text, thread_count=cores, random_seed=SEED, verbose=False, allow_writing_files=False
            )
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numbers = [column for column in declaration.feature_names if column not in text]
        prepared = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), text),
        )
        return make_pipeline(prepared, LogisticRegression(max_iter=1000))

    def given(customers: pd.DataFrame) -> pd.DataFrame:
        rows = customers[declaration.feature_names].astype({column: table[column].dtype for column in text})
        # CatBoost takes no missing category.
        return rows.astype(dict.fromkeys(text, object)).fillna(dict.fromkeys(text, "")) if "cat" in name else rows

    def fit(customers: pd.DataFrame, target: pd.Series) -> Callable[[pd.DataFrame], np.ndarray]:
        model = build().fit(given(customers), target)
        return lambda others: np.asarray(model.predict_proba(given(others))[:, 1])

    return fit


def work(name: str, use_case: str, budget: float, folder: Path) -> None:
    """Fit one candidate on every fold, in a process of its own."""
    table = next(table for table in TABLES if table.use_case == use_case)
    customers, declared, _ = load(table)
    declaration = CustomerDeclaration.model_validate(declared)
    fit = fit_ours(declaration, budget) if name == "churn_kedro" else fit_fixed(name, declaration, customers)
    seconds, predictions = [], []
    for train_rows, test_rows in json.loads((folder / "folds.json").read_text(encoding="utf-8")):
        started = time.perf_counter()
        rows = customers.iloc[train_rows]
        predict = fit(rows.drop(columns=declaration.target), rows[declaration.target])
        seconds.append(time.perf_counter() - started)
        predictions.append(predict(customers.iloc[test_rows]).tolist())
    _write_result(folder / "result.json", seconds, predictions)


def _write_result(path: Path, seconds: list[float], predictions: list[list[float]]) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    path.write_text(json.dumps({"seconds": seconds, "mebibytes": peak, "predictions": predictions}), encoding="utf-8")


def flaml_python(folder: Path) -> Path | None:
    """Python of an environment that has FLAML; None where it cannot be made."""
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *FLAML], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            print(f"FLAML is left out, its environment cannot be made: {error.stderr.decode()[-300:]}")
            return None
    return python


def _export(table_name: str, folder: Path) -> None:
    """The table for a process that does not know this project."""
    customers, declared, _ = load(next(table for table in TABLES if table.use_case == table_name))
    declaration = CustomerDeclaration.model_validate(declared)
    text = [column.name for column in declaration.features if column.cells == "text"]
    customers[[*declaration.feature_names, declaration.target]].to_csv(folder / "customers.csv", index=False)
    description = {"target": declaration.target, "categories": text, "seed": SEED}
    (folder / "description.json").write_text(json.dumps(description), encoding="utf-8")


def measure(target: np.ndarray, probability: np.ndarray) -> tuple[float, ...]:
    """The metrics of a fold; those that scikit-learn has, by scikit-learn."""
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    from churn_kedro.training.calibration import expected_calibration_error

    return (
        float(roc_auc_score(target, probability)),
        float(average_precision_score(target, probability)),
        float(log_loss(target, probability)),
        float(brier_score_loss(target, probability)),
        expected_calibration_error(target, probability),
    )


def compare(use_case: str, budgets: list[float], n_folds: int, repeats: int, flaml: Path | None) -> None:
    """Print the table of one use case."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    customers, declared, origin = load(next(table for table in TABLES if table.use_case == use_case))
    target = customers[declared_target(declared)].to_numpy()
    divider = RepeatedStratifiedKFold(n_splits=n_folds, n_repeats=repeats, random_state=SEED)
    folds = [(train_rows.tolist(), test_rows.tolist()) for train_rows, test_rows in divider.split(target, target)]
    print(
        f"\n{use_case} ({origin}, {len(customers):,} customers), {repeats} x {n_folds} folds, {os.cpu_count()} cores\n"
    )
    print(f"| candidate | {' | '.join(METRICS)} | log loss against ours | seconds a fold | MiB |")
    print(f"|{'---|' * (len(METRICS) + 4)}")
    ours: dict[float, np.ndarray] = {}
    cases = [("churn_kedro", budget) for budget in budgets]
    cases += [("FLAML", budget) for budget in budgets if flaml is not None]
    cases += [(name, 0.0) for name in FIXED]
    for name, budget in cases:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "folds.json").write_text(json.dumps(folds), encoding="utf-8")
            if name == "FLAML":
                _export(use_case, folder)
                script = Path(__file__).with_name("flaml_worker.py")
                command = [str(flaml), str(script), str(folder), str(budget)]
            else:
                command = [sys.executable, "-m", "tests.benchmarks.training", "--work", name, use_case, str(budget)]
                command += [str(folder)]
            subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        scores = np.array(
            [
                measure(target[test_rows], np.asarray(probability))
                for (_, test_rows), probability in zip(folds, result["predictions"], strict=True)
            ]
        )
        if name == "churn_kedro":
            ours[budget] = scores
        base = ours.get(budget, ours[budgets[0]])
        paired = scores[:, 2] - base[:, 2]
        against = "" if name == "churn_kedro" else f"{paired.mean():+.4f} ± {paired.std(ddof=1):.4f}"
        label = f"{name}, {budget:g} s" if budget else name
        cells = [f"{scores[:, place].mean():.4f} ± {scores[:, place].std(ddof=1):.4f}" for place in range(len(METRICS))]
        print(
            f"| {label} | {' | '.join(cells)} | {against} | {np.mean(result['seconds']):.1f} | "
            f"{result['mebibytes']:.0f} |",
            flush=True,
        )


def declared_target(declared: dict[str, Any]) -> str:
    """Name of the target."""
    return CustomerDeclaration.model_validate(declared).target


def _memory(kind: str) -> float:
    """Resident memory in MiB, as Linux tells it: ``VmRSS`` now, ``VmHWM`` at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def _forget_peak() -> float:
    """Let the peak begin at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _memory("VmRSS")


def work_at_scale(n_rows: int, external: bool, folder: Path) -> None:
    """One training of fixed trees on fabricated customers, and bare XGBoost on the same inputs."""
    import xgboost as xgb

    from churn_kedro.base.threads import training_threads
    from churn_kedro.customers.normalisation import normalise
    from churn_kedro.datasets.runtime.matrix_parts import ParquetParts
    from churn_kedro.features.parameters import FeatureParameters
    from churn_kedro.features.treatment import fit_features
    from churn_kedro.models.learning import describe_learning
    from churn_kedro.pipelines.fabrication.shapes import fabricate
    from churn_kedro.pipelines.fabrication.shapes.interface import FabricationParameters
    from churn_kedro.training.algorithms import Problem
    from churn_kedro.training.algorithms.xgboost_trees import XGBoost
    from churn_kedro.training.folds import sample_of
    from churn_kedro.training.parameters import Interval, Space, TrainingParameters
    from churn_kedro.training.recipe import grow_from_files

    text = (ROOT / "conf" / "base" / "parameters" / "customers.yml").read_text(encoding="utf-8")
    declaration = CustomerDeclaration.model_validate(yaml.safe_load(text)["customers"])
    raw = fabricate(FabricationParameters(shape="bank", rows=n_rows, new_rows=1, seed=SEED)).labelled
    customers = normalise(raw, declaration, with_target=True).table.astype({declaration.target: "int64"})
    del raw
    space: Space = TrainingParameters.model_validate(configured()).spaces["xgboost"]
    chosen = {name: values.first for name, values in space.items() if isinstance(values, Interval)}
    hyperparameters = {name: value for name, value in chosen.items() if value is not None}
    problem = Problem(
        learning=describe_learning(customers, declaration), random_state=SEED, threads=training_threads(n_rows, None)
    )
    before = _forget_peak()
    started = time.perf_counter()
    inputs = fit_features(customers, declaration, FeatureParameters())
    sample = sample_of(customers, inputs.values, inputs, declaration)
    treated = time.perf_counter() - started
    started = time.perf_counter()
    if external:
        grow_from_files(sample, ParquetParts(folder / "matrix"), problem, hyperparameters, SCALE_ROUNDS)
    else:
        XGBoost().fit(sample, hyperparameters, problem, SCALE_ROUNDS)
    ours = time.perf_counter() - started
    peak = _memory("VmHWM") - before
    started = time.perf_counter()
    matrix = xgb.QuantileDMatrix(
        sample.values, sample.target, feature_types=list(sample.types), enable_categorical=True, nthread=problem.threads
    )
    settings = {"objective": "binary:logistic", "tree_method": "hist", "seed": SEED, "nthread": problem.threads}
    xgb.train({**settings, **hyperparameters}, matrix, num_boost_round=SCALE_ROUNDS)
    bare = time.perf_counter() - started
    found = {"treated": treated, "ours": ours, "bare": bare, "mebibytes": peak, "threads": problem.threads}
    (folder / "result.json").write_text(json.dumps(found), encoding="utf-8")


def measure_scale(sizes: list[int], external: bool) -> None:
    """Print the table of one training by number of rows."""
    print(f"\n{SCALE_ROUNDS} trees on fabricated bank customers, {os.cpu_count()} cores\n")
    print(
        "| rows | matrix | treatment, s | trees, s | bare xgboost.train, s | ratio | s per million rows | bytes a row |"
    )
    print(f"|{'---|' * 8}")
    for n_rows in sizes:
        for kept in (False, True) if external else (False,):
            with tempfile.TemporaryDirectory() as temporary:
                command = [sys.executable, "-m", "tests.benchmarks.training", "--work-at-scale", str(n_rows), str(kept)]
                subprocess.run([*command, temporary], check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
                found = json.loads((Path(temporary) / "result.json").read_text(encoding="utf-8"))
            whole = found["treated"] + found["ours"]
            print(
                f"| {n_rows:,} | {'files' if kept else 'memory'} | {found['treated']:.2f} | {found['ours']:.2f} | "
                f"{found['bare']:.2f} | {whole / found['bare']:.2f} | {whole / n_rows * 1e6:.1f} | "
                f"{found['mebibytes'] * 2**20 / n_rows:.0f} |",
                flush=True,
            )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=float, nargs="+", default=[30.0, 120.0], help="seconds (default 30 120)")
    parser.add_argument("--folds", type=int, default=5, help="folds (default 5)")
    parser.add_argument("--repeats", type=int, default=1, help="divisions into folds (default 1)")
    parser.add_argument("--tables", nargs="+", default=[table.use_case for table in TABLES], help="use cases")
    parser.add_argument("--flaml", type=Path, default=Path(tempfile.gettempdir()) / "churn_kedro_flaml", metavar="DIR")
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", help="measure one training at these sizes instead")
    parser.add_argument("--external", action="store_true", help="with --rows: also with the matrix in files")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--work-at-scale", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        name, use_case, budget, folder = given.work
        work(name, use_case, float(budget), Path(folder))
    elif given.work_at_scale:
        n_rows, kept, folder = given.work_at_scale
        work_at_scale(int(n_rows), kept == "True", Path(folder))
    elif given.rows:
        measure_scale(given.rows, given.external)
    else:
        flaml = flaml_python(given.flaml)
        for use_case in given.tables:
            compare(use_case, given.budgets, given.folds, given.repeats, flaml)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    main()
