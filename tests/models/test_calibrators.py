"""Claims about calibration of single rows: it is that of the fitted maps."""

from typing import Any

import numpy as np
import pytest

from churn_kedro.models.calibrators import compile_calibration
from churn_kedro.training.calibration import fit_calibration

_RANDOM = np.random.default_rng(7)


def _calibration(method: Any, n_classes: int) -> Any:
    target = _RANDOM.integers(0, n_classes, 300)
    probability = _RANDOM.dirichlet(np.ones(n_classes), 300)
    probability[np.arange(300), target] += 0.5
    probability /= probability.sum(axis=1, keepdims=True)
    return fit_calibration(method, target, probability[:, 1] if n_classes == 2 else probability)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", ["temperature", "sigmoid", "isotonic"])
def test_a_single_row_is_calibrated_as_a_table(method: str, n_classes: int) -> None:
    fitted = _calibration(method, n_classes)
    rows = np.vstack([_RANDOM.dirichlet(np.full(n_classes, 0.3), 200), np.eye(n_classes)])
    calibrate = compile_calibration(fitted)

    assert calibrate != fitted.predict_proba
    np.testing.assert_allclose(
        np.vstack([calibrate(row[None]) for row in rows]), fitted.predict_proba(rows), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_array_equal(calibrate(rows), fitted.predict_proba(rows))


class _Unknown:
    def predict_proba(self, probability: np.ndarray) -> np.ndarray:
        return probability


def test_an_unknown_calibration_is_asked_itself() -> None:
    unknown = _Unknown()

    assert compile_calibration(unknown) == unknown.predict_proba
