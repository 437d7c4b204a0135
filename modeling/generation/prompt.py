"""The prompt of a request: a header, and the music that a piece begins with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from modeling.controls import BEATS_PER_BAR
from modeling.generation.request import Request
from tokenization.encodings import HEADER, Encoding
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Tokens, Vocabulary

LEAST_ROOM = 4
"""Tokens that a continuation has at least: a note, a wait, the note's end, `end`."""


def prompt_tokens(encoding: Encoding, request: Request) -> Tokens:
    """Return the header and the whole prompt of a request, without `end`, shape (n,).

    Raises VocabularyError for an unknown style or instrument, and UserError for a prompt that leaves no room behind it,
    unless it is a piece to be infilled.
    """
    vocabulary = encoding.vocabulary
    mask = vocabulary.group_mask(request.instruments)
    style = request.style
    if style is None and request.direction.blend is not None:
        style = request.direction.blend.styles[0]
    if request.prompt is None:
        header = [
            vocabulary.style_id(style),
            vocabulary.instrumentation_id(mask or vocabulary.group_mask(["piano"])),
            vocabulary.start,
            vocabulary.tempo_id(request.tempo),
        ]
        return np.array(header, np.uint16)
    tokens = request.prompt.copy()
    if style is not None:
        tokens[0] = vocabulary.style_id(style)
    if mask and request.infill is None:
        tokens[1] = vocabulary.instrumentation_id(mask)
    if request.infill is None:
        _check_room(encoding, request, tokens)
    return tokens


def _check_room(encoding: Encoding, request: Request, tokens: Tokens) -> None:
    """Raise UserError for a prompt that a piece of the length asked for has no room behind."""
    seconds = request.direction.seconds
    if seconds is not None:
        lasts = encoding.decode(tokens).seconds
        if lasts >= seconds:
            raise UserError(
                f"the prompt lasts {lasts:.1f} s and the piece should last {seconds:g} s; ask for a longer piece or "
                "for a shorter part of the prompt"
            )
    elif len(tokens) + LEAST_ROOM > request.length:
        raise UserError(
            f"the prompt has {len(tokens) - HEADER} tokens and the piece should have {request.length}; ask for a "
            "longer piece or for a shorter part of the prompt"
        )


def tokens_before(encoding: Encoding, tokens: Tokens, seconds: float) -> int:
    """Return the number of tokens, header included, behind which a piece has not come to a time in seconds."""
    ids = tokens.astype(np.int64)
    tempo = _tempos(encoding.vocabulary)[ids]
    latest = np.maximum.accumulate(np.where(tempo >= 0, np.arange(len(ids)), 0))
    times = np.cumsum(encoding.effects.ticks[ids] / encoding.speeds[np.maximum(tempo[latest], 0)])
    return max(HEADER, int(np.searchsorted(times, seconds)))


def _tempos(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return the bucket of the last tempo in each id, -1 where there is none, shape (ids,)."""
    expansion = vocabulary.expansion
    owner = np.repeat(np.arange(vocabulary.size), expansion.sizes)
    is_tempo = (expansion.tokens >= vocabulary.tempo_base) & (expansion.tokens < vocabulary.special_base)
    found = np.full(vocabulary.size, -1, np.int64)
    found[owner[is_tempo]] = expansion.tokens[is_tempo] - vocabulary.tempo_base
    return found


def beginning(notes: Notes, count: int | None = None, seconds: float | None = None, bars: float | None = None) -> Notes:
    """Return the first part of a piece: so many notes, or what starts in its first seconds or bars of four beats.

    Time is counted from the first note. A note that goes on behind the seconds or bars ends with them.
    """
    order = np.argsort(notes.onset, kind="stable")
    if count is not None:
        return notes.taken(order[:count])
    if bars is not None:
        seconds = seconds_of_beats(notes, bars * BEATS_PER_BAR)
    if seconds is None or not len(notes):
        return notes
    cut = _first_onset(notes) + seconds
    duration = np.minimum(notes.duration, np.maximum(cut - notes.onset, 0))
    return replace(notes, duration=duration).taken(order[notes.onset[order] < cut])


def _first_onset(notes: Notes) -> float:
    return float(notes.onset.min()) if len(notes) else 0.0


def seconds_of_beats(notes: Notes, beats: float) -> float:
    """Return the time that so many beats, or infinitely many, take from the first note on."""
    tempos: TempoMap = notes.tempos
    first = _first_onset(notes)
    times = np.maximum(np.append(tempos.seconds[1:], np.inf), first)
    begin = first
    for end, tempo in zip(times, tempos.tempo):
        if (end - begin) * tempo / 60 >= beats:
            return float(begin - first + beats * 60 / tempo)
        beats -= (end - begin) * tempo / 60
        begin = end
    raise AssertionError("the last tempo has no end")
