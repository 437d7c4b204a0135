"""Locks: one holder alone or several together, freed by the kernel when a holder ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.errors import UserError
from infra.locks import exclusive, is_held, shared

HOLDER = """
import sys
from pathlib import Path
from infra.locks import exclusive, shared
with globals()[sys.argv[1]](Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(kind: str, lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed, at the latest when the block ends."""
    command = [sys.executable, "-c", HOLDER, kind, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


class TestAnExclusiveLock:
    def test_a_second_process_is_told_who_is_busy(self, tmp_path: Path) -> None:
        lock = tmp_path / "deep" / "lock"
        told = pytest.raises(UserError, match="run 7 is being trained; wait for it, or stop it")
        with held("exclusive", lock), told:
            exclusive(lock, "run 7 is being trained").__enter__()
        with exclusive(lock, "busy"):  # a lock dies with its holder, however that ends
            pass

    def test_is_waited_for_where_nobody_is_to_be_told(self, tmp_path: Path) -> None:
        lock = tmp_path / "lock"
        with held("exclusive", lock) as holder:
            command = [sys.executable, "-c", HOLDER, "exclusive", str(lock)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as waiting:
                with pytest.raises(subprocess.TimeoutExpired):
                    waiting.wait(timeout=0.5)
                holder.kill()
                assert waiting.communicate("") == ("held\n", None)

    def test_is_free_after_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError), exclusive(tmp_path / "lock", "busy"):
            raise RuntimeError
        with exclusive(tmp_path / "lock", "busy"):
            pass


class TestASharedLock:
    def test_is_held_together(self, tmp_path: Path) -> None:
        lock = tmp_path / "lock"
        with held("shared", lock), shared(lock), pytest.raises(UserError):
            exclusive(lock, "busy").__enter__()

    def test_the_first_holder_prepares_alone(self, tmp_path: Path) -> None:
        lock = tmp_path / "deep" / "lock"
        calls: list[bool] = []
        with shared(lock, if_alone=lambda: calls.append(is_held(lock))):
            assert calls == [True], "under the exclusive lock"
            assert not is_held(lock)

    def test_a_later_holder_does_not(self, tmp_path: Path) -> None:
        lock = tmp_path / "lock"
        calls: list[bool] = []
        with held("shared", lock), shared(lock, if_alone=lambda: calls.append(True)):
            assert calls == []


class TestAskingWhetherALockIsHeld:
    def test_it_is_while_a_process_has_it(self, tmp_path: Path) -> None:
        lock = tmp_path / "lock"
        with held("exclusive", lock):
            assert is_held(lock)
        assert not is_held(lock)

    def test_it_is_not_without_its_file(self, tmp_path: Path) -> None:
        assert not is_held(tmp_path / "lock")
        assert list(tmp_path.iterdir()) == []
