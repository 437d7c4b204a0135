"""Composition: candidates for a request, ranked by the inner critic or otherwise, pruned on the way if asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modeling.generation.bundle import ModelBundle
from modeling.generation.frame import Frame
from modeling.generation.generate import generate
from modeling.generation.prompt import prompt_tokens
from modeling.generation.pruning import prune_while_composing, pruned_tokens
from modeling.generation.ranking import check_rank, merits
from modeling.generation.request import Request
from modeling.generation.seam import seam_losses
from tokenization.vocabulary import Tokens

MAX_BATCH = 32
"""Most candidates that are generated at once."""
Progress = Callable[[int, int], None]
"""Called with the tokens done and the tokens in all."""


@dataclass(frozen=True)
class Candidate:
    """A generated piece with what it was ranked by."""

    tokens: Tokens
    score: float | None
    """The critic's probability that the piece is real; None without a critic."""
    index: int
    """Number of the candidate among those of its seed."""
    seam: float | None = None
    """Of an infilled piece: mean loss in nats of the first tokens behind the span; None where none are there."""
    likelihood: float | None = None
    """Mean log-likelihood in nats per token, where candidates are ranked by it."""
    curve: tuple[tuple[int, float], ...] = ()
    """Tokens up to the end of windows along the piece, and the critic's probability that each is real."""


def compose(bundle: ModelBundle, request: Request, on_progress: Progress | None = None) -> list[Candidate]:
    """Generate `best_of` candidates and return them, the best first; if they are pruned, those that are left.

    Raises NoCriticError where a critic should rank them and there is none, VocabularyError for an unknown style or
    instrument and for controls that leave no note, and UserError for a prompt that leaves no room.
    """
    check_rank(bundle.critic is not None, request.rank, request.best_of)
    prompt = prompt_tokens(bundle.encoding, request)
    if request.infill is None:
        drawn, numbers = _generate_candidates(bundle, request, prompt, on_progress)
        return _rank(bundle, request, prompt, drawn, numbers)
    frame = Frame(bundle.encoding, prompt, request.infill, request.sampling.longest_note)
    asked = replace(
        request, length=frame.capacity, stop=None, prune=False, direction=replace(request.direction, seconds=None)
    )
    drawn, numbers = _generate_candidates(bundle, asked, frame.prefix, on_progress, frame)
    return _rank(bundle, asked, frame.prefix, [frame.whole(tokens) for tokens in drawn], numbers, frame)


def _generate_candidates(
    bundle: ModelBundle, request: Request, prompt: Tokens, on_progress: Progress | None, frame: Frame | None = None
) -> tuple[list[Tokens], list[int]]:
    """Generate the pieces of a request; return them with their numbers."""
    numbers = list(range(request.first, request.first + request.best_of))
    given, longest = len(prompt), request.length if request.stop is None else min(request.length, request.stop)
    total = request.best_of * request.length
    if request.prune:
        total = pruned_tokens(request.best_of, given, longest)
    done = 0

    def generated(pieces: list[Tokens], own: list[int], stop: int | None) -> list[Tokens]:
        nonlocal done
        until = request.stop if stop is None else stop
        found: list[Tokens] = []
        for first in range(0, len(pieces), MAX_BATCH):
            batch, before = pieces[first : first + MAX_BATCH], done
            begun = len(batch[0]) if request.prune else 0

            def progress(
                position: int, _: int, before: int = before, count: int = len(batch), begun: int = begun
            ) -> None:
                if on_progress is not None:
                    on_progress(min(before + (position - begun) * count, total), total)

            found += generate(
                bundle.model,
                bundle.encoding,
                np.stack(batch),
                [request.length] * len(batch),
                request.sampling,
                seed=request.seed,
                stop=until,
                on_progress=progress,
                candidates=own[first : first + MAX_BATCH],
                direction=request.direction,
                executor=bundle.executor(request.executor),
                frame=frame,
            )
            done += ((longest if stop is None else stop) - begun) * len(batch)
        return found

    if not request.prune:
        return generated([prompt for _ in numbers], numbers, None), numbers

    def ranked(pieces: list[Tokens]) -> list[float]:
        lengths = [request.length] * len(pieces)
        return [each.key(request.rank) for each in merits(bundle, pieces, lengths, given, request.rank)]

    end = bundle.vocabulary.end
    return prune_while_composing(prompt, numbers, longest, generated, ranked, lambda piece: int(piece[-1]) == end)


def _rank(
    bundle: ModelBundle,
    request: Request,
    prompt: Tokens,
    pieces: list[Tokens],
    numbers: Sequence[int],
    frame: Frame | None = None,
) -> list[Candidate]:
    """Sort candidates by merit, the highest first; infilled ones by the loss behind the seam, if any."""
    is_whole = request.direction.seconds is not None or frame is not None
    lengths = [len(piece) if is_whole else request.length for piece in pieces]
    found = merits(bundle, pieces, lengths, len(prompt), request.rank)
    seams: list[float | None] = [None] * len(pieces)
    if frame is not None and frame.events_behind:
        seams = [*seam_losses(bundle.model, bundle.encoding, pieces, frame.events_behind)]
    order = sorted(range(len(pieces)), key=lambda at: (seams[at] or 0.0, -found[at].key(request.rank), numbers[at]))
    return [
        Candidate(pieces[at], found[at].score, numbers[at], seams[at], found[at].likelihood, found[at].curve)
        for at in order
    ]
