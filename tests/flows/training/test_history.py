"""History: the state that a run's events add up to, however many attempts wrote them."""

from __future__ import annotations

from pathlib import Path

from flows.training.history import History, read_history
from modeling.training.events import Evaluated, Event, Failed, Finished, OutOfTime, RunStarted, StepTrained, encode

START = RunStarted(
    step=0, steps=9, parameters=5, precision="fp32", device="cpu", ranks=1, train_pieces=8, train_tokens=800
)
ERROR = Failed(message="no room", permanent=True)


def written(folder: Path, *events: Event, torn: bytes = b"") -> Path:
    file = folder / "metrics.jsonl"
    file.write_bytes(b"".join(map(encode, events)) + torn)
    return file


def step(number: int, time: float = 0.0) -> StepTrained:
    measured = {"learning_rate": 0.1, "gradient_norm": 1.0, "tokens_per_second": 9.0, "mfu": 0.5, "memory_gb": 1.0}
    return StepTrained(time=time, step=number, loss=8.0, **measured)


def evaluation(number: int, loss: float) -> Evaluated:
    return Evaluated(
        step=number, best=False, nats_per_token=loss, nats_per_note=2 * loss, tokens=9, by_style={}, time=5.0
    )


def test_of_nothing_is_empty(tmp_path: Path) -> None:
    assert read_history(tmp_path / "metrics.jsonl") == read_history(written(tmp_path)) == History()
    assert History().best is None


def test_the_last_step_and_its_time(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, START, step(1, 10.0), step(2, 11.5)))
    assert (history.step, history.last_event_time) == (2, 11.5)
    assert history.start == START


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    assert read_history(written(tmp_path, START, step(1), torn=b'{"event": "step", "step": 2')).step == 1
    assert read_history(written(tmp_path, START, step(1), torn=b'{"event": "err')).error is None


def test_a_torn_line_in_the_middle_is_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, START, step(7), torn=b'{"event": "step", "st\n' + encode(START))
    assert read_history(file).step == 7


def test_an_error_is_that_of_the_newest_attempt_only(tmp_path: Path) -> None:
    assert read_history(written(tmp_path, START, step(1), ERROR)).error == "no room"
    assert read_history(written(tmp_path, ERROR)).error == "no room", "it came before the attempt had begun"
    assert read_history(written(tmp_path, START, ERROR, START, step(2))).error is None


def test_an_evaluation_that_is_repeated_counts_once(tmp_path: Path) -> None:
    events = [START, evaluation(10, 3.0), evaluation(20, 2.0), evaluation(30, 2.5), START, evaluation(30, 2.5)]
    history = read_history(written(tmp_path, *events))
    assert [event.step for event in history.evaluations] == [10, 20, 30]
    assert history.best == evaluation(20, 2.0)
    assert history.evaluations_since_best == 1


def test_how_a_run_ended_early(tmp_path: Path) -> None:
    stop = OutOfTime(step=5, minutes=1.0)
    end = Finished(step=5, best_step=5, seconds=61.0, nats_per_token=None, nats_per_note=None)
    history = read_history(written(tmp_path, START, step(5), stop, end))
    assert (history.stopped, history.seconds, history.finished, history.step) == (stop, 61.0, end, 5)
