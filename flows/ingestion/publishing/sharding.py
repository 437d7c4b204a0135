"""Sharding: the pieces of a partition to token rows in Parquet shards. Runs in worker processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.card.statistics import Statistics
from flows.ingestion.engines import NO_ITEM, Failure, Heartbeat, JobError
from flows.ingestion.parsing.store import RowRef, Store
from infra.object_store import Folder
from tokenization.augmentation import (
    ORIGINAL,
    AugmentationSettings,
    Variant,
    apply,
    draw_variants,
    transpose_range,
)
from tokenization.augmentation import VERSION as AUGMENTATION_VERSION
from tokenization.dataset.shard_index import ShardEntry
from tokenization.dataset.shards import Row, TokenFormat, write_shard
from tokenization.dataset.splits import TRAIN
from tokenization.encodings import Encoding, Time, get_encoding
from tokenization.midi.notes import Notes
from tokenization.midi.score import Score
from tokenization.vocabulary import Vocabulary

LABELS = ("sha256", "family", "style")
"""What a row says of its piece."""


class Augmentation(BaseModel):
    """Variants of the pieces that train, written to the shards beside the originals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    copies: int = Field(0, ge=0, le=64)
    """Variants of each piece besides the original."""
    seed: int = 0
    changes: AugmentationSettings = AugmentationSettings()

    def variants(self, piece_id: str, notes: Notes, encoding: Encoding) -> list[Variant]:
        """The original, then its variants."""
        if not self.copies:
            return [ORIGINAL]
        changes = self.changes.in_time(encoding.time)
        return draw_variants(piece_id, self.copies, self.seed, changes, transpose_range(notes, encoding.vocabulary))

    def content(self, split: str, vocabulary: Vocabulary) -> dict[str, Any]:
        """What the rows of a split depend on. Only what trains has variants: held-out figures are about real pieces."""
        if split != TRAIN or not self.copies:
            return {}
        ranges = [instrument.range for instrument in vocabulary.instruments]
        return {"version": AUGMENTATION_VERSION, "ranges": ranges, **self.model_dump(mode="json")}


@dataclass(frozen=True)
class EncodingChoice:
    """All that the tokens of a piece depend on, besides its notes and style."""

    name: str
    version: int
    time: Time
    vocabulary_json: str
    sustain: bool
    """Whether notes last as long as the sustain pedal holds them."""
    augmentation: Augmentation

    @classmethod
    def of(cls, encoding: Encoding, sustain: bool, augmentation: Augmentation) -> EncodingChoice:
        vocabulary = encoding.vocabulary.to_json()
        return cls(encoding.name, encoding.version, encoding.time, vocabulary, sustain, augmentation)

    @property
    def encoding(self) -> Encoding:
        return _encoding(self.name, self.vocabulary_json, self.time)


@dataclass(frozen=True, eq=False)
class ShardPlan:
    """A shard that must be there: `path` in the version, rows in order."""

    path: str
    split: str
    pieces: pl.DataFrame
    """Columns `sha256`, `family`, `style`, and their place in the store, `part` and `row`."""

    def key(self, choice: EncodingChoice) -> str:
        """Equal for equal content, so that a shard of an earlier version can stand in for this one."""
        vocabulary = choice.encoding.vocabulary
        styles = self.pieces["style"].drop_nulls().unique().sort()
        content = [
            [choice.name, choice.version, choice.time, vocabulary.fixed_digest, choice.sustain],
            {style: vocabulary.style_id(style) for style in styles},
            choice.augmentation.content(self.split, choice.encoding.vocabulary),
            self.pieces.select(LABELS).rows(),
        ]
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def rows(self, choice: EncodingChoice, scores: Sequence[memoryview], shown: list[Statistics]) -> Iterator[Row]:
        """The token rows; each piece's statistics (of its original form) are appended to `shown`."""
        encoding = choice.encoding
        vocabulary = encoding.vocabulary
        augmentation = choice.augmentation if self.split == TRAIN else Augmentation()
        for (sha256, family, style), data in zip(self.pieces.select(LABELS).iter_rows(), scores):
            notes = Score.from_bytes(data).to_notes(choice.sustain)
            for number, variant in enumerate(augmentation.variants(sha256, notes, encoding)):
                tokens = encoding.encode(apply(notes, variant), style)
                if number == 0:
                    shown.append(Statistics.of(notes, tokens, vocabulary))
                groups = vocabulary.groups_of_mask(int(tokens[1]) - vocabulary.instrumentation_base)
                yield Row(
                    sha256,
                    family,
                    style,
                    "_".join(groups),
                    tokens,
                    variant.transpose,
                    variant.velocity_shift,
                    variant.stretch,
                )


@dataclass(frozen=True)
class EncodeJob:
    """Shards of one partition, to be written below `folder`: a staging folder, or in an object store the final one."""

    plans: tuple[ShardPlan, ...]
    folder: Folder
    store: Folder
    choice: EncodingChoice

    def without(self, item: int, failure: Failure) -> Self:
        raise JobError(f"encoding item {item} of {self.plans[0].path}: the worker {failure.replace('_', ' ')}")


def encode(job: EncodeJob, heartbeat: Heartbeat) -> list[ShardEntry]:
    """Write the shards of a job."""
    heartbeat.at(NO_ITEM)
    places = [RowRef(*place) for plan in job.plans for place in plan.pieces.select("part", "row").iter_rows()]
    scores = Store(job.store).scores(places)
    shards, first = [], 0
    token_format = TokenFormat.of(job.choice.encoding)
    for plan in job.plans:
        shown: list[Statistics] = []
        rows = list(plan.rows(job.choice, scores[first : first + len(plan.pieces)], shown))
        first += len(plan.pieces)
        sha256 = write_shard(job.folder / plan.path, rows, token_format)
        tokens = sum(len(row.tokens) for row in rows)
        statistics = sum(shown, Statistics()).to_dict()
        shards.append(ShardEntry(plan.path, plan.key(job.choice), sha256, len(rows), tokens, statistics))
    return shards


@lru_cache(maxsize=2)
def _encoding(name: str, vocabulary_json: str, time: Time) -> Encoding:
    return get_encoding(name, Vocabulary.from_json(vocabulary_json), time)
