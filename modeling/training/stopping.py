"""Requests to stop training: a checkpoint is saved behind the present step, and the next start goes on from it.

A request is SIGTERM to a rank, as schedulers send it before they take a machine away, or STOP in a file of the run's
folder, by which the launcher reaches rank 0 on whatever host.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

STOP = b"stop"
READ_SECONDS = 0.5
"""Least time between two looks into the file."""


class StopRequest:
    """Whether this rank has been asked to stop."""

    def __init__(self, file: Path | None) -> None:
        """`file`: rank 0's, None for other ranks."""
        self._file = file
        self._read_at = -READ_SECONDS
        self._requested = False

    def listen(self) -> None:
        """Take SIGTERM for a request, in the main thread. The job's launchers hand it down blocked."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def is_requested(self) -> bool:
        """True from the first request on."""
        now = time.monotonic()
        if self._file is not None and not self._requested and now - self._read_at >= READ_SECONDS:
            self._read_at = now
            self._requested = is_asked_to_stop(self._file)
        return self._requested

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._requested = True


def ask_to_stop(file: Path) -> None:
    """Ask the ranks of a job to stop."""
    file.write_bytes(STOP)


def is_asked_to_stop(file: Path) -> bool:
    """True if the file asks to stop; it is opened, since a network file system only then asks its server."""
    try:
        return file.read_bytes() == STOP
    except OSError:
        return False
