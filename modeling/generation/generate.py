"""Autoregressive generation: prefill, then decode one token at a time, sampled among those that the grammar allows.

Pieces may be of any length, under any layout. When the context is full, the window moves on as in training: the header,
then the latest half of the music, with the piece's own time, part and countdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.decoder import Decoder
from modeling.generation.direction import Direction
from modeling.generation.executors import Executor, Rows, new_executor
from modeling.generation.frame import Frame
from modeling.generation.mixture import Mixture
from modeling.generation.pieces import GrowingPieces, window_begin
from modeling.generation.planning import MARGIN
from modeling.generation.sampling import SamplingConfig, sample, uniforms
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

Progress = Callable[[int, int], None]
"""Called with the tokens done and the tokens in all."""


class Step(NamedTuple):
    """One token of every piece that has not ended."""

    position: int
    """Index of the token in its piece."""
    pieces: Rows
    """Indices of the pieces, shape (rows,)."""
    tokens: Rows
    """Shape (rows,)."""


def generate(
    model: MuseNet,
    encoding: Encoding,
    prompts: NDArray[np.uint16],
    lengths: Sequence[int],
    sampling: SamplingConfig,
    seed: int,
    stop: int | None = None,
    on_progress: Progress | None = None,
    candidates: Sequence[int] | None = None,
    direction: Direction | None = None,
    executor: Executor | None = None,
    frame: Frame | None = None,
) -> list[Tokens]:
    """Continue each prompt to a piece, up to its `end`, its planned length or `stop`; arguments as for `stream`.

    `executor`: an executor of the model that is ready; None: a new one.
    """
    ready = new_executor(model) if executor is None else executor
    longest = _longest(lengths, stop, direction or Direction())
    given = prompts.shape[1]
    out = np.zeros((len(prompts), max(longest, given)), np.uint16)
    out[:, :given] = prompts
    sizes = np.full(len(prompts), given)
    context = model.config.context
    steps = stream(ready, context, encoding, prompts, lengths, sampling, seed, stop, candidates, direction, frame)
    for step in steps:
        out[step.pieces, step.position] = step.tokens
        sizes[step.pieces] = step.position + 1
        if on_progress is not None:
            on_progress(step.position + 1, longest)
    return [row[:size].copy() for row, size in zip(out, sizes)]


def stream(
    executor: Executor,
    context: int,
    encoding: Encoding,
    prompts: NDArray[np.uint16],
    lengths: Sequence[int],
    sampling: SamplingConfig,
    seed: int,
    stop: int | None = None,
    candidates: Sequence[int] | None = None,
    direction: Direction | None = None,
    frame: Frame | None = None,
) -> Iterator[Step]:
    """Yield the next token of every piece, step by step; nothing is computed before it is asked for.

    `prompts`: the tokens so far, without `end`, shape (pieces, n): headers, possibly with music, also more of it than
    the context holds. `lengths`: planned tokens of each piece, prompt included; a piece may end up to COUNTDOWN tokens
    earlier, and then has its `end`. `stop`: tokens after which generation stops, whatever the planned length.
    `candidates`: the number of each piece among those of the seed, 0, 1, … unless given. `direction`: of all pieces;
    if it has a length in time, `lengths` are first estimates of the number of tokens. A piece is a function of
    prompt, length, settings, seed and candidate: the same, whichever others are with it, and whether it is generated
    at a stretch or continued from what was generated before. (Other batches change rounding in the eager executor.)
    `frame`: what stays of a given piece; prompts are its prefix, and pieces stop when they are through its span.

    Raises VocabularyError for an unknown style of a blend and for controls that leave no note, and ValueError for a
    prompt without a header or that fills the length, or whose instrumentation has no instruments.
    """
    direction = direction or Direction()
    longest = _longest(lengths, stop, direction)
    _check_prompts(prompts, min(longest, *lengths) if direction.seconds is None else longest)
    numbers = np.arange(len(prompts)) if candidates is None else np.array(candidates, np.int64)
    planned = np.array(lengths, np.int64)
    # What several pieces begin with is computed once.
    beginnings = np.concatenate([planned[:, None], prompts.astype(np.int64)], axis=1)
    distinct, row_of = np.unique(beginnings, axis=0, return_inverse=True)
    pieces = GrowingPieces(
        encoding,
        distinct[:, 1:].astype(np.uint16),
        distinct[:, 0].copy(),
        longest,
        sampling,
        direction,
        executor.listens,
        frame,
    )
    mixture = Mixture(encoding.vocabulary, direction, sampling.guidance)
    decoder = Decoder(executor, mixture.headers)
    decoder.prefill(pieces.window(context), min(context, longest))
    pieces.keep(row_of.reshape(-1))
    decoder.keep(row_of.reshape(-1))
    remaining = np.arange(len(prompts))
    while True:
        quantiles = uniforms(seed, numbers[remaining], pieces.filled)
        logits, allowed = pieces.adjust(decoder.logits(mixture.weights(pieces.seconds)))
        tokens = sample(logits, allowed, sampling, quantiles)
        pieces.append(tokens)
        yield Step(pieces.filled - 1, remaining, tokens)
        rows = np.flatnonzero(pieces.go_on(tokens, encoding.vocabulary.end))
        if not len(rows):
            return
        if len(rows) < len(remaining):
            remaining = remaining[rows]
            pieces.keep(rows)
            decoder.keep(rows)
        if decoder.cached + 1 == HEADER + pieces.filled - window_begin(pieces.filled, context):
            decoder.decode_step(pieces.latest())
        else:
            decoder.prefill(pieces.window(context), min(context, longest))


def _longest(lengths: Sequence[int], stop: int | None, direction: Direction) -> int:
    """Return the most tokens that any piece may have."""
    most = max(lengths) * (1 if direction.seconds is None else MARGIN)
    return min(most, stop or most)


def _check_prompts(prompts: NDArray[np.uint16], shortest: int) -> None:
    """Raise ValueError for prompts without a whole header or without room for a token."""
    size = prompts.shape[1]
    if not HEADER <= size < shortest:
        raise ValueError(
            f"a prompt has at least {HEADER} tokens and fewer than the piece's length ({shortest}); this one has {size}"
        )
