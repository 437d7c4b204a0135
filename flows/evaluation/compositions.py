"""Pieces composed under the headers of held-out ones, by a model or a baseline, kept as shards.

A set that has been composed is read again, so that an evaluation that was stopped goes on where it was.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flows.evaluation.groups import RealGroup, RealPiece
from flows.evaluation.settings import EvaluationSettings
from infra.digests import canonical_digest
from infra.files import staging_file, write_atomically
from modeling.config import PLAIN, DrawingConfig
from modeling.generation import Growth, Request, beginning, complete
from modeling.generation.executors import Executor
from registry.requests import request_for_model
from tokenization.dataset import Row, TokenFormat, read_shard, token_arrays, write_shard
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

BATCH = 32
"""Pieces composed at once."""
SHORTEST_PIECE = 32
"""Tokens behind the header or prompt of a piece, at least."""
Progress = Callable[[int], None]
"""Called with the number of pieces that a batch has added."""


@dataclass(frozen=True)
class Composition:
    """The composed pieces of a group; piece i has the header of held-out piece i, counted around."""

    pieces: list[Tokens]
    seconds: float | None
    """That composing them took; None where that was not written down."""


@dataclass(frozen=True)
class Composing:
    """A source of pieces: a network or a baseline, ready to decode."""

    executor: Executor
    encoding: Encoding
    """Of its tokens."""
    context: int
    """Tokens that it sees at once."""
    drawing: DrawingConfig = PLAIN
    """How it is drawn from where the settings say nothing."""


@dataclass(frozen=True)
class _Plan:
    """A piece to compose."""

    index: int
    prompt: Tokens
    length: int


def compose_group(
    folder: Path,
    source: Callable[[], Composing],
    encoding: Encoding,
    held_out: Encoding,
    group: RealGroup,
    count: int,
    settings: EvaluationSettings,
    on_progress: Progress,
) -> Composition:
    """Compose `count` pieces of a group, or read them from the folder, where they are kept.

    `source` is asked only if something is to be composed; it has the `encoding`, the group's pieces have `held_out`.
    The pieces depend on everything but the number of others: piece i has the header of held-out piece i, counted
    around. Raises VocabularyError for a style or instrument that the source does not have.
    """
    plans = _plans(encoding, held_out, group.held_out, count, settings)
    file = folder / f"{_slug(group.name)}.parquet"
    clock = file.with_suffix(".seconds")
    counterparts = [group.held_out[plan.index % len(group.held_out)] for plan in plans]
    stamp = TokenFormat.of(encoding)
    if file.exists():
        found = [tokens.copy() for tokens in token_arrays(read_shard(file, stamp, ("tokens",)))]
        if len(found) == count:
            on_progress(count)
            return Composition(found, float(clock.read_text()) if clock.exists() else None)
    composing = source()
    request = request_for_model(settings.request, composing.drawing, settings.length, None)
    if settings.suggest:  # of all groups, each piece is led to those of its own header
        groups = encoding.vocabulary.groups
        request = replace(request, direction=replace(request.direction, instruments=groups))
    # Compiles the kernels where that was not done before, which the clock is not to count.
    _generate(composing, [replace(plans[0], length=len(plans[0].prompt) + SHORTEST_PIECE)], request, settings.seed)
    begun = time.perf_counter()
    tokens: dict[int, Tokens] = {}
    for batch in _batches(plans):
        for plan, piece in zip(batch, _generate(composing, batch, request, settings.seed)):
            tokens[plan.index] = piece
        on_progress(len(batch))
    seconds = round(time.perf_counter() - begun, 3)
    names = encoding.vocabulary.names
    rows = [
        Row(f"{index:06}", real.family, real.style, names[int(tokens[index][1])], tokens[index])
        for index, real in enumerate(counterparts)
    ]
    write_atomically(clock, f"{seconds}\n".encode())
    with staging_file(file) as staged:
        write_shard(staged, rows, stamp)
    return Composition([tokens[plan.index] for plan in plans], seconds)


def _plans(
    encoding: Encoding, held_out: Encoding, pieces: Sequence[RealPiece], count: int, settings: EvaluationSettings
) -> list[_Plan]:
    """Return header, prompt and planned length of each piece, after its counterpart."""
    distinct = []
    for piece in pieces[:count]:
        notes = held_out.decode(piece.tokens)
        whole = encoding.encode(notes, piece.style)
        prompt = whole[:HEADER]
        if settings.prompt_seconds:
            prompt = encoding.encode(beginning(notes, seconds=settings.prompt_seconds), piece.style)[:-1]
            prompt[1] = whole[1]
        least = len(prompt) + SHORTEST_PIECE
        distinct.append((prompt, max(min(len(whole), len(prompt) - HEADER + settings.length), least)))
    return [_Plan(index, *distinct[index % len(distinct)]) for index in range(count)]


def _batches(plans: Sequence[_Plan]) -> Iterator[list[_Plan]]:
    """Yield pieces whose prompts are equally long, BATCH at most."""
    by_length: dict[int, list[_Plan]] = {}
    for plan in plans:
        by_length.setdefault(len(plan.prompt), []).append(plan)
    for _, alike in sorted(by_length.items()):
        for first in range(0, len(alike), BATCH):
            yield alike[first : first + BATCH]


def _generate(composing: Composing, batch: Sequence[_Plan], request: Request, seed: int) -> list[Tokens]:
    growth = Growth(
        composing.executor,
        composing.context,
        composing.encoding,
        np.stack([plan.prompt for plan in batch]),
        [plan.length for plan in batch],
        request.sampling,
        seed,
        candidates=[plan.index for plan in batch],
        direction=request.direction,
    )
    return complete(growth)


def _slug(name: str) -> str:
    """Return a file name for a group: its letters and digits, and a digest where that leaves some out."""
    plain = re.sub(r"[^\w-]+", "-", name)
    return plain if plain == name else f"{plain}-{canonical_digest(name)[:8]}"
