"""Requests to Prefect's REST API, for what a command has to say to it without loading Prefect."""

from __future__ import annotations

import base64
import http
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from infra.services.environment import OWN_NAMES
from infra.services.health import ANSWER_SECONDS
from infra.services.password import AUTH_VARIABLE

BUSY = (http.HTTPStatus.SERVICE_UNAVAILABLE, http.HTTPStatus.TOO_MANY_REQUESTS)
"""Answers to a request that was not carried out: Prefect gives the first while SQLite is locked by another writer."""
BUSY_WAITS_S = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Time between attempts at a request that a busy server declined."""


class PrefectAPI:
    """Prefect's API at an address, with the credentials that Prefect's own variables hold."""

    def __init__(self, address: str, password: str | None = None) -> None:
        """`password`: `USER:SECRET`; None: that of the variables."""
        self._address = address.rstrip("/")
        # A proxy of the user's does not know this machine's own servers.
        own = urllib.parse.urlsplit(address).hostname in OWN_NAMES
        self._opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if own else []))
        self._headers = {"Content-Type": "application/json"}
        if password := password or os.environ.get(AUTH_VARIABLE):
            self._headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
        elif key := os.environ.get("PREFECT_API_KEY"):
            self._headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str) -> Any:
        """Return what is at a path, None if there is nothing. Raises OSError."""
        try:
            return self._ask(urllib.request.Request(f"{self._address}/{path}", headers=self._headers))
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def post(self, path: str, body: Any) -> Any:
        """Send a value and return the answer. Raises OSError."""
        return self._send("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        """Put a value in the place of the one that is at a path. Raises OSError."""
        return self._send("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        """Change what is at a path in part. Raises OSError."""
        return self._send("PATCH", path, body)

    def _send(self, method: str, path: str, body: Any) -> Any:
        data = json.dumps(body).encode()
        return self._ask(urllib.request.Request(f"{self._address}/{path}", data, self._headers, method=method))

    def _ask(self, request: urllib.request.Request) -> Any:
        for wait in BUSY_WAITS_S:
            try:
                return self._attempt(request)
            except urllib.error.HTTPError as error:
                if error.code not in BUSY:
                    raise
            time.sleep(wait)
        return self._attempt(request)

    def _attempt(self, request: urllib.request.Request) -> Any:
        with self._opener.open(request, timeout=ANSWER_SECONDS) as response:
            return json.loads(response.read() or b"null")
