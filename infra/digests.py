"""Digests: names that follow from content, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.object_store import Folder

DIGEST_LENGTH = 32
"""Hexadecimal digits of `canonical_digest`."""

BLOCK = 2**20


def canonical_digest(content: object) -> str:
    """Return a digest of any JSON-serialisable value, independent of the order of its keys: DIGEST_LENGTH digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def file_sha256(file: Folder) -> str:
    """Return the SHA-256 of a file's bytes, read a block at a time: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
