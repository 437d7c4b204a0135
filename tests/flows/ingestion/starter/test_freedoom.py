"""Freedoom's soundtrack: all files are shipped, with their licence."""

from __future__ import annotations

from flows.ingestion.starter import FREEDOOM


def test_freedoom_is_complete_and_carries_its_licence() -> None:
    midi = sorted(FREEDOOM.glob("*.mid"))
    assert len(midi) == 67
    assert all(path.read_bytes().startswith(b"MThd") for path in midi)
    assert "Redistribution and use" in (FREEDOOM / "COPYRIGHT").read_text(encoding="utf-8")
    assert (FREEDOOM / "CREDITS.gz").read_bytes().startswith(b"\x1f\x8b")
    assert "BSD-3-Clause" in (FREEDOOM / "SOURCES.md").read_text(encoding="utf-8")
