"""A piece while it is made: the tokens of its candidates in their text form, some at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from registry.composer import Composer, Progress
from registry.piece import Piece
from registry.prompts import Prompt
from registry.requests import PieceRequest
from tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from modeling.generation import Step

TOGETHER = 16
"""Tokens of a candidate in one draft."""


class Draft(TypedDict):
    """Further tokens of a candidate."""

    candidate: int
    at: int
    """Index of the first of them in the piece."""
    tokens: str


def drafting(
    composer: Composer, request: PieceRequest, prompt: Prompt | None, on_progress: Progress
) -> Generator[Draft, None, Piece]:
    """Compose the piece of a request; yield its candidates as they grow, prompt or header first, and return the best.

    Composing goes on while the generator is asked, and ends when it is closed. Raises as `Composer.answer`.
    """
    from modeling.generation import Watch

    drafts = _Drafts(composer)
    watch = Watch(on_progress, drafts.begin, drafts.add)
    work, answer = composer.composing(request, prompt, watch), None
    while True:
        try:
            aside = work.send(answer)
        except StopIteration as done:
            yield from drafts.take(1)
            pieces: list[Piece] = done.value
            return pieces[0]
        yield from drafts.take(TOGETHER if aside is None else 1)
        answer = None if aside is None else aside()


class _Drafts:
    """The tokens that have been drawn and not yielded yet."""

    def __init__(self, composer: Composer) -> None:
        self._vocabulary = composer.encoding.vocabulary
        self._given: list[int] = []
        self._new: dict[int, tuple[int, list[int]]] = {}
        """By candidate: the index of the first one, and the tokens."""

    def begin(self, given: Tokens) -> None:
        """Take the tokens that all candidates begin with."""
        self._given = given.tolist()

    def add(self, numbers: list[int], step: Step) -> None:
        """Take a step of the candidates of these numbers."""
        for number, token in zip(numbers, step.tokens.tolist()):
            first = (0, [*self._given]) if step.position == len(self._given) else (step.position, [])
            self._new.setdefault(number, first)[1].append(token)

    def take(self, least: int) -> Iterator[Draft]:
        """Yield what candidates with so many new tokens have, prompt included, and forget it."""
        for number, (at, tokens) in sorted(self._new.items()):
            if len(tokens) >= least:
                del self._new[number]
                yield Draft(candidate=number, at=at, tokens=self._vocabulary.to_text(np.array(tokens, np.uint16)))
