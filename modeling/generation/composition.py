"""Composition: a request in a musician's words → candidates, ranked by the inner critic."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modeling.criticism import CriticConfig, CriticHead, load_critic, score
from modeling.generation.generate import SamplingConfig, generate
from modeling.network.transformer import MuseNet
from modeling.network.weights import UNREADABLE, WeightsError, load_model
from tokenization.dataset import read_encoding
from tokenization.encodings import HEADER, Encoding, Time
from tokenization.encodings.grid import Grid, without_late_tempos
from tokenization.midi.notes import DEFAULT_TEMPO, Notes
from tokenization.vocabulary import Tokens, Vocabulary

LONGEST_BATCH = 32
"""Candidates generated at once."""


@dataclass(frozen=True)
class Composer:
    """A model with its critic and the meaning of its tokens."""

    model: MuseNet
    critic: CriticHead
    critic_config: CriticConfig
    encoding: Encoding

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Composer:
        """From a registered version's files. Raises WeightsError."""
        try:
            encoding = read_encoding(folder)
        except UNREADABLE as error:
            raise WeightsError(f"no vocabulary and encoding can be read from {folder}: {error}") from error
        critic, config = load_critic(folder, device)
        return cls(load_model(folder, device), critic, config, encoding)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.encoding.vocabulary


@dataclass(frozen=True)
class Request:
    """What to compose."""

    style: str | None
    instruments: tuple[str, ...]
    """Groups or instruments; none: those of the prompt, else piano."""
    length: int
    """Tokens in all, prompt included."""
    best_of: int
    """Candidates of which the critic chooses."""
    seed: int
    tempo: float = DEFAULT_TEMPO
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    prompt: Notes | None = None


@dataclass(frozen=True)
class Candidate:
    """One generation."""

    tokens: Tokens
    score: float
    """The critic's probability that it is real."""
    index: int
    """Its number among the candidates of its request."""


@dataclass(frozen=True)
class Opening:
    """The tokens that candidates begin with."""

    tokens: Tokens
    cut: int
    """Tokens of the prompt that were left out, from its beginning, because the context is too short."""


def opening(composer: Composer, request: Request) -> Opening:
    """Header and prompt of a request. Raises VocabularyError for an unknown style or instrument."""
    vocabulary = composer.vocabulary
    mask = vocabulary.group_mask(request.instruments)
    if request.prompt is None:
        header = [
            vocabulary.style_id(request.style),
            vocabulary.instrumentation_id(mask or vocabulary.group_mask(["piano"])),
            vocabulary.start,
            vocabulary.tempo_id(request.tempo),
        ]
        return Opening(np.array(header, np.uint16), 0)
    encoding = composer.encoding
    grid = encoding.grid(request.prompt)
    whole = encoding.merge(encoding.write(grid, request.style))[:-1]
    room = min(composer.model.config.context, request.length) // 2
    kept = whole if len(whole) <= room else _latest(encoding, grid, request.style, room)
    # Of a prompt that ends in many notes at once, or in releases and rests, only the header may be left.
    kept = whole[:HEADER].copy() if kept is None else kept
    kept[1] = vocabulary.instrumentation_id(mask) if mask else whole[1]
    return Opening(kept, max(len(whole) - len(kept), 0))


def _latest(encoding: Encoding, grid: Grid, style: str | None, room: int) -> Tokens | None:
    """The latest music of a piece that fits into so many tokens, if any does.

    Notes are cut, not tokens, so that none hangs or ends without a start, and chords and merges are those of what
    is kept.
    """

    def tokens(tick: int) -> Tokens:
        return encoding.merge(encoding.write(_behind(encoding, grid, tick), style))[:-1]

    ticks = np.unique(grid.start)
    first = bisect_left(ticks, True, key=lambda tick: len(tokens(int(tick))) <= room)
    return tokens(int(ticks[first])) if first < len(ticks) else None


def _behind(encoding: Encoding, grid: Grid, tick: int) -> Grid:
    """The notes of a grid that start at a tick or later, as a piece of their own, under their tempos."""
    # Like every piece it begins with its first note or, in beats, with the beat in which that lies.
    begin = tick - tick % encoding.vocabulary.ticks_per_beat if encoding.time is Time.BEATS else tick
    kept = grid.start >= tick
    before = int(np.searchsorted(grid.tempo_ticks, begin, side="right")) - 1
    later = Grid(
        grid.start[kept] - begin,
        grid.end[kept] - begin,
        grid.row[kept],
        grid.pitch[kept],
        np.maximum(grid.tempo_ticks[before:] - begin, 0),
        grid.tempo[before:],
        grid.source[kept],
    )
    return without_late_tempos(later, encoding.vocabulary, encoding.writes_ends)


def compose(
    composer: Composer, request: Request, on_progress: Callable[[int, int], None] | None = None
) -> list[Candidate]:
    """`best_of` candidates, the best first. `on_progress` gets (tokens, tokens in all) of the candidates."""
    begin = opening(composer, request).tokens
    pieces: list[Tokens] = []
    total = request.best_of * request.length
    while len(pieces) < request.best_of:
        count = min(LONGEST_BATCH, request.best_of - len(pieces))
        done = len(pieces) * request.length

        def progress(position: int, _: int, done: int = done, count: int = count) -> None:
            if on_progress is not None:
                on_progress(done + position * count, total)

        pieces += generate(
            composer.model,
            composer.encoding,
            np.tile(begin, (count, 1)),
            [request.length] * count,
            request.sampling,
            seed=request.seed * 1000 + len(pieces),
            on_progress=progress,
        )
    # Behind a long prompt the critic hears the continuation: before it all candidates are alike.
    start = max(len(begin) - HEADER - composer.critic_config.window // 4, 0)
    scores = score(
        composer.model,
        composer.critic,
        composer.encoding,
        pieces,
        [request.length] * len(pieces),
        composer.critic_config.window,
        start,
    )
    candidates = [Candidate(tokens, value, index) for index, (tokens, value) in enumerate(zip(pieces, scores))]
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.index))
