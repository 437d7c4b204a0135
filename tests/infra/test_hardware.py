"""Hardware: what this process may use."""

from __future__ import annotations

from infra.hardware import available_cores


def test_at_least_one_core_is_available() -> None:
    assert available_cores() >= 1
