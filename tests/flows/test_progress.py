"""Progress: one line a stage on standard error where that is no terminal, and lines in the run's log."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import progress
from flows.progress import say, stage, tick, warn

REPOSITORY = Path(__file__).parents[2]


def test_a_stage_ends_in_one_line_with_its_time_and_note(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("parsing", 3) as bar:
        bar.step(1, 3)
        bar.advance(1)
        bar.update(3, note="2 accepted")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"✓ parsing  \d+\.\d s  2 accepted\n", err)


def test_the_last_note_stays_until_there_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("training") as bar:
        bar.update(1, note="loss 3.21")
        bar.update(2)
    assert capsys.readouterr().err.endswith("loss 3.21\n")


def test_a_stage_that_fails_is_not_ticked_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), stage("training"):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_one_line_of_information(capsys: pytest.CaptureFixture[str]) -> None:
    say("the prompt is cut")
    assert capsys.readouterr() == ("", "the prompt is cut\n")


def test_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tick("run [7] is reused")
    warn("/data/[old] is damaged")
    assert capsys.readouterr().err == "✓ run [7] is reused\n! /data/[old] is damaged\n"


class Lines(logging.Handler):
    """What the log gets: level and text of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append((record.levelname, record.getMessage()))


@pytest.fixture
def log() -> Iterator[list[tuple[str, str]]]:
    """The lines that reach the logger `musenet`."""
    lines, logger = Lines(), logging.getLogger("musenet")
    logger.addHandler(lines)
    yield lines.texts
    logger.removeHandler(lines)


class TestTheLog:
    def test_has_a_stage_s_begin_and_its_end_with_time_and_note(self, log: list[tuple[str, str]]) -> None:
        with stage("parsing", 3) as bar:
            bar.update(3, note="2 accepted")
        (_, begin), (_, end) = log
        assert begin == "parsing: begins"
        assert re.fullmatch(r"parsing: done in \d+\.\d s  2 accepted", end)

    def test_has_progress_every_so_many_seconds(
        self, log: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "LOG_SECONDS", 0.2)
        with stage("training", 3000) as bar:
            for step in range(1, 201):
                bar.update(step, note=f"loss {step}")
                time.sleep(0.005)
        lines = [text for _, text in log if " of " in text]
        assert all(re.fullmatch(r"training: (\d+) of 3,000  loss \1", line) for line in lines)
        assert 2 <= len(lines) <= 6 + bar.seconds / 0.2

    def test_has_the_rate_of_a_stage_with_a_unit(
        self, log: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
        with stage("parsing", unit="files") as bar:
            bar.update(1200, 5000)
        assert re.fullmatch(r"parsing: 1,200 of 5,000  [\d,]+ files/s", log[1][1])

    def test_has_the_end_of_a_stage_that_fails(self, log: list[tuple[str, str]]) -> None:
        with pytest.raises(RuntimeError), stage("training"):
            raise RuntimeError
        assert log[-1][0] == "ERROR"
        assert re.fullmatch(r"training: stopped after \d+\.\d s by RuntimeError", log[-1][1])

    def test_has_notices_and_warnings(self, log: list[tuple[str, str]]) -> None:
        say("the prompt is cut")
        tick("nothing changed")
        warn("MLflow: locked")
        assert log == [("INFO", "the prompt is cut"), ("INFO", "nothing changed"), ("WARNING", "MLflow: locked")]

    def test_is_never_printed(self, capfd: pytest.CaptureFixture[str]) -> None:
        warn("once")
        assert capfd.readouterr() == ("", "! once\n")


FLOW = """
import os, sys, threading
from infra.lake import Lake
from infra.services import library_environment, prefect_server

lake = Lake.at(sys.argv[1])
os.environ.update(library_environment(lake))
with prefect_server(lake) as api:
    from prefect import flow, get_client, task
    from prefect.client.schemas.filters import LogFilter
    from flows import progress

    progress.LOG_SECONDS = 0.0

    @task
    def parse():
        with progress.stage("parsing", 4) as bar:
            bar.update(2, note="1 refused")
            thread = threading.Thread(target=progress.in_this_run(progress.warn), args=["MLflow: locked"])
            thread.start()
            thread.join()
            thread = threading.Thread(target=bar.update, args=[3])
            thread.start()
            thread.join()
            thread = threading.Thread(target=progress.say, args=["from a thread without a run"])
            thread.start()
            thread.join()

    @flow
    def ingest():
        progress.tick("nothing changed")
        parse()

    ingest()
    from infra.services.prefect_api import drain
    drain()
    with get_client(sync_client=True) as client:
        for artifact in client.read_artifacts():
            print(artifact.key, artifact.task_run_id is not None, artifact.data, artifact.description)
        for line in client.read_logs(LogFilter()):
            if line.name == "musenet":
                print(line.level, line.task_run_id is not None, line.message)
"""


@pytest.mark.slow
def test_progress_and_lines_of_flows_tasks_and_threads_reach_prefect_s_page(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", FLOW, str(tmp_path / "lake")],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [re.sub(r"\d+\.\d s", "0.0 s", line) for line in done.stdout.splitlines()]
    assert lines == [
        "progress True 75 parsing: 3 of 4  1 refused",
        "20 False nothing changed",
        "20 True parsing: begins",
        "20 True parsing: 2 of 4  1 refused",
        "30 True MLflow: locked",
        "20 True parsing: 3 of 4  1 refused",
        "20 True parsing: done in 0.0 s  1 refused",
    ]
    shown = [re.sub(r"\d+\.\d s", "0.0 s", line) for line in done.stderr.splitlines()]
    assert shown == [
        "✓ nothing changed",
        "! MLflow: locked",
        "from a thread without a run",
        "✓ parsing  0.0 s  1 refused",
    ], "each line once"
