"""Composition: candidates for a request, ranked by the inner critic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from modeling.criticism import score
from modeling.generation.bundle import ModelBundle
from modeling.generation.frame import Frame
from modeling.generation.generate import generate
from modeling.generation.prompt import prompt_tokens
from modeling.generation.request import Request
from modeling.generation.seam import seam_losses
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
    seam: float | None = None
    """Of an infilled piece: mean loss in nats of the first tokens behind the span; None where none are there."""


def compose(
    bundle: ModelBundle, request: Request, on_progress: Callable[[int, int], None] | None = None
) -> list[Candidate]:
    """Generate `best_of` candidates and return them, the best first.

    `on_progress` is called with the tokens done and the tokens in all. Raises VocabularyError for an unknown style or
    instrument and for controls that leave no note, and UserError for a prompt that leaves no room.
    """
    prompt = prompt_tokens(bundle.encoding, request)
    if request.infill is None:
        return _rank(bundle, request, prompt, _generate_candidates(bundle, request, prompt, on_progress))
    frame = Frame(bundle.encoding, prompt, request.infill, request.sampling.longest_note)
    asked = replace(request, length=frame.capacity, stop=None, direction=replace(request.direction, seconds=None))
    drawn = _generate_candidates(bundle, asked, frame.prefix, on_progress, frame)
    return _rank(bundle, asked, frame.prefix, [frame.whole(tokens) for tokens in drawn], frame)


def _generate_candidates(
    bundle: ModelBundle,
    request: Request,
    prompt: Tokens,
    on_progress: Callable[[int, int], None] | None,
    frame: Frame | None = None,
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
            frame=frame,
        )
    return pieces


def _rank(
    bundle: ModelBundle, request: Request, prompt: Tokens, pieces: list[Tokens], frame: Frame | None = None
) -> list[Candidate]:
    """Sort candidates by the critic's score, the highest first; infilled ones by the loss behind the seam, if any."""
    window = bundle.critic_config.window
    # After a long prompt the continuation is scored, with a quarter of a window before it: up to there all are equal.
    start = max(len(prompt) - HEADER - window // 4, 0)
    is_whole = request.direction.seconds is not None or frame is not None
    lengths = [len(piece) if is_whole else request.length for piece in pieces]
    scores = score(bundle.model, bundle.critic, bundle.encoding, pieces, lengths, window, start)
    seams: list[float | None] = [None] * len(pieces)
    if frame is not None and frame.events_behind:
        seams = [*seam_losses(bundle.model, bundle.encoding, pieces, frame.events_behind)]
    numbers = range(request.first, request.first + len(pieces))
    candidates = [Candidate(*each) for each in zip(pieces, scores, numbers, seams)]
    return sorted(candidates, key=lambda found: (found.seam or 0.0, -found.score, found.index))
