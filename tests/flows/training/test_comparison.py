"""Two runs side by side: what was set otherwise, and what came of it."""

from __future__ import annotations

from pathlib import Path

from flows.training.comparison import Difference, compare_runs
from flows.training.runs import prepare_run
from infra.lake import Lake
from modeling.config import load_preset, with_settings
from modeling.training.events import Evaluated, append_event


def test_settings_that_differ_come_before_all_results(studio, tmp_path: Path) -> None:
    _, dataset, run = studio
    preset = with_settings(load_preset("tiny"), {"training.steps": 7, "training.seed": 3})
    longer = prepare_run(Lake(tmp_path), dataset, preset, 1)
    shorter = prepare_run(Lake(tmp_path), dataset, with_settings(load_preset("tiny"), {"training.steps": 5}), 1)
    for each, loss in ((shorter, 3.0), (longer, 2.5)):
        evaluation = Evaluated(
            step=4, nats_per_token=loss, nats_per_note=3 * loss, tokens=9, best=True, by_style={"bach": loss}
        )
        append_event(each.folder.metrics, evaluation)
    found = compare_runs(shorter, longer)
    assert {(each.name, each.first, each.second) for each in found.settings} == {
        ("training.steps", "5", "7"),
        ("training.seed", "0", "3"),
    }
    assert Difference("nats/note", 9.0, 7.5) in found.results
    assert Difference("nats/token bach", 3.0, 2.5) in found.results
    assert [line.split() for line in found.lines()][-1] == ["nats/token", "bach", "3.0000", "2.5000"]
    assert compare_runs(run, run).settings == []
