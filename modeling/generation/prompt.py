"""The prompt of a request: a header, and the latest music of a given piece that leaves room for a continuation."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from modeling.generation.request import Request
from tokenization.encodings import HEADER, Encoding, Time
from tokenization.encodings.grid import Grid, without_late_tempos
from tokenization.vocabulary import Tokens


@dataclass(frozen=True)
class Prompt:
    """The tokens that all candidates of a request begin with."""

    tokens: Tokens
    dropped: int
    """Tokens that were dropped from the beginning of the music because it was too long."""


def prompt_tokens(encoding: Encoding, request: Request, context: int) -> Prompt:
    """Build the header and prompt of a request, at most half the context and half the piece's length.

    Raises VocabularyError for an unknown style or instrument.
    """
    vocabulary = encoding.vocabulary
    mask = vocabulary.group_mask(request.instruments)
    if request.prompt is None:
        header = [
            vocabulary.style_id(request.style),
            vocabulary.instrumentation_id(mask or vocabulary.group_mask(["piano"])),
            vocabulary.start,
            vocabulary.tempo_id(request.tempo),
        ]
        return Prompt(np.array(header, np.uint16), 0)
    grid = encoding.grid(request.prompt)
    whole = encoding.merge(encoding.write(grid, request.style))[:-1]
    limit = min(context, request.length) // 2
    kept = whole if len(whole) <= limit else _latest_music(encoding, grid, request.style, limit)
    # Of music that ends in many notes at once, or in releases and rests, only the header may be left.
    kept = whole[:HEADER].copy() if kept is None else kept
    kept[1] = vocabulary.instrumentation_id(mask) if mask else whole[1]
    return Prompt(kept, max(len(whole) - len(kept), 0))


def _latest_music(encoding: Encoding, grid: Grid, style: str | None, limit: int) -> Tokens | None:
    """Encode the latest notes of a piece that fit into `limit` tokens. None: not even the last ones do.

    Notes are dropped, not tokens, so that no note hangs or ends without a start, and chords and merges are those of
    the notes that are kept.
    """

    def tokens_from(tick: int) -> Tokens:
        return encoding.merge(encoding.write(_starting_at(encoding, grid, tick), style))[:-1]

    ticks = np.unique(grid.start)
    first = bisect_left(ticks, True, key=lambda tick: len(tokens_from(int(tick))) <= limit)
    return tokens_from(int(ticks[first])) if first < len(ticks) else None


def _starting_at(encoding: Encoding, grid: Grid, tick: int) -> Grid:
    """Return the notes of a grid that start at a tick or later as a piece of their own, under their tempos."""
    # Every piece begins with its first note or, in beats, with the beat of that note.
    begin = tick - tick % encoding.vocabulary.ticks_per_beat if encoding.time is Time.BEATS else tick
    kept = grid.start >= tick
    before = int(np.searchsorted(grid.tempo_ticks, begin, side="right")) - 1
    later = Grid(
        grid.start[kept] - begin,
        grid.end[kept] - begin,
        grid.row[kept],
        grid.pitch[kept],
        np.maximum(grid.tempo_ticks[before:] - begin, 0),
        grid.tempo[before:],
        grid.source[kept],
    )
    return without_late_tempos(later, encoding.vocabulary, encoding.writes_ends)
