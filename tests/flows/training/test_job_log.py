"""The job's log: the one line that explains why a job has failed."""

from __future__ import annotations

from pathlib import Path

from flows.training.job_log import LONGEST_EXCERPT, failure_reason


class TestTheReason:
    def words(self, folder: Path, *lines: str) -> str | None:
        earlier = b"ValueError: of an earlier attempt\n"
        (folder / "train.log").write_bytes(earlier + "\n".join(lines).encode("latin-1"))
        return failure_reason(folder / "train.log", len(earlier))

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
