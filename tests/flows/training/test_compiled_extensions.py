"""Compiled extensions: build locks of killed jobs go, those of running jobs stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.training.compiled_extensions import compiled_extensions
from infra.errors import UserError
from infra.locks import exclusive


class TestCompiledExtensions:
    def left(self, folder: Path) -> Path:
        (folder / "op").mkdir(parents=True, exist_ok=True)
        (folder / "op" / "lock").touch()
        (folder / "op" / "op.so").touch()
        return folder / "op" / "lock"

    def test_of_killed_jobs_are_unlocked(self, tmp_path: Path) -> None:
        lock = self.left(tmp_path / "extensions")
        with compiled_extensions(tmp_path / "extensions"):
            assert not lock.exists()
        assert lock.with_name("op.so").exists()

    def test_that_another_job_may_be_building_are_left_alone(self, tmp_path: Path) -> None:
        with compiled_extensions(tmp_path):
            lock = self.left(tmp_path)
            with compiled_extensions(tmp_path):
                assert lock.exists()
        with compiled_extensions(tmp_path), pytest.raises(UserError), exclusive(tmp_path / ".jobs", "busy"):
            pass
