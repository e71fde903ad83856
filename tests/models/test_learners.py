"""Claims about trees in ONNX: their margins are those of XGBoost, bit by bit."""

from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from churn_kedro.models.learners import MOST_ONNX_ROWS, NoTreesError, build_tree_model, compile_learner, start_session

_RANDOM = np.random.default_rng(4)
_TYPES = ["q", "q", "c", "q"]


def _inputs(n_rows: int) -> np.ndarray:
    inputs = np.column_stack([_RANDOM.normal(size=(n_rows, 2)), _RANDOM.integers(0, 9, n_rows), _RANDOM.random(n_rows)])
    inputs[_RANDOM.random(inputs.shape) < 0.1] = np.nan
    return inputs


_TRAIN = _inputs(600)
_DRIVE = np.nansum(_TRAIN[:, :2], axis=1) + np.nan_to_num(_TRAIN[:, 2]) % 3
_TARGETS: dict[str, np.ndarray] = {
    "binary:logistic": (_DRIVE > 2).astype(int),
    "multi:softprob": np.digitize(_DRIVE, [0, 2]),
    "reg:squarederror": _DRIVE * 1000 + 50_000,
}


def _fit(objective: str, **changed: Any) -> Any:
    kind = xgb.XGBRegressor if objective.startswith(("reg", "count")) else xgb.XGBClassifier
    options = {"n_estimators": 40, "max_depth": 4, "max_cat_to_onehot": 1, "n_jobs": 1} | changed
    trees = kind(objective=objective, enable_categorical=True, feature_types=_TYPES, **options)
    return trees.fit(_TRAIN, _TARGETS.get(objective, np.abs(_DRIVE)))


def _rows_beside_splits(trees: Any) -> np.ndarray:
    splits = trees.get_booster().trees_to_dataframe().dropna(subset="Split")
    rows = _inputs(2 * len(splits))
    for number, (feature, split) in enumerate(zip(splits["Feature"], splits["Split"], strict=True)):
        column, number_at_split = int(feature[1:]), np.float32(split)
        rows[2 * number, column] = number_at_split
        rows[2 * number + 1, column] = np.nextafter(number_at_split, np.float32(-1e9))
    rows[:4] = [[1e300, np.nan, np.nan, np.nan], [-1e300, 0, 0, 0], [np.nan] * 4, [1e-300, -0.0, 8, 3.5e38]]
    return rows


@pytest.mark.parametrize("objective", _TARGETS)
def test_margins_and_predictions_are_those_of_xgboost(objective: str) -> None:
    trees = _fit(objective)
    regression = objective == "reg:squarederror"
    rows = _rows_beside_splits(trees)
    session, predict = start_session(build_tree_model(trees)), compile_learner(trees, regression=regression)
    with np.errstate(over="ignore"):
        single = [session.run(None, {"inputs": row[None].astype(np.float32)})[0][0] for row in rows]

    margins = trees.get_booster().inplace_predict(rows, predict_type="margin").reshape(len(rows), -1)
    own = trees.predict if regression else trees.predict_proba

    assert len(rows) > 200
    np.testing.assert_array_equal(single, margins)
    for n_rows in (1, MOST_ONNX_ROWS, len(rows)):
        np.testing.assert_allclose(predict(rows[:n_rows]), own(rows[:n_rows]), rtol=1e-6, atol=1e-7)
        assert predict(rows[:n_rows]).dtype == own(rows[:n_rows]).dtype


def test_other_objectives_and_boosters_are_asked_themselves() -> None:
    poisson, dart = _fit("count:poisson", n_estimators=3), _fit("binary:logistic", n_estimators=3, booster="dart")

    with pytest.raises(NoTreesError, match="objective count:poisson, expected one of binary:logistic"):
        build_tree_model(poisson)
    with pytest.raises(NoTreesError, match="booster is dart, expected gbtree"):
        build_tree_model(dart)
    assert compile_learner(poisson, regression=True) == poisson.predict
    assert compile_learner(dart, regression=False) == dart.predict_proba
