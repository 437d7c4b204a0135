"""The server as a process: it follows its alias without dropping a request, and ends within seconds of SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.errors import UserError
from infra.lake import Lake
from registry.lineage import DatasetReference
from registry.models import CHAMPION, set_alias
from registry.publishing import register
from registry.runs import begin_run
from registry.serving.server import serve
from registry.serving.settings import ServingSettings
from registry.store import Registry

pytestmark = pytest.mark.slow

START_SECONDS = 120.0


@pytest.fixture(scope="module")
def lake(
    tmp_path_factory: pytest.TempPathFactory,
    make_registry: Callable[[Lake], Registry],
    bundle: Path,
    other_bundle: Path,
    dataset: DatasetReference,
) -> Lake:
    """A lake with two versions, the first of which is champion."""
    lake = Lake(tmp_path_factory.mktemp("served"))
    registry = make_registry(lake)
    for files in (bundle, other_bundle):
        register(registry, begin_run(registry, uuid.uuid4().hex, "tiny", {}), files, dataset, {}, "# A card")
    set_alias(registry, "1", CHAMPION)
    return lake


@pytest.fixture
def process(lake: Lake) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A server, and a client once it is ready."""
    command = [
        sys.executable,
        "-c",
        "from flows.cli import main; main()",
        "serve",
        "--port",
        "0",
        "--lake",
        str(lake.root),
    ]
    settings = ["--set", "poll_seconds=0.2", "--set", "drain_seconds=2"]
    environment = {**os.environ, "MUSENET_TOKEN": "secret"}
    with subprocess.Popen([*command, *settings], stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        found = re.search(r"version 1 .* at (http://127\.0\.0\.1:\d+) ", server.stdout.readline())
        assert found is not None
        headers = {"authorization": "Bearer secret"}
        with httpx.Client(base_url=found[1], headers=headers, timeout=60, trust_env=False) as client:
            ends = time.monotonic() + START_SECONDS
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < ends
                time.sleep(0.05)
            yield server, client
        server.kill()


def test_it_follows_the_alias_and_drains(process: tuple[subprocess.Popen[str], httpx.Client], lake: Lake) -> None:
    server, client = process
    versions: list[str] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            answer = client.post("/v1/compose", json={"length": 100, "best_of": 2})
            assert answer.status_code == 200, answer.text
            versions.append(answer.json()["model"]["version"])

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    set_alias(Registry.open(lake), "2", CHAMPION)
    begun = time.monotonic()
    while "2" not in versions:
        assert time.monotonic() - begun < 5
        time.sleep(0.02)
    is_over.set()
    for thread in asking:
        thread.join()
    assert versions.index("2") > 0
    assert client.get("/v1/models").json()["models"][0]["version"] == "2"

    answers: list[Any] = []
    long = threading.Thread(
        target=lambda: answers.append(client.post("/v1/compose", json={"length": 16_000, "best_of": 4}).json())
    )
    long.start()
    while not client.get("/readyz").json()["running"]:
        time.sleep(0.01)
    begun = time.monotonic()
    server.send_signal(signal.SIGTERM)
    long.join()
    assert answers[0]["message"] == "cut short, since the server is shutting down; this is what was composed"
    assert server.wait(timeout=10) == 143
    assert time.monotonic() - begun < 10


def nothing(*_: str) -> None:
    """Hear that a server has started."""


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("nobody", {}, "no model 'nobody'; there are: champion, 1, 2"),
        ("champion", {"host": "0.0.0.0"}, "other machines reach 0.0.0.0: give a token"),
        ("champion", {"host": "203.0.113.1", "token": "t"}, "203.0.113.1:8765 cannot be listened on"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(model: str, settings: dict[str, Any], message: str, lake: Lake) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        serve(model, lake, ServingSettings(**settings), "cpu", nothing, nothing)
