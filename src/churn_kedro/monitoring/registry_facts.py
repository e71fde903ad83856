"""Facts about the versions of a registered model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from churn_kedro.base import read_time
from churn_kedro.registry import RegistryState


@dataclass(frozen=True)
class RegistryFacts:
    """State of a registered model.

    Attributes:
        state: Aliases and tags.
        created: Time of registration of each version, ISO 8601.
    """

    state: RegistryState
    created: Mapping[int, str]

    def ages_in_days(self, as_of: pd.Timestamp) -> dict[int, float]:
        """Return the age of each version, at least 0.

        Args:
            as_of: Time of the report, UTC.
        """
        return {
            version: max(0.0, (as_of - read_time(text)) / pd.Timedelta(days=1))
            for version, text in self.created.items()
        }
