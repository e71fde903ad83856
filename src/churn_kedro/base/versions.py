"""Versions of Python and of libraries."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("xgboost", "scikit-learn", "numpy", "pandas", "optuna", "scipy", "skops", "catboost", "lightgbm")


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that training uses.

    Returns:
        Version of each installed library by name.
    """
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
