"""Listening: a piece note by note while it is made, stopped and taken up again anywhere."""

from __future__ import annotations

from collections import Counter

import pytest

from infra.errors import UserError
from modeling.generation.executors.compiled import CompiledState
from registry.composer import Composer
from registry.listening import Heard, listen
from registry.requests import RequestOptions
from tokenization.midi.notes import Notes

ASKED: RequestOptions = {"style": "bach", "length": 150, "best_of": 2, "rank": "none", "seed": 3}


def rows(notes: Notes) -> Counter[tuple[float, ...]]:
    return Counter(zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), notes.velocity.tolist()))


def heard_of(heard: list[Heard], candidate: int) -> Counter[tuple[float, ...]]:
    return sum((rows(each.notes) for each in heard if each.candidate == candidate), Counter())


def test_every_note_comes_once_and_as_it_is_in_the_piece(composer: Composer) -> None:
    music = listen(composer, **ASKED)
    heard = list(music)
    assert [piece.candidate for piece in music.pieces] == [0, 1]
    for piece in music.pieces:
        found, whole = heard_of(heard, piece.candidate), rows(piece.notes)
        assert not found - whole
        assert all(onset + lasts >= piece.seconds - 1e-6 for onset, lasts, *_ in whole - found), "the last to sound"


def test_it_is_the_piece_that_is_composed_at_a_stretch(composer: Composer) -> None:
    music = listen(composer, **ASKED)
    for _ in music:
        pass
    assert music.pieces[0].tokens.tolist() == composer.compose(**ASKED).tokens.tolist()


def test_times_go_on(composer: Composer) -> None:
    heard = [each for each in listen(composer, **ASKED) if each.candidate == 0]
    assert [each.seconds for each in heard] == sorted(each.seconds for each in heard)
    assert all((each.notes.onset + each.notes.duration < each.seconds).all() for each in heard)


def test_nothing_is_computed_before_it_is_asked_for(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    decode_step = CompiledState.decode_step
    monkeypatch.setattr(CompiledState, "decode_step", lambda self, latest: (steps.append(1), decode_step(self, latest)))
    music = listen(composer, **ASKED)
    assert not steps
    next(music)
    before = len(steps)
    assert before < 100
    next(music)
    assert len(steps) >= before
    assert len(steps) < 140


def test_one_that_is_stopped_is_a_piece_as_far_as_it_came(composer: Composer) -> None:
    music = listen(composer, **ASKED)
    first = next(music)
    music.stop()
    rest = list(music)
    whole = composer.compose(**ASKED)
    (piece,) = (each for each in music.pieces if each.candidate == whole.candidate)
    assert len(piece.tokens) < len(whole.tokens)
    assert piece.tokens.tolist() == whole.tokens[: len(piece.tokens)].tolist()
    assert sum(len(each.notes) for each in [first, *rest]) <= sum(len(each.notes) for each in music.pieces)


def test_what_cannot_be_composed_is_refused_at_once(composer: Composer) -> None:
    with pytest.raises(UserError, match="no style 'bahc'"):
        listen(composer, style="bahc")
    with pytest.raises(UserError, match="temperature"):
        listen(composer, temperature=-1)
