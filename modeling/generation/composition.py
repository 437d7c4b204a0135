"""Composition: candidates for a request, ranked by the inner critic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modeling.criticism import score
from modeling.generation.bundle import ModelBundle
from modeling.generation.generate import generate
from modeling.generation.prompt import prompt_tokens
from modeling.generation.request import Request
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens

MAX_BATCH = 32
"""Most candidates that are generated at once."""


@dataclass(frozen=True)
class Candidate:
    """A generated piece with its score."""

    tokens: Tokens
    score: float
    """The critic's probability that the piece is real."""
    index: int
    """Number of the candidate among those of its seed."""


def compose(
    bundle: ModelBundle, request: Request, on_progress: Callable[[int, int], None] | None = None
) -> list[Candidate]:
    """Generate `best_of` candidates and return them, the best first.

    `on_progress` is called with the tokens done and the tokens in all. Raises VocabularyError for an unknown style or
    instrument and for controls that leave no note, and UserError for a prompt that leaves no room.
    """
    prompt = prompt_tokens(bundle.encoding, request)
    return _rank(bundle, request, prompt, _generate_candidates(bundle, request, prompt, on_progress))


def _generate_candidates(
    bundle: ModelBundle, request: Request, prompt: Tokens, on_progress: Callable[[int, int], None] | None
) -> list[Tokens]:
    """Generate the pieces of a request, in batches of up to MAX_BATCH."""
    pieces: list[Tokens] = []
    total = request.best_of * request.length
    while len(pieces) < request.best_of:
        count = min(MAX_BATCH, request.best_of - len(pieces))
        done = len(pieces) * request.length

        def progress(position: int, _: int, done: int = done, count: int = count) -> None:
            if on_progress is not None:
                on_progress(done + position * count, total)

        pieces += generate(
            bundle.model,
            bundle.encoding,
            np.tile(prompt, (count, 1)),
            [request.length] * count,
            request.sampling,
            seed=request.seed,
            stop=request.stop,
            on_progress=progress,
            candidates=range(request.first + len(pieces), request.first + len(pieces) + count),
            direction=request.direction,
            executor=bundle.executor(request.executor),
        )
    return pieces


def _rank(bundle: ModelBundle, request: Request, prompt: Tokens, pieces: list[Tokens]) -> list[Candidate]:
    """Sort candidates by the critic's score, the highest first."""
    window = bundle.critic_config.window
    # After a long prompt the continuation is scored, with a quarter of a window before it: up to there all are equal.
    start = max(len(prompt) - HEADER - window // 4, 0)
    lengths = [len(piece) if request.direction.seconds else request.length for piece in pieces]
    scores = score(bundle.model, bundle.critic, bundle.encoding, pieces, lengths, window, start)
    candidates = [
        Candidate(tokens, value, index) for index, (tokens, value) in enumerate(zip(pieces, scores), request.first)
    ]
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.index))
