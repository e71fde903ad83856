"""Search spaces of hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from churn_kedro.base import ParameterError
from churn_kedro.training.algorithms import Algorithm, AlgorithmName
from churn_kedro.training.parameters import Choices, Interval, Space, Value

if TYPE_CHECKING:
    import optuna


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """Suggest hyperparameters for a trial.

    Args:
        trial: Optuna's trial.
        space: Search space.

    Returns:
        Hyperparameters, including fixed ones.
    """
    chosen: dict[str, Value] = {}
    for name, values in space.items():
        if values is None:
            continue
        match values:
            case Interval(integer=True):
                chosen[name] = trial.suggest_int(name, math.ceil(values.low), math.floor(values.high), log=values.log)
            case Interval():
                chosen[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
            case Choices():
                chosen[name] = cast(Value, trial.suggest_categorical(name, values.choices))
            case _:
                chosen[name] = values
    return chosen


def find_start(space: Space) -> dict[str, Value]:
    """Return the values of the first trial.

    Args:
        space: A search space.

    Returns:
        Value of each hyperparameter that has a start.
    """
    firsts = {name: values.first for name, values in space.items() if isinstance(values, Interval | Choices)}
    return {name: first for name, first in firsts.items() if first is not None}


def check_spaces(spaces: Mapping[AlgorithmName, Space], algorithms: list[Algorithm]) -> None:
    """Check that search spaces contain only hyperparameters of their algorithms.

    Args:
        spaces: Space by name of the algorithm.
        algorithms: Algorithms to search.

    Raises:
        ParameterError: A hyperparameter is unknown, or an algorithm has no space.
    """
    for algorithm in algorithms:
        space = spaces.get(algorithm.name)
        if space is None:
            raise ParameterError(
                f"training.algorithms contains {algorithm.name}, but training.spaces has no space for it; copy the one "
                "of conf/base/parameters/training.yml."
            )
        unknown = sorted(set(space) - algorithm.searchable)
        if unknown:
            near = {name: get_close_matches(name, algorithm.searchable, n=1) for name in unknown}
            hints = [f"{name} (do you mean {found[0]}?)" if found else name for name, found in near.items()]
            raise ParameterError(
                f"training.spaces.{algorithm.name} contains parameters that cannot be searched: {', '.join(hints)}. "
                f"They are unknown to {algorithm.name}, or set by training (number of rounds, seed, threads). "
                "Expected: "
                f"{_shorten(sorted(algorithm.searchable))}."
            )


def _shorten(names: list[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def describe_space(space: Space) -> dict[str, Any]:
    """Convert a space to plain values, for comparison.

    Args:
        space: A search space.

    Returns:
        JSON-serialisable values, without start values, which do not affect the result of a trial.
    """
    return {
        name: values.model_dump(exclude={"start"}) if isinstance(values, Interval | Choices) else values
        for name, values in sorted(space.items())
        if values is not None
    }
