"""Parameters of training."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from churn_kedro.base import Parameters
from churn_kedro.campaigns import CampaignParameters
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features import FeatureParameters

AlgorithmName = Literal[
    "xgboost",
    "logistic_regression",
    "ridge",
    "random_forest",
    "hist_gradient_boosting",
    "neural_network",
    "catboost",
    "lightgbm",
]
Ensemble = Literal["soft_vote", "stack"]
# None: declared weights only; balanced: equal total weight of all classes.
ClassWeight = Literal["balanced"] | None
Objective = Literal["loss", "scoring_time"]
Value = int | float | str | bool
_FEWEST = 2


class FoldParameters(Parameters):
    """Parameters of cross-validation."""

    n_splits: int = Field(
        5,
        ge=_FEWEST,
        description="Number of folds; fewer if a class has fewer customers. Method time: blocks for validation.",
    )
    max_rows: int = Field(
        100_000,
        ge=100,
        description="Maximum number of rows of the search; a larger table is sampled, and candidates are compared on "
        "one fold of all rows: trained on the training split, evaluated on the validation split.",
    )


class SearchParameters(Parameters):
    """Budget and strategy of the search."""

    n_trials: int = Field(ge=1, description="Number of trials over all algorithms.")
    timeout_seconds: float | None = Field(None, gt=0, description="Maximum duration of the search; null: unlimited.")
    batch_size: int = Field(4, ge=1, description="Trials per batch, run in parallel up to the number of cores.")
    max_rounds: int = Field(3000, ge=1, description="Maximum number of boosting rounds.")
    early_stopping_rounds: int = Field(50, ge=1, description="Rounds without improvement after which boosting stops.")
    prune: bool = Field(True, description="Prune trials that are worse than the median trial at the same step.")
    objectives: list[Objective] = Field(
        ["loss"], min_length=1, description="Objectives to minimise: loss, or loss and scoring_time."
    )
    resume: bool = Field(True, description="Reuse finished trials of an earlier, identical search.")


class Interval(Parameters):
    """Numeric range of a hyperparameter."""

    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Search on a logarithmic scale.")
    integer: bool = Field(False, description="Whole numbers only.")
    start: float | None = Field(None, description="Value of the first trial.")

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs low above 0, found {self.low:g}")
        if self.integer and math.ceil(self.low) > math.floor(self.high):
            raise ValueError(f"found no whole number between low {self.low:g} and high {self.high:g}")
        return self

    @property
    def first(self) -> int | float | None:
        """Value of the first trial; None if not given or outside the interval."""
        if self.start is None or not self.low <= self.start <= self.high:
            return None
        return round(self.start) if self.integer else self.start


class Choices(Parameters):
    """Values of a categorical hyperparameter."""

    choices: list[Value] = Field(min_length=1, description="The values.")
    start: Value | None = Field(None, description="Value of the first trial.")

    @property
    def first(self) -> Value | None:
        """Value of the first trial, if it is one of the choices."""
        return self.start if self.start in self.choices else None


# A single value is used in every trial; null removes a hyperparameter of conf/base.
Space = dict[str, Interval | Choices | Value | None]


class CalibrationParameters(Parameters):
    """Parameters of calibration."""

    method: Literal["auto", "none", "temperature", "sigmoid", "isotonic"] = Field(
        "auto", description="auto: the map with the lowest cross-validated log loss."
    )


class TrainingParameters(Parameters):
    """Parameters of the training pipeline."""

    random_state: int = Field(42, ge=0, description="Seed of folds, search and models.")
    n_jobs: int | None = Field(None, ge=1, description="Threads of one fit; null: one per 20,000 rows.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Device on which XGBoost fits trees.")
    algorithms: list[AlgorithmName] = Field(
        ["xgboost"], min_length=1, description="Candidate algorithms, in order of preference."
    )
    ensembles: list[Ensemble] = Field(default_factory=list, description="Candidate ensembles of the algorithms.")
    spaces: dict[AlgorithmName, Space] = Field(description="Search space of each algorithm.")
    folds: FoldParameters = Field(FoldParameters(), description="Cross-validation.")
    search: SearchParameters = Field(description="Budget and strategy of the search.")
    class_weight: ClassWeight = Field(None, description="balanced: equal total weight of all classes in training.")
    external_memory: bool = Field(False, description="Store the final XGBoost matrix on disk instead of in memory.")
    calibration: CalibrationParameters = Field(CalibrationParameters(), description="Calibration of probabilities.")
    child_runs: bool = Field(True, description="Whether each trial becomes a nested MLflow run.")

    @model_validator(mode="after")
    def _competition(self) -> Self:
        if len(set(self.algorithms)) != len(self.algorithms):
            raise ValueError(f"algorithms contains duplicates: {self.algorithms}")
        if self.ensembles and len(self.algorithms) < 2:
            raise ValueError(f"ensembles {self.ensembles} need at least two algorithms, found {self.algorithms}")
        if self.class_weight is not None and len(self.algorithms) > 1:
            raise ValueError(
                "class_weight balanced distorts the uncalibrated scores by which candidates are compared: expected "
                f"one algorithm, found {self.algorithms}"
            )
        if self.external_memory and self.algorithms != ["xgboost"]:
            raise ValueError(
                f"external_memory supports XGBoost only: expected algorithms [xgboost], found {self.algorithms}"
            )
        return self


class TrainingConfiguration(Parameters):
    """All settings on which a training depends."""

    declaration: CustomerDeclaration
    features: FeatureParameters
    training: TrainingParameters
    campaigns: CampaignParameters


def configure_training(
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    training: TrainingParameters,
    campaigns: CampaignParameters,
) -> TrainingConfiguration:
    """Combine all settings on which a training depends.

    Args:
        declaration: The table's declaration.
        features: Treatment of the columns.
        training: Algorithms, search, calibration.
        campaigns: Decision objective and economics.

    Returns:
        The configuration, which is stored with the version.
    """
    return TrainingConfiguration(declaration=declaration, features=features, training=training, campaigns=campaigns)
