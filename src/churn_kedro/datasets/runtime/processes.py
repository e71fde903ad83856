"""The process of a run, to find out later whether it has ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

HOST_TAG, PROCESS_TAG, START_TAG = "host", "process", "process_start"
# Place of the start time in /proc/PID/stat after the name, which is in parentheses and may contain blanks.
_START_FIELD = 19


def describe_process() -> dict[str, str]:
    """Describe this process.

    Returns:
        Host, process id, and start: boot, process namespace and clock ticks since the boot, which tell apart two
        processes with the same id. The start is empty where the system has no ``/proc``.
    """
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid()), START_TAG: _describe_start(os.getpid())}


def has_ended(process: Mapping[str, str]) -> bool:
    """Return whether a described process has ended.

    Args:
        process: Description of a process (:func:`describe_process`).

    Returns:
        True only if it is certain; False for a process of another host or another container.
    """
    if process.get(HOST_TAG) != socket.gethostname() or not process.get(PROCESS_TAG, "").isdecimal() or os.name == "nt":
        # On Windows, signal 0 is Ctrl-C and would interrupt the process.
        return False
    number, start = int(process[PROCESS_TAG]), process.get(START_TAG, "")
    here = _describe_start(os.getpid())
    if _namespace(start) != _namespace(here):
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # The process of another user.
        pass
    return start != "" and _describe_start(number) not in ("", start)


def _describe_start(process: int) -> str:
    try:
        ticks = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[_START_FIELD]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        # The namespace of this process, since that of another user's process cannot be read.
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}/{ticks}"
    except (OSError, IndexError):
        return ""


def _namespace(start: str) -> str:
    return start.split("/")[1] if start.count("/") == 2 else ""
