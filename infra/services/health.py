"""Ports and health checks: finding a free port, and waiting until the server that was started there answers."""

from __future__ import annotations

import base64
import contextlib
import http
import http.client
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from infra.errors import RunError, message_of
from infra.processes import group_members
from infra.services.environment import HOST

HEALTH_PATHS = {"prefect": "/api/health", "mlflow": "/health"}
START_TIMEOUT_S = 120.0
ANSWER_SECONDS = 10.0
"""Longest wait for a server that should be there."""
POLL_SECONDS = 0.05


class ServiceError(RunError):
    """A server that could not be started. The message names its log file."""


class PortTaken(ServiceError):
    """A server that ended because another program has listened on its port before it did."""


def address(preferred: int) -> str:
    """Return the URL of the preferred port if nothing listens there, else of a free one; 0: any free port."""
    return f"http://{HOST}:{free_port(preferred)}"


def free_port(preferred: int) -> int:
    """Return the preferred port if nothing listens there, else a free one."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise ServiceError(f"no free port on {HOST}")


def port_of(url: str) -> int:
    """Return the port that a local server's URL names."""
    return int(url.rpartition(":")[2])


def answers(name: str, url: str) -> bool:
    """True if a server answers its health check with status 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url + HEALTH_PATHS[name], timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def refusal(url: str) -> str | None:
    """Return why nothing answers at a URL, by HTTP; None where a server does, with whatever status."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError:  # it is there, and wants a password or another page
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        return message_of(error)


def is_closed(url: str, password: str) -> bool:
    """True if a server refuses a request with this password, `USER:SECRET` (status 401)."""
    headers = {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"} if password else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=ANSWER_SECONDS):
            return False
    except urllib.error.HTTPError as error:
        return error.code == http.HTTPStatus.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
        return False


def wait_until_healthy(name: str, url: str, log: Path, process: subprocess.Popen[bytes] | None) -> None:
    """Return once the server answers.

    Raises PortTaken or another ServiceError if `process` ends first, and ServiceError after START_TIMEOUT_S.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (answers(name, url) and (process is None or _listens(process.pid, url))):
        if process is not None and process.poll() is not None:
            fault = PortTaken if free_port(port := port_of(url)) != port else ServiceError
            raise fault(f"the {name} server ended as it started (code {process.returncode}): see {log}")
        if time.monotonic() > deadline:
            raise ServiceError(f"no answer from the {name} server at {url} in {START_TIMEOUT_S:.0f} s: see {log}")
        time.sleep(POLL_SECONDS)


def _listens(leader: int, url: str) -> bool:
    """True if a process of the group listens on the port: another server may have taken it meanwhile."""
    port = port_of(url)
    for process in group_members(leader):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return True
    return False
