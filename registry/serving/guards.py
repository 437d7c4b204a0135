"""Guards before the application: the name that the server is called by, the token, and the size of bodies.

A page of another site can make a browser send requests to this machine under a name of its own (DNS rebinding); so a
server is called by an address in figures, by `localhost`, or by a name that it was given. There are no CORS headers:
pages of other sites cannot read answers, nor send JSON.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.serving.settings import ServingSettings

PROTECTED = ("/v1", "/metrics", "/openapi.json")
"""Beginnings of the paths that need the token."""
HEADERS = {
    "Content-Security-Policy": (
        # The player decodes compressed soundfonts in WebAssembly.
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
        "worker-src 'self' blob:; img-src 'self' data: blob:; media-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of all answers."""


def is_loopback(host: str) -> bool:
    """Return True for an address that other machines cannot reach."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_allowed(host: str, names: Iterable[str]) -> bool:
    """Return True for the value of a Host header that the server may be called by; `names`: besides `localhost`."""
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return _address(name.strip("[]")) is not None or name.lower() in {"localhost", *(each.lower() for each in names)}


def _address(host: str):  # type: ignore[no-untyped-def]  # one of two classes that have no common base
    try:
        return ip_address(host)
    except ValueError:
        return None


class Guards:
    """An ASGI application before another one."""

    def __init__(self, app: ASGIApp, settings: ServingSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request in one sentence, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope, Headers(scope=scope))
        if refused is not None:
            await _refuse(answer, *refused)
            return
        await self.app(scope, self._counted(receive), answer)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return status and sentence for a request that is refused."""
        host = headers.get("host", "")
        if not is_allowed(host, self.settings.names):
            return 400, f"this server is not called {host!r}: name it when it is started (--name), or use its address"
        token = self.settings.token
        if token is not None and scope["path"].startswith(PROTECTED):
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not secrets.compare_digest(
                given.strip().encode(), token.get_secret_value().encode()
            ):
                return 401, "this server needs its token: send it as `Authorization: Bearer …`"
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > self.settings.limits.upload_bytes:
            return 413, self._too_large
        return None

    @property
    def _too_large(self) -> str:
        return f"the body of a request has {self.settings.limits.upload_bytes:,} bytes at most on this server"

    def _counted(self, receive: Receive) -> Receive:
        """Return a function that receives as before, and raises HTTPException for a body that is too large."""
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self.settings.limits.upload_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return counted


async def _refuse(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": sentence}).encode()})
