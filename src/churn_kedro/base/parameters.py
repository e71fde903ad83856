"""Bases of typed parameters and of typed results."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of all typed parameters: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __str__(self) -> str:
        """Name of the class alone."""
        # MLflow shows a parameter as its string. The fields are recorded one by one, so the whole needs no repetition.
        return f"{type(self).__name__}, recorded field by field"


class Record(BaseModel):
    """Base of all typed results: immutable, written as JSON and read back with an unknown key as an error."""

    # Schemas are built at first use: a run reads and writes few of them.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
