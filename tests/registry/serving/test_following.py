"""Following an alias: another version takes over, and one that cannot be had changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from infra.errors import RunError
from registry.serving import following
from registry.serving.following import Follower


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


class Alias:
    """A version that moves, the versions that took over, and those that cannot."""

    def __init__(self) -> None:
        self.version = "1"
        self.served: list[str] = []
        self.tried: list[str] = []
        self.broken = "none"
        self.is_away = False
        self.failures = 0

    def look(self) -> str:
        if self.is_away:
            raise RunError("no registry answers")
        return self.version

    def take_over(self, version: str) -> None:
        self.tried.append(version)
        if version == self.broken:
            raise RunError("version 2 cannot be loaded")
        self.served.append(version)

    def failed(self) -> None:
        self.failures += 1


def test_each_version_takes_over_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    alias = Alias()
    follower = Follower(alias.look, alias.take_over, alias.failed, 0.002)
    follower.start()
    wait_until(lambda: alias.served == ["1"])
    alias.is_away = True
    wait_until(lambda: alias.failures >= 2)
    alias.broken, alias.version, alias.is_away = "2", "2", False
    wait_until(lambda: "2" in alias.tried)
    time.sleep(0.02)
    assert alias.tried == ["1", "2"], "a version that fails is not loaded again at once"
    alias.version = "3"
    wait_until(lambda: alias.served == ["1", "3"])
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.0)
    alias.broken, alias.version = "none", "2"
    wait_until(lambda: alias.served == ["1", "3", "2"])
    follower.close()
    assert [record.message for record in caplog.records] == ["no registry answers", "version 2 cannot be loaded"]
    assert "follower" not in {thread.name for thread in threading.enumerate()}
