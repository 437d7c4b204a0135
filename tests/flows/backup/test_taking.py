"""Backups of a lake: what is in them, what is copied again, and what they hold of a lake that is being written to."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from flows.backup import lake_files
from flows.backup.folder import FolderSource, backup_names
from flows.backup.lake_files import open_files
from flows.backup.left_out import OnRequest, patterns
from flows.backup.restoring import restore_backup
from flows.backup.taking import BackupReport, take_backup
from flows.retention.guard import alone
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.locks import exclusive
from infra.services.database import database

OLD_NS = 1_700_000_000 * 10**9


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any file counts as one that was written long enough ago to be known by its times."""
    monkeypatch.setattr(lake_files, "SETTLED_NS", 0)


def stored(to: Path) -> set[str]:
    return set(FolderSource(to, None).contents.files)


def restored(to: Path, place: Path) -> Lake:
    lake = Lake(place)
    restore_backup(to, lake, None, lambda *_: None)
    return lake


class TestContents:
    def test_is_all_but_what_the_table_leaves_out(self, lake: Lake, to: Path, contents: set[str]) -> None:
        report = take_backup(lake, to)
        assert stored(to) == contents
        assert (report.files, report.copied_files, report.findings) == (len(contents), len(contents), ())
        assert report.left_out["services"].startswith("the password")

    def test_has_no_password(self, lake: Lake, to: Path) -> None:
        take_backup(lake, to, included=get_args(OnRequest))
        assert not [path for path in to.rglob("*") if path.is_file() and b"the-password" in path.read_bytes()]
        assert to.stat().st_mode & 0o077 == 0, "others may look into the databases"

    def test_has_what_is_asked_for_besides(self, lake: Lake, to: Path, contents: set[str]) -> None:
        take_backup(lake, to, included=("served", "cache"))
        assert stored(to) == contents | {"served/x", "cache/x"}

    def test_a_link_to_another_disk_is_followed_and_one_that_leads_back_is_not(
        self, lake: Lake, to: Path, contents: set[str], tmp_path: Path
    ) -> None:
        shutil.move(lake.root / "pieces", tmp_path / "other disk")
        (lake.root / "pieces").symlink_to(tmp_path / "other disk")
        (lake.root / "samples" / "up").symlink_to(lake.root)
        take_backup(lake, to)
        assert stored(to) == contents


class TestAnotherBackup:
    pytestmark = pytest.mark.usefixtures("settled")

    def test_copies_databases_and_what_has_changed(self, lake: Lake, to: Path) -> None:
        take_backup(lake, to)
        (lake.root / "gate.toml").write_bytes(b"[others]")
        report = take_backup(lake, to)
        assert report.copied_files == 3, "two databases and a file"
        assert len(backup_names(to)) == 2

    def test_sees_a_change_that_left_size_and_time_as_they_were(self, lake: Lake, to: Path, tmp_path: Path) -> None:
        file = lake.root / "gate.toml"
        os.utime(file, ns=(OLD_NS, OLD_NS))
        take_backup(lake, to)
        file.write_bytes(b"[other]")
        os.utime(file, ns=(OLD_NS, OLD_NS))
        take_backup(lake, to)
        assert (restored(to, tmp_path / "new").root / "gate.toml").read_bytes() == b"[other]"

    def test_copies_again_what_somebody_has_removed_from_the_folder(self, lake: Lake, to: Path, tmp_path: Path) -> None:
        take_backup(lake, to)
        shutil.rmtree(to / "objects")
        take_backup(lake, to)
        restored(to, tmp_path / "new")

    def test_leaves_as_many_as_are_to_stay(self, lake: Lake, to: Path, tmp_path: Path) -> None:
        first = take_backup(lake, to)
        (lake.root / "gate.toml").write_bytes(b"[others]")
        second, third = take_backup(lake, to), take_backup(lake, to, keep=2)
        assert third.removed == 1
        assert backup_names(to) == [second.name, third.name]
        assert first.name not in backup_names(to)
        assert not [path for path in to.rglob("*") if path.is_file() and path.read_bytes() == b"[rules]"]
        restored(to, tmp_path / "new")

    def test_a_file_that_was_just_written_is_read_again(
        self, lake: Lake, to: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lake_files, "SETTLED_NS", 10**15)
        assert take_backup(lake, to).files == take_backup(lake, to).copied_files


class TestWhileOthersWrite:
    def test_a_database_is_one_moment_s_with_what_is_in_its_log(self, lake: Lake, to: Path, tmp_path: Path) -> None:
        """Two tables get the same name in one transaction: no backup has one without the other."""
        with closing(sqlite3.connect(lake.registry_database)) as writer:

            def go_on(files: int, _size: int) -> None:
                with writer:
                    writer.execute("INSERT INTO runs VALUES (?)", (str(files),))
                    writer.execute("INSERT INTO twins VALUES (?)", (str(files),))

            go_on(0, 0)
            take_backup(lake, to, progress=go_on)
        with closing(sqlite3.connect(restored(to, tmp_path / "new").registry_database)) as content:
            found = [content.execute(f"SELECT name FROM {table}").fetchall() for table in ("runs", "twins")]
        assert found[0] == found[1] and ("0",) in found[0]

    def test_every_run_has_its_dataset(
        self, lake: Lake, to: Path, tmp_path: Path, write_dataset: Callable[..., None], write_run: Callable[..., None]
    ) -> None:
        """A dataset is published, and a run that names it begins, after each file that is copied."""

        def go_on(files: int, _size: int) -> None:
            if files <= 30:
                write_dataset(lake.root, f"d{files:03}")
                write_run(lake.root, f"{files:04}", f"songs@d{files:03}")

        take_backup(lake, to, progress=go_on)
        new = restored(to, tmp_path / "new")
        runs = [json.loads(path.read_bytes())["dataset"] for path in new.runs.glob("*/run.json")]
        assert len(runs) > 1, "none of those was in time"
        assert all((new.root / "datasets" / name.replace("@", "/") / "dataset.json").exists() for name in runs)

    def test_a_checkpoint_that_is_removed_meanwhile_is_whole(self, lake: Lake) -> None:
        found = {}
        for opened in open_files(lake.root, patterns()):
            if "/checkpoints/" in opened.path:
                shutil.rmtree(lake.root / opened.path.rpartition("/")[0], ignore_errors=True)
                found[opened.path.partition("checkpoints/")[2]] = opened.read(100)
        names = [f"step0000000{step}/{name}" for step in (2, 1) for name in ("checkpoint.json", "state.pt")]
        assert list(found) == names, "the newest first, since training removes the oldest"
        assert found["step00000002/state.pt"] == b"state.pt of 2"

    def test_one_that_is_gone_before_it_is_read_is_not_in_it_in_part(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened_before = lake_files._opened

        def opened(path: Path):
            if path.name == "state.pt":
                shutil.rmtree(path.parent)
            return opened_before(path)

        monkeypatch.setattr(lake_files, "_opened", opened)
        assert not [each for each in open_files(lake.root, patterns()) if "/checkpoints/" in each.path]

    def test_nothing_is_removed_from_the_lake(self, lake: Lake, to: Path) -> None:
        refusals = []

        def remove(_files: int, _size: int) -> None:
            with pytest.raises(UserError, match="a backup or the start of a training uses"), alone(lake):
                pass
            refusals.append(True)

        report = take_backup(lake, to, progress=remove)
        assert len(refusals) == report.files

    def test_one_backup_at_a_time_is_written_to_a_folder(self, lake: Lake, to: Path) -> None:
        take_backup(lake, to)
        with exclusive(to / "lock"), pytest.raises(UserError, match="another backup is being written to"):
            take_backup(lake, to)


class TestADamagedLake:
    def damaged(self, lake: Lake, to: Path) -> BackupReport:
        return take_backup(lake, to)

    def test_a_shard_that_is_not_the_published_one_is_named(self, lake: Lake, to: Path) -> None:
        (lake.root / "datasets/songs/1111/train/00000.parquet").write_bytes(b"flipped")
        assert self.damaged(lake, to).findings == (
            "datasets/songs/1111/train/00000.parquet is not the file that was published",
            "datasets/songs/2222/train/00000.parquet is not the file that was published",
        )
        assert FolderSource(to, None).contents.findings, "whoever restores it is told"

    def test_a_file_that_is_gone_is_named(self, lake: Lake, to: Path) -> None:
        (lake.root / "datasets/songs/2222/train/00000.parquet").unlink()
        assert self.damaged(lake, to).findings == ("datasets/songs/2222/train/00000.parquet is missing",)

    def test_a_description_that_cannot_be_read_is_named(self, lake: Lake, to: Path) -> None:
        (lake.root / "datasets/songs/2222/dataset.json").write_bytes(b"{")
        assert self.damaged(lake, to).findings == ("datasets/songs/2222/dataset.json cannot be read",)

    def test_a_database_that_is_damaged_stops_it(self, lake: Lake, to: Path) -> None:
        lake.registry_database.write_bytes(b"no database" * 1000)
        with pytest.raises(RunError, match=r"the database .*mlflow\.db cannot be copied: file is not a database"):
            take_backup(lake, to)
        assert backup_names(to) == []


class TestOfAnEarlierRelease:
    def test_a_lake_can_be_backed_up_before_it_is_upgraded(self, lake: Lake, to: Path, contents: set[str]) -> None:
        with closing(sqlite3.connect(database(lake))) as content, content:
            content.execute("UPDATE alembic_version SET version_num = 'of-the-past'")
        take_backup(lake, to)
        assert stored(to) == contents


class TestRefused:
    def test_what_is_no_lake(self, tmp_path: Path, to: Path) -> None:
        with pytest.raises(UserError, match="is no lake"):
            take_backup(Lake(tmp_path / "none"), to)

    def test_a_place_in_the_lake(self, lake: Lake) -> None:
        with pytest.raises(UserError, match="is in the lake that is backed up"):
            take_backup(lake, lake.root / "backups")

    def test_a_folder_of_other_files(self, lake: Lake, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="holds other files; name a new folder"):
            take_backup(lake, tmp_path)

    @pytest.mark.parametrize(("name", "message"), [("old.tar", "is there already"), ("notes", "is a file; name")])
    def test_a_file_that_is_there(self, lake: Lake, tmp_path: Path, name: str, message: str) -> None:
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(UserError, match=message):
            take_backup(lake, tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"mine"

    def test_keeping_several_in_one_file(self, lake: Lake, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="--keep is for a folder"):
            take_backup(lake, tmp_path / "new.tar", keep=3)


class TestOtherStores:
    def test_of_a_lake_in_an_object_store_the_local_part_is_backed_up(
        self, lake: Lake, to: Path, contents: set[str]
    ) -> None:
        report = take_backup(Lake(lake.root, "s3://bucket/lake"), to)
        assert report.elsewhere == ("datasets and pieces are in s3://bucket/lake",)
        assert stored(to) == contents

    def test_a_registry_elsewhere_is_named_without_its_password(
        self, lake: Lake, to: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://musenet:secret@host/mlflow")
        monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "s3://bucket/models")
        assert take_backup(lake, to).elsewhere == (
            "runs and models are in postgresql://musenet:…@host/mlflow",
            "files of runs and models are in s3://bucket/models",
        )
