"""Listening: the candidates of a request while they are made, note by note.

music = listen(load("champion"), style="bach", seconds=30, best_of=1)
for heard in music:
    play(heard.notes)
music.pieces[0].save("piece.mid")

Nothing is computed before it is asked for: who takes the notes slowly keeps nobody waiting, and who leaves the loop can
go on in another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Unpack

import numpy as np

from registry.composer import Composer
from registry.piece import Piece
from registry.prompts import Prompt
from registry.requests import PieceRequest, RequestOptions
from tokenization.encodings.prefix import PrefixReader
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from modeling.generation import Step


class Heard(NamedTuple):
    """Notes of a candidate that are final."""

    candidate: int
    """Its number among those of the seed."""
    notes: Notes
    """Those that have become final since it was heard last; their onsets are times of the piece."""
    seconds: float
    """Time up to which it has come."""


class Music(Iterator[Heard]):
    """The candidates of a request, of which every note comes once; those of the prompt are known."""

    def __init__(self, composer: Composer, request: PieceRequest, prompt: Prompt | None) -> None:
        from modeling.generation import Watch

        self.pieces: list[Piece] = []
        """All candidates, the best first, once the last note has come."""
        self._encoding = composer.encoding
        self._given: Tokens = np.empty(0, np.uint16)
        self._readers: dict[int, PrefixReader] = {}
        self._heard: deque[Heard] = deque()
        self._is_over = False
        watch = Watch(on_begin=self._begin, on_step=self._take, is_over=lambda: self._is_over)
        self._work = composer.composing(request, prompt, watch)

    def __next__(self) -> Heard:
        answer = None
        while not self._heard:
            try:
                aside = self._work.send(answer)
            except StopIteration as done:
                self.pieces = self.pieces or done.value
                raise
            answer = None if aside is None else aside()
        return self._heard.popleft()

    def stop(self) -> None:
        """Draw no more tokens: what is there already comes, and `pieces` are those so far."""
        self._is_over = True

    def _begin(self, given: Tokens) -> None:
        self._given = given

    def _take(self, candidates: list[int], step: Step) -> None:
        for number, token, seconds in zip(candidates, step.tokens, step.seconds.tolist()):
            if number not in self._readers:
                self._readers[number] = PrefixReader(self._encoding, self._given)
            notes = self._readers[number].read(np.array([token], np.uint16))
            if len(notes):
                self._heard.append(Heard(number, notes, seconds))


def listen(composer: Composer, **options: Unpack[RequestOptions]) -> Music:
    """Compose a piece, to be heard while it is made; the options are the fields of a `PieceRequest`.

    Raises UserError for options that are unknown, out of range or not the model's.
    """
    request = PieceRequest.of(options)
    prompt = composer.find_prompt(request)
    composer.check(request, prompt)
    return Music(composer, request, prompt)
