"""Atomic writes of files."""

from __future__ import annotations

import glob
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from kedro.io.core import get_protocol_and_path

# No file takes longer to write.
_ABANDONED_SECONDS = 24 * 3600


def open_filesystem(
    filepath: str, credentials: dict[str, Any] | None
) -> tuple[fsspec.AbstractFileSystem, PurePosixPath]:
    """Find the file system of a path.

    Args:
        filepath: Local path or URL (``s3://…``).
        credentials: Arguments of the fsspec file system.

    Returns:
        The file system, and the path within it.
    """
    protocol, path = get_protocol_and_path(filepath)
    arguments = {"auto_mkdir": True} if protocol == "file" else {}
    return fsspec.filesystem(protocol, **arguments, **(credentials or {})), PurePosixPath(path)


def describe_age(filepath: str) -> str:
    """Describe how old a file is.

    Args:
        filepath: Local path or URL.

    Returns:
        Days, hours or minutes since the file was modified, such as ``3 days old``; empty if the file system does not
        tell.
    """
    try:
        filesystem, path = open_filesystem(filepath, None)
        modified: datetime = filesystem.modified(str(path))
    except Exception:  # Each file system raises errors of its own, for example without the credentials of the catalog.
        return ""
    minutes = max(0, round((datetime.now(UTC) - modified).total_seconds() / 60))
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            return f"{minutes // size} {unit}{'s' if minutes // size > 1 else ''} old"
    return "less than a minute old"


def made_again(pipeline: str) -> str:
    """Name the command that writes a file, for messages about a file that is absent or damaged.

    Args:
        pipeline: Pipeline that writes it; empty: unknown.

    Returns:
        A sentence; empty if the pipeline is unknown.
    """
    return f"Run `kedro run --pipelines {pipeline}` first: it writes the file." if pipeline else ""


@contextmanager
def written_whole(
    filesystem: fsspec.AbstractFileSystem, path: PurePosixPath, suffix: str | None = None
) -> Iterator[str]:
    """Write a file atomically.

    Object stores show an object only after its upload; a local file is written beside its target and renamed.

    Args:
        filesystem: File system of the path.
        path: Target path.
        suffix: Suffix of the file until it is complete; None: that of the target, since some writers infer the format
            from it.

    Yields:
        Path to write to.
    """
    if not isinstance(filesystem, LocalFileSystem):
        yield str(path)
        return
    local = Path(path)
    local.parent.mkdir(parents=True, exist_ok=True)
    suffix = local.suffix if suffix is None else suffix
    partial = local.with_name(f".{local.stem}.{uuid.uuid4().hex[:8]}.part{suffix}")
    _remove_abandoned(local, suffix)
    try:
        yield str(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(local: Path, suffix: str) -> None:
    """Remove what killed processes have left of the same file."""
    for path in local.parent.glob(f".{glob.escape(local.stem)}.*.part{glob.escape(suffix)}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
