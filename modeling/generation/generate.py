"""Autoregressive generation: prefill, then decode one token at a time, sampled among those that the grammar allows.

Pieces may be of any length, under any layout. When the context is full, the window moves on as in training: the header,
then the latest half of the music, with the piece's own time, part and countdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.controls.form import RETURNS, SECTION_BARS, plans_of
from modeling.generation.decoder import Decoder
from modeling.generation.direction import Direction
from modeling.generation.executors import Executor, Rows, new_executor
from modeling.generation.frame import Frame
from modeling.generation.mixture import Mixture
from modeling.generation.pieces import GrowingPieces, window_begin
from modeling.generation.planning import MARGIN
from modeling.generation.sampling import SamplingConfig, sample, uniforms
from modeling.generation.turns import Turns, at_a_stretch
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens


class Step(NamedTuple):
    """One token of every piece that has not ended."""

    position: int
    """Index of the token in its piece."""
    pieces: Rows
    """Indices of the pieces, shape (rows,)."""
    tokens: Rows
    """Shape (rows,)."""
    seconds: NDArray[np.float64]
    """Time in each piece behind its token, shape (rows,)."""


def generate(
    model: MuseNet,
    encoding: Encoding,
    prompts: NDArray[np.uint16],
    lengths: Sequence[int],
    sampling: SamplingConfig,
    seed: int,
    stop: int | None = None,
    candidates: Sequence[int] | None = None,
    direction: Direction | None = None,
    executor: Executor | None = None,
    frame: Frame | None = None,
) -> list[Tokens]:
    """Continue each prompt to a piece, up to its `end`, its planned length or `stop`; arguments as for `Growth`.

    `executor`: an executor of the model that is ready; None: a new one.
    """
    ready = new_executor(model) if executor is None else executor
    context = model.config.context
    growth = Growth(ready, context, encoding, prompts, lengths, sampling, seed, stop, candidates, direction, frame)
    return complete(growth)


def complete(growth: Growth) -> list[Tokens]:
    """Return the pieces of a growth when all have ended."""
    return at_a_stretch(grown(growth, lambda _: True))


def grown(growth: Growth, go_on: Callable[[Step], bool]) -> Turns[list[Tokens]]:
    """Return the pieces of a growth when they have ended, or when `go_on`, called with every step, returns False.

    Others have their turn before each token, and for as long as an executor that they share has not computed it.
    """
    prompts = growth.prompts
    given = prompts.shape[1]
    out = np.zeros((len(prompts), max(growth.longest, given)), np.uint16)
    out[:, :given] = prompts
    sizes = np.full(len(prompts), given)
    try:
        while True:
            yield None
            while not growth.is_ready:
                yield None
            step = growth.draw()
            out[step.pieces, step.position] = step.tokens
            sizes[step.pieces] = step.position + 1
            if not (go_on(step) and growth.feed()):
                return [row[:size].copy() for row, size in zip(out, sizes)]
    finally:
        growth.release()


def stream(growth: Growth) -> Iterator[Step]:
    """Yield the next token of every piece, step by step; nothing is computed before it is asked for."""
    while True:
        yield growth.draw()
        if not growth.feed():
            return


class Growth:
    """A batch of pieces that grow token by token: in turn, `draw` the tokens and `feed` them to the network."""

    def __init__(
        self,
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
    ) -> None:
        """Prefill the prompts.

        `prompts`: the tokens so far, without `end`, shape (pieces, n): headers, possibly with music, also more of it
        than the context holds. `lengths`: planned tokens of each piece, prompt included; a piece may end up to
        COUNTDOWN tokens earlier, and then has its `end`. `stop`: tokens after which generation stops, whatever the
        planned length. `candidates`: the number of each piece among those of the seed, 0, 1, … unless given.
        `direction`: of all pieces; if it has a length in time, `lengths` are first estimates of the number of tokens. A
        piece is a function of prompt, length, settings, seed and candidate: the same, whichever others are with it, and
        whether it is generated at a stretch or continued from what was generated before. (Other batches change rounding
        in the eager executor.) `frame`: what stays of a given piece; prompts are its prefix, and pieces stop when they
        are through its span.

        Raises VocabularyError for an unknown style of a blend and for controls that leave no note, and ValueError for
        a prompt without a header or that fills the length, or whose instrumentation has no instruments.
        """
        direction = direction or Direction()
        self.prompts = prompts
        self.longest = _longest(lengths, stop, direction)
        """Most tokens that any piece may have."""
        _check_prompts(prompts, min(self.longest, *lengths) if direction.seconds is None else self.longest)
        self._numbers = np.arange(len(prompts)) if candidates is None else np.array(candidates, np.int64)
        self._sampling, self._seed, self._end = sampling, seed, encoding.vocabulary.end
        self._context = context
        planned = np.array(lengths, np.int64)
        # What several pieces begin with is computed once.
        beginnings = np.concatenate([planned[:, None], prompts.astype(np.int64)], axis=1)
        distinct, row_of = np.unique(beginnings, axis=0, return_inverse=True)
        self._pieces = GrowingPieces(
            encoding,
            distinct[:, 1:].astype(np.uint16),
            distinct[:, 0].copy(),
            self.longest,
            sampling,
            direction,
            executor.listens,
            frame,
        )
        self._mixture = Mixture(encoding.vocabulary, direction, sampling.guidance)
        self._decoder = Decoder(executor, self._mixture.headers)
        self._prefill()
        self._pieces.keep(row_of.reshape(-1))
        self._decoder.keep(row_of.reshape(-1))
        if (controls := direction.controls).recall:
            bars, returns = controls.section_bars or SECTION_BARS, _returns(encoding, direction, prompts[:, 0])
            self._pieces.follow(plans_of(controls.form, bars, returns, seed, self._numbers))
        self._remaining = np.arange(len(prompts))
        self._latest: Rows = np.empty(0, np.int64)

    @property
    def is_ready(self) -> bool:
        """True if the next tokens can be drawn; an executor that others share may not have come to it."""
        return self._decoder.is_ready

    def draw(self) -> Step:
        """Draw the next token of every piece that has not ended."""
        pieces, remaining = self._pieces, self._remaining
        quantiles = uniforms(self._seed, self._numbers[remaining], pieces.filled)
        logits, allowed = pieces.adjust(self._decoder.logits(self._mixture.weights(pieces.seconds)))
        self._latest = sample(logits, allowed, self._sampling, quantiles)
        pieces.append(self._latest)
        return Step(pieces.filled - 1, remaining, self._latest, pieces.seconds)

    def feed(self) -> bool:
        """Give the network the tokens that were drawn; return False if every piece has ended."""
        pieces, decoder = self._pieces, self._decoder
        rows = np.flatnonzero(pieces.go_on(self._latest, self._end))
        if not len(rows):
            return False
        if len(rows) < len(self._remaining):
            self._remaining = self._remaining[rows]
            pieces.keep(rows)
            decoder.keep(rows)
        if decoder.cached + 1 == HEADER + pieces.filled - window_begin(pieces.filled, self._context):
            decoder.decode_step(pieces.latest())
        else:
            self._prefill()
        return True

    def release(self) -> None:
        """Give back the memory of the cache."""
        self._decoder.release()

    def _prefill(self) -> None:
        self._decoder.prefill(self._pieces.window(self._context), min(self._context, self.longest))


def _longest(lengths: Sequence[int], stop: int | None, direction: Direction) -> int:
    """Return the most tokens that any piece may have."""
    most = max(lengths) * (1 if direction.seconds is None else MARGIN)
    return min(most, stop or most)


def _returns(encoding: Encoding, direction: Direction, styles: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the mean share of sections that come back in pieces of these styles, shape (pieces,)."""
    vocabulary, known, other = encoding.vocabulary, direction.style_returns, direction.controls.returns
    shares = {vocabulary.style_id(style): known[style] for style in vocabulary.styles if style in known}
    return np.array([shares.get(style, RETURNS if other is None else other) for style in styles.tolist()])


def _check_prompts(prompts: NDArray[np.uint16], shortest: int) -> None:
    """Raise ValueError for prompts without a whole header or without room for a token."""
    size = prompts.shape[1]
    if not HEADER <= size < shortest:
        raise ValueError(
            f"a prompt has at least {HEADER} tokens and fewer than the piece's length ({shortest}); this one has {size}"
        )
