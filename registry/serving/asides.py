"""A thread for what jobs do beside the decoder: ranking, writing files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

Aside = Callable[[], Any]
LAST_SECONDS = 0.1
"""For which the end waits for the thread."""


class Asides:
    """Runs functions one after the other. A process that ends does not wait for the one that runs."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Aside, Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="aside", daemon=True)
        self._thread.start()

    def submit(self, aside: Aside) -> Future[Any]:
        """Return the future of what a function returns."""
        future: Future[Any] = Future()
        self._waiting.put((aside, future))
        return future

    def close(self) -> bool:
        """End the thread behind what has been submitted; return True if it has ended, False if it goes on."""
        self._waiting.put(None)
        self._thread.join(LAST_SECONDS)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (found := self._waiting.get()) is not None:
            aside, future = found
            try:
                future.set_result(aside())
            except Exception as error:
                future.set_exception(error)
