"""Recognition of identifiers among whole numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Repetitions that independent draws would have, from which their absence is no chance.
_EXPECTED_REPETITIONS = 10
_REPETITIONS_OF_KEYS = 0.1


def resembles_a_key(numbers: npt.NDArray[np.float64]) -> bool:
    """Check whether numbers are distinct as only identifiers are.

    Independent draws, such as evenly spread salaries, repeat: n draws from m equally likely numbers have about
    n - m (1 - exp(-n / m)) repetitions, and more if the numbers are not equally likely. Identifiers have none.

    Args:
        numbers: Numbers, none missing.

    Returns:
        True for whole numbers with equal steps, and for those that repeat far less than draws from their range would.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> resembles_a_key(random.permutation(5_000) * 3.0), resembles_a_key(random.integers(0, 200_000, 5_000) * 1.0)
        (True, False)
    """
    if len(numbers) < 2 or not (numbers == np.floor(numbers)).all():
        return False
    ordered = np.sort(numbers)
    steps = np.diff(ordered)
    if steps[0] > 0 and (steps == steps[0]).all():
        return True
    rows, span = len(ordered), ordered[-1] - ordered[0] + 1
    expected = rows + span * np.expm1(-rows / span)
    return bool(expected >= _EXPECTED_REPETITIONS and (steps == 0).sum() <= _REPETITIONS_OF_KEYS * expected)
