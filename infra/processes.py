"""Process groups: find and end everything that a started program has started in turn."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

import psutil

POLL_SECONDS = 0.02


def group_members(leader: int) -> list[psutil.Process]:
    """All processes of the process group that `leader` was started to lead."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == leader:
                members.append(process)
    return members


def end_groups(leaders: Iterable[int], grace_seconds: float) -> None:
    """End all processes of groups: politely, then by force. psutil signals no pid that was reused meanwhile."""
    left = [member for leader in leaders for member in group_members(leader)]
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                end(process)
        deadline = time.monotonic() + grace_seconds
        while (left := [process for process in left if still_runs(process)]) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def still_runs(process: psutil.Process) -> bool:
    """False also for a process that has ended but that its parent has not yet waited for."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
