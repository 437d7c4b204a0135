"""Progress: one line a stage on standard error where that is no terminal, and lines in the run's log."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from flows import progress
from flows.progress import in_this_run, say, stage, tick, warn


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


@pytest.mark.slow
def test_progress_and_lines_of_flows_tasks_and_threads_reach_prefect_s_page(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect import flow, get_client, task
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        LogFilter,
        LogFilterFlowRunId,
    )
    from prefect.runtime import flow_run

    from infra.services.prefect_api import drain

    def in_thread(function: Callable[..., object], argument: object) -> None:
        thread = threading.Thread(target=function, args=[argument])
        thread.start()
        thread.join()

    @task
    def parse() -> None:
        with stage("parsing", 4) as bar:
            bar.update(2, note="1 refused")
            in_thread(in_this_run(warn), "MLflow: locked")
            in_thread(bar.update, 3)
            in_thread(say, "from a thread without a run")

    @flow(name="progress")
    def shown() -> UUID:
        tick("nothing changed")
        parse()
        return UUID(flow_run.id)

    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    run = shown()
    drain()
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        )
        logged = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])))
    assert (artifact.key, artifact.task_run_id is not None) == ("progress", True)
    assert (artifact.data, artifact.description) == (75, "parsing: 3 of 4  1 refused")
    lines = [
        (line.level, line.task_run_id is not None, without_seconds(line.message))
        for line in logged
        if line.name == "musenet"
    ]
    assert lines == [
        (logging.INFO, False, "nothing changed"),
        (logging.INFO, True, "parsing: begins"),
        (logging.INFO, True, "parsing: 2 of 4  1 refused"),
        (logging.WARNING, True, "MLflow: locked"),
        (logging.INFO, True, "parsing: 3 of 4  1 refused"),
        (logging.INFO, True, "parsing: done in 0.0 s  1 refused"),
    ]
    assert [without_seconds(line) for line in capsys.readouterr().err.splitlines()] == [
        "✓ nothing changed",
        "! MLflow: locked",
        "from a thread without a run",
        "✓ parsing  0.0 s  1 refused",
    ], "each line once"


def without_seconds(line: str) -> str:
    return re.sub(r"\d+\.\d s", "0.0 s", line)
