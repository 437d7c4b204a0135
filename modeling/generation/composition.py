"""Composition: candidates for a request, ranked by the inner critic or otherwise, pruned on the way if asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from infra.errors import RunError
from modeling.config import Rank
from modeling.generation.bundle import ModelBundle
from modeling.generation.executors import Executor
from modeling.generation.frame import Frame
from modeling.generation.generate import Growth, Step, grown
from modeling.generation.mixture import Mixture
from modeling.generation.prompt import prompt_tokens
from modeling.generation.pruning import prune_while_composing, pruned_tokens
from modeling.generation.ranking import check_rank, merits, resolve_rank
from modeling.generation.request import Request
from modeling.generation.seam import seam_losses
from modeling.generation.turns import Turns, at_a_stretch
from tokenization.vocabulary import Tokens, Vocabulary

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
    rank: Rank = "none"
    """By what it was ranked."""


@dataclass(frozen=True)
class Watch:
    """What is told of a composition while it is made, and what may end it."""

    on_progress: Progress | None = None
    on_begin: Callable[[Tokens], None] | None = None
    """Called with the tokens that all candidates begin with."""
    on_step: Callable[[list[int], Step], None] | None = None
    """Called with every step, and the numbers of the candidates whose tokens it has."""
    is_over: Callable[[], bool] = lambda: False
    """True once no more tokens are to be drawn: candidates are then ranked as far as they are."""
    is_in_haste: Callable[[], bool] = lambda: False
    """True if candidates are not to be ranked any more: they come by their numbers."""


def compose(bundle: ModelBundle, request: Request, on_progress: Progress | None = None) -> list[Candidate]:
    """Generate `best_of` candidates and return them, the best first; if they are pruned, those that are left.

    Raises NoCriticError where a critic should rank them and there is none, VocabularyError for an unknown style or
    instrument and for controls that leave no note, and UserError for a prompt that leaves no room.
    """
    return at_a_stretch(composing(bundle, request, bundle.executor(request.executor), Watch(on_progress)))


def composing(bundle: ModelBundle, request: Request, executor: Executor, watch: Watch) -> Turns[list[Candidate]]:
    """Compose in turn with others. The executor may be shared with them, and candidates are ranked aside.

    Returns what `compose` does, and fewer candidates, or shorter ones, if it is over before.
    """
    check_rank(bundle.critic is not None, request.rank, request.best_of)
    rank = resolve_rank(request.rank, None if bundle.critic is None else bundle.critic.auc)
    if rank == "none":  # which says of none that it is worse
        request = replace(request, prune=False)
    prompt = prompt_tokens(bundle.encoding, request)
    frame = None
    if request.infill is not None:
        frame = Frame(bundle.encoding, prompt, request.infill, request.sampling.longest_note)
        direction = replace(request.direction, seconds=None)
        request = replace(request, length=frame.capacity, stop=None, prune=False, direction=direction)
        prompt = frame.prefix
    if watch.on_begin is not None:
        watch.on_begin(prompt)
    drawn, numbers = yield from _generate_candidates(bundle, request, rank, prompt, executor, watch, frame)
    pieces = drawn if frame is None else [frame.whole(tokens) for tokens in drawn]
    if watch.is_in_haste():
        return [Candidate(piece, None, number) for piece, number in zip(pieces, numbers)]
    found: list[Candidate] = yield lambda: _rank(bundle, request, rank, prompt, pieces, numbers, frame)
    return found


def rows_at_most(vocabulary: Vocabulary, request: Request) -> int:
    """Return the rows of an executor that a request takes at most: its candidates, each under every header."""
    headers = Mixture(vocabulary, request.direction, request.sampling.guidance).headers
    return min(request.best_of, MAX_BATCH) * len(headers)


def _generate_candidates(
    bundle: ModelBundle,
    request: Request,
    rank: Rank,
    prompt: Tokens,
    executor: Executor,
    watch: Watch,
    frame: Frame | None,
) -> Turns[tuple[list[Tokens], list[int]]]:
    """Generate the pieces of a request; return them with their numbers."""
    numbers = list(range(request.first, request.first + request.best_of))
    given, longest = len(prompt), request.length if request.stop is None else min(request.length, request.stop)
    total = request.best_of * request.length
    if request.prune:
        total = pruned_tokens(request.best_of, given, longest)
    done = 0

    def generated(pieces: list[Tokens], own: list[int], stop: int | None) -> Turns[list[Tokens]]:
        nonlocal done
        found: list[Tokens] = []
        for first in range(0, len(pieces), MAX_BATCH):
            if watch.is_over():
                return found + pieces[first:]
            batch, numbers_of = pieces[first : first + MAX_BATCH], own[first : first + MAX_BATCH]
            begun = len(batch[0]) if request.prune else 0
            growth = Growth(
                executor,
                bundle.model.config.context,
                bundle.encoding,
                np.stack(batch),
                [request.length] * len(batch),
                request.sampling,
                request.seed,
                request.stop if stop is None else stop,
                numbers_of,
                request.direction,
                frame,
            )

            def tell(step: Step, before: int = done, batch: list[int] = numbers_of, begun: int = begun) -> bool:
                if watch.on_progress is not None:
                    watch.on_progress(min(before + (step.position + 1 - begun) * len(batch), total), total)
                if watch.on_step is not None:
                    watch.on_step([batch[row] for row in step.pieces.tolist()], step)
                return not watch.is_over()

            found += yield from grown(growth, tell)
            done += ((longest if stop is None else stop) - begun) * len(batch)
        return found

    if request.prune:

        def ranked(pieces: list[Tokens]) -> list[float]:
            lengths = [request.length] * len(pieces)
            return [each.key(rank) for each in merits(bundle, pieces, lengths, given, rank)]

        end = bundle.vocabulary.end
        made, numbers = yield from prune_while_composing(
            prompt, numbers, longest, generated, ranked, lambda piece: int(piece[-1]) == end, watch.is_over
        )
    else:
        made = yield from generated([prompt for _ in numbers], numbers, None)
    begun = [index for index, piece in enumerate(made) if len(piece) > given]
    if not begun:
        raise RunError("the time was over before a token was composed")
    return [made[index] for index in begun], [numbers[index] for index in begun]


def _rank(
    bundle: ModelBundle,
    request: Request,
    rank: Rank,
    prompt: Tokens,
    pieces: list[Tokens],
    numbers: Sequence[int],
    frame: Frame | None = None,
) -> list[Candidate]:
    """Sort candidates by merit, the highest first; infilled ones by the loss behind the seam, if any."""
    is_whole = request.direction.seconds is not None or frame is not None
    lengths = [len(piece) if is_whole else request.length for piece in pieces]
    found = merits(bundle, pieces, lengths, len(prompt), rank)
    seams: list[float | None] = [None] * len(pieces)
    if frame is not None and frame.events_behind:
        seams = [*seam_losses(bundle.model, bundle.encoding, pieces, frame.events_behind)]
    order = sorted(range(len(pieces)), key=lambda at: (seams[at] or 0.0, -found[at].key(rank), numbers[at]))
    return [
        Candidate(pieces[at], found[at].score, numbers[at], seams[at], found[at].likelihood, found[at].curve, rank)
        for at in order
    ]
