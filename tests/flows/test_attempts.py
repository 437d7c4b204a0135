"""Further attempts: at what may pass by itself, in the flow runs of workers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.attempts import PAUSES, is_temporary, may_pass
from infra.errors import RunError, UserError
from infra.object_store import reachable
from infra.services.slots import WORKER_VARIABLE


class Away:
    """A folder in an object store, which is no path of this machine."""

    def __str__(self) -> str:
        return "s3://music/lake"


def test_what_a_store_reports_may_pass_and_what_is_wrong_with_a_request_does_not() -> None:
    with pytest.raises(RunError) as failed, reachable(Away()):  # type: ignore[arg-type]
        raise ConnectionResetError("reset by peer")
    assert is_temporary(failed.value)
    assert is_temporary(OSError("no space left on device"))
    assert not is_temporary(RunError("2 of 5 rules for publishing are broken"))
    assert not is_temporary(UserError("no dataset 'lakh'"))
    assert not is_temporary(ValueError("a defect"))


def test_a_command_is_told_at_once_and_a_worker_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(data=OSError("away"))
    monkeypatch.delenv(WORKER_VARIABLE, raising=False)
    assert not may_pass(None, None, failed)
    monkeypatch.setenv(WORKER_VARIABLE, "0")
    assert may_pass(None, None, failed)


def test_each_pause_is_longer() -> None:
    assert list(PAUSES) == sorted(set(PAUSES))
