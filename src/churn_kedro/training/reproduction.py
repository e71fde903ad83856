"""Reproduction of a registered version: train it again and compare the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers import CustomerTableError, SplitManifest
from churn_kedro.evaluation import measure
from churn_kedro.models import score_labelled
from churn_kedro.training.folds import build_development
from churn_kedro.training.recipe import PartFolder, Training, TrainingSummary, train
from churn_kedro.training.search import SearchContext

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel


class Difference(Record):
    """A difference between the recorded and the new training."""

    what: str
    recorded: str
    rebuilt: str


class MetricPair(Record):
    """A metric of the recorded version and of the new model."""

    recorded: float
    rebuilt: float


class Rebuild(Record):
    """Result of the reproduction of a version."""

    model_name: str = Field(description="Registered model.")
    model_version: int = Field(description="Version that was trained again.")
    same_model: bool = Field(description="Whether both models have the same content.")
    same_metrics: bool = Field(description="Whether all metrics are exactly equal.")
    recorded_digest: str = Field(description="Digest of the version's content.")
    rebuilt_digest: str = Field(description="Digest of the new model's content.")
    metrics: dict[str, MetricPair] = Field(
        description="cv_: out of fold, as recorded; test_: both models on the test set, if available."
    )
    differences: list[Difference] = Field(description="Differences in code, libraries, device and results.")


@dataclass(frozen=True)
class Code:
    """Code of a training.

    Attributes:
        commit: Git commit.
        dirty: Whether there were uncommitted changes: true, false or unknown.
    """

    commit: str
    dirty: str


def train_again(
    customers: Mapping[str, pd.DataFrame],
    manifest: SplitManifest,
    recorded: TrainingSummary,
    context: SearchContext,
    parts: PartFolder,
) -> Training:
    """Train with the recorded parameters on the recorded data.

    Args:
        customers: Tables ``train`` and ``validation``.
        manifest: Manifest of the splits.
        recorded: Summary of the recorded training.
        context: Archive, progress and clock.
        parts: Folder for the matrix, if it is stored on disk.

    Returns:
        The new training.

    Raises:
        CustomerTableError: The tables differ from those of the manifest, or are a sample of the training rows.
    """
    if manifest.whole is not None:
        raise CustomerTableError(
            f"The version was trained on {manifest.whole.train.rows:,} rows of a table larger than memory, of which "
            "only a sample is stored. Train a version on the same table instead: `kedro run --params "
            "raw_customers=PATH,sample_rows=N`; its tag all_train_digest tells whether it is the same."
        )
    recipe = recorded.recipe
    # The recorded number of trials replaces the time limit.
    n_trials = sum(one.trials for one in recorded.comparison.candidates if one.members == [one.name])
    former = recipe.configuration
    search = former.training.search.model_copy(update={"n_trials": n_trials, "timeout_seconds": None, "resume": False})
    configuration = former.model_copy(update={"training": former.training.model_copy(update={"search": search})})
    development = build_development(
        customers["train"], customers["validation"], manifest, former.declaration, former.features
    )
    return train(development, configuration, context, parts)


def compare_trainings(
    model_name: str,
    model_version: int,
    digests: tuple[str, str],
    recorded: TrainingSummary,
    rebuilt: TrainingSummary,
    codes: tuple[Code, Code],
    estimators: tuple[CustomerModel, CustomerModel],
    test: pd.DataFrame | None,
) -> Rebuild:
    """Compare a recorded version with the new model.

    Args:
        model_name: Registered model.
        model_version: Version.
        digests: Content digests of the models, the recorded one first.
        recorded: Summary of the recorded training.
        rebuilt: Summary of the new training.
        codes: Code of each.
        estimators: Model of each.
        test: Test customers, if available.

    Returns:
        Whether they agree, and the differences.
    """
    declaration = recorded.recipe.configuration.declaration
    metrics = {
        f"cv_{name}": MetricPair(recorded=value, rebuilt=rebuilt.out_of_fold.get(name, float("nan")))
        for name, value in recorded.out_of_fold.items()
    }
    if test is not None:
        first, second = (measure(score_labelled(estimator, test, declaration)) for estimator in estimators)
        metrics |= {f"test_{name}": MetricPair(recorded=first[name], rebuilt=second[name]) for name in first}
    differences = [
        Difference(what=what, recorded=str(was), rebuilt=str(now))
        for what, was, now in _facts(recorded, rebuilt, codes)
        if was != now
    ]
    return Rebuild(
        model_name=model_name,
        model_version=model_version,
        same_model=digests[0] == digests[1],
        same_metrics=all(
            bool(np.isclose(pair.recorded, pair.rebuilt, rtol=0, atol=0, equal_nan=True)) for pair in metrics.values()
        ),
        recorded_digest=digests[0],
        rebuilt_digest=digests[1],
        metrics=metrics,
        differences=differences,
    )


def _facts(
    recorded: TrainingSummary, rebuilt: TrainingSummary, codes: tuple[Code, Code]
) -> list[tuple[str, object, object]]:
    """Return facts that can explain a difference, most likely first."""
    facts: list[tuple[str, object, object]] = [
        ("git commit", codes[0].commit, codes[1].commit),
        ("files that differ from the commit", codes[0].dirty, codes[1].dirty),
        ("device", recorded.recipe.device, rebuilt.recipe.device),
        ("threads", recorded.threads, rebuilt.threads),
    ]
    for name in sorted({*recorded.recipe.versions, *rebuilt.recipe.versions}):
        was, now = recorded.recipe.versions.get(name, "none"), rebuilt.recipe.versions.get(name, "none")
        facts.append((f"version of {name}", was, now))
    facts.append(("model", recorded.model, rebuilt.model))
    for first, second in zip(recorded.members, rebuilt.members, strict=False):
        facts.append((f"rounds of {first.algorithm}", first.n_estimators, second.n_estimators))
        for name in sorted({*first.hyperparameters, *second.hyperparameters}):
            was_value, now_value = first.hyperparameters.get(name), second.hyperparameters.get(name)
            facts.append((f"{first.algorithm}.{name}", was_value, now_value))
    if recorded.threshold is not None and rebuilt.threshold is not None:
        facts.append(("decision threshold", recorded.threshold.threshold, rebuilt.threshold.threshold))
    if recorded.calibration is not None and rebuilt.calibration is not None:
        facts.append(("calibration", recorded.calibration.method, rebuilt.calibration.method))
    return facts
