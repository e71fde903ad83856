"""XGBoost: gradient boosted trees."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xgboost as xgb
from xgboost.callback import TrainingCallback

from churn_kedro.base import UserInputError
from churn_kedro.customers import Task
from churn_kedro.features import InputConstraints
from churn_kedro.models import Learning
from churn_kedro.training.algorithms.interface import Device, FoldFit, Hyperparameters, Problem, Watch
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName

if TYPE_CHECKING:
    import dask.dataframe as dd

# Parameters that training sets itself.
_FIXED = frozenset(
    {
        "callbacks",
        "device",
        "early_stopping_rounds",
        "enable_categorical",
        "eval_metric",
        "feature_types",
        "interaction_constraints",
        "max_bin",
        "missing",
        "monotone_constraints",
        "n_estimators",
        "n_jobs",
        "objective",
        "random_state",
        "tree_method",
        "verbosity",
    }
)
_OBJECTIVES: dict[Task, tuple[str, str]] = {
    "binary": ("binary:logistic", "logloss"),
    "multiclass": ("multi:softprob", "mlogloss"),
    "regression": ("reg:squarederror", "rmse"),
}
# Hyperparameters in the unit of the loss or of its gradient, with the exponent of the target's unit.
_POWERS_OF_THE_TARGET = {"gamma": 2, "reg_alpha": 1, "max_delta_step": 1}
_DEFAULT_LEARNING_RATE = 0.3
# A lost worker ends a fit on a cluster after this time.
_SECONDS_WITHOUT_WORKER = 60
_ATTEMPTS = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Prepared:
    train: xgb.DMatrix
    validation: xgb.DMatrix
    constraints: InputConstraints


class XGBoost:
    """Gradient boosted trees with native categories and missing values."""

    name: AlgorithmName = "xgboost"
    tasks: frozenset[Task] = frozenset({"binary", "multiclass", "regression"})
    in_rounds = True
    searchable = frozenset(xgb.XGBClassifier().get_params()) - _FIXED
    keeps = frozenset({"monotone", "interactions"})

    def prepare(self, fold: FoldInputs, problem: Problem) -> _Prepared:
        """Bin the inputs of a fold once for all trials."""
        train = build_matrix(fold.train, problem)
        return _Prepared(train, build_matrix(fold.validation, problem, reference=train), fold.train.constraints)

    def fit_fold(
        self,
        prepared: _Prepared,
        hyperparameters: Hyperparameters,
        problem: Problem,
        *,
        rounds: int | None = None,
        watch: Watch | None = None,
        with_learning_curve: bool = False,
    ) -> FoldFit:
        """Fit trees on a fold; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        evaluated = [(prepared.validation, "validation")]
        if with_learning_curve:
            evaluated.insert(0, (prepared.train, "train"))
        found: dict[str, dict[str, list[float]]] = {}
        step = float(hyperparameters.get("learning_rate", _DEFAULT_LEARNING_RATE))
        booster = xgb.train(
            _settings(hyperparameters, problem, prepared.constraints),
            prepared.train,
            num_boost_round=problem.max_rounds if rounds is None else rounds,
            # The score is needed only for early stopping or a curve.
            evals=evaluated if rounds is None or with_learning_curve else [],
            early_stopping_rounds=problem.early_stopping_rounds if rounds is None else None,
            evals_result=found,
            verbose_eval=False,
            callbacks=[_WatchCallback(watch, step)] if watch is not None else [],
        )
        kept = booster.best_iteration + 1 if rounds is None else rounds
        curves = {name: next(iter(metrics.values())) for name, metrics in found.items()}

        def predict() -> np.ndarray:
            return np.asarray(booster.predict(prepared.validation, iteration_range=(0, kept)), dtype=np.float64)

        return FoldFit(predict(), kept, curves.get("validation", []), curves.get("train", []), predict)

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit the final trees; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        matrix = build_matrix(sample, problem)
        return self.grow(matrix, sample.constraints, hyperparameters, problem, rounds or problem.max_rounds)

    def grow(
        self,
        matrix: xgb.DMatrix,
        constraints: InputConstraints,
        hyperparameters: Hyperparameters,
        problem: Problem,
        rounds: int,
    ) -> Any:
        """Fit trees on a matrix.

        Args:
            matrix: Matrix in memory or on disk.
            constraints: Monotone and interaction constraints.
            hyperparameters: Hyperparameters of the trial.
            problem: Learning problem.
            rounds: Number of trees per class.

        Returns:
            Fitted ``XGBClassifier`` or ``XGBRegressor``.
        """
        booster = xgb.train(_settings(hyperparameters, problem, constraints), matrix, num_boost_round=rounds)
        return _as_estimator(booster, matrix.feature_types, constraints, hyperparameters, problem, rounds)

    def grow_on_cluster(
        self,
        rows: dd.DataFrame,
        sample: Sample,
        hyperparameters: Hyperparameters,
        problem: Problem,
        rounds: int,
    ) -> Any:
        """Fit trees on rows that are distributed over the workers of a Dask cluster.

        The workers add up histograms of their rows. The same partitions on the same number of workers give the same
        trees; another number gives trees that are equal within noise, since ``subsample`` draws other rows and sums
        have another order. A fit that loses a worker begins again.

        Args:
            rows: Inputs in the order of the sample, float32; then ``target``, and ``weight`` if there are weights.
            sample: Types and constraints of the inputs.
            hyperparameters: Hyperparameters of the trial.
            problem: Learning problem.
            rounds: Number of trees per class.

        Returns:
            Fitted ``XGBClassifier`` or ``XGBRegressor``.

        Raises:
            UserInputError: A worker was lost in each attempt.
        """
        from distributed import KilledWorker, get_client
        from xgboost import dask as xgb_dask
        from xgboost.collective import Config

        # Each worker uses its own number of threads, and no device, which several workers would share.
        settings = {
            name: value
            for name, value in _settings(hyperparameters, problem, sample.constraints).items()
            if name not in ("nthread", "device")
        }
        client = get_client()
        n_workers = len(client.scheduler_info(n_workers=-1)["workers"])
        for attempt in range(_ATTEMPTS):
            # A worker of a local cluster is started again.
            with suppress(TimeoutError):
                client.wait_for_workers(n_workers, timeout=_SECONDS_WITHOUT_WORKER)
            try:
                trained = xgb_dask.train(
                    None,
                    settings,
                    _build_distributed_matrix(rows, sample.types),
                    num_boost_round=rounds,
                    verbose_eval=False,
                    coll_cfg=Config(timeout=_SECONDS_WITHOUT_WORKER),
                )
                break
            except (KilledWorker, xgb.core.XGBoostError, ValueError) as error:
                # XGBoostError: of a worker whose neighbour was lost; ValueError: of one that took its place.
                lost = isinstance(error, KilledWorker) or "collective" in str(error) or "workers died" in str(error)
                if not lost:
                    raise
                if attempt == _ATTEMPTS - 1:
                    raise UserInputError(
                        f"A Dask worker was lost in each of {_ATTEMPTS} attempts to fit the trees on all rows. The "
                        "usual reason is its memory limit, which its log names: use workers with more memory, or more "
                        "workers."
                    ) from error
                logger.warning("A Dask worker was lost; the fit on all rows begins again.")
        booster: xgb.Booster = trained["booster"]
        # As in memory, where inputs have no names.
        booster.feature_names = None
        return _as_estimator(booster, list(sample.types), sample.constraints, hyperparameters, problem, rounds)

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the numbers of trees and leaves."""
        booster = fitted.get_booster()
        trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
        leaves = sum(sum(left == -1 for left in tree["left_children"]) for tree in trees)
        return {"trees": len(trees), "leaves": leaves}


def _build_distributed_matrix(rows: dd.DataFrame, types: tuple[str, ...]) -> Any:
    """Bin inputs on the workers of a Dask cluster, each partition on a fixed worker."""
    import dask.dataframe as dd
    from distributed import get_client, wait
    from xgboost import dask as xgb_dask

    client = get_client()
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    # Neighbouring partitions on one worker. Another worker takes over if that one is lost.
    delayed = rows.to_delayed()
    placed = [
        client.compute(part, workers=[workers[place * len(workers) // len(delayed)]], allow_other_workers=True)
        for place, part in enumerate(delayed)
    ]
    wait(placed)
    table = dd.from_delayed(placed, meta=rows._meta, verify_meta=False)
    return xgb_dask.DaskQuantileDMatrix(
        client,
        table[[name for name in rows.columns if name not in ("target", "weight")]],
        table["target"],
        weight=table["weight"] if "weight" in rows.columns else None,
        feature_types=list(types),
        enable_categorical=True,
    )


def _as_estimator(
    booster: xgb.Booster,
    types: Any,
    constraints: InputConstraints,
    hyperparameters: Hyperparameters,
    problem: Problem,
    rounds: int,
) -> Any:
    """Wrap trees in scikit-learn's interface."""
    # The model is scored on other machines: with their number of threads, on the CPU.
    booster.set_param({"nthread": 0, "device": "cpu"})
    kind = xgb.XGBRegressor if problem.learning.task == "regression" else xgb.XGBClassifier
    trees = kind(
        n_estimators=rounds,
        objective=_OBJECTIVES[problem.learning.task][0],
        tree_method="hist",
        enable_categorical=True,
        feature_types=types,
        random_state=problem.random_state,
        **_limits(constraints),
        **scale(hyperparameters, problem.learning),
    )
    trees.load_model(bytearray(booster.save_raw("ubj")))
    return trees


class _WatchCallback(TrainingCallback):
    """XGBoost callback that reports growth and score to a watch.

    Args:
        watch: Callback; may raise.
        step: Learning rate.
    """

    def __init__(self, watch: Watch, step: float) -> None:
        self._watch = watch
        self._step = step

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report, and continue the training."""
        scores = next(iter(evals_log["validation"].values()))
        self._watch((epoch + 1) * self._step, scores[-1])
        return False


def build_matrix(sample: Sample, problem: Problem, reference: xgb.DMatrix | None = None) -> xgb.DMatrix:
    """Bin inputs into an XGBoost matrix.

    Args:
        sample: Inputs, target and weights.
        problem: Number of threads.
        reference: Matrix whose bins are reused.

    Returns:
        The matrix.
    """
    # Names are omitted, since XGBoost rejects brackets and "<" in them.
    return xgb.QuantileDMatrix(
        sample.values,
        sample.target,
        weight=sample.weight,
        feature_types=list(sample.types),
        enable_categorical=True,
        nthread=problem.threads,
        ref=reference,
    )


def build_external_matrix(
    parts: int, read: Callable[[int], Sample], problem: Problem, cache_prefix: str
) -> xgb.DMatrix:
    """Bin inputs that are read in parts; the bins are stored on disk.

    Args:
        parts: Number of parts.
        read: Function that reads a part.
        problem: Number of threads.
        cache_prefix: Path prefix of XGBoost's files.

    Returns:
        The matrix.
    """

    class Parts(xgb.DataIter):
        def __init__(self) -> None:
            self._position = 0
            super().__init__(cache_prefix=cache_prefix, on_host=False)

        def next(self, input_data: Callable[..., None]) -> bool:
            if self._position == parts:
                return False
            sample = read(self._position)
            input_data(data=sample.values, label=sample.target, weight=sample.weight, feature_types=list(sample.types))
            self._position += 1
            return True

        def reset(self) -> None:
            self._position = 0

    return xgb.ExtMemQuantileDMatrix(Parts(), enable_categorical=True, nthread=problem.threads)


def scale(hyperparameters: Hyperparameters, learning: Learning) -> dict[str, int | float | str | bool]:
    """Scale hyperparameters to the unit of the target.

    The minimum gain of a split and similar parameters are in the unit of the loss. For a regression this is the squared
    unit of the target, so a search space would otherwise depend on the unit (euros or cents).

    Args:
        hyperparameters: Hyperparameters for a target with standard deviation 1.
        learning: Unit of the target.

    Returns:
        The same parameters for this target.
    """
    return {
        name: float(value) * learning.unit ** _POWERS_OF_THE_TARGET[name] if name in _POWERS_OF_THE_TARGET else value
        for name, value in hyperparameters.items()
    }


def _limits(constraints: InputConstraints) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if any(constraints.monotone):
        limits["monotone_constraints"] = tuple(constraints.monotone)
    if constraints.interactions is not None:
        # As text, since XGBoost accepts lists of names only and names are omitted.
        limits["interaction_constraints"] = json.dumps([list(group) for group in constraints.interactions])
    return limits


def _settings(hyperparameters: Hyperparameters, problem: Problem, constraints: InputConstraints) -> dict[str, Any]:
    objective, metric = _OBJECTIVES[problem.learning.task]
    return {
        "objective": objective,
        "eval_metric": metric,
        "tree_method": "hist",
        "seed": problem.random_state,
        "nthread": problem.threads,
        "device": problem.device,
        **({"num_class": problem.learning.n_classes} if problem.learning.task == "multiclass" else {}),
        **_limits(constraints),
        **scale(hyperparameters, problem.learning),
    }


@cache
def find_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device:
    """Find the device on which trees can be fitted.

    Args:
        wanted: ``cuda``, ``cpu``, or ``auto`` for CUDA if available.

    Returns:
        ``cuda`` if allowed and a tree could be fitted on it; else ``cpu``.
    """
    if wanted == "cpu" or not xgb.build_info().get("USE_CUDA"):
        return "cpu"
    with warnings.catch_warnings():
        # Without a CUDA device, XGBoost warns and falls back to the CPU, which its configuration shows.
        warnings.simplefilter("ignore")
        try:
            booster = xgb.train(
                {"device": "cuda", "verbosity": 0}, xgb.DMatrix(np.eye(4), np.arange(4.0)), num_boost_round=1
            )
        except xgb.core.XGBoostError:
            return "cpu"
    device = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    return "cuda" if device.startswith("cuda") else "cpu"
