"""The trials of a sweep: suggested, kept, and taken up where a sweep was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.sweeps.report import SweepReport, ranked
from flows.sweeps.study import FEWEST_FOR_IMPORTANCE, Trial, open_trials
from flows.sweeps.sweep_file import Range, SweepFile
from infra.errors import UserError
from infra.lake import Lake

FILE = SweepFile(
    name="rates",
    dataset="mine",
    search={
        "training.learning_rate": Range(low=1e-3, high=1e-1, log=True),
        "training.warmup_steps": Range(low=2, high=8, step=2),
        "model.layers": [1, 2],
    },
)


def search(lake: Lake, count: int, file: SweepFile = FILE) -> list[Trial]:
    """Run so many trials, whose loss is their learning rate."""
    with open_trials(lake, file) as trials:
        for _ in range(count):
            number, chosen = trials.suggest()
            trials.tell(number, f"run{number}", float(chosen["training.learning_rate"]))
        return trials.done()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with a sweep of so many trials that the report says what mattered."""
    lake = Lake(tmp_path_factory.mktemp("searched"))
    search(lake, FEWEST_FOR_IMPORTANCE)
    return lake


def test_suggestions_keep_to_the_search(searched: Lake) -> None:
    for trial in search(searched, 0):
        assert 1e-3 <= float(trial.settings["training.learning_rate"]) <= 1e-1
        assert trial.settings["training.warmup_steps"] in (2, 4, 6, 8)
        assert trial.settings["model.layers"] in (1, 2)
        assert (trial.value, trial.run) == (trial.settings["training.learning_rate"], f"run{trial.number}")


def test_a_sweep_in_two_parts_has_the_trials_of_one_in_one_part(searched: Lake, tmp_path: Path) -> None:
    search(Lake(tmp_path / "parts"), 2)
    assert search(Lake(tmp_path / "parts"), 1) == search(searched, 0)[:3]
    assert search(Lake(tmp_path / "other"), 1, FILE.model_copy(update={"seed": 1})) != search(searched, 0)[:1]


def test_what_was_killed_is_tried_again_and_counts_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with open_trials(lake, FILE) as trials:
        trials.keep_dataset("mine@abc")
        _, lost = trials.suggest()
    with open_trials(lake, FILE) as trials:
        assert trials.dataset == "mine@abc"
        assert trials.done() == []
        number, again = trials.suggest()
        assert again == lost
        trials.tell(number, None, None, "the loss is nan")
        assert [(each.value, each.why) for each in trials.done()] == [(None, "the loss is nan")]


def test_one_search_has_a_name_and_one_process(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    search(lake, 1)
    with pytest.raises(UserError, match="the sweep rates was begun with other settings: give this one another name"):
        search(lake, 1, FILE.model_copy(update={"preset": "small"}))
    assert len(search(lake, 1, FILE.model_copy(update={"trials": 99}))) == 2
    with open_trials(lake, FILE), pytest.raises(UserError, match="sweep rates is run by another process"):
        search(lake, 1)


def test_the_report_has_the_best_first_and_says_what_mattered(searched: Lake) -> None:
    with open_trials(searched, FILE) as trials:
        number, _ = trials.suggest()
        trials.tell(number, None, None, "too large")
        report = SweepReport("rates", "mine@abc", "nats_per_note", ranked(trials.done()), trials.importances())
    values = [trial.value for trial in report.trials[:-1]]
    assert values == sorted(values, key=lambda value: value or 0.0)
    assert max(report.importances, key=report.importances.__getitem__) == "training.learning_rate"
    assert report.best is not None
    *_, failed, shares, best = report.lines()
    assert failed == f"trial {number} failed: too large"
    assert shares.startswith("of what differs: training.learning_rate ")
    assert best == f"best of 9 trials: run {report.best.run}, {report.best.value:.4f}"
    assert all(f"| {key} |" in report.markdown() for key in FILE.search)
