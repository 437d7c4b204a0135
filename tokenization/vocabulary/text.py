"""The text form of tokens, as MuseNet printed them: `bach piano start tempo90 piano:v72:G1 wait:12 end`.

Every id has one name. Plain numbers are read as ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from infra.errors import nearest
from tokenization.vocabulary.file import VocabularyError
from tokenization.vocabulary.layout import MARKS, PITCHES, SPECIALS, IdLayout, Tokens
from tokenization.vocabulary.learned_tokens import LearnedTokens

LONGEST_NUMBER = 10
"""Digits of a written id that are worth converting."""
PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_name(pitch: int) -> str:
    """Return a pitch in scientific notation, 60 → `C4`."""
    return f"{PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def style_label(text: str) -> str:
    """Return a folder's or composer's name as a style: `Folk Rock` → `folk_rock`. Empty when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def is_style_label(text: str) -> bool:
    """True if a word reads like a style."""
    return bool(text) and text == style_label(text)


def token_names(layout: IdLayout, styles: Sequence[str], learned: LearnedTokens) -> tuple[str, ...]:
    """Return the name of every id: `piano:v72:G4`, `wait:12`, `start`, `piano_strings`, `bach`, `tempo90`.

    A style that is named like another token or a number is written `style:piano`, a free slot `style#17`, a learned
    token by its expansion: `piano:v72:C4+wait:12`, `chord(piano:v72:C4+piano:v0:E4)`.
    """
    notes = [
        f"{layout.instruments[instrument].name}:v{velocity}:{pitch_name(pitch)}"
        for instrument, velocity in zip(layout.row_instrument, layout.row_velocity)
        for pitch in range(PITCHES)
    ]
    waits = [f"wait:{ticks}" for ticks in range(1, layout.max_wait + 1)]
    sets = ["_".join(layout.groups_of_mask(mask)) for mask in range(1, 2 ** len(layout.groups))]
    tempos = [f"tempo{tempo}" for tempo in layout.tempos]
    taken = {*notes, *waits, *MARKS, *sets, *tempos, *SPECIALS}
    labels = [f"style:{style}" if style in taken or style.isdecimal() else style for style in styles]
    free = [f"style#{slot}" for slot in range(len(labels), layout.style_slots)]
    single = (*notes, *waits, *MARKS, *sets, *labels, *free, *tempos, *SPECIALS)
    return (*single, *learned.names(single))


@dataclass(frozen=True)
class TextForm:
    """Conversion between ids and text, by the names of all ids."""

    names: tuple[str, ...]
    learned_base: int
    """The first learned id."""

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each name."""
        return {name: token for token, name in enumerate(self.names)}

    def write(self, tokens: ArrayLike) -> str:
        """Return the names of tokens, separated by spaces. Raises VocabularyError for an unknown id."""
        ids = np.asarray(tokens, np.int64)
        unknown = np.flatnonzero((ids < 0) | (ids >= len(self.names)))
        if len(unknown):
            position = int(unknown[0])
            raise VocabularyError(f"token {position}: id {ids[position]} is outside 0–{len(self.names) - 1}")
        return " ".join([self.names[token] for token in ids.tolist()])

    def read(self, text: str) -> Tokens:
        """Return the ids of names and numbers. Raises VocabularyError at the first bad token."""
        words = text.split()
        ids = [self.ids.get(word, -1) for word in words]
        for position, (word, token) in enumerate(zip(words, ids)):
            if token < 0:
                ids[position] = self._read_number(position, word)
        return np.array(ids, np.uint16)

    def _read_number(self, position: int, word: str) -> int:
        if word.isdecimal() and len(word) < LONGEST_NUMBER and int(word) < len(self.names):
            return int(word)
        if word.isdecimal():
            raise VocabularyError(f"token {position}: id {word[:LONGEST_NUMBER]} is outside 0–{len(self.names) - 1}")
        raise self._unknown(position, word)

    def _unknown(self, position: int, word: str) -> VocabularyError:
        """Return the error for a word that is no name: of a learned token, it points to the part that is wrong."""
        where, bad = f"token {position}", word
        if "+" in word or word.startswith("chord("):
            parts = word.removeprefix("chord(").removesuffix(")").split("+")
            part = next((index for index, part in enumerate(parts) if part not in self.ids), None)
            if part is None:
                count = len(self.names) - self.learned_base
                return VocabularyError(
                    f"{where}: {word!r} is not one of the {count} learned tokens of this vocabulary"
                    if count
                    else f"{where}: {word!r} is a learned token, and this vocabulary has none"
                )
            where, bad = f"{where}, part {part}", parts[part]
        return VocabularyError(f"{where}: {bad!r} is not known{nearest(bad, self.names[: self.learned_base])}")
