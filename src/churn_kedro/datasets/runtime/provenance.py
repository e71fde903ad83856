"""Git commit and user of the running code."""

from __future__ import annotations

import getpass
import subprocess
from functools import cache
from pathlib import Path

# What a model depends on, beside the configuration of its use case. Documents, tests, notebooks and other use cases are
# left out. DVC's lock names the tables.
_CODE = ("src", "conf/base", ":(glob)conf/*.yml", "pyproject.toml", ":(glob)requirements*.lock", "dvc.lock")


@cache
def describe_code(project_path: Path, use_case: str | None = None) -> dict[str, str]:
    """Return the git commit of a project and whether its code or configuration has uncommitted changes.

    Args:
        project_path: Folder of the project.
        use_case: Name of the use case, whose configuration counts; None: only that of ``conf/base``.

    Returns:
        ``git_commit`` (40 hexadecimal characters) and ``git_dirty`` (``true`` or ``false``); both ``unknown`` without
        git or commit.
    """
    paths = [*_CODE, *([f"conf/{use_case}"] if use_case is not None else [])]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {
            "git_commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain", "--", *paths))).lower(),
        }
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": "unknown", "git_dirty": "unknown"}


def describe_person(project_path: Path) -> str:
    """Return the user, for the audit.

    Args:
        project_path: Folder of the project.

    Returns:
        Name and address from git's configuration; else the user name of the process.
    """
    found = []
    for key in ("user.name", "user.email"):
        try:
            command = ["git", "-C", str(project_path), "config", key]
            found.append(subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip())
        except (OSError, subprocess.SubprocessError):
            found.append("")
    name, address = found
    if name or address:
        return f"{name} <{address}>" if name and address else name or address
    try:
        return getpass.getuser()
    except OSError:
        # The user id of a container may have no name.
        return "unknown"
