"""A Prefect server in a process of its own; `infra.services.commands` runs this file as a script.

    python run_prefect.py HOST PORT PARENT

It runs until it gets SIGTERM, or until PARENT, unless that is 0, is no longer its parent process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from infra.processes import end_with_parent, exit_now

if TYPE_CHECKING:
    from starlette.types import ASGIApp

DRAIN_TIMEOUT_S = 30.0
"""Longest time to wait for events that were sent, or accepted, but not recorded yet."""
STOP_TIMEOUT_S = DRAIN_TIMEOUT_S + 15.0
"""Time that a server has to end after SIGTERM."""
QUIET_S = 2.0
"""Background server: longer than the recorder's flush interval, so that nothing waits to be recorded."""
PRIVATE_QUIET_S = 0.2
"""Private server: its flush interval is an hour, and its stop itself writes what is left."""
KEEP_ALIVE_TIMEOUT_S = 3
"""A browser may keep its connection open."""


def serve(host: str, port: int, parent: int) -> bool:
    """Run a Prefect server to its end; return False if it did not start."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Prefect would drop the events that it has accepted but not yet recorded.
            await _recorded(PRIVATE_QUIET_S if parent else QUIET_S)
            await super().shutdown(sockets)

    if parent:
        end_with_parent(_stop, parent)
    config = uvicorn.Config(lambda: _app(host), factory=True, host=host, port=port, log_level="error")
    config.timeout_graceful_shutdown = KEEP_ALIVE_TIMEOUT_S
    server = Server(config)
    server.run()
    return server.started


def _app(host: str) -> ASGIApp:
    """Return Prefect's server, closed to requests by any other name than its own.

    A page whose name has come to mean this machine (DNS rebinding) is no other origin to a browser.
    """
    from prefect.server.api.server import create_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    return TrustedHostMiddleware(create_app(), allowed_hosts=[host, "localhost"], www_redirect=False)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_TIMEOUT_S)
    exit_now()


async def _recorded(quiet_s: float) -> None:
    """Return when no event has arrived or waited to be recorded for `quiet_s`, or after DRAIN_TIMEOUT_S."""
    metrics = sys.modules["prefect.server.utilities.messaging.memory"].METRICS["events"]
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    seen, since = -1, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < quiet_s:
        if metrics["published"] != metrics["consumed"] or metrics["published"] != seen:
            seen, since = metrics["published"], time.monotonic()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(0 if serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])) else 1)
