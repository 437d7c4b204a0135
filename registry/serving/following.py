"""Following an alias: the version that has it is served, within seconds of its promotion."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from infra.errors import MusenetError, message_of

LOG = logging.getLogger(__name__)
RETRY_SECONDS = 30.0
"""After which a version that could not be loaded is tried again."""


class Follower:
    """A thread that looks at times which version is to be served, and loads it before it takes over."""

    def __init__(
        self,
        look: Callable[[], str],
        take_over: Callable[[str], None],
        failed: Callable[[], None],
        seconds: float,
    ) -> None:
        """`look`: returns the version to serve. `take_over`: loads and serves a version that is another one than
        before. `failed`: called where either raises, which changes nothing: the former version goes on. `seconds`:
        between looks."""
        self._look, self._take_over, self._failed, self._seconds = look, take_over, failed, seconds
        self._version: str | None = None
        self._bad: str | None = None
        self._again = 0.0
        self._complaint = ""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Load the present version in the background, and go on looking."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._is_over.is_set():
            try:
                self._step(self._look())
            except Exception as error:  # a registry that is away for a while, or a version that cannot be loaded
                self._failed()
                message = message_of(error)
                if message != self._complaint:  # once, not every few seconds
                    self._complaint = message
                    LOG.warning("%s", message, exc_info=not isinstance(error, MusenetError))
            self._is_over.wait(self._seconds)

    def _step(self, version: str) -> None:
        if version == self._version or (version == self._bad and time.monotonic() < self._again):
            return
        # Loading is dear: one that fails is tried again after a while only.
        self._bad, self._again = version, time.monotonic() + RETRY_SECONDS
        self._take_over(version)
        self._version, self._bad, self._complaint = version, None, ""
