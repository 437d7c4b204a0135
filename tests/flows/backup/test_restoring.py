"""Restoring: every byte is checked, and a lake is there whole or not at all, whatever happens in between."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flows.backup import restoring
from flows.backup.contents import DamagedBackup
from flows.backup.folder import backup_names
from flows.backup.restoring import RestoreReport, check_backup, restore_backup
from flows.backup.taking import take_backup
from infra.errors import RunError, UserError
from infra.files import STAGING_PREFIX
from infra.lake import Lake
from infra.services.database import database

FORMS = ("backups", "backup.tar")


@pytest.fixture(params=FORMS)
def backup(request: pytest.FixtureRequest, lake: Lake, tmp_path: Path) -> Path:
    """A backup of the lake in either form."""
    take_backup(lake, tmp_path / request.param)
    return tmp_path / request.param


@pytest.fixture
def new(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "elsewhere" / "lake")


def restore(backup: Path, new: Lake, name: str | None = None) -> RestoreReport:
    return restore_backup(backup, new, name, lambda *_: None)


def check(backup: Path) -> RestoreReport:
    return check_backup(backup, None, lambda *_: None)


def flip(path: Path, place: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


class TestTheRestoredLake:
    def test_has_the_same_files_with_their_times(self, lake: Lake, backup: Path, new: Lake, contents: set[str]) -> None:
        report = restore(backup, new)
        assert report.files == check(backup).files == len(contents)
        assert {str(path.relative_to(new.root)) for path in new.root.rglob("*") if path.is_file()} == contents
        for path in contents - {"prefect/prefect.db", "registry/mlflow.db"}:
            before, after = lake.root / path, new.root / path
            assert after.read_bytes() == before.read_bytes()
            assert after.stat().st_mtime_ns == before.stat().st_mtime_ns

    def test_shards_that_versions_share_are_one_file(self, backup: Path, new: Lake) -> None:
        restore(backup, new)
        first, second = sorted(new.root.glob("datasets/songs/*/train/00000.parquet"))
        assert first.samefile(second)
        if backup.suffix == ".tar":
            with tarfile.open(backup) as tar:
                assert len([name for name in tar.getnames() if name.endswith("00000.parquet")]) == 1

    def test_flow_runs_that_ran_then_are_left_to_be_reported(self, lake: Lake, tmp_path: Path, new: Lake) -> None:
        states = {"done": "COMPLETED", "training": "RUNNING", "later": "SCHEDULED"}
        with closing(sqlite3.connect(database(lake))) as content, content:
            content.execute("INSERT INTO flow (id, name) VALUES ('f', 'train')")
            for run, state in states.items():
                columns = "id, name, flow_id, state_type"
                content.execute(f"INSERT INTO flow_run ({columns}) VALUES (?, ?, 'f', ?)", (run, run, state))
        take_backup(lake, tmp_path / "backups")
        assert restore(tmp_path / "backups", new).unfinished == 1
        assert [path.name for path in (new.services / "flow-runs").iterdir()] == ["training"]
        with closing(sqlite3.connect(database(new))) as content:
            assert dict(content.execute("SELECT name, state_type FROM flow_run")) == states

    def test_an_earlier_one_can_be_chosen(self, lake: Lake, tmp_path: Path, new: Lake) -> None:
        first = take_backup(lake, tmp_path / "backups")
        (lake.root / "gate.toml").write_bytes(b"[others]")
        take_backup(lake, tmp_path / "backups")
        restore(tmp_path / "backups", new, first.name[:22])
        assert (new.root / "gate.toml").read_bytes() == b"[rules]"
        with pytest.raises(UserError, match=r"no backup 'of today'; there are: 2"):
            restore(tmp_path / "backups", Lake(tmp_path / "x"), "of today")
        with pytest.raises(UserError, match="fits 2 backups"):
            restore(tmp_path / "backups", Lake(tmp_path / "x"), "2")


class TestDamage:
    def refused(self, backup: Path, new: Lake) -> str:
        """The one line of both commands; no part of a lake is left."""
        with pytest.raises(DamagedBackup) as checked:
            check(backup)
        with pytest.raises(DamagedBackup) as restored:
            restore(backup, new)
        assert not new.root.exists() and not [*new.root.parent.glob(f"{STAGING_PREFIX}*")]
        assert str(checked.value) == str(restored.value)
        return str(checked.value)

    def test_a_flipped_bit_names_the_file(self, backup: Path, new: Lake) -> None:
        if backup.suffix == ".tar":
            where = backup
            flip(where, where.read_bytes().index(b"state.pt of 2"))
        else:
            (where,) = (path for path in backup.glob("objects/*/*") if path.read_bytes() == b"state.pt of 2")
            flip(where, 3)
        line = self.refused(backup, new)
        assert "runs/aaaa/checkpoints/step00000002/state.pt" in line and str(where) in line
        assert "is damaged" in line

    def test_a_flipped_bit_in_the_list_names_the_list(self, backup: Path, new: Lake) -> None:
        if backup.suffix == ".tar":
            flip(backup, backup.read_bytes().rindex(b'"gate.toml"') + 3)
        else:
            flip(next(backup.glob("backups/*.json")), 40)
        assert "its SHA-256 is not the one in its name" in self.refused(backup, new)

    def test_content_that_is_gone_is_named(self, lake: Lake, tmp_path: Path, new: Lake) -> None:
        backup = tmp_path / "backups"
        take_backup(lake, backup)
        next(path for path in backup.glob("objects/*/*") if path.read_bytes() == b"MThd").unlink()
        line = self.refused(backup, new)
        assert (
            "/objects/" in line and ", the content of samples/ü.mid, is missing; once it is removed, the next" in line
        )

    @pytest.mark.parametrize("before", [b"state.pt of 2", b'"format"', b"}"], ids=["file", "list", "end of the list"])
    def test_a_file_that_was_cut_off_is_none(self, lake: Lake, tmp_path: Path, new: Lake, before: bytes) -> None:
        backup = tmp_path / "backup.tar"
        take_backup(lake, backup)
        os.truncate(backup, backup.read_bytes().rindex(before))
        self.refused(backup, new)

    def test_a_list_that_names_a_place_outside_is_none(self, lake: Lake, tmp_path: Path, new: Lake) -> None:
        from flows.backup.folder import FolderSource

        backup = tmp_path / "backups"
        take_backup(lake, backup)
        contents = FolderSource(backup, None).contents
        file = contents.files["gate.toml"]
        name, data = contents.model_copy(update={"files": {"../outside": file}}).serialised()
        (backup / "backups" / f"{name}.json").write_bytes(data)
        next(path for path in backup.glob("backups/*.json") if path.stem != name).unlink()
        assert "'../outside' is not below the lake" in self.refused(backup, new)


class TestRefused:
    def test_a_folder_with_files_in_it(self, lake: Lake, backup: Path) -> None:
        with pytest.raises(UserError, match="has files in it; name a new folder with --lake"):
            restore(backup, lake)

    def test_what_is_no_backup(self, tmp_path: Path, new: Lake) -> None:
        (tmp_path / "notes").write_bytes(b"mine")
        for path, message in (("none", "there is no backup"), ("notes", "is no backup"), ("", "holds no whole backup")):
            with pytest.raises(UserError, match=message):
                restore(tmp_path / path, new)

    def test_a_disk_that_is_too_small(self, backup: Path, new: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage("/")._replace(free=10)
        monkeypatch.setattr(restoring.shutil, "disk_usage", lambda _path: usage)
        with pytest.raises(RunError, match=r"GB are to be restored, 0\.0 GB are free"):
            restore(backup, new)


class TestKilled:
    """In a process that ends before its first change to the disk, its eighth, and so on to the last."""

    @pytest.mark.parametrize("form", FORMS)
    def test_a_backup_is_whole_or_none(self, lake: Lake, tmp_path: Path, new: Lake, form: str) -> None:
        for place in kills(tmp_path / "killed", lambda place: take_backup(lake, place / form)):
            if form == "backups":
                assert backup_names(place / form) == [] or check(place / form)
            elif (place / form).exists():
                check(place / form)
        (place / "backup.tar").unlink(missing_ok=True)
        take_backup(lake, place / form)
        assert not [*place.rglob(f"{STAGING_PREFIX}*")]
        restore(place / form, new)

    def test_a_lake_is_restored_whole_or_not_at_all(self, backup: Path, tmp_path: Path, contents: set[str]) -> None:
        for place in kills(tmp_path / "killed", lambda place: restore(backup, Lake(place / "lake"))):
            if (place / "lake").exists():
                assert all((place / "lake" / path).is_file() for path in contents)
        shutil.rmtree(place / "lake", ignore_errors=True)
        restore(backup, Lake(place / "lake"))
        assert not [*place.glob(f"{STAGING_PREFIX}*")]


CHANGES = ("replace", "rename", "fsync", "mkdir", "link", "unlink")


def kills(place: Path, work: Callable[[Path], object]) -> Iterator[Path]:
    """Do the work in processes that are killed seven changes later each, in a new folder, until one is not; yield what
    they leave."""
    for changes in itertools.count(0, 7):
        folder = place / str(changes)
        folder.mkdir(parents=True)
        child = os.fork()
        if not child:
            left = [changes]
            for name in CHANGES:
                setattr(os, name, counted(getattr(os, name), left))
            try:
                work(folder)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert changes > 5, "it was never killed"
            return
        yield folder


def counted(change: Callable[..., object], left: list[int]) -> Callable[..., object]:
    """A change to the disk before which the process is killed once none is left."""

    def changed(*arguments: object, **options: object) -> object:
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return change(*arguments, **options)

    return changed
