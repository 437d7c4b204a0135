"""Encode jobs: the pieces of planned shards to token rows in Parquet files. They run in worker processes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from flows.engines import NO_ITEM, Failure, Heartbeat, JobError
from flows.ingestion.music_statistics import Statistics
from flows.ingestion.parsing.store import RowRef, Store
from flows.ingestion.publishing.shard_plan import LABELS, Augmentation, EncodingChoice, ShardPlan
from infra.object_store import Folder
from tokenization import originality
from tokenization.augmentation import apply
from tokenization.dataset.shard_index import ShardEntry, index_path
from tokenization.dataset.shards import Row, TokenFormat, write_shard
from tokenization.dataset.splits import TRAIN
from tokenization.midi.score import Score


@dataclass(frozen=True)
class EncodeJob:
    """Shards to be written below `folder`: a staging folder on disk, the final folder in an object store."""

    plans: tuple[ShardPlan, ...]
    folder: Folder
    store: Folder
    choice: EncodingChoice
    with_originality: bool = False
    """True to write the originality indexes of training shards."""

    def without(self, item: int, failure: Failure) -> Self:
        """Refuse to leave an item out: pieces that were accepted must be in the version. Raises JobError."""
        raise JobError(f"encoding item {item} of {self.plans[0].path}: the worker {failure.replace('_', ' ')}")


def encode_jobs(
    plans: Sequence[ShardPlan], folder: Folder, store: Folder, choice: EncodingChoice, with_originality: bool
) -> Iterator[EncodeJob]:
    """Group planned shards by the part of the store that they read, the largest group first."""
    by_part: dict[str, list[ShardPlan]] = {}
    for plan in plans:
        by_part.setdefault(plan.pieces["part"][0], []).append(plan)
    for group in sorted(by_part.values(), key=lambda group: -sum(len(plan.pieces) for plan in group)):
        yield EncodeJob(tuple(group), folder, store, choice, with_originality)


def encode(job: EncodeJob, heartbeat: Heartbeat) -> list[ShardEntry]:
    """Write the shards of a job and return their entries for the index."""
    heartbeat.at(NO_ITEM)
    row_refs = [RowRef(*ref) for plan in job.plans for ref in plan.pieces.select("part", "row").iter_rows()]
    scores = Store(job.store).scores(row_refs)
    shards, first = [], 0
    token_format = TokenFormat.of(job.choice.encoding)
    for plan in job.plans:
        index = originality.IndexWriter() if job.with_originality and plan.split == TRAIN else None
        of_pieces: list[Statistics] = []
        own = scores[first : first + len(plan.pieces)]
        rows = list(token_rows(plan, job.choice, own, of_pieces, index))
        first += len(plan.pieces)
        sha256 = write_shard(job.folder / plan.path, rows, token_format)
        tokens = sum(len(row.tokens) for row in rows)
        statistics = json.dumps(sum(of_pieces, Statistics()).to_dict())
        if index is not None:
            index.write(job.folder / index_path(plan.path))
        indexed = None if index is None else originality.VERSION
        shards.append(ShardEntry(plan.path, plan.key(job.choice), sha256, len(rows), tokens, statistics, indexed))
    return shards


def token_rows(
    plan: ShardPlan,
    choice: EncodingChoice,
    scores: Sequence[memoryview],
    of_pieces: list[Statistics],
    index: originality.IndexWriter | None,
) -> Iterator[Row]:
    """Yield the rows of a shard.

    Of each piece in its original form, the statistics are appended to `of_pieces`, and the notes, as its tokens have
    them, are added to `index`.
    """
    encoding = choice.encoding
    vocabulary = encoding.vocabulary
    augmentation = choice.augmentation if plan.split == TRAIN else Augmentation()
    for (sha256, family, style), data in zip(plan.pieces.select(LABELS).iter_rows(), scores):
        notes = Score.from_bytes(data).to_notes(choice.sustain)
        for number, variant in enumerate(augmentation.variants(sha256, notes, encoding)):
            grid = encoding.grid(apply(notes, variant))
            tokens = encoding.tokens_of(grid, style)
            if number == 0:
                of_pieces.append(Statistics.of(notes, tokens, vocabulary))
                if index is not None:
                    index.add(sha256, family, encoding.notes_of(grid))
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
