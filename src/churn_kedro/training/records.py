"""Parameters, metrics and child runs of a training for the tracking server."""

from __future__ import annotations

from typing import Any

from churn_kedro.evaluation import RunMetrics
from churn_kedro.training.child_runs import ChildRun
from churn_kedro.training.recipe import TrainingSummary
from churn_kedro.training.search import SearchResult, Trial


def list_parameters(summary: TrainingSummary) -> dict[str, Any]:
    """List the hyperparameters under the names of their library, and the main settings of the training.

    Args:
        summary: Summary of the training.

    Returns:
        Value by name.
    """
    recipe = summary.recipe
    found: dict[str, Any] = {
        "algorithm": summary.model,
        "random_state": recipe.configuration.training.random_state,
        "test_size": recipe.split.test_size,
        "validation_size": recipe.split.validation_size,
        "split_method": recipe.split.method,
        "n_splits": len(summary.fold_scores),
        "n_features": len(recipe.configuration.declaration.features),
        "n_inputs": summary.inputs,
        "n_rows": summary.rows["trained"],
        "missing_value_strategy": recipe.configuration.features.numeric.missing,
        "categorical_encoding": recipe.configuration.features.categorical.encoding,
        "scaling": recipe.configuration.features.numeric.scaling,
        "class_weight": recipe.configuration.training.class_weight,
        "device": recipe.device,
        "n_jobs": summary.threads,
    }
    if summary.calibration is not None:
        found["calibration"] = summary.calibration.method
    if summary.threshold is not None:
        found |= {"decision_threshold": summary.threshold.threshold, "threshold_objective": summary.threshold.objective}
    for member in summary.members:
        prefix = "" if len(summary.members) == 1 else f"{member.algorithm}."
        found |= {f"{prefix}{name}": value for name, value in member.hyperparameters.items()}
        if member.n_estimators is not None:
            found[f"{prefix}n_estimators"] = member.n_estimators
    found |= {f"version.{name}": version for name, version in recipe.versions.items()}
    return {name: value for name, value in found.items() if value is not None}


def summarise_metrics(summary: TrainingSummary) -> RunMetrics:
    """List the metrics of a training.

    Args:
        summary: Summary of the training.

    Returns:
        Metric by name; the prefix ``cv_`` marks out-of-fold metrics.
    """
    values: dict[str, float] = {f"cv_{name}": value for name, value in summary.out_of_fold.items()}
    values |= {f"cv_{summary.metric}_fold_{place}": score for place, score in enumerate(summary.fold_scores, start=1)}
    values[f"cv_{summary.metric}_uncalibrated"] = summary.score
    if summary.calibration is not None:
        values |= {"cv_ece_before": summary.calibration.ece_before, "cv_ece_after": summary.calibration.ece_after}
    if summary.threshold is not None:
        values |= {"cv_contacted_share": summary.threshold.contacted_share}
        if summary.threshold.profit_per_customer is not None:
            values["cv_profit_per_customer"] = summary.threshold.profit_per_customer
    values |= {f"seconds_{name}": value for name, value in summary.seconds.items()}
    for member in summary.members:
        prefix = "" if len(summary.members) == 1 else f"{member.algorithm}_"
        values |= {f"model_{prefix}{name}": float(count) for name, count in member.complexity.items()}
    return RunMetrics(values)


def list_child_runs(summary: TrainingSummary, search: SearchResult, wanted: bool) -> list[ChildRun]:
    """List a run for each trial, and one with the learning curves of the chosen hyperparameters.

    Args:
        summary: Summary of the training.
        search: Every trial.
        wanted: Whether to record trials as runs.

    Returns:
        The runs, in the order of the algorithms; empty if ``wanted`` is false.
    """
    if not wanted:
        return []
    runs = [
        _describe_trial(trial, found.algorithm, search, best=trial.number == found.best.number)
        for found in search.searches
        for trial in found.trials
    ]
    curves = {f"{part}_{summary.metric}": values for part, values in summary.learning_curves.items() if values}
    if curves:
        runs.append(ChildRun(name="learning curves", curves=curves, tags={"kind": "learning_curves"}))
    return runs


def _describe_trial(trial: Trial, algorithm: str, search: SearchResult, *, best: bool) -> ChildRun:
    metrics = {f"{search.metric}_fold_{place}": score for place, score in enumerate(trial.fold_scores, start=1)}
    optional = {
        search.metric: trial.score,
        "n_estimators": trial.n_estimators,
        "scoring_seconds": trial.scoring_seconds,
        "seconds": trial.seconds,
    }
    metrics |= {name: float(value) for name, value in optional.items() if value is not None}
    tags = {"kind": "trial", "algorithm": algorithm, "best": str(best).lower(), "known": str(trial.known).lower()}
    return ChildRun(
        name=f"{algorithm} trial {trial.number + 1}",
        params=trial.hyperparameters,
        metrics=metrics,
        tags={**tags, "error": trial.error} if trial.error else tags,
        status="finished" if trial.state == "complete" else trial.state,
        seconds=trial.seconds,
    )
