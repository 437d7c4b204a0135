"""History: what a run's reports add up to, however many attempts wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.training.history import History, parse_report, read_history


def written(folder: Path, *reports: dict[str, Any], torn: str = "") -> Path:
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps(report) + "\n" for report in reports) + torn, encoding="utf-8")
    return file


def step(number: int, time: float = 0.0) -> dict[str, Any]:
    return {"event": "step", "time": time, "step": number, "loss": 8.0}


def evaluation(number: int, loss: float) -> dict[str, Any]:
    return {"event": "evaluation", "step": number, "nats_per_token": loss, "nats_per_note": 2 * loss}


START = {"event": "start", "step": 0, "parameters": 5}
ERROR = {"event": "error", "message": "no room", "permanent": True}


def test_of_nothing_is_empty(tmp_path: Path) -> None:
    assert read_history(tmp_path / "metrics.jsonl") == read_history(written(tmp_path)) == History()
    assert History().best is None


def test_the_last_step_and_its_time(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, START, step(1, 10.0), step(2, 11.5)))
    assert (history.step, history.when) == (2, 11.5)
    assert history.start == START


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    assert read_history(written(tmp_path, START, step(1), torn='{"event": "step", "step": 2')).step == 1
    assert read_history(written(tmp_path, START, step(1), torn='{"event": "err')).error is None


def test_a_torn_line_in_the_middle_is_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, START, step(7), torn='{"event": "step", "st\n')
    with file.open("a") as more:
        more.write(json.dumps(START) + "\n")
    assert read_history(file).step == 7


def test_an_error_is_that_of_the_newest_attempt_only(tmp_path: Path) -> None:
    assert read_history(written(tmp_path, START, step(1), ERROR)).error == "no room"
    assert read_history(written(tmp_path, ERROR)).error == "no room", "it came before the attempt had begun"
    assert read_history(written(tmp_path, START, ERROR, START, step(2))).error is None


def test_an_evaluation_that_is_repeated_counts_once(tmp_path: Path) -> None:
    reports = [START, evaluation(10, 3.0), evaluation(20, 2.0), evaluation(30, 2.5), START, evaluation(30, 2.5)]
    history = read_history(written(tmp_path, *reports))
    assert [report["step"] for report in history.evaluations] == [10, 20, 30]
    assert history.best == evaluation(20, 2.0)
    assert history.evaluations_since_best == 1


def test_how_a_run_ended_early(tmp_path: Path) -> None:
    end = {"event": "finished", "step": 5, "seconds": 61.0}
    history = read_history(written(tmp_path, START, step(5), {"event": "out_of_time", "step": 5}, end))
    assert (history.stopped, history.seconds, history.finished, history.step) == ("out_of_time", 61.0, end, 5)


def test_what_is_no_report() -> None:
    for line in (b"", b"{", b"3", b"[1]", b'{"step": 1}', b"\xff"):
        assert parse_report(line) is None
