"""Kept answers: the latest of them, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

from registry.serving.kept import KeptAnswers


def test_the_oldest_go_first(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path / "served", 2)
    assert kept.get("aa") is None
    for age, digest in enumerate(("aa", "bb", "cc")):
        kept.put(digest, digest.encode())
        os.utime(tmp_path / "served" / f"{digest}.json", (age, age))
    kept.put("dd", b"dd")
    assert [kept.get(digest) for digest in ("aa", "bb", "cc", "dd")] == [None, None, b"cc", b"dd"]


def test_none_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path / "served", 0)
    kept.put("aa", b"aa")
    assert kept.get("aa") is None
    assert not [*tmp_path.iterdir()]
