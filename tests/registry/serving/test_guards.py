"""Guards: which names, tokens and pages a server answers to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from registry.serving.guards import is_allowed, is_loopback
from registry.serving.service import Service

MakeService = Callable[..., Service]
ClientOf = Callable[..., TestClient]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8765", True),
        ("[::1]:8765", True),
        ("192.168.1.7:80", True),
        ("localhost:8765", True),
        ("studio.example:80", True),
        ("Studio.Example", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[evil]", False),
        ("", False),
    ],
)
def test_a_server_is_called_by_an_address_or_a_name_it_was_given(host: str, allowed: bool) -> None:
    """A page of evil.example that points this name at 127.0.0.1 is sent away."""
    assert is_allowed(host, ["studio.example"]) == allowed


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_addresses_of_this_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_another_name_is_refused_for_every_path(client: TestClient) -> None:
    for path in ("/v1/models", "/", "/healthz", "/metrics"):
        answer = client.get(path, headers={"host": "evil.example"})
        assert answer.status_code == 400
        assert "this server is not called 'evil.example'" in answer.json()["error"]


def test_pages_of_other_sites_read_nothing(client: TestClient) -> None:
    answer = client.get("/v1/models", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    assert client.options("/v1/compose", headers=asked).status_code == 405
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for_by_all_but_health_and_the_page(make_service: MakeService, client_of: ClientOf) -> None:
    client = client_of(make_service(token="secret"))
    for path in ("/v1/models", "/v1/nothing", "/metrics", "/openapi.json"):
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic secret"},
            {"authorization": "é"},
        ):
            answer = client.get(path, headers={name: value.encode() for name, value in headers.items()})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/v1/models", headers={"authorization": "Bearer secret"}).status_code == 200
    assert {client.get(path).status_code for path in ("/healthz", "/readyz")} == {200}
    schema = client.get("/openapi.json", headers={"authorization": "Bearer secret"}).json()
    assert schema["components"]["securitySchemes"]
