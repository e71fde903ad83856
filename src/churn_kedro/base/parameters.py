"""What all typed parameters share, and the errors that a user can mend."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of all typed parameters: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __str__(self) -> str:
        """Name of the class alone."""
        # MLflow shows a parameter as its string. The fields are recorded one by one, so the whole needs no repetition.
        return f"{type(self).__name__}, recorded field by field"
