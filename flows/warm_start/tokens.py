"""The tokens of a dataset that a model is to be trained further on: its encoding, and its vocabulary."""

from __future__ import annotations

import hashlib

from flows.warm_start.parent import open_parent
from infra.files import write_atomically
from infra.lake import Lake
from tokenization.dataset.encoding_files import VOCABULARY_FILE

VOCABULARIES = "vocabularies"
"""Folder of the cache with vocabularies of models, by their digests."""
SHORT = 16


def changes_for(lake: Lake, reference: str) -> dict[str, str]:
    """Return what `tokens_for` does as settings of an ingestion, by dotted key."""
    return {f"tokens.{name}": value for name, value in tokens_for(lake, reference).items()}


def tokens_for(lake: Lake, reference: str) -> dict[str, str]:
    """Return encoding, time and vocabulary by which a dataset's tokens mean what they mean to a model.

    They are fields of `flows.ingestion.publishing.TokenSettings`; the vocabulary is a file in the lake's cache.
    `reference`: as for `open_parent`, whose errors it raises.
    """
    with open_parent(lake, reference) as parent:
        vocabulary = (parent.folder / VOCABULARY_FILE).read_bytes()
    file = lake.cache / VOCABULARIES / f"{hashlib.sha256(vocabulary).hexdigest()[:SHORT]}.json"
    write_atomically(file, vocabulary)
    return {
        "encoding": parent.encoding.name,
        "time": parent.encoding.time.value,
        "vocabulary": str(file),
    }
