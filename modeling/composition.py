"""Composition: a request in a musician's words → candidates, ranked by the inner critic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modeling.critic import CriticConfig, CriticHead, score
from modeling.generation import SamplingConfig, generate
from modeling.transformer import MuseNet
from modeling.weights import UNREADABLE, WeightsError, load_critic, load_model
from tokenization.encodings import Encoding, get_encoding
from tokenization.encodings.combined import HEADER
from tokenization.notes import DEFAULT_TEMPO, Notes
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
            vocabulary = Vocabulary.from_json((folder / "vocabulary.json").read_text(encoding="utf-8"))
            encoding = get_encoding((folder / "encoding.txt").read_text(encoding="utf-8").strip(), vocabulary)
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
    whole = composer.encoding.encode(request.prompt, request.style)[:-1]
    room = min(composer.model.config.context, request.length) // 2
    kept = whole
    if len(whole) > room:
        # Through notes and back, so that what sounds at the cut neither hangs nor ends without a start.
        latest = np.concatenate([whole[:HEADER], whole[len(whole) - (room - HEADER) :]])
        notes = composer.encoding.decode(latest)
        # Of a prompt that ends in many releases and rests only the header may be left.
        kept = composer.encoding.encode(notes, request.style)[:-1][:room] if len(notes) else whole[:HEADER].copy()
    kept[1] = vocabulary.instrumentation_id(mask) if mask else whole[1]
    return Opening(kept, max(len(whole) - len(kept), 0))


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
            composer.vocabulary,
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
        composer.vocabulary,
        pieces,
        [request.length] * len(pieces),
        composer.critic_config.window,
        start,
    )
    candidates = [Candidate(tokens, value, index) for index, (tokens, value) in enumerate(zip(pieces, scores))]
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.index))
