"""Fitting the one estimator: features, XGBoost, calibration and decision threshold."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from pydantic import Field

from churn_kedro.customers import CustomerDeclaration, Parameters
from churn_kedro.features import build_features, input_types
from churn_kedro.models import TrainedModel
from churn_kedro.splits import SplitManifest
from churn_kedro.threads import training_threads
from churn_kedro.tuning import Trial


class FitParameters(Parameters):
    """How the final estimator is fitted."""

    random_state: int = Field(ge=0, description="Seed of XGBoost.")
    n_jobs: int | None = Field(None, ge=1, description="Threads; null: one per 20,000 rows.")
    calibration: Literal["temperature", "sigmoid", "isotonic"] = Field(
        description="Map from score to probability, fitted on the validation split."
    )
    threshold_metric: Literal["f1", "balanced_accuracy", "matthews_corrcoef", "accuracy"] = Field(
        description="scikit-learn scorer that the decision threshold maximises on the validation split."
    )


def fit_estimator(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    best: Trial,
    parameters: FitParameters,
) -> TrainedModel:
    """Fit XGBoost on the training customers; calibrate it and choose its threshold on the validation customers.

    Args:
        train: Training customers.
        validation: Validation customers.
        manifest: Identifies both.
        declaration: The table's declaration.
        best: Hyperparameters and number of trees.
        parameters: Calibration, threshold and seed.

    Returns:
        The estimator on raw columns, without the target.
    """
    import xgboost as xgb
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    from sklearn.pipeline import Pipeline

    pipeline = Pipeline(
        [
            ("features", build_features(declaration)),
            (
                "classifier",
                xgb.XGBClassifier(
                    n_estimators=best.n_estimators,
                    **best.hyperparameters,
                    objective="binary:logistic",
                    tree_method="hist",
                    enable_categorical=True,
                    feature_types=input_types(declaration),
                    random_state=parameters.random_state,
                    n_jobs=training_threads(len(train), parameters.n_jobs),
                ),
            ),
        ]
    )
    target = declaration.target
    columns = declaration.feature_names
    pipeline.fit(train[columns], train[target])
    # Scoring takes the threads of the machine it happens on.
    pipeline["classifier"].set_params(n_jobs=None)
    pipeline["classifier"].get_booster().set_param({"nthread": 0})
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline), method=parameters.calibration)
    calibrated.fit(validation[columns], validation[target])
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(calibrated), scoring=parameters.threshold_metric, cv="prefit", refit=False
    )
    tuned.fit(validation[columns], validation[target])
    threshold = float(tuned.best_threshold_)
    decided = FixedThresholdClassifier(
        FrozenEstimator(calibrated), threshold=threshold, pos_label=1, response_method="predict_proba"
    )
    decided.fit(validation[columns], validation[target])
    return TrainedModel(
        estimator=decided,
        inputs={column.name: column.signature_type for column in declaration.features},
        example=train[columns].head(5),
        facts={
            "decision_threshold": f"{threshold:.6f}",
            "n_estimators": str(best.n_estimators),
            "train_digest": manifest.train.digest,
            "validation_digest": manifest.validation.digest,
        },
    )
