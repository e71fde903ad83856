"""Monotone and interaction constraints of the declaration, translated to model inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from churn_kedro.base import ParameterError
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features.sources import branch_steps
from churn_kedro.features.treatment import TrainingInputs


@dataclass(frozen=True)
class InputConstraints:
    """Constraints of a model.

    Attributes:
        monotone: For each input 1 (the prediction never falls as it rises), -1 (never rises) or 0.
        interactions: Groups of positions of inputs that may act together, every input in at least one; None: all may.
    """

    monotone: tuple[int, ...]
    interactions: tuple[tuple[int, ...], ...] | None = None

    @property
    def free(self) -> bool:
        """Whether there is no constraint."""
        return self.interactions is None and not any(self.monotone)


def find_constraints(inputs: TrainingInputs, declaration: CustomerDeclaration) -> InputConstraints:
    """Translate the declared constraints on columns to constraints on inputs.

    Args:
        inputs: The fitted treatment.
        declaration: The table's declaration.

    Returns:
        Constraints by position of the input.

    Raises:
        ParameterError: A monotone column has no input that rises with it.
    """
    monotone = [0] * len(inputs.sources)
    names = list(inputs.sources)
    averaged = _target_encoded(inputs.transformer)
    for column in declaration.features:
        if column.monotone is None:
            continue
        made = [name for name, source in inputs.sources.items() if source == column.name]
        # The indicator of missing values does not depend on the value.
        turning = [name for name in made if name not in (column.name, f"{column.name}_missing")]
        rising = column.name in made and inputs.types[names.index(column.name)] == "q"
        if made and (turning or not rising or column.name in averaged):
            raise ParameterError(
                f"Column '{column.name}' is declared monotone, and its treatment makes {', '.join(made)} of it, which "
                "do not all rise with the column. Give it treatment: {encoding: ordinal} and no flags of outliers, or "
                "take monotone out of parameters/customers.yml."
            )
        if made:
            monotone[names.index(column.name)] = 1 if column.monotone == "increasing" else -1
    if not declaration.interactions:
        return InputConstraints(tuple(monotone))
    origins = list(inputs.sources.values())
    alone = sorted(set(origins) - {name for group in declaration.interactions for name in group}, key=origins.index)
    groups = [
        tuple(position for position, origin in enumerate(origins) if origin in group)
        for group in [*declaration.interactions, *([name] for name in alone)]
    ]
    return InputConstraints(tuple(monotone), tuple(group for group in groups if group))


def _target_encoded(transformer: Any) -> set[str]:
    """Columns with target encoding."""
    from sklearn.preprocessing import TargetEncoder

    return {
        str(name)
        for _, branch, columns in transformer["read"].transformers_
        if any(isinstance(step, TargetEncoder) for step in branch_steps(branch))
        for name in columns
    }
