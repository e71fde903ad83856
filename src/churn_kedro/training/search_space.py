"""Spaces of hyperparameters, as configuration."""

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
    """Let a trial choose.

    Args:
        trial: Optuna's trial.
        space: What it may choose from.

    Returns:
        Hyperparameters; those with a single value, too.
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
    """Values of the first trial.

    Args:
        space: A search space.

    Returns:
        Value of each hyperparameter that has a start.
    """
    firsts = {name: values.first for name, values in space.items() if isinstance(values, Interval | Choices)}
    return {name: first for name, first in firsts.items() if first is not None}


def check_spaces(spaces: Mapping[AlgorithmName, Space], algorithms: list[Algorithm]) -> None:
    """Refuse a space that names what its algorithm does not have.

    Args:
        spaces: Space by name of the algorithm.
        algorithms: Those that are to be searched.

    Raises:
        ParameterError: It does, or an algorithm has no space.
    """
    for algorithm in algorithms:
        space = spaces.get(algorithm.name)
        if space is None:
            raise ParameterError(
                f"training.algorithms names {algorithm.name}, and training.spaces has no space for it; there is one in "
                "conf/base/parameters/training.yml of the project."
            )
        unknown = sorted(set(space) - algorithm.searchable)
        if unknown:
            near = {name: get_close_matches(name, algorithm.searchable, n=1) for name in unknown}
            hints = [f"{name} (do you mean {found[0]}?)" if found else name for name, found in near.items()]
            raise ParameterError(
                f"training.spaces.{algorithm.name} names parameters that cannot be searched: {', '.join(hints)}. "
                f"Either {algorithm.name} has none of the name, or training sets it by itself (the number of rounds by "
                "early stopping, the seed, the threads). It can search "
                f"{_shorten(sorted(algorithm.searchable))}."
            )


def _shorten(names: list[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def describe_space(space: Space) -> dict[str, Any]:
    """A space as plain values, to tell one from another.

    Args:
        space: A search space.

    Returns:
        What JSON can hold, without start values: they do not change what a trial means.
    """
    return {
        name: values.model_dump(exclude={"start"}) if isinstance(values, Interval | Choices) else values
        for name, values in sorted(space.items())
        if values is not None
    }
