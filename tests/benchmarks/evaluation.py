"""Time of an evaluation, node by node, beside scikit-learn's own metrics in a loop and XGBoost's bare SHAP values.

``python -m tests.benchmarks.evaluation`` (or ``make benchmark-evaluation``) fabricates bank customers, trains a model
on some of them and evaluates it on many others, 100,000 by default, with the parameters of ``conf/base`` and the real
nodes; figures are written as PNG. Yardsticks, in the same process: ten of the metrics by scikit-learn on resampled
rows, from a few resamples; and ``Booster.predict(pred_contribs=True)`` on the same inputs. Imports and training are no
part of it.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import yaml

from churn_kedro.campaigns.parameters import CampaignParameters
from churn_kedro.evaluation.comparison import Baseline
from churn_kedro.evaluation.parameters import EvaluationParameters
from tests import ROOT

SEED = 20260101
TRAINED_ON = 20_000
LOOPED = 10


def _timed(what: str, work: Callable[[], Any], seconds: dict[str, float]) -> Any:
    started = time.perf_counter()
    done = work()
    seconds[what] = time.perf_counter() - started
    return done


def _save(figures: dict[str, Any]) -> dict[str, bytes]:
    pictures = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
        pictures[name.removesuffix(".png")] = buffer.getvalue()
    return pictures


def _loop_over_resamples(target: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    """Seconds of one resample measured by scikit-learn."""
    from sklearn import metrics

    random = np.random.default_rng(SEED)
    started = time.perf_counter()
    for _ in range(LOOPED):
        drawn = random.integers(0, len(target), len(target))
        actual, said = target[drawn], probability[drawn]
        flagged = said >= threshold
        metrics.roc_auc_score(actual, said)
        metrics.average_precision_score(actual, said)
        metrics.log_loss(actual, said)
        metrics.brier_score_loss(actual, said)
        for measure in (
            metrics.accuracy_score,
            metrics.balanced_accuracy_score,
            metrics.precision_score,
            metrics.recall_score,
            metrics.f1_score,
            metrics.matthews_corrcoef,
        ):
            measure(actual, flagged)
    return (time.perf_counter() - started) / LOOPED


def _parameters(name: str) -> Any:
    text = (ROOT / "conf" / "base" / "parameters" / f"{name}.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)[name]


def run(n_rows: int) -> None:
    """Evaluate a model on so many customers and print where the time goes."""
    import xgboost as xgb

    from churn_kedro.customers.declaration import CustomerDeclaration
    from churn_kedro.customers.normalisation import normalise
    from churn_kedro.customers.splits import SplitParameters, describe_splits
    from churn_kedro.evaluation.explanations import explain_customers
    from churn_kedro.evaluation.metrics.estimates import measure_with_intervals
    from churn_kedro.features.parameters import FeatureParameters
    from churn_kedro.models.interface import RegisteredModel
    from churn_kedro.pipelines.evaluation import nodes
    from churn_kedro.pipelines.fabrication.shapes import fabricate
    from churn_kedro.pipelines.fabrication.shapes.interface import FabricationParameters
    from tests.evidence_cases import no_leaks
    from tests.task_cases import train_given

    declaration = CustomerDeclaration.model_validate(_parameters("customers"))
    fabricated = fabricate(
        FabricationParameters(shape="bank", rows=n_rows + TRAINED_ON, new_rows=1, seed=SEED)
    ).labelled
    customers = normalise(fabricated, declaration, with_target=True).table.astype({declaration.target: "int64"})
    cut = int(TRAINED_ON * 0.75)
    train, validation = customers.iloc[:cut], customers.iloc[cut:TRAINED_ON]
    test = customers.iloc[TRAINED_ON:].reset_index(drop=True)
    manifest = describe_splits(
        train, validation, test, declaration, SplitParameters(test_size=0.8, validation_size=0.05, random_state=0), {}
    )
    features = FeatureParameters.model_validate(_parameters("features"))
    campaigns = CampaignParameters.model_validate(_parameters("campaigns"))
    small = {"xgboost": ({"max_depth": 5, "learning_rate": 0.05}, 300)}
    model = train_given(
        train, validation, manifest, declaration, features=features, given=small, campaigns=_parameters("campaigns")
    ).model
    candidate = RegisteredModel("bank_churn", 2, "m-2", "r", model.facts, model.estimator)
    parameters = EvaluationParameters.model_validate(_parameters("evaluation"))
    seconds: dict[str, float] = {}

    scores, measured = _timed(
        "score",
        lambda: nodes.score_test_customers(
            candidate, test, manifest, no_leaks(manifest.digests), declaration, "refuse"
        ),
        seconds,
    )
    resampled = _timed(
        "metrics on resamples", lambda: nodes.resample_performance(scores, parameters.bootstrap), seconds
    )
    compared = _timed(
        "compare with the champion",
        lambda: nodes.compare_with_baseline(
            [Baseline("version 1", model.estimator)],
            scores,
            resampled,
            test,
            declaration,
            parameters.bootstrap,
            parameters.n_disagreements,
        ),
        seconds,
    )
    campaign = _timed(
        "campaign",
        lambda: nodes.backtest_campaign(candidate, scores, test, train, declaration, campaigns, parameters.bootstrap),
        seconds,
    )
    assessment = _timed(
        "groups, fairness",
        lambda: nodes.assess_version(scores, measured, test, campaign, compared, declaration, parameters),
        seconds,
    )
    evaluation, _ = _timed(
        "intervals",
        lambda: nodes.measure_performance(candidate, scores, resampled, measured, assessment, parameters.bootstrap),
        seconds,
    )
    _timed(
        "figures", lambda: _save(nodes.draw_evaluation(scores, evaluation, assessment, compared, declaration)), seconds
    )
    print(f"evaluation of {n_rows:,} customers, {parameters.bootstrap.n_resamples:,} resamples")
    for what, took in seconds.items():
        print(f"  {what:<28}{took:7.2f} s")
    print(f"  {'together':<28}{sum(seconds.values()):7.2f} s")

    looped = _loop_over_resamples(scores.target, scores.prediction, scores.threshold or 0.5)
    whole = looped * parameters.bootstrap.n_resamples
    started = time.perf_counter()
    measure_with_intervals(scores, parameters.bootstrap)
    ours = time.perf_counter() - started
    print(
        f"\nten of the metrics by scikit-learn, one resample after the other: {whole:.0f} s, "
        f"{whole / ours:.0f} times ours"
    )

    explained: dict[str, float] = {}
    _timed(
        "SHAP values",
        lambda: explain_customers(candidate.estimator, test, declaration, parameters.explanations),
        explained,
    )
    _timed(
        "all explanations, with figures",
        lambda: _save(
            nodes.explain_version(candidate, test, scores, measured, declaration, parameters.explanations)[1]
        ),
        explained,
    )
    treatment, trees = candidate.estimator.features, candidate.estimator.learner
    rows: pd.DataFrame = test.sample(parameters.explanations.max_explained, random_state=0)
    matrix = xgb.DMatrix(treatment.transform(rows), feature_types=trees.feature_types, enable_categorical=True)
    started = time.perf_counter()
    trees.get_booster().predict(matrix, pred_contribs=True)
    bare = time.perf_counter() - started
    print(f"\nexplanations of {len(rows):,} customers")
    for what, took in explained.items():
        print(f"  {what:<32}{took:7.2f} s")
    print(f"  {'bare pred_contribs':<32}{bare:7.2f} s: ours takes {explained['SHAP values'] / bare:.2f} times as long")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="test customers")
    run(parser.parse_args().rows)


if __name__ == "__main__":
    main()
