"""Writing: a reader finds a whole file or folder under its final name, or none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from upath import UPath

from infra import files
from infra.files import (
    STAGING_PREFIX,
    publish_folder,
    publish_new,
    remove_abandoned,
    replace_folder,
    staging_file,
    staging_folder,
    write_atomically,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class TestStagedFolders:
    def test_a_published_folder_has_all_that_was_staged(self, tmp_path: Path) -> None:
        with staging_folder(tmp_path / "home") as staged:
            (staged / "below").mkdir()
            (staged / "below" / "file").write_text("content")
            assert staged.parent == tmp_path / "home"
            publish_folder(staged, tmp_path / "home" / "final")
        assert names(tmp_path / "home") == ["final"]
        assert (tmp_path / "home" / "final" / "below" / "file").read_text() == "content"

    def test_nothing_stays_of_what_is_not_published(self, tmp_path: Path) -> None:
        def fail() -> None:
            with staging_folder(tmp_path) as staged:
                (staged / "half").write_text("half")
                raise RuntimeError("disk on fire")

        with pytest.raises(RuntimeError, match="disk on fire"):
            fail()
        assert names(tmp_path) == []

    def test_a_published_folder_is_never_replaced(self, tmp_path: Path) -> None:
        final = tmp_path / "final"
        final.mkdir()
        (final / "first").touch()
        with staging_folder(tmp_path) as staged:
            (staged / "second").touch()
            with pytest.raises(FileExistsError, match="exists already"):
                publish_folder(staged, final)
        assert names(final) == ["first"]
        assert names(tmp_path) == ["final"]


class TestFiles:
    def test_a_file_is_written_with_its_folders_and_then_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "file"
        write_atomically(path, b"first")
        write_atomically(path, b"second")
        assert path.read_bytes() == b"second"
        assert names(path.parent) == ["file"]

    def test_the_file_before_stays_when_writing_fails(self, tmp_path: Path) -> None:
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "inside").touch()
        with pytest.raises(OSError, match="taken"):
            write_atomically(tmp_path / "taken", b"data")
        assert names(tmp_path) == ["taken"]

    def test_a_new_file_never_replaces_one(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "file"
        publish_new(path, b"first")
        publish_new(path, b"second")
        assert path.read_bytes() == b"first"
        assert names(path.parent) == ["file"]


class TestAnObjectStore:
    """An object is there whole or not at all: nothing is staged."""

    def test_a_file_is_written_and_replaced(self) -> None:
        folder = UPath("memory://files")
        write_atomically(folder / "a" / "file", b"first")
        write_atomically(folder / "a" / "file", b"second")
        assert (folder / "a" / "file").read_bytes() == b"second"
        assert [path.name for path in (folder / "a").iterdir()] == ["file"]

    def test_has_nothing_that_was_abandoned(self, dead_pid: int) -> None:
        folder = UPath("memory://abandoned")
        write_atomically(folder / f"{STAGING_PREFIX}{dead_pid}-00000000", b"someone else's")
        remove_abandoned(folder)
        assert len(list(folder.iterdir())) == 1


class TestAbandonedStaging:
    def test_of_dead_processes_is_removed(self, tmp_path: Path, dead_pid: int) -> None:
        folder = tmp_path / f"{STAGING_PREFIX}{dead_pid}-00000000"
        folder.mkdir()
        (folder / "shard").touch()
        (tmp_path / f"{STAGING_PREFIX}{dead_pid}-00000000-file.json").touch()
        remove_abandoned(tmp_path)
        assert names(tmp_path) == []

    def test_of_living_processes_and_other_folders_stay(self, tmp_path: Path, dead_pid: int) -> None:
        (tmp_path / "0123456789abcdef").mkdir()
        (tmp_path / f"{dead_pid}-00000000").mkdir()
        with staging_folder(tmp_path) as staged:
            remove_abandoned(tmp_path)
            assert names(tmp_path) == sorted([staged.name, "0123456789abcdef", f"{dead_pid}-00000000"])

    def test_what_a_killed_writer_leaves_is_recognised(self, tmp_path: Path) -> None:
        script = (
            "import os, signal, sys\nfrom pathlib import Path\nimport infra.files\n"
            "infra.files.sync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
            "infra.files.write_atomically(Path(sys.argv[1]) / 'file', b'data')\n"
        )
        process = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
        assert process.returncode < 0
        assert len(names(tmp_path)) == 1
        remove_abandoned(tmp_path)
        assert names(tmp_path) == []


class TestReplacedFiles:
    def test_a_staged_file_is_on_disk_before_it_gets_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "folder" / "file"
        synced: list[tuple[str, bool]] = []
        monkeypatch.setattr(files, "sync", lambda synced_path: synced.append((synced_path.name, path.exists())))
        with staging_file(path) as staged:
            staged.write_text("content")
        assert synced == [(staged.name, False), ("folder", True)]
        assert path.read_text() == "content"

    def test_the_file_before_stays_when_the_block_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("before")

        def fail() -> None:
            with staging_file(path) as staged:
                staged.write_text("half")
                raise RuntimeError("disk on fire")

        with pytest.raises(RuntimeError, match="disk on fire"):
            fail()
        assert path.read_text() == "before"
        assert names(tmp_path) == ["file"]


class TestReplacedFolders:
    def staged(self, parent: Path, content: str) -> Path:
        folder = parent / ".being-written"
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "file").write_text(content)
        return folder

    def test_the_first_one_is_published(self, tmp_path: Path) -> None:
        replace_folder(self.staged(tmp_path, "first"), tmp_path / "final")
        assert (tmp_path / "final" / "below" / "file").read_text() == "first"
        assert names(tmp_path) == ["final"]

    def test_a_second_one_takes_its_place(self, tmp_path: Path) -> None:
        for content in ("first", "second"):
            replace_folder(self.staged(tmp_path, content), tmp_path / "final")
        assert (tmp_path / "final" / "below" / "file").read_text() == "second"
        assert names(tmp_path) == ["final"]

    @pytest.mark.parametrize("exists", [False, True])
    def test_every_file_and_folder_is_on_disk_before_the_rename(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
    ) -> None:
        final = tmp_path / "final"
        if exists:
            final.mkdir()
        staged = self.staged(tmp_path, "new")
        synced: list[tuple[Path, bool]] = []
        monkeypatch.setattr(files, "sync", lambda path: synced.append((path, staged.exists())))
        replace_folder(staged, final)
        *before, after = synced
        assert before == [(staged / "below" / "file", True), (staged / "below", True), (staged, True)]
        assert after == (tmp_path, False)

    def test_what_is_linked_from_a_published_folder_is_not_flushed_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        staged, published = self.staged(tmp_path, "new"), tmp_path / "shard"
        published.touch()
        files.link(str(published), str(staged / "shard"))
        synced: list[Path] = []
        monkeypatch.setattr(files, "sync", synced.append)
        files.publish_folder(staged, tmp_path / "final")
        assert synced == [staged / "below" / "file", staged / "below", staged, tmp_path]

    def test_a_failed_swap_puts_the_folder_before_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        final, staged = tmp_path / "final", tmp_path / "staged"
        final.mkdir()
        (final / "before").touch()
        staged.mkdir()
        rename = Path.rename

        def fail(path: Path, target: Path) -> Path:
            if path == staged:
                raise OSError("no space left")
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="no space left"):
            replace_folder(staged, final)
        assert names(final) == ["before"]
