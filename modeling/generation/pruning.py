"""Pruning: candidates are ranked while they are composed, and the worse half goes each time.

A piece is the same whether it is generated at a stretch or continued (`modeling.generation.generate`), so that what is
left of many pruned candidates are some of the pieces that they would all have become.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from modeling.generation.turns import Turns
from tokenization.vocabulary import Tokens

PRUNED_AT = (64, 128, 192)
"""Tokens behind the prompt at which half of the candidates go."""
Generated = Callable[[list[Tokens], list[int], int | None], Turns[list[Tokens]]]
"""Continues pieces, given with their numbers, up to so many tokens; None: to their end."""


def prune_while_composing(
    prompt: Tokens,
    numbers: Sequence[int],
    longest: int,
    generated: Generated,
    ranked: Callable[[list[Tokens]], list[float]],
    has_ended: Callable[[Tokens], bool],
    is_over: Callable[[], bool] = lambda: False,
) -> Turns[tuple[list[Tokens], list[int]]]:
    """Return the pieces that are left, with their numbers.

    `longest`: tokens of a whole piece at most. `ranked`: the merit of each piece so far, the higher the better; of
    equal ones the first stay. `is_over`: True once no more are to be generated.
    """
    pieces, left = [prompt for _ in numbers], list(numbers)
    for behind in PRUNED_AT:
        stop = len(prompt) + behind
        if stop >= longest or len(left) == 1:
            break
        pieces = yield from _go_on(pieces, left, stop, generated, has_ended)
        if is_over():
            return pieces, left
        found = yield partial(ranked, pieces)
        best = sorted(range(len(left)), key=lambda index: (-found[index], index))[: -(-len(left) // 2)]
        pieces, left = [pieces[index] for index in sorted(best)], [left[index] for index in sorted(best)]
    pieces = yield from _go_on(pieces, left, None, generated, has_ended)
    return pieces, left


def pruned_tokens(candidates: int, given: int, longest: int) -> int:
    """Return the tokens that pruning generates at most, from so many candidates of `longest` tokens."""
    total, before = 0, 0
    for behind in PRUNED_AT:
        if given + behind >= longest or candidates == 1:
            break
        total += candidates * (behind - before)
        candidates, before = -(-candidates // 2), behind
    return total + candidates * (longest - given - before)


def _go_on(
    pieces: list[Tokens],
    numbers: list[int],
    stop: int | None,
    generated: Generated,
    has_ended: Callable[[Tokens], bool],
) -> Turns[list[Tokens]]:
    """Continue the pieces that have not ended."""
    going = [index for index, piece in enumerate(pieces) if not has_ended(piece)]
    if not going:
        return pieces
    longer = yield from generated([pieces[index] for index in going], [numbers[index] for index in going], stop)
    found = list(pieces)
    for index, piece in zip(going, longer):
        found[index] = piece
    return found
