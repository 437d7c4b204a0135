"""Runs: named by what decides their weights, found again, and read while they are written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flows.errors import UserError
from flows.ingestion.versions import DatasetVersion
from flows.settings import Lake
from flows.training.runs import MODEL_FOLDER, Run, find_run, prepare_run, read_reports, read_run, runs
from modeling.config import load_preset, with_settings


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
    (run.folder / MODEL_FOLDER).mkdir()
    when = 1_700_000_000 - age
    os.utime(run.folder / "run.json", (when, when))
    return run


class TestTheId:
    def test_is_the_same_for_the_same_command(self, lake: Lake, dataset: DatasetVersion) -> None:
        assert prepared(lake, dataset) == prepared(lake, dataset)
        assert len(runs(lake)) == 1

    def test_differs_with_whatever_changes_the_weights(self, lake: Lake, dataset: DatasetVersion) -> None:
        ids = {
            prepared(lake, dataset).run_id,
            prepared(lake, dataset, steps=7).run_id,
            prepared(lake, dataset, seed=1).run_id,
            prepared(lake, dataset, batch_size=16).run_id,
            prepared(lake, dataset, ranks=1, micro_batch_size=2).run_id,
            prepared(lake, dataset, ranks=2, micro_batch_size=2).run_id,
        }
        assert len(ids) == 6
        assert {len(run_id) for run_id in ids} == {12}

    def test_does_not_depend_on_how_often_state_is_saved(self, lake: Lake, dataset: DatasetVersion) -> None:
        often = prepared(lake, dataset, checkpoint_every=1, keep_checkpoints=9)
        assert often.run_id == prepared(lake, dataset).run_id


def test_a_run_reads_back_as_it_was_prepared(lake: Lake, dataset: DatasetVersion) -> None:
    run = prepared(lake, dataset, steps=9)
    assert read_run(run.folder) == run
    assert run.dataset == f"songs@{dataset.digest}"
    assert run.config.training.steps == 9
    assert not run.finished
    assert finish(run).finished


def test_a_lake_that_was_moved_still_has_its_runs(tmp_path: Path, dataset: DatasetVersion) -> None:
    run = finish(prepared(Lake(tmp_path / "old"), dataset))
    (tmp_path / "old").rename(tmp_path / "new")
    found = find_run(Lake(tmp_path / "new"), run.run_id)
    assert found.folder == found.config.folder == tmp_path / "new" / "runs" / run.run_id


class TestFinding:
    def test_the_latest_finished_one(self, lake: Lake, dataset: DatasetVersion) -> None:
        newest, older = (
            finish(prepared(lake, dataset, seed=1)),
            finish(prepared(lake, dataset, seed=2), age=100),
        )
        prepared(lake, dataset, seed=3)  # unfinished
        assert find_run(lake, "latest") == newest
        assert [run.run_id for run in runs(lake)][:2] == [older.run_id, newest.run_id]

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


class TestReports:
    def test_the_newest_of_a_kind(self, lake: Lake, dataset: DatasetVersion) -> None:
        run = prepared(lake, dataset)
        assert run.last("step") is None
        lines = [{"event": "step", "step": 1}, {"event": "step", "step": 2}, {"event": "checkpoint", "step": 2}]
        run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert run.last("step") == {"event": "step", "step": 2}
        assert run.last("error") is None

    def test_a_line_that_is_still_being_written_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_text('{"event": "step", "step": 1}\n{"event": "st')
        assert list(read_reports(tmp_path / "metrics.jsonl")) == [{"event": "step", "step": 1}]
