"""What a collection removes and what it never does, also when it is killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.retention import candidates
from flows.retention.candidates import Kind
from flows.retention.collection import Plan, carry_out, plan
from flows.retention.guard import in_use
from flows.retention.rules import RetentionRules, parse_age
from infra.errors import UserError
from infra.files import STAGING_PREFIX
from infra.lake import Lake
from infra.locks import exclusive
from tokenization.dataset import DatasetVersion, dataset_versions
from tokenization.dataset.shards import TokenFormat, read_shard

NOW = RetentionRules(older_than=timedelta())


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, song: Any, steps: Any) -> Path:
    """A lake with three versions of `songs`: each has other files than the one before."""
    home = tmp_path_factory.mktemp("retention")
    for day in range(3):
        shutil.rmtree(home / "songs", ignore_errors=True)
        for seed in range(4 * day, 4 * day + 4):
            (home / "songs").mkdir(exist_ok=True)
            (home / "songs" / f"{seed}.mid").write_bytes(song(seed))
        steps(Lake(home / "lake"), "songs", home / "songs")
    return home / "lake"


@pytest.fixture
def lake(original: Path, tmp_path: Path) -> Lake:
    shutil.copytree(original, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def run_of(lake: Lake, version: DatasetVersion, name: str = "0123456789ab") -> Path:
    """The folder of a run as far as references are concerned."""
    folder = lake.runs / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"dataset": f"{version.name}@{version.digest}"}))
    return folder


def removed(lake: Lake, rules: RetentionRules = NOW) -> Plan:
    return carry_out(plan(lake, rules), lambda *_: None)


def kinds(found: Plan) -> dict[Kind, int]:
    return {kind: count for kind, (count, _) in found.by_kind.items()}


def is_whole(version: DatasetVersion) -> bool:
    """True if every file of a version can be read."""
    token_format = TokenFormat.of(version.encoding)
    tables = [read_shard(version.path / path, token_format) for path in version.description.shards]
    return sum(len(table) for table in tables) == sum(version.description.variants.values())


class TestVersions:
    def test_the_newest_stays_and_older_ones_go_with_their_parts(self, lake: Lake) -> None:
        first, second, third = dataset_versions(lake)
        found = removed(lake)
        assert kinds(found) == {Kind.VERSION: 2, Kind.PART: 2}
        assert [item.candidate.path for item in found.items][:2] == [first.folder, second.folder]
        assert dataset_versions(lake) == [third]
        assert is_whole(third)
        assert plan(lake, NOW).items == ()

    def test_a_number_of_them_can_be_kept(self, lake: Lake) -> None:
        assert kinds(plan(lake, RetentionRules(2, timedelta()))) == {Kind.VERSION: 1, Kind.PART: 1}
        assert kinds(plan(lake, RetentionRules(3, timedelta()))) == {}

    def test_what_a_run_was_trained_on_stays_with_its_parts(self, lake: Lake) -> None:
        first, second, third = dataset_versions(lake)
        run_of(lake, first)
        found = removed(lake)
        assert dataset_versions(lake) == [first, third]
        assert [reason for _, reason in found.kept.versions] == ["run 0123456789ab", "the newest"]
        assert kinds(found) == {Kind.VERSION: 1, Kind.PART: 1}
        assert not second.path.exists()

    def test_a_run_that_cannot_be_read_stops_it(self, lake: Lake) -> None:
        (run_of(lake, dataset_versions(lake)[0]) / "run.json").write_text("{")
        with pytest.raises(UserError, match="what the run needs is not known"):
            plan(lake, NOW)

    def test_nothing_young_goes(self, lake: Lake) -> None:
        assert plan(lake, RetentionRules()).items == ()

    def test_a_plan_removes_nothing(self, lake: Lake) -> None:
        before = sorted(lake.root.rglob("*"))
        assert plan(lake, NOW).bytes > 0
        assert sorted(lake.root.rglob("*")) == before

    def test_what_a_run_has_begun_to_use_since_the_plan_stays(self, lake: Lake) -> None:
        first, _, third = dataset_versions(lake)
        planned = plan(lake, NOW)
        run_of(lake, first)
        carry_out(planned, lambda *_: None)
        assert dataset_versions(lake) == [first, third]

    def test_shards_that_versions_share_count_once_and_stay_readable(
        self, tmp_path: Path, song: Any, steps: Any
    ) -> None:
        lake, songs = Lake(tmp_path / "lake"), tmp_path / "songs"
        songs.mkdir()
        (songs / "a.mid").write_bytes(song(1))
        first = steps(lake, "songs", songs).version
        (songs / "b.mid").write_bytes(song(2))
        second = steps(lake, "songs", songs).version
        shared = [path for path in first.path.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
        assert shared
        size = sum(path.stat().st_size for path in first.path.rglob("*") if path.is_file() and path not in shared)
        found = removed(lake)
        assert [item.bytes for item in found.items] == [size]
        assert is_whole(second)

    def test_what_is_removed_is_free(self, lake: Lake) -> None:
        def size() -> int:
            return sum(path.stat().st_size for path in lake.root.rglob("*") if path.is_file())

        before = size()
        assert removed(lake).bytes == before - size()


class TestOthers:
    def test_parts_of_another_reader_go(self, lake: Lake) -> None:
        (lake.root / "pieces" / "reader0-fingerprint0").mkdir()
        found = plan(lake, RetentionRules(3, timedelta()))
        assert [item.candidate.path.name for item in found.items] == ["reader0-fingerprint0"]

    def test_an_archive_goes_once_its_critic_is_trained_or_its_run_is_gone(self, lake: Lake) -> None:
        folder = run_of(lake, dataset_versions(lake)[-1])
        for run, key in ((folder.name, "done"), (folder.name, "unfinished"), ("gone", "any")):
            (lake.archive / run / key).mkdir(parents=True)
            (lake.archive / run / key / "train.parquet").write_bytes(b"x")
        (folder / "critic" / "done").mkdir(parents=True)
        found = plan(lake, RetentionRules(3, timedelta()))
        assert [item.candidate.path.name for item in found.items] == ["done", "any"]

    def test_checkpoints_go_once_the_last_step_is_trained_and_nobody_trains(self, studio: Any) -> None:
        lake, _, run = studio
        states = run.folder.checkpoints
        (states / "step00000004").mkdir(parents=True)
        try:
            assert [each.path for each in candidates.finished_checkpoints(lake)] == [states]
            with exclusive(run.folder.lock):
                assert not list(candidates.finished_checkpoints(lake))
            model = run.folder.model.rename(run.folder.path / "elsewhere")
            assert not list(candidates.finished_checkpoints(lake))
            model.rename(run.folder.model)
        finally:
            shutil.rmtree(states)

    def test_composed_pieces_go_only_when_asked_for(self, lake: Lake) -> None:
        lake.samples.mkdir()
        (lake.samples / "a.mid").write_bytes(b"MThd")
        assert kinds(plan(lake, RetentionRules(3, timedelta()))) == {}
        assert kinds(plan(lake, RetentionRules(3, timedelta(), samples=True))) == {Kind.SAMPLE: 1}

    def test_caches_go(self, lake: Lake) -> None:
        (lake.cache / "tokens" / "train-0").mkdir(parents=True)
        (lake.cache / "archives" / "hashes").mkdir(parents=True, exist_ok=True)
        (lake.cache / "archives" / "a.index").write_bytes(b"x")
        (lake.cache / "evaluation" / "0123").mkdir(parents=True)
        lake.tested_pairs("gone").write_bytes(b"x")
        assert len([*lake.tested_pairs("gone").parent.iterdir()]) > 1, "no ingestion has left its pairs"
        found = plan(lake, RetentionRules(3, timedelta()))
        assert {item.candidate.path.name for item in found.items} == {"train-0", "a.index", "0123", "gone.pairs"}


class TestSafety:
    def test_it_waits_for_no_flow_but_says_so(self, lake: Lake) -> None:
        planned = plan(lake, NOW)
        with (
            in_use(lake),
            pytest.raises(UserError, match="an ingestion, a critic, a backup or the start of a training uses"),
        ):
            carry_out(planned, lambda *_: None)
        assert len(dataset_versions(lake)) == 3

    @pytest.mark.parametrize(
        "operations", [1, 5, 17, *(pytest.param(many, marks=pytest.mark.thorough) for many in (2, 11))]
    )
    def test_killed_anywhere_it_leaves_a_lake_that_works(
        self, lake: Lake, operations: int, tmp_path: Path, song: Any, steps: Any
    ) -> None:
        newest = dataset_versions(lake)[-1]
        assert killed_after(operations, lake.root) == -signal.SIGKILL
        left = dataset_versions(lake)
        assert left[-1] == newest
        assert all(is_whole(version) for version in left)
        removed(lake)
        assert dataset_versions(lake) == [newest]
        assert not list(lake.root.rglob(f"{STAGING_PREFIX}*"))
        (tmp_path / "songs").mkdir()
        (tmp_path / "songs" / "again.mid").write_bytes(song(1))
        assert is_whole(steps(lake, "others", tmp_path / "songs").version)

    def test_an_object_store_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="s3://bucket/lake is an object store"):
            plan(Lake(tmp_path, "s3://bucket/lake"), NOW)

    def test_a_folder_that_does_not_exist_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="is no lake"):
            plan(Lake(tmp_path / "none"), NOW)


def killed_after(operations: int, root: Path) -> int:
    """Run a collection in a process that is killed before its next change to the disk; return its exit status."""
    code = f"""
import os, pathlib, signal
from datetime import timedelta
from flows.retention.collection import carry_out, plan
from flows.retention.rules import RetentionRules
from infra.lake import Lake

planned = plan(Lake(pathlib.Path({str(root)!r})), RetentionRules(older_than=timedelta()))
left = {operations}

def counted(change):
    def changed(*arguments, **options):
        global left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return change(*arguments, **options)
    return changed

for name in ("rename", "unlink", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
carry_out(planned, lambda *_: None)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode


@pytest.mark.parametrize(
    ("text", "age"),
    [("7d", timedelta(7)), ("12h", timedelta(hours=12)), ("30m", timedelta(minutes=30)), ("0d", timedelta())],
)
def test_ages(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 days", "1e3d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(UserError, match="is no age"):
        parse_age(text)
