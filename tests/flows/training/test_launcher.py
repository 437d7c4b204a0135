"""The launcher: what it says of a job that fails. Jobs that succeed are in `test_survival.py`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.training.hostfile import Host
from flows.training.launcher import LONGEST_EXCERPT, JobFailed, _last_words, launch
from flows.training.runs import Run, prepare_run
from infra.errors import UserError
from infra.lake import Lake
from infra.locks import exclusive
from modeling.config import load_preset, with_settings
from tokenization.dataset.version import read_version

HERE = [Host("localhost", 1)]


@pytest.fixture
def run(studio, tmp_path: Path) -> Run:
    """A run on a dataset version whose training shard has been lost."""
    version = studio[1]
    shutil.copytree(version.folder, tmp_path / "songs" / version.digest)
    damaged = read_version(tmp_path / "songs" / version.digest)
    (damaged.folder / "train" / "00000.parquet").unlink()
    shape = {"model.layers": 1, "model.d_model": 16, "model.context": 64, "training.steps": 2}
    return prepare_run(Lake(tmp_path), damaged, with_settings(load_preset("tiny"), shape), ranks=1)


def test_a_failing_job_is_one_line_with_its_reason_and_log(run: Run, tmp_path: Path) -> None:
    reports: list[dict[str, Any]] = []
    with pytest.raises(JobFailed) as error:
        launch(Lake(tmp_path), run, HERE, reports.append)
    message = str(error.value)
    assert message.startswith("training failed: ")
    assert "00000.parquet is missing although dataset.json lists it: ingest again" in message
    assert message.endswith(f"the whole log: {run.log}")
    assert "\n" not in message
    assert error.value.permanent, "another attempt would not find it, either"
    assert [report["event"] for report in reports] == ["error"]
    assert not run.finished
    assert not [
        child for child in psutil.Process().children(recursive=True) if "modeling.training.train" in child.cmdline()
    ]


def test_two_processes_do_not_train_one_run(run: Run, tmp_path: Path) -> None:
    with (
        exclusive(run.folder / ".lock", ""),
        pytest.raises(UserError, match=f"run {run.run_id} is being trained by another process"),
    ):
        launch(Lake(tmp_path), run, HERE, lambda _: None)
    assert not run.log.exists()


class TestTheExcerptOfALog:
    def words(self, folder: Path, *lines: str) -> str | None:
        earlier = b"ValueError: of an earlier attempt\n"
        (folder / "train.log").write_bytes(earlier + "\n".join(lines).encode("latin-1"))
        return _last_words(folder / "train.log", len(earlier))

    def test_is_the_last_line_that_names_an_error(self, tmp_path: Path) -> None:
        lines = [
            "ValueError: first",
            '  File "Error.py", line 3',
            "  RuntimeError: out of memory  ",
            "[INFO] Error code 1",
        ]
        assert self.words(tmp_path, *lines) == "RuntimeError: out of memory"

    def test_is_found_in_what_torch_marks_with_a_rank(self, tmp_path: Path) -> None:
        lines = [
            "[rank0]: Traceback (most recent call last):",
            "worker-1: [rank0]: TypeError: no such thing",
            "[rank1]: RuntimeError: [pair.cc:553] Connection closed by peer [127.0.0.1]:5. A remote worker crashed",
        ]
        assert self.words(tmp_path, *lines) == "TypeError: no such thing"
        assert self.words(tmp_path, *lines[2:]) == "a process of the job was lost, and others with it"

    def test_is_the_signal_that_killed_a_rank(self, tmp_path: Path) -> None:
        launcher = (
            "[2026-11-23 03:45:43,607] [ERROR] [launch.py:259:sigkill_handler] ['python'] exits with return code = "
        )
        peer = "[rank1]: RuntimeError: Connection closed by peer"
        assert self.words(tmp_path, peer, launcher + "-9") == "a rank was killed by signal 9"
        assert self.words(tmp_path, launcher + "1") is None

    def test_is_nothing_where_no_error_is_named(self, tmp_path: Path) -> None:
        assert self.words(tmp_path, "step 1", "step 2") is None
        assert self.words(tmp_path) is None

    def test_is_cut_and_need_not_be_utf_8(self, tmp_path: Path) -> None:
        words = self.words(tmp_path, "Error: café " + "x" * 1000)
        assert words is not None
        assert len(words) == LONGEST_EXCERPT
