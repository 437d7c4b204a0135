"""The log of flows as JSON lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.lineage import Place, recorded
from flows.progress import in_this_run, say, stage, warn
from infra.errors import UserError

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Names a file; the result reads its lines."""
    path = tmp_path / "logs" / "musenet.jsonl"
    monkeypatch.setenv("MUSENET_LOG", str(path))
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    return lambda: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_of(name: str) -> SimpleNamespace:
    """What of `prefect.runtime.flow_run` is asked for."""
    return SimpleNamespace(id=f"id of {name}", parent_flow_run_id=None)


def test_a_line_says_when_how_grave_and_what_it_is_about(read: Read) -> None:
    with recorded("train", run_of("train")) as record:
        say("starting")
        record.reads(Place("lake", "datasets/songs", "0123"))
        record.run = "4567"
        warn("MLflow: locked")
    first, second = read()
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    about = {"flow": "train", "flow_run": "id of train", "writes": []}
    assert first == {"level": "info", "message": "starting", "reads": [], **about}
    del second["time"]
    known = {"run": "4567", "reads": ["datasets/songs@0123"]}
    assert second == {"level": "warning", "message": "MLflow: locked", **about, **known}


def test_flows_within_others_and_threads_keep_their_subjects(read: Read) -> None:
    with recorded("demo", run_of("demo")):
        with recorded("ingest", run_of("ingest")), stage("parsing") as bar:
            for report in (in_this_run(warn), lambda text: bar.log(30, text)):
                thread = threading.Thread(target=report, args=["from a thread"])
                thread.start()
                thread.join()
        say("from the demo")
    say("after it")
    lines = [(line["flow"], line["message"]) for line in read()]
    assert lines[0] == ("ingest", "parsing: begins")
    assert lines[1:3] == [("ingest", "from a thread"), ("ingest", "parsing: from a thread")]
    assert lines[4:] == [("demo", "from the demo")]


def test_a_second_run_adds_to_the_file(read: Read) -> None:
    for number in range(2):
        with recorded("ingest", run_of("ingest")):
            say(f"run {number}")
    assert [line["message"] for line in read()] == ["run 0", "run 1"]


def test_a_file_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSENET_LOG", str(tmp_path))
    refusal = pytest.raises(UserError, match=r"\(MUSENET_LOG\) cannot be written to: Is a directory; name another")
    with refusal, recorded("ingest", run_of("ingest")):
        pass
