"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("xgboost", "scikit-learn", "numpy", "pandas", "optuna", "scipy", "skops", "catboost", "lightgbm")


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a training goes through.

    Returns:
        Version by name, of what is installed.
    """
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
