"""Streams: notes while they are made, each once, and no work for clients that have gone."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from modeling.generation.executors import ExecutorConfig, SharedExecutor
from registry.serving import streams
from registry.serving.app import create_app
from registry.serving.bodies import ComposeBody
from registry.serving.service import Service
from tokenization.midi import read_midi

MakeService = Callable[..., Service]
ClientOf = Callable[..., TestClient]
BODY = {"style": "bach", "length": 400, "best_of": 3, "seed": 5, "stream": True}


def events_of(client: TestClient, path: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


@pytest.fixture(scope="module")
def events(client: TestClient) -> list[tuple[str, Any]]:
    return events_of(client, "compose", BODY)


def rows(notes: list[Any]) -> Counter[tuple[Any, ...]]:
    return Counter(map(tuple, notes))


class TestEvents:
    def test_come_in_their_order(self, events: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in events if name != "queued"]
        assert (names[0], names[-1]) == ("begun", "finished")
        assert {*names} == {"begun", "notes", "progress", "ranking", "finished"}
        done = [data["tokens"] for name, data in events if name == "progress"]
        assert done == sorted(done)
        assert dict(events)["begun"]["candidates"] == [0, 1, 2]
        assert dict(events)["begun"]["prompt"] == []

    def test_the_last_is_the_answer(self, events: list[tuple[str, Any]], client: TestClient) -> None:
        answer = client.post("/v1/compose", json={**BODY, "stream": False}).json()
        assert events[-1] == ("finished", answer)

    def test_notes_are_those_of_the_piece_each_once(self, events: list[tuple[str, Any]]) -> None:
        for candidate in events[-1][1]["candidates"]:
            own = [data for name, data in events if name == "notes" and data["candidate"] == candidate["number"]]
            heard = [note for data in own for note in data["notes"]]
            whole = rows(candidate["notes"])
            assert not rows(heard) - whole, "a note was told otherwise than it is"
            # Those that sound at the end come with the answer alone.
            missing = whole - rows(heard)
            assert all(onset + duration > candidate["seconds"] - 1e-3 for onset, duration, *_ in missing)
            assert len(heard) > 50

    def test_notes_are_those_of_the_file(self, events: list[tuple[str, Any]]) -> None:
        best = events[-1][1]["candidates"][0]
        music = read_midi(b64decode(best["midi"]))
        assert Counter(music.pitch.tolist()) == Counter(note[2] for note in best["notes"])


class TestAPrompt:
    def test_comes_once_for_all(self, events: list[tuple[str, Any]], client: TestClient) -> None:
        candidate = events[-1][1]["candidates"][0]
        body = {"node": candidate["node"], "at": 200, "changes": {"seed": 9}, "stream": True}
        found = events_of(client, "continue", body)
        begun = dict(found)["begun"]
        kept = [note for note in candidate["notes"] if note[0] + note[1] < begun["seconds"] - 1e-3]
        assert not rows(kept) - rows(begun["prompt"])
        told = [note for name, data in found if name == "notes" for note in data["notes"]]
        assert told
        assert not rows(told) & rows(kept)

    def test_of_an_infill_is_what_lies_before(self, events: list[tuple[str, Any]], client: TestClient) -> None:
        node = events[-1][1]["candidates"][0]["node"]
        found = events_of(client, "infill", {"prompt": node["tokens"], "infill": "1s-2s", "best_of": 1, "stream": True})
        assert dict(found)["begun"]["seconds"] <= 1.0
        assert found[-1][1]["complete"]


def test_what_fails_on_the_way_is_the_last_event(
    make_service: MakeService, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(service, "_answer", broken)
    last = events_of(client_of(service), "compose", BODY)[-1]
    assert last == (
        "failed",
        {"error": "the server failed; its log says more"},
    )


class TestAClientThatGoes:
    @pytest.mark.parametrize("stream", [True, False])
    def test_is_composed_for_no_longer(self, stream: bool, make_service: MakeService) -> None:
        service = make_service()
        application = create_app(service)
        content = json.dumps({"length": 16_000, "best_of": 4, "stream": stream}).encode()
        gone = asyncio.Event()
        sent: list[Any] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/compose",
            "raw_path": b"/v1/compose",
            "query_string": b"",
            "scheme": "http",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "server": ("127.0.0.1", 80),
        }
        bodies = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in bodies:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async def visit() -> float:
            task = asyncio.create_task(application(scope, receive, send))
            while not service.metrics.tokens._value.get():
                await asyncio.sleep(0.005)
            gone.set()
            await asyncio.wait_for(task, 10)
            begun = time.monotonic()
            while service.scheduler.running:
                await asyncio.sleep(0.001)
            return time.monotonic() - begun

        assert asyncio.run(visit()) < 1.0
        assert 'outcome="cancelled"} 1.0' in service.metrics.text().decode()
        executor = service.model.executor_of(ExecutorConfig(weights="auto"))
        assert isinstance(executor, SharedExecutor)
        assert len(executor.free) == service.settings.limits.rows


def test_a_client_that_reads_slowly_holds_nobody_up(make_service: MakeService) -> None:
    service = make_service()
    asked, job = service.compose(ComposeBody.model_validate(BODY))
    _, other = service.compose(ComposeBody.model_validate({**BODY, "seed": 6, "stream": False}))

    async def read() -> list[bytes]:
        service.scheduler.submit(job)
        slow = streams.events_of(asked, job, service.scheduler)
        begun = await anext(slow)
        service.scheduler.submit(other)
        await asyncio.wait_for(asyncio.wrap_future(other.future), 60)
        return [begun, *[event async for event in slow]]

    events = asyncio.run(read())
    assert json.loads(other.future.result())["complete"]
    assert events[-1].startswith(b"event: finished")
