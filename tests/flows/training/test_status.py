"""The state of runs: what `musenet runs` says of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.training.runs import LOCK_FILE, MODEL_FOLDER, Run, prepare_run
from flows.training.status import run_state, run_states
from infra.errors import UserError
from infra.lake import Lake
from infra.locks import exclusive
from modeling.config import load_preset, with_settings

STEP = {"event": "step", "time": 1_700_000_000.0, "step": 3, "loss": 8.0}
EVALUATION = {"event": "evaluation", "step": 3, "nats_per_token": 2.0, "nats_per_note": 5.0}
FINISHED = {"event": "finished", "step": 3, "seconds": 100.0}


@pytest.fixture
def run(studio, tmp_path: Path) -> Run:
    changes = {"training.steps": 9, "training.max_minutes": 1}
    return prepare_run(Lake(tmp_path), studio[1], with_settings(load_preset("tiny"), changes), ranks=1)


def report(run: Run, *reports: dict[str, Any]) -> None:
    run.metrics.write_text("".join(json.dumps(each) + "\n" for each in reports))


def test_a_run_that_was_killed_is_unfinished_where_it_was(run: Run) -> None:
    report(run, {"event": "start"}, STEP, EVALUATION)
    state = run_state(run)
    assert (state.state, state.step, state.steps, state.nats_per_note) == ("unfinished", 3, 9, 5.0)
    assert not state.finished
    assert "  step 3 of 9  5.000 nats/note  2023-11-1" in state.line()


def test_a_run_that_failed_says_why(run: Run) -> None:
    report(run, {"event": "start"}, STEP, {"event": "error", "message": "no room"})
    assert run_state(run).line().endswith("failed: no room")


def test_a_run_that_is_trained_now_is_running(run: Run) -> None:
    report(run, {"event": "error", "message": "of an earlier attempt"}, {"event": "start"}, STEP)
    with exclusive(run.folder / LOCK_FILE, ""):
        assert run_state(run).state == "running"
    assert run_state(run).state == "unfinished"


def test_a_run_that_a_limit_ended_is_finished(run: Run) -> None:
    report(run, {"event": "start"}, STEP, EVALUATION, {"event": "out_of_time", "step": 3}, FINISHED)
    (run.folder / MODEL_FOLDER).mkdir()
    assert run_state(run).line().endswith("finished (time limit)")


class TestTheList:
    def test_takes_the_beginning_of_an_id(self, run: Run, tmp_path: Path) -> None:
        assert run_states(Lake(tmp_path)) == run_states(Lake(tmp_path), run.run_id[:3]) == [run_state(run)]
        with pytest.raises(UserError, match=f"no run 'nope'; there are: {run.run_id}"):
            run_states(Lake(tmp_path), "nope")

    def test_has_also_what_cannot_be_read(self, run: Run, tmp_path: Path) -> None:
        (run.folder / "run.json").write_text("{}")
        (state,) = run_states(Lake(tmp_path))
        assert (state.run_id, state.state) == (run.run_id, "unreadable")
        assert "unreadable: " in state.line()
