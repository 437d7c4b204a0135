"""Requests to Prefect's REST API: what a busy server's answers mean."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
from collections.abc import Callable, Iterator

import pytest

from infra.services import rest
from infra.services.rest import PrefectAPI


class Busy(http.server.ThreadingHTTPServer):
    """A server that gives each of `statuses` once, and 200 from then on."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses = list(statuses)
        self.bodies: list[object] = []

    @property
    def api(self) -> PrefectAPI:
        return PrefectAPI(f"http://127.0.0.1:{self.server_port}")


class Answer(http.server.BaseHTTPRequestHandler):
    server: Busy

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


Serve = Callable[..., Busy]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr(rest, "BUSY_WAITS_S", (0.0, 0.0))
    servers = []

    def start(*statuses: int) -> Busy:
        servers.append(server := Busy(*statuses))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_request_that_a_busy_server_declined_is_sent_again(serve: Serve) -> None:
    server = serve(503, 429)
    assert server.api.put("automations/1", {"enabled": True}) == {"enabled": True}
    assert server.bodies == [{"enabled": True}] * 3


@pytest.mark.parametrize(("statuses", "sent"), [((503, 503, 503), 3), ((500,), 1), ((422,), 1)])
def test_an_error_that_lasts_or_is_no_sign_of_load_is_raised(
    serve: Serve, statuses: tuple[int, ...], sent: int
) -> None:
    server = serve(*statuses)
    with pytest.raises(urllib.error.HTTPError, match=str(statuses[0])):
        server.api.put("automations/1", {})
    assert len(server.bodies) == sent
