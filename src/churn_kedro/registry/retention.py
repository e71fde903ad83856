"""Retention of old versions."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.registry.lifecycle import RegistryState


class RetentionParameters(Parameters):
    """Retention rule. Versions with an alias are always kept."""

    keep_last: int = Field(ge=1, description="Number of newest versions to keep, regardless of age.")
    keep_days: int = Field(ge=0, description="Keep versions younger than this number of days.")


def find_expired(state: RegistryState, ages_in_days: Mapping[int, float], retention: RetentionParameters) -> list[int]:
    """Find the versions that the retention rule allows to retire or delete.

    Args:
        state: State of the registry.
        ages_in_days: Age of each version.
        retention: Retention rule.

    Returns:
        Version numbers, oldest first.

    Examples:
        >>> state = RegistryState("churn", aliases={"champion": 1}, tags={1: {}, 2: {}, 3: {}, 4: {}})
        >>> ages = {1: 90.0, 2: 60.0, 3: 10.0, 4: 0.0}
        >>> find_expired(state, ages, RetentionParameters(keep_last=1, keep_days=30))
        [2]
    """
    held = set(state.aliases.values())
    newest = set(sorted(state.tags)[-retention.keep_last :])
    return [
        version
        for version in sorted(state.tags)
        if version not in held and version not in newest and ages_in_days[version] >= retention.keep_days
    ]
