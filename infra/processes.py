"""Processes that leave none behind: process groups, and ending together with the process that started this one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import wait
from pathlib import Path
from typing import NoReturn

import psutil

POLL_SECONDS = 0.02
PARENT_POLL_SECONDS = 0.5
COMMAND_WIDTH = 60
"""Most letters of a command in a message."""


def group_members(leader: int) -> list[psutil.Process]:
    """Return all processes of the process group that `leader` was started to lead."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == leader:
                members.append(process)
    return members


def end_groups(leaders: Iterable[int], grace_seconds: float) -> None:
    """End all processes of process groups: by SIGTERM, and after `grace_seconds` by SIGKILL.

    A pid that was reused meanwhile gets no signal: psutil compares start times.
    """
    left = [member for leader in leaders for member in group_members(leader)]
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                end(process)
        deadline = time.monotonic() + grace_seconds
        while (left := [process for process in left if still_runs(process)]) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def still_runs(process: psutil.Process) -> bool:
    """True if the process has not ended; a zombie, which its parent has not waited for yet, has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def having_open(*files: Path) -> list[str]:
    """Return the other processes of this machine that have one of the files open: `python -m mlflow … (pid 123)`.

    Only root sees those of other users.
    """
    wanted = {str(file.resolve()) for file in files}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(each.path in wanted for each in process.open_files()):
                program, *words = process.cmdline() or [process.name()]
                command = textwrap.shorten(" ".join([Path(program).name, *words]), COMMAND_WIDTH, placeholder=" …")
                found.append(f"{command} (pid {process.pid})")
    return found


def exit_now(status: int = 1) -> NoReturn:
    """End this process without cleaning up, but for what is still to be written to standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def end_with_stdin(end: Callable[[], object] = exit_now) -> None:
    """Call `end`, in a thread, once standard input closes: whoever holds its other end is gone, however it ended."""

    def closed() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 1024):
                pass

    _end_after(closed, end)


def end_with_parent(end: Callable[[], object] = exit_now, parent: int | None = None) -> None:
    """Call `end`, in a thread, once the process that started this one is gone, however it ended.

    `parent` is its pid, by default the present parent's; a child that gets it handed over also notices a parent that
    ended before this call. A child that `multiprocessing` started waits on the parent's sentinel and needs none.
    """
    started_by = multiprocessing.parent_process()
    watched = os.getppid() if parent is None else parent

    def gone() -> None:
        if started_by is not None:
            wait([started_by.sentinel])
            return
        while os.getppid() == watched:
            time.sleep(PARENT_POLL_SECONDS)

    _end_after(gone, end)


def _end_after(gone: Callable[[], None], end: Callable[[], object]) -> None:
    def watch() -> None:
        gone()
        end()

    threading.Thread(target=watch, daemon=True).start()
