"""Imports without a package's optional companions."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from infra.imports import without


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`companion`, and `host`, which uses it where it is installed."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "companion.py").write_text("")
    (tmp_path / "host.py").write_text(
        "try:\n    import companion\n    has_companion = True\nexcept ImportError:\n    has_companion = False\n"
    )
    for name in ("host", "companion"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("packages")
class TestWithout:
    def test_a_package_does_without_the_module(self) -> None:
        with without("companion"):
            assert not import_module("host").has_companion
        assert "companion" not in sys.modules

    def test_the_module_can_be_imported_afterwards(self) -> None:
        with without("companion"), pytest.raises(ModuleNotFoundError, match="companion"):
            import_module("companion")
        assert import_module("companion")

    def test_others_are_found(self) -> None:
        with without("something_else"):
            assert import_module("host").has_companion

    def test_what_is_loaded_stays(self) -> None:
        import_module("companion")
        with without("companion"):
            assert import_module("host").has_companion
