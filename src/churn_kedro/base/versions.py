"""Versions of Python and of libraries."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("xgboost", "scikit-learn", "numpy", "pandas", "optuna", "scipy", "skops", "catboost", "lightgbm")
# Packages that contain the same library.
_VARIANTS = {"xgboost": "xgboost-cpu"}


def find_distribution(library: str) -> tuple[str, str]:
    """Find the installed package of a library.

    Args:
        library: Name of the library, such as ``xgboost``.

    Returns:
        Name of the package, ``xgboost`` or ``xgboost-cpu``, and its version.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    try:
        return library, version(library)
    except PackageNotFoundError:
        if library not in _VARIANTS:
            raise
        return _VARIANTS[library], version(_VARIANTS[library])


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that training uses.

    Returns:
        Version of each installed library by name.
    """
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = find_distribution(name)[1]
        except PackageNotFoundError:
            continue
    return versions
