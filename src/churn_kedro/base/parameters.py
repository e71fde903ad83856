"""Bases of typed parameters and of typed results."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of all typed parameters: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __str__(self) -> str:
        """Return the name of the class without the fields."""
        # MLflow records a parameter as its string; the fields are recorded one by one.
        return f"{type(self).__name__}, recorded field by field"


class Record(BaseModel):
    """Base of all typed results: immutable, written as JSON and read back with an unknown key as an error."""

    # Schemas are built at first use, since a run needs few of them.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
