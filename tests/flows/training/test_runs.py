"""Runs: named by what decides their weights, found again, and read while they are written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flows.training.runs import Run, find_run, list_runs, prepare_run, read_run, run_id_of, write_run
from infra.errors import UserError
from infra.lake import Lake
from modeling.config import load_preset, with_settings
from modeling.training.events import Evaluated, Event, Finished, OutOfTime, encode
from tokenization.dataset import DatasetVersion


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def dataset(studio) -> DatasetVersion:
    return studio[1]


def prepared(lake: Lake, dataset: DatasetVersion, ranks: int = 1, **settings: object) -> Run:
    changes = {f"training.{key}": value for key, value in settings.items()}
    return prepare_run(lake, dataset, with_settings(load_preset("tiny"), changes), ranks)


def finish(run: Run, age: int = 0) -> Run:
    run.folder.model.mkdir()
    when = 1_700_000_000 - age
    os.utime(run.folder.config, (when, when))
    return run


class TestTheId:
    def test_is_the_same_for_the_same_command(self, lake: Lake, dataset: DatasetVersion) -> None:
        assert prepared(lake, dataset) == prepared(lake, dataset)
        assert len(list_runs(lake)) == 1

    def test_differs_with_whatever_changes_the_weights(self, lake: Lake, dataset: DatasetVersion) -> None:
        ids = {
            prepared(lake, dataset).run_id,
            prepared(lake, dataset, steps=7).run_id,
            prepared(lake, dataset, seed=1).run_id,
            prepared(lake, dataset, batch_size=16).run_id,
            prepared(lake, dataset, pack=True).run_id,
            prepared(lake, dataset, precision="bf16").run_id,
        }
        assert len(ids) == 6
        assert {len(run_id) for run_id in ids} == {12}

    @pytest.mark.parametrize(
        "settings",
        [
            {"training.micro_batch_size": 2},
            {"training.zero_stage": 2, "training.offload": True},
            {"training.compile": "off", "model.recompute": True, "model.sparsity.backend": "dense_mask"},
            {"training.checkpoint_every": 1, "training.checkpoint_minutes": None, "training.keep_checkpoints": 9},
            {"training.evaluate_every": 7, "training.evaluation_windows": 3},
            {"training.max_minutes": 90, "training.patience": 5},
        ],
    )
    def test_does_not_depend_on_how_the_work_is_done(self, settings: dict[str, object]) -> None:
        preset = load_preset("tiny")
        assert run_id_of("digest", with_settings(preset, settings)) == run_id_of("digest", preset)

    def test_does_not_depend_on_the_number_of_ranks(self, lake: Lake, dataset: DatasetVersion) -> None:
        one = prepared(lake, dataset, ranks=1, micro_batch_size=2)
        two = prepared(lake, dataset, ranks=2, micro_batch_size=2)
        assert one.folder == two.folder
        assert (one.config.world_size, two.config.world_size) == (1, 2)
        assert read_run(two.folder) == one, "run.json belongs to who trains, not to who asks"
        write_run(two)
        assert read_run(two.folder) == two


def test_a_run_reads_back_as_it_was_prepared(lake: Lake, dataset: DatasetVersion) -> None:
    run = prepared(lake, dataset, steps=9)
    assert read_run(run.folder) == run
    assert run.dataset == f"songs@{dataset.digest}"
    assert run.config.training.steps == 9
    assert not run.folder.has_model
    assert finish(run).folder.has_model


def test_a_lake_that_was_moved_still_has_its_runs(tmp_path: Path, dataset: DatasetVersion) -> None:
    run = finish(prepared(Lake(tmp_path / "old"), dataset))
    (tmp_path / "old").rename(tmp_path / "new")
    found = find_run(Lake(tmp_path / "new"), run.run_id)
    assert found.folder.path == found.config.folder == tmp_path / "new" / "runs" / run.run_id


class TestFinding:
    def test_the_latest_finished_one(self, lake: Lake, dataset: DatasetVersion) -> None:
        newest, older = (
            finish(prepared(lake, dataset, seed=1)),
            finish(prepared(lake, dataset, seed=2), age=100),
        )
        prepared(lake, dataset, seed=3)  # unfinished
        assert find_run(lake, "latest") == newest
        assert [run.run_id for run in list_runs(lake)][:2] == [older.run_id, newest.run_id]

    def test_by_id_or_the_beginning_of_it(self, lake: Lake, dataset: DatasetVersion) -> None:
        run = finish(prepared(lake, dataset))
        assert find_run(lake, run.run_id) == find_run(lake, run.run_id[:5]) == run

    def test_an_unknown_one_lists_those_that_exist(self, lake: Lake, dataset: DatasetVersion) -> None:
        run = finish(prepared(lake, dataset))
        with pytest.raises(UserError) as error:
            find_run(lake, "nope")
        assert str(error.value) == f"no finished run 'nope'; there are: {run.run_id}"

    def test_an_unfinished_one_is_not_found(self, lake: Lake, dataset: DatasetVersion) -> None:
        run = prepared(lake, dataset)
        for reference in (run.run_id, "latest"):
            with pytest.raises(UserError, match="there is none yet; train one with `musenet train"):
                find_run(lake, reference)


class TestWhetherAnythingIsLeftToDo:
    def ended(self, run: Run, step: int, *more: Event) -> Run:
        run.folder.model.mkdir(exist_ok=True)
        end = Finished(step=step, best_step=step, seconds=120.0, nats_per_token=None, nats_per_note=None)
        run.folder.metrics.write_bytes(b"".join(map(encode, [*more, end])))
        return run

    def test_all_before_there_is_a_model(self, lake: Lake, dataset: DatasetVersion) -> None:
        assert not prepared(lake, dataset).is_complete()

    def test_nothing_after_the_last_step(self, lake: Lake, dataset: DatasetVersion) -> None:
        assert self.ended(prepared(lake, dataset, steps=9), 9).is_complete()

    def test_something_once_the_time_limit_is_higher(self, lake: Lake, dataset: DatasetVersion) -> None:
        self.ended(prepared(lake, dataset, steps=9, max_minutes=1.5), 5, OutOfTime(step=5, minutes=2.0))
        assert prepared(lake, dataset, steps=9, max_minutes=1.5).is_complete()
        assert not prepared(lake, dataset, steps=9, max_minutes=3).is_complete()
        assert not prepared(lake, dataset, steps=9, max_minutes=None).is_complete()

    def test_something_once_patience_is_greater(self, lake: Lake, dataset: DatasetVersion) -> None:
        losses = {2: 3.0, 4: 2.0, 6: 2.1, 8: 2.2}
        evaluations = [
            Evaluated(step=step, best=False, nats_per_token=loss, nats_per_note=loss, tokens=9, by_style={})
            for step, loss in losses.items()
        ]
        self.ended(prepared(lake, dataset, steps=9, max_minutes=None), 8, *evaluations)
        for patience, complete in ((1, True), (2, True), (3, False), (None, False)):
            assert prepared(lake, dataset, steps=9, max_minutes=None, patience=patience).is_complete() == complete


def test_a_run_of_another_version_of_the_program_is_an_error_in_one_line(lake: Lake, dataset: DatasetVersion) -> None:
    run = prepared(lake, dataset)
    run.folder.config.write_text(run.folder.config.read_text().replace('"d_model"', '"breadth"'))
    with pytest.raises(UserError, match=r"run\.json does not fit this version of musenet; remove the folder"):
        read_run(run.folder)
    assert list_runs(lake) == []


def test_a_run_of_the_unnumbered_format_is_refused_with_the_way_to_mend_it(lake: Lake, dataset: DatasetVersion) -> None:
    run = prepared(lake, dataset)
    content = json.loads(run.folder.config.read_text())
    del content["config"]["format"]
    run.folder.config.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"run\.json: .* has format 1, .* reads format 2: remove the run's folder"):
        read_run(run.folder)
