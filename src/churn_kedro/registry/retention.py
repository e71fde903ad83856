"""Retention: which old versions may be retired or deleted."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.registry.lifecycle import RegistryState


class RetentionParameters(Parameters):
    """Which old versions may go. A version with an alias never does."""

    keep_last: int = Field(ge=1, description="So many newest versions stay, whatever their age.")
    keep_days: int = Field(ge=0, description="Versions younger than so many days stay.")


def find_expired(state: RegistryState, ages_in_days: Mapping[int, float], retention: RetentionParameters) -> list[int]:
    """Versions that the retention rule lets go.

    Args:
        state: How the registry stands.
        ages_in_days: Age of each version.
        retention: The rule.

    Returns:
        Numbers, the oldest first: none with an alias, none among the newest, none too young.
    """
    held = set(state.aliases.values())
    newest = set(sorted(state.tags)[-retention.keep_last :])
    return [
        version
        for version in sorted(state.tags)
        if version not in held and version not in newest and ages_in_days[version] >= retention.keep_days
    ]
