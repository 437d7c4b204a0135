"""Emission: events are handed to a thread that sends them in order, so that a slow catalogue delays no run."""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import message_of

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

WAIT_SECONDS = 2.0
"""Time that the end of a run waits for its events to be delivered."""
CONFIG_FILE = "openlineage.yml"


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """True if a transport is configured where OpenLineage's client looks for it, and not switched off."""
    if environment.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OPENLINEAGE_URL") or environment.get("OPENLINEAGE_CONFIG"):
        return True
    if any(name.startswith("OPENLINEAGE__TRANSPORT") for name in environment):
        return True
    return Path(CONFIG_FILE).is_file() or Path("~/.openlineage", CONFIG_FILE).expanduser().is_file()


class Emitter:
    """A thread that sends the events of a run and of those within it."""

    def __init__(self) -> None:
        importlib.import_module("openlineage.client")  # here: two threads that import the same may lock each other out
        self._events: queue.Queue[RunEvent | None] = queue.Queue()
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._send_all, name="lineage", daemon=True)
        self._thread.start()

    def emit(self, event: RunEvent) -> None:
        """Hand over an event; returns at once."""
        self._events.put(event)

    def close(self) -> str | None:
        """Wait at most WAIT_SECONDS for all events; return the fault in one line, None if all are delivered."""
        self._events.put(None)
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            return self._fault or f"the transport took longer than {WAIT_SECONDS:g} s"
        return self._fault

    def _send_all(self) -> None:
        for name in ("openlineage", "urllib3.connectionpool"):  # the fault is reported once, in one line
            logging.getLogger(name).addHandler(logging.NullHandler())
            logging.getLogger(name).propagate = False
        try:
            from openlineage.client import OpenLineageClient

            client = OpenLineageClient()
            if client.transport.kind == "console":  # the client's choice where it finds nothing that it can use
                self._fault = "its configuration names no transport that OpenLineage's client knows"
                return
            while (event := self._events.get()) is not None:
                try:
                    client.emit(event)
                except Exception as error:  # each transport has its own
                    self._fault = self._fault or message_of(error)
            client.close(WAIT_SECONDS)
        except Exception as error:  # a configuration that the client refuses
            self._fault = self._fault or message_of(error)
