"""The report of a run: one that was stopped early says so, and why."""

from __future__ import annotations

import pytest

from flows.training.report import RunReport, build_report
from flows.training.runs import Run
from infra.services.rest import PrefectAPI
from modeling.training.events import Finished, OutOfTime, append_event


@pytest.fixture
def run(studio) -> Run:
    """A run of four steps that has finished."""
    return studio[2]


def test_a_whole_run_has_trained_its_steps(run: Run) -> None:
    report = build_report(run, reused=False)
    assert (report.extent(), report.stopped_early, report.reason) == ("4 steps", False, None)


def test_one_that_was_stopped_says_how_far_it_came_and_why(run: Run) -> None:
    append_event(run.folder.metrics, OutOfTime(step=3, minutes=4.0))
    append_event(
        run.folder.metrics, Finished(step=3, best_step=3, seconds=240.0, nats_per_token=2.5, nats_per_note=7.5)
    )
    report = build_report(run, reused=False)
    assert report.extent() == "3 of 4 steps, stopped early (time limit)"
    assert report.stopped_early
    assert report.extent() in report.markdown()


def test_the_flow_s_state_says_it_too_and_callers_get_the_report(
    studio, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.states import State

    from flows.training import flow as training

    lake, _, run = studio
    report = RunReport(
        run_id=run.run_id,
        folder=str(run.folder),
        dataset=run.dataset,
        preset="tiny",
        parameters=1,
        steps=3,
        seconds=240.0,
        precision="fp32",
        nats_per_token=None,
        nats_per_note=None,
        nats_per_token_all=None,
        nats_per_note_all=None,
        parent=None,
        leaks=None,
        planned_steps=4,
        stopped_early=True,
        reason="time limit",
        reused=False,
    )
    monkeypatch.setattr(training, "_train", lambda *_: report)
    parameters = training.TrainParameters(dataset="songs", lake=lake.address)
    assert training.train(parameters) == report
    state = training.train(parameters, return_state=True)
    assert isinstance(state, State)
    assert PrefectAPI(prefect_api).get(f"flow_runs/{state.state_details.flow_run_id}")["name"] == "tiny on songs"
    assert (state.name, state.message) == ("Completed", "3 of 4 steps, stopped early (time limit)")
