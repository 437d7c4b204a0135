"""Shard plans: the shards that a version consists of, and all that their rows depend on.

A shard holds the accepted pieces of one partition and split. Its key is a digest of its content that is known before
encoding, by which a shard of an earlier version is reused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from tokenization.augmentation import (
    ORIGINAL,
    AugmentationSettings,
    Variant,
    draw_variants,
    transpose_range,
)
from tokenization.augmentation import VERSION as AUGMENTATION_VERSION
from tokenization.dataset.manifest import ACCEPTED
from tokenization.dataset.splits import SPLITS, TRAIN
from tokenization.encodings import Encoding, Time, get_encoding
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

LABELS = ("sha256", "family", "style")
"""The columns of a piece that its rows carry."""
LINE_END = ord("\n")


class Augmentation(BaseModel):
    """Augmented variants of the training pieces, written to the shards beside the originals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    copies: int = Field(0, ge=0, le=64)
    """Variants of each piece besides the original."""
    seed: int = 0
    changes: AugmentationSettings = AugmentationSettings()

    def variants(self, piece_id: str, notes: Notes, encoding: Encoding) -> list[Variant]:
        """Return the identity, then the variants of a piece."""
        if not self.copies:
            return [ORIGINAL]
        changes = self.changes.in_time(encoding.time)
        return draw_variants(piece_id, self.copies, self.seed, changes, transpose_range(notes, encoding.vocabulary))

    def content(self, split: str, vocabulary: Vocabulary) -> dict[str, Any]:
        """Return the settings that the rows of a split depend on.

        Only training pieces have variants, so that held-out metrics are measured on real pieces.
        """
        if split != TRAIN or not self.copies:
            return {}
        ranges = [instrument.range for instrument in vocabulary.instruments]
        return {"version": AUGMENTATION_VERSION, "ranges": ranges, **self.model_dump(mode="json")}


@dataclass(frozen=True)
class EncodingChoice:
    """Everything that the tokens of a piece depend on besides its notes and style; pickled to workers."""

    name: str
    version: int
    time: Time
    vocabulary_json: str
    sustain: bool
    """True if the sustain pedal prolongs notes."""
    augmentation: Augmentation

    @classmethod
    def of(cls, encoding: Encoding, sustain: bool, augmentation: Augmentation) -> EncodingChoice:
        """Choose an encoding with its vocabulary."""
        vocabulary = encoding.vocabulary.to_json()
        return cls(encoding.name, encoding.version, encoding.time, vocabulary, sustain, augmentation)

    @property
    def encoding(self) -> Encoding:
        """The encoding, built once in each process."""
        return _encoding(self.name, self.vocabulary_json, self.time)


@dataclass(frozen=True, eq=False)
class ShardPlan:
    """A shard of a version to come: its `path` there, and its pieces in order."""

    path: str
    split: str
    pieces: pl.DataFrame
    """Columns `sha256`, `family`, `style`, and the row in the store, `part` and `row`."""

    def key(self, choice: EncodingChoice) -> str:
        """Return a digest of everything that the file depends on: equal keys, equal bytes."""
        return shard_keys([self], choice)[0]


def shard_keys(plans: Sequence[ShardPlan], choice: EncodingChoice) -> list[str]:
    """Return the key of each plan. One conversion to text serves all of them: a version has many small shards."""
    if not plans:
        return []
    rows = pl.concat([plan.pieces for plan in plans]).select(LABELS)
    lines, styles = rows.write_ndjson().encode(), rows["style"].to_list()
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == LINE_END) + 1  # text has none: it is escaped in JSON
    vocabulary = choice.encoding.vocabulary
    form = [choice.name, choice.version, choice.time, vocabulary.fixed_digest, choice.sustain]
    keys, first = [], 0
    for plan in plans:
        end = first + len(plan.pieces)
        named = sorted({style for style in styles[first:end] if style is not None})
        content = [
            form,
            {style: vocabulary.style_id(style) for style in named},
            choice.augmentation.content(plan.split, vocabulary),
        ]
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        begin = ends[first - 1] if first else 0
        keys.append(hashlib.sha256(text.encode() + lines[begin : ends[end - 1]]).hexdigest()[:32])
        first = end
    return keys


def plan_shards(manifest: pl.DataFrame, row_refs: pl.DataFrame) -> list[ShardPlan]:
    """Plan one shard for each partition and split with accepted pieces, in the order of partitions and the manifest.

    `row_refs`: columns `sha256`, `part`, `row` of the accepted pieces in the store.
    """
    accepted = manifest.filter(ACCEPTED)
    pieces = (
        accepted.select("sha256", "family", "style", "split", "partition")
        .join(row_refs, on="sha256", how="left", maintain_order="left")
        .sort("partition", "split", maintain_order=True)
    )
    sizes = pieces.group_by("partition", "split", maintain_order=True).len()
    rows = pieces.drop("split", "partition")
    plans, first = [], 0
    numbers = dict.fromkeys(SPLITS, 0)
    for _, split, size in sizes.iter_rows():
        path = f"{split}/{numbers[split]:05d}.parquet"
        numbers[split] += 1
        plans.append(ShardPlan(path, split, rows.slice(first, size)))
        first += size
    return plans


@lru_cache(maxsize=2)
def _encoding(name: str, vocabulary_json: str, time: Time) -> Encoding:
    return get_encoding(name, Vocabulary.from_json(vocabulary_json), time)
