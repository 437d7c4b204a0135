"""The state of runs: what `musenet runs` says of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.training.runs import Run, prepare_run
from flows.training.status import list_status, run_status
from infra.errors import UserError
from infra.lake import Lake
from infra.locks import exclusive
from modeling.config import load_preset, with_settings
from modeling.training.events import Evaluated, Event, Failed, Finished, OutOfTime, RunStarted, StepTrained, encode

NOON = 1_700_000_000.0
START = RunStarted(
    step=0, steps=9, parameters=5, precision="fp32", device="cpu", ranks=1, train_pieces=8, train_tokens=800, time=NOON
)
STEP = StepTrained(
    step=3,
    loss=8.0,
    learning_rate=0.1,
    gradient_norm=1.0,
    tokens_per_second=9.0,
    mfu=0.5,
    memory_gb=1.0,
    time=NOON,
)
EVALUATION = Evaluated(step=3, best=True, nats_per_token=2.0, nats_per_note=5.0, tokens=9, by_style={}, time=NOON)
FINISHED = Finished(step=3, best_step=3, seconds=100.0, nats_per_token=2.0, nats_per_note=5.0, time=NOON)


@pytest.fixture
def run(studio, tmp_path: Path) -> Run:
    changes = {"training.steps": 9, "training.max_minutes": 1}
    return prepare_run(Lake(tmp_path), studio[1], with_settings(load_preset("tiny"), changes), ranks=1)


def write(run: Run, *events: Event) -> None:
    run.folder.metrics.write_bytes(b"".join(map(encode, events)))


def test_a_run_that_was_killed_is_unfinished_where_it_was(run: Run) -> None:
    write(run, START, STEP, EVALUATION)
    state = run_status(run)
    assert (state.state, state.step, state.steps, state.nats_per_note) == ("unfinished", 3, 9, 5.0)
    assert not state.finished
    assert "  step 3 of 9  5.000 nats/note  2023-11-1" in state.line()


def test_a_run_that_failed_says_why(run: Run) -> None:
    write(run, START, STEP, Failed(message="no room", permanent=True))
    assert run_status(run).line().endswith("failed: no room")


def test_a_run_that_is_trained_now_is_running(run: Run) -> None:
    write(run, Failed(message="of an earlier attempt", permanent=True), START, STEP)
    with exclusive(run.folder.lock, ""):
        assert run_status(run).state == "running"
    assert run_status(run).state == "unfinished"


def test_a_run_that_a_limit_ended_is_finished(run: Run) -> None:
    write(run, START, STEP, EVALUATION, OutOfTime(step=3, minutes=1.0), FINISHED)
    run.folder.model.mkdir()
    assert run_status(run).line().endswith("finished (time limit)")


class TestTheList:
    def test_takes_the_beginning_of_an_id(self, run: Run, tmp_path: Path) -> None:
        assert list_status(Lake(tmp_path)) == list_status(Lake(tmp_path), run.run_id[:3]) == [run_status(run)]
        with pytest.raises(UserError, match=f"no run 'nope'; there are: {run.run_id}"):
            list_status(Lake(tmp_path), "nope")

    def test_has_also_what_cannot_be_read(self, run: Run, tmp_path: Path) -> None:
        run.folder.config.write_text("{}")
        (state,) = list_status(Lake(tmp_path))
        assert (state.run_id, state.state) == (run.run_id, "unreadable")
        assert "unreadable: " in state.line()
