"""The works of the classical starter collection, by their paths in music21's corpus.

Most last between half a minute and five minutes, and none takes more than a few seconds to convert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PIANO = (0,)
STRING_QUARTET = (40, 40, 41, 42)


@dataclass(frozen=True)
class Work:
    """One score of music21's corpus, by its path there."""

    path: str
    bpm: float = 120.0
    """Quarter notes per minute until the score names a tempo; a work without a number here names one at its start."""

    @property
    def midi_name(self) -> str:
        """File name of the conversion: `haydn/opus74no1/movement2.mxl` becomes `opus74no1-movement2.mid`."""
        inside = self.path.split("/", maxsplit=1)[-1]
        return inside.rsplit(".", maxsplit=1)[0].replace("/", "-") + ".mid"


@dataclass(frozen=True)
class Composer:
    """The works of one composer in the collection; they share their instruments."""

    style: str
    programs: tuple[int, ...]
    """General MIDI programs (from 0): one for each part from the top, or a single one for all."""
    works: tuple[Work, ...]


def _marked(folder: str, *movements: int) -> tuple[Work, ...]:
    """Return movements whose scores name their tempo."""
    return tuple(Work(f"{folder}/movement{number}.mxl") for number in movements)


def _unmarked(folder: str, bpms: Mapping[int, float]) -> tuple[Work, ...]:
    """Return movements whose scores name no tempo, with the tempos chosen here."""
    return tuple(Work(f"{folder}/movement{number}.mxl", bpm) for number, bpm in bpms.items())


# Four-part chorales of 30 to 90 seconds.
CHORALES = """
7.7 17.7 24.6 37.6 42.7 64.4 70.7 78.7 85.6 99.6 108.6 120.6 126.6 135.6 146.8 158.4 169.7 176.6 180.7 190.7
226.2 229.2 244.40 245.15 261 268 277 279 284 292 304 312 317 322 340 350 357 366 374 380 383 390 402 407 412
423 426 429
"""

COMPOSERS: tuple[Composer, ...] = (
    Composer("bach", PIANO, tuple(Work(f"bach/bwv{number}.mxl", bpm=80) for number in CHORALES.split())),
    Composer(
        "haydn",
        STRING_QUARTET,
        (
            *_marked("haydn/opus1no1", 1, 2, 3, 4, 5),
            *_unmarked("haydn/opus74no1", {1: 132, 2: 72, 3: 132, 4: 138}),
        ),
    ),
    Composer(
        "mozart",
        STRING_QUARTET,
        (
            *_unmarked("mozart/k80", {1: 60, 2: 126, 3: 120, 4: 138}),
            *_unmarked("mozart/k155", {1: 126, 2: 72, 3: 126}),
            *_marked("mozart/k156", 1, 2, 3),
            *_unmarked("mozart/k156", {4: 50}),
            *_marked("mozart/k458", 1),
            *_unmarked("mozart/k458", {2: 108, 3: 50, 4: 138}),
        ),
    ),
    Composer(
        "beethoven",
        STRING_QUARTET,
        (
            *_unmarked("beethoven/opus18no1", {1: 150, 2: 100, 3: 240, 4: 120}),
            *_marked("beethoven/opus59no1", 2, 4),
            *_marked("beethoven/opus59no2", 3),
            *_unmarked("beethoven/opus59no2", {4: 300}),
            *_marked("beethoven/opus59no3", 1, 3),
        ),
    ),
    Composer("schumann", STRING_QUARTET, _marked("schumann_robert/opus41no1", 2, 3, 4, 5)),
    Composer("joplin", PIANO, (Work("joplin/maple_leaf_rag.mxl"),)),
    Composer(
        "schumann",
        PIANO,
        tuple(Work(f"schumann_clara/polonaise_op1n{number}.mxl", bpm=96) for number in (1, 2, 3, 4)),
    ),
)
