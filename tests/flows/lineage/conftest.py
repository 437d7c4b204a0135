"""What the tests of lineage events share: the published schemas, and transports to files and to a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import flows.lineage

SPECIFICATION = Path(__file__).parents[2] / "fixtures" / "openlineage"
OWN = Path(flows.lineage.__file__).parent / "schemas"

Events = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine counts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def validate() -> Callable[[dict[str, Any]], None]:
    """Check an event against OpenLineage's published schema, and each facet against the schema that it names."""
    files = [*SPECIFICATION.rglob("*.json"), *OWN.glob("*.json")]
    resources = [Resource.from_contents(json.loads(file.read_text())) for file in files]
    registry: Registry[Any] = Registry().with_resources([(str(each.id()), each) for each in resources])

    def check(value: dict[str, Any], url: str) -> None:
        Draft202012Validator(
            {"$ref": url}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
        ).validate(value)

    def validate(event: dict[str, Any]) -> None:
        check(event, event["schemaURL"])
        holders = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
        facets = [
            each for holder in holders for key in ("facets", "outputFacets") for each in holder.get(key, {}).values()
        ]
        assert facets
        for facet in facets:
            check(facet, facet["_schemaURL"])

    return validate


@pytest.fixture
def event_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Events]:
    """Configure a transport to a file; the result reads the events written so far."""
    path = tmp_path / "events.jsonl"
    monkeypatch.setattr("flows.lineage.emission.WAIT_SECONDS", 60.0)  # on a busy machine two are too few
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(path))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@dataclass
class Catalogue:
    """A server that takes events over HTTP as Marquez or DataHub do."""

    url: str
    events: Events = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 201
    delay: threading.Event | None = None
    """Answers wait for it."""


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.paths.append(self.path)
            made.events.append(json.loads(body))
            if made.delay is not None:
                made.delay.wait(20)
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Catalogue(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("URL", "TYPE"):  # set by the client itself where OPENLINEAGE_URL is
        monkeypatch.setenv(f"OPENLINEAGE__TRANSPORT__TRANSPORTS__DEFAULT_HTTP__{name}", "")
        monkeypatch.delenv(f"OPENLINEAGE__TRANSPORT__TRANSPORTS__DEFAULT_HTTP__{name}")
    monkeypatch.setenv("OPENLINEAGE_URL", made.url)
    yield made
    server.shutdown()
    server.server_close()
