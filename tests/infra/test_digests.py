"""Digests: names that follow from content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from infra.digests import canonical_digest, file_sha256


def test_a_digest_is_the_same_on_every_machine() -> None:
    text = '{"a":["é",1],"b":null}'
    assert canonical_digest({"b": None, "a": ["é", 1]}) == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_a_file_of_several_blocks(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2**13
    (tmp_path / "file").write_bytes(data)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
