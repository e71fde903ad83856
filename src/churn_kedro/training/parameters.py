"""Parameters of training, and all that a training depends on beside the customers."""

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
# None: each customer counts as declared; balanced: each class counts as much as any other.
ClassWeight = Literal["balanced"] | None
Objective = Literal["loss", "scoring_time"]
Value = int | float | str | bool
_FEWEST = 2


class FoldParameters(Parameters):
    """How the development customers are divided for cross-validation."""

    n_splits: int = Field(
        5,
        ge=_FEWEST,
        description="Folds; fewer where a class has fewer customers. Method time: blocks that are judged.",
    )
    max_rows: int = Field(
        100_000,
        ge=100,
        description="Rows that the search looks at; of more, a sample. Then a candidate is judged once on all rows: "
        "learned on the training split, judged on the validation split.",
    )


class SearchParameters(Parameters):
    """Budget and manner of the search."""

    n_trials: int = Field(ge=1, description="Hyperparameter sets to try, over all algorithms.")
    timeout_seconds: float | None = Field(None, gt=0, description="Stop the search after this long; null: never.")
    batch_size: int = Field(
        4, ge=1, description="Trials that are proposed together and run side by side, as far as there are cores."
    )
    max_rounds: int = Field(3000, ge=1, description="Most rounds of an algorithm that grows in rounds.")
    early_stopping_rounds: int = Field(
        50, ge=1, description="Stop growing after this many rounds without a better score."
    )
    prune: bool = Field(True, description="Give a trial up that is worse than half of the others were at that point.")
    objectives: list[Objective] = Field(
        ["loss"], min_length=1, description="What is minimised: loss, or loss and scoring_time."
    )
    resume: bool = Field(True, description="Take trials up that an earlier search of the same kind has finished.")


class Interval(Parameters):
    """Numbers that a hyperparameter may be."""

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
            raise ValueError(f"there is no whole number from low {self.low:g} to high {self.high:g}")
        return self

    @property
    def first(self) -> int | float | None:
        """Value of the first trial; None where none is given, or where a narrower interval has left it behind."""
        if self.start is None or not self.low <= self.start <= self.high:
            return None
        return round(self.start) if self.integer else self.start


class Choices(Parameters):
    """Values that a hyperparameter may have."""

    choices: list[Value] = Field(min_length=1, description="The values.")
    start: Value | None = Field(None, description="Value of the first trial.")

    @property
    def first(self) -> Value | None:
        """Value of the first trial, where it is one of the choices."""
        return self.start if self.start in self.choices else None


# A value alone is given to every trial; null takes a hyperparameter of conf/base out.
Space = dict[str, Interval | Choices | Value | None]


class CalibrationParameters(Parameters):
    """How scores become probabilities."""

    method: Literal["auto", "none", "temperature", "sigmoid", "isotonic"] = Field(
        "auto", description="auto: the one with the lowest cross-validated log loss."
    )


class TrainingParameters(Parameters):
    """Everything that training can be told."""

    random_state: int = Field(42, ge=0, description="Seed of folds, search and models.")
    n_jobs: int | None = Field(None, ge=1, description="Threads of one fit; null: one per 20,000 rows.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where XGBoost grows trees.")
    algorithms: list[AlgorithmName] = Field(["xgboost"], min_length=1, description="Algorithms that compete, in order.")
    ensembles: list[Ensemble] = Field(
        default_factory=list, description="Ways of putting the algorithms together that compete, too."
    )
    spaces: dict[AlgorithmName, Space] = Field(description="Search space of each algorithm.")
    folds: FoldParameters = Field(FoldParameters(), description="Cross-validation.")
    search: SearchParameters = Field(description="Budget and manner of the search.")
    class_weight: ClassWeight = Field(None, description="balanced: each class counts as much as any other in learning.")
    external_memory: bool = Field(False, description="Keep the final XGBoost matrix in files instead of memory.")
    calibration: CalibrationParameters = Field(CalibrationParameters(), description="From scores to probabilities.")
    child_runs: bool = Field(True, description="Whether each trial becomes an MLflow run under the training's.")

    @model_validator(mode="after")
    def _competition(self) -> Self:
        if len(set(self.algorithms)) != len(self.algorithms):
            raise ValueError(f"algorithms names one twice: {self.algorithms}")
        if self.ensembles and len(self.algorithms) < 2:
            raise ValueError(f"ensembles {self.ensembles} need at least two algorithms, found {self.algorithms}")
        if self.class_weight is not None and len(self.algorithms) > 1:
            raise ValueError(
                "class_weight balanced distorts the scores by which candidates are compared, before they are "
                f"calibrated: name one algorithm, found {self.algorithms}"
            )
        if self.external_memory and self.algorithms != ["xgboost"]:
            raise ValueError(f"external_memory is XGBoost's: algorithms must be [xgboost], found {self.algorithms}")
        return self


class TrainingConfiguration(Parameters):
    """All that a training depends on, beside the customers."""

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
    """Put together all that a training depends on, beside the customers.

    Args:
        declaration: The table's declaration.
        features: Treatment of the columns.
        training: Algorithms, search, calibration.
        campaigns: Objective of decisions, and economics.

    Returns:
        The configuration, which is recorded with the version.
    """
    return TrainingConfiguration(declaration=declaration, features=features, training=training, campaigns=campaigns)
