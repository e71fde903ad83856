"""Which code is running, and who runs it."""

from __future__ import annotations

import getpass
import subprocess
from functools import cache
from pathlib import Path


@cache
def describe_code(project_path: Path) -> dict[str, str]:
    """Git commit of a project and whether its files differ from it.

    Args:
        project_path: Folder of the project.

    Returns:
        ``git_commit`` (40 hexadecimal characters) and ``git_dirty`` (``true`` or ``false``); both ``unknown`` where
        there is no git or no commit.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {
            "git_commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain"))).lower(),
        }
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": "unknown", "git_dirty": "unknown"}


def describe_person(project_path: Path) -> str:
    """Who is at work, for the audit.

    Args:
        project_path: Folder of the project.

    Returns:
        Name and address from git's configuration; else the name under which the process runs.
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
        # A container may run under a number that has no name.
        return "unknown"
