"""A vocabulary: what every token id means.

A vocabulary is data (`vocabularies/*.toml`, plus what a dataset adds: styles and learned units), not code. Ids
follow from the data alone, in this order: rows of 128 pitches, waits, `start`, `end`, `end_sample`,
instrumentations, slots for styles, tempo buckets, specials, units. A new style takes a free slot, so no id ever
changes its meaning. `musenet` gives the ids of OpenAI's service (2019) up to the styles.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import nearest
from tokenization.vocabulary.file import VocabularyError, VocabularyFile, parse_vocabulary
from tokenization.vocabulary.instruments import Instrument, program_table, velocity_table
from tokenization.vocabulary.learned_tokens import Expansion, LearnedKind, LearnedTokens

PITCHES = 128
NO_ROW = -1
MARKS = ("start", "end", "end_sample")
SPECIALS = ("pad", "no_style", "no_instrumentation")
"""Our own ids, after everything of MuseNet's: filler behind a piece's end, "style not given", and the same of the
instrumentation."""

LONGEST_NUMBER = 10
"""Digits of a written id that are worth converting."""

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

Tokens = NDArray[np.uint16]
TOKEN_VALUES = 2**16
ROWS = 2**8


def pitch_name(pitch: int) -> str:
    """Scientific pitch notation, 60 → `C4`."""
    return f"{PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def style_label(text: str) -> str:
    """A folder's or composer's name as a style: `Folk Rock` → `folk_rock`. Empty when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def builtin_vocabularies() -> list[str]:
    """Names of the vocabularies that come with the package."""
    folder = resources.files("tokenization.vocabulary") / "builtin"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


@dataclass(frozen=True)
class Vocabulary:
    """The ids' meaning. Two vocabularies are equal exactly when their digests are: ranges do not count."""

    file: VocabularyFile
    styles: tuple[str, ...] = ()
    """Labels in the order of their slots. New ones come last."""
    learned: LearnedTokens = field(default_factory=LearnedTokens)
    """What the ids of learned encodings stand for."""

    def __post_init__(self) -> None:
        """Raises VocabularyError when the styles do not fit their slots, the ids the 16 bits of a token or the rows
        their 8, or when two ids would have one name.
        """
        self._check_styles()
        for word in (*MARKS, *SPECIALS, *(f"tempo{tempo}" for tempo in self.tempos)):
            if set(word.split("_")) <= set(self.groups):
                raise VocabularyError(f"vocabulary {self.name!r} has the token {word!r}; name its groups otherwise")
        if self.size > TOKEN_VALUES:
            raise VocabularyError(
                f"vocabulary {self.name!r} has {self.size} ids, {2 ** len(self.groups) - 1} of them sets of its "
                f"{len(self.groups)} groups; tokens of 16 bits hold {TOKEN_VALUES}"
            )
        if len(self.row_velocity) > ROWS:
            raise VocabularyError(f"vocabulary {self.name!r} has {len(self.row_velocity)} rows; {ROWS} are possible")
        self._check_units()

    def _check_styles(self) -> None:
        for style in self.styles:
            if not style or style != style_label(style):
                raise VocabularyError(
                    f"vocabulary {self.name!r}: {style!r} is no style; small letters, digits and single underscores are"
                )
        if len(set(self.styles)) < len(self.styles):
            twice = next(style for style in self.styles if self.styles.count(style) > 1)
            raise VocabularyError(f"vocabulary {self.name!r} has the style {twice!r} twice")
        if len(self.styles) > self.style_slots:
            raise VocabularyError(
                f"vocabulary {self.name!r} has {self.style_slots} slots for styles, not {len(self.styles)}; "
                "use fewer styles, or a vocabulary with more style_slots"
            )

    def _check_units(self) -> None:
        is_chord = self.learned.kind is LearnedKind.CHORD
        for index, item in enumerate(self.learned.items):
            bound = self.note_end if is_chord else self.learned_base + index
            if not all(0 <= token < bound for token in item):
                raise VocabularyError(
                    f"vocabulary {self.name!r}: unit {index} is of ids that it cannot have: {list(item)}"
                )
        spelled = self.learned.expanded(self.learned_base)
        if len(set(spelled)) < len(spelled):
            raise VocabularyError(f"vocabulary {self.name!r} has two units for the same tokens")

    @classmethod
    def load(cls, source: str | Path, styles: Iterable[str] = ()) -> Vocabulary:
        """A vocabulary by its built-in name (`musenet`), from a TOML file, or from the `vocabulary.json` of a
        dataset version, with further styles.

        Raises VocabularyError for a name that does not exist or a file that is no vocabulary, OSError for a file
        that cannot be read.
        """
        path: Path | Traversable = Path(source).expanduser()
        if isinstance(source, str) and source in builtin_vocabularies():
            path = resources.files("tokenization.vocabulary") / "builtin" / f"{source}.toml"
        elif not str(source).endswith((".toml", ".json")):
            known = ", ".join(builtin_vocabularies())
            raise VocabularyError(f"no vocabulary {str(source)!r}; there are: {known}, or name a .toml or .json file")
        try:
            text = path.read_text(encoding="utf-8")
            if path.name.endswith(".json"):
                return cls.from_json(text, str(source)).with_styles(styles)
            content = tomllib.loads(text)
        except UnicodeDecodeError as error:
            raise VocabularyError(f"{source} is no text: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise VocabularyError(f"{source} is no TOML: {error}") from error
        return cls(parse_vocabulary(content, str(source))).with_styles(styles)

    @classmethod
    def from_dict(cls, data: dict[str, Any], source: str = "vocabulary") -> Vocabulary:
        """What `to_dict` gave. Raises VocabularyError, naming the `source`, for anything else."""
        if not isinstance(data, dict):
            raise VocabularyError(f"{source} is no vocabulary")
        file = {key: value for key, value in data.items() if key not in ("styles", "units")}
        styles = data.get("styles", ())
        if not isinstance(styles, list | tuple) or not all(isinstance(style, str) for style in styles):
            raise VocabularyError(f"{source}: styles is not a list of names")
        return cls(parse_vocabulary(file, source), tuple(styles), LearnedTokens.from_dict(data.get("units"), source))

    def to_dict(self) -> dict[str, Any]:
        learned = {} if self.learned == LearnedTokens() else {"units": self.learned.to_dict()}
        return {**self.file.model_dump(mode="json", exclude_none=True), "styles": list(self.styles), **learned}

    def to_json(self) -> str:
        """Canonical JSON: equal vocabularies give equal text, but for the ranges of instruments."""
        return _canonical_json(self.to_dict())

    @classmethod
    def from_json(cls, text: str, source: str = "vocabulary") -> Vocabulary:
        """What `to_json` gave. Raises VocabularyError for anything else."""
        try:
            return cls.from_dict(json.loads(text), source)
        except json.JSONDecodeError as error:
            raise VocabularyError(f"{source} is no JSON: {error}") from error

    def with_styles(self, styles: Iterable[str]) -> Vocabulary:
        """This vocabulary with further styles in the next free slots, sorted; those it has keep theirs."""
        new = sorted(set(styles) - set(self.styles))
        return replace(self, styles=(*self.styles, *new)) if new else self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all that gives ids their meaning, in hexadecimal."""
        return _digest(_without_ranges(self.to_dict()))

    @cached_property
    def fixed_digest(self) -> str:
        """The digest without the styles: where it is equal, only the slots of styles can differ."""
        return _digest({**_without_ranges(self.to_dict()), "styles": []})

    # What the file says.

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def ticks_per_second(self) -> int:
        return self.file.ticks_per_second

    @property
    def ticks_per_beat(self) -> int:
        return self.file.ticks_per_beat

    @property
    def max_wait(self) -> int:
        return self.file.max_wait

    @property
    def style_slots(self) -> int:
        return self.file.style_slots

    @property
    def tempos(self) -> tuple[int, ...]:
        return self.file.tempos

    @property
    def groups(self) -> tuple[str, ...]:
        return self.file.groups

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return self.file.instruments

    # The blocks of ids, in order.

    @cached_property
    def first_rows(self) -> tuple[int, ...]:
        """The first row of each instrument."""
        firsts, row = [], 0
        for instrument in self.instruments:
            firsts.append(row)
            row += len(instrument.rows)
        return tuple(firsts)

    @cached_property
    def row_instrument(self) -> NDArray[np.uint8]:
        """Instrument index of each row, shape (rows,)."""
        return np.repeat(np.arange(len(self.instruments)), [len(i.rows) for i in self.instruments]).astype(np.uint8)

    @cached_property
    def row_velocity(self) -> NDArray[np.uint8]:
        """Velocity of each row, 0 for note-offs, shape (rows,)."""
        return np.array([velocity for i in self.instruments for velocity in i.rows], np.uint8)

    @cached_property
    def row_is_drum(self) -> NDArray[np.bool_]:
        """Whether each row is of drums, shape (rows,)."""
        drums: NDArray[np.bool_] = self.row_instrument == self.drum_instrument
        return drums

    @cached_property
    def off_row(self) -> NDArray[np.int16]:
        """The note-off row of each instrument, NO_ROW where it has none, shape (instruments,)."""
        return np.array(
            [first + i.rows.index(0) if 0 in i.rows else NO_ROW for first, i in zip(self.first_rows, self.instruments)],
            np.int16,
        )

    @cached_property
    def on_row(self) -> NDArray[np.uint8]:
        """The row of a note-on by instrument and MIDI velocity, shape (instruments, 128)."""
        return velocity_table(self.instruments, self.first_rows)

    @cached_property
    def program_instrument(self) -> NDArray[np.uint8]:
        """Instrument index of each pitched General MIDI program, shape (128,)."""
        return program_table(self.instruments)

    @cached_property
    def output_names(self) -> dict[int, str]:
        """The instrument that each program stands for in a MIDI file that is written, by name."""
        return {i.output_program: i.name for i in reversed(self.instruments) if not i.drum}

    @cached_property
    def drum_instrument(self) -> int:
        return next(i for i, instrument in enumerate(self.instruments) if instrument.drum)

    @cached_property
    def group_bits(self) -> NDArray[np.int64]:
        """The bit of each instrument's group in an instrumentation, shape (instruments,)."""
        return np.array([1 << self.groups.index(instrument.group) for instrument in self.instruments], np.int64)

    @cached_property
    def note_end(self) -> int:
        """One past the last note id."""
        return len(self.row_velocity) * PITCHES

    @cached_property
    def wait_base(self) -> int:
        """A wait of k ticks (1 … max_wait) has the id `wait_base + k`."""
        return self.note_end - 1

    @cached_property
    def start(self) -> int:
        return self.note_end + self.max_wait

    @property
    def end(self) -> int:
        return self.start + 1

    @property
    def end_sample(self) -> int:
        return self.start + 2

    @property
    def instrumentation_base(self) -> int:
        """A set of groups with the bit mask m (≥ 1) has the id `instrumentation_base + m`."""
        return self.start + 2

    @cached_property
    def style_base(self) -> int:
        return self.instrumentation_base + (1 << len(self.groups))

    @cached_property
    def tempo_base(self) -> int:
        return self.style_base + self.style_slots

    @cached_property
    def special_base(self) -> int:
        return self.tempo_base + len(self.tempos)

    @property
    def learned_base(self) -> int:
        """The id of the first learned unit, and the number of ids that are not learned."""
        return self.special_base + len(SPECIALS)

    @cached_property
    def size(self) -> int:
        """Number of ids."""
        return self.learned_base + len(self.learned)

    @property
    def pad(self) -> int:
        return self.special_base + SPECIALS.index("pad")

    @property
    def no_style(self) -> int:
        return self.special_base + SPECIALS.index("no_style")

    @property
    def no_instrumentation(self) -> int:
        return self.special_base + SPECIALS.index("no_instrumentation")

    @cached_property
    def expansion(self) -> Expansion:
        """What each id stands for in ids that are not learned."""
        return Expansion.of(self.learned, self.learned_base)

    # Single ids.

    def style_id(self, style: str | None) -> int:
        """The id of a style; None means "not given". Raises VocabularyError listing the styles."""
        if style is None:
            return self.no_style
        if style not in self.styles:
            raise VocabularyError(f"no style {style!r}; this vocabulary has: {', '.join(self.styles) or '(none)'}")
        return self.style_base + self.styles.index(style)

    def tempo_id(self, tempo: float) -> int:
        """The id of the nearest tempo bucket (beats per minute)."""
        return self.tempo_base + int(np.abs(self.tempo_values - tempo).argmin())

    @cached_property
    def tempo_values(self) -> NDArray[np.float64]:
        """Beats per minute of the tempo buckets, shape (buckets,)."""
        return np.array(self.tempos, np.float64)

    def tempo_of(self, token: int) -> int | None:
        """Beats per minute of a tempo token, None for any other."""
        index = token - self.tempo_base
        return self.tempos[index] if 0 <= index < len(self.tempos) else None

    def instrumentation_id(self, mask: int) -> int:
        """The id of a set of groups given as bits."""
        if not 1 <= mask < 2 ** len(self.groups):
            raise VocabularyError(f"an instrumentation has 1 to {len(self.groups)} groups; the mask {mask} has not")
        return self.instrumentation_base + mask

    def group_mask(self, names: Iterable[str]) -> int:
        """The bits of named groups or instruments (`strings` or `violin`). Raises VocabularyError."""
        mask = 0
        by_instrument = {instrument.name: instrument.group for instrument in self.instruments}
        for name in names:
            group = name if name in self.groups else by_instrument.get(name)
            if group is None:
                known = ", ".join(dict.fromkeys([*reversed(self.groups), *by_instrument]))
                raise VocabularyError(f"no instrument {name!r}; there are: {known}")
            mask |= 1 << self.groups.index(group)
        return mask

    def mask_of_instruments(self, indices: Iterable[int]) -> int:
        """The bits of the groups of instruments given by index."""
        return self.group_mask(self.instruments[int(i)].name for i in indices)

    def groups_of_mask(self, mask: int) -> list[str]:
        """Names of the groups in a mask, highest bit first as MuseNet names them (`piano_strings`)."""
        return [group for bit, group in reversed(list(enumerate(self.groups))) if mask >> bit & 1]

    # The text form.

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The text of every id: `piano:v72:G4`, `wait:12`, `start`, `piano_strings`, `bach`, `tempo90`.

        A style that is named like another token or a number is written `style:piano`, a free slot `style#17`, a
        unit by what it stands for: `piano:v72:C4+wait:12`, `chord(piano:v72:C4+piano:v0:E4)`.
        """
        notes = [
            f"{self.instruments[instrument].name}:v{velocity}:{pitch_name(pitch)}"
            for instrument, velocity in zip(self.row_instrument, self.row_velocity)
            for pitch in range(PITCHES)
        ]
        waits = [f"wait:{ticks}" for ticks in range(1, self.max_wait + 1)]
        sets = ["_".join(self.groups_of_mask(mask)) for mask in range(1, 2 ** len(self.groups))]
        tempos = [f"tempo{tempo}" for tempo in self.tempos]
        own = {*notes, *waits, *MARKS, *sets, *tempos, *SPECIALS}
        styles = [f"style:{style}" if style in own or style.isdecimal() else style for style in self.styles]
        free = [f"style#{slot}" for slot in range(len(styles), self.style_slots)]
        single = (*notes, *waits, *MARKS, *sets, *styles, *free, *tempos, *SPECIALS)
        return (*single, *self.learned.names(single))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: token for token, name in enumerate(self.names)}

    def to_text(self, tokens: ArrayLike) -> str:
        """Tokens as MuseNet printed them, separated by spaces. Raises VocabularyError for an unknown id."""
        ids = np.asarray(tokens, np.int64)
        unknown = np.flatnonzero((ids < 0) | (ids >= self.size))
        if len(unknown):
            position = int(unknown[0])
            raise VocabularyError(f"token {position}: id {ids[position]} is outside 0–{self.size - 1}")
        return " ".join([self.names[token] for token in ids.tolist()])

    def from_text(self, text: str) -> Tokens:
        """The ids of a text form; plain numbers are taken as ids. Raises VocabularyError at the bad token."""
        words = text.split()
        ids = [self._ids.get(word, -1) for word in words]
        for position, (word, token) in enumerate(zip(words, ids)):
            if token < 0:
                ids[position] = self._parse_number(position, word)
        return np.array(ids, np.uint16)

    def _parse_number(self, position: int, word: str) -> int:
        """A word that is no name, as a number. Raises VocabularyError if it is none, or no id."""
        if word.isdecimal() and len(word) < LONGEST_NUMBER and int(word) < self.size:
            return int(word)
        if word.isdecimal():
            raise VocabularyError(f"token {position}: id {word[:LONGEST_NUMBER]} is outside 0–{self.size - 1}")
        where, bad = f"token {position}", word
        if "+" in word or word.startswith("chord("):
            parts = word.removeprefix("chord(").removesuffix(")").split("+")
            part = next((index for index, part in enumerate(parts) if part not in self._ids), None)
            if part is None:
                known = f"none of the {len(self.learned)} units of" if self.learned else "a unit, none of which are in"
                raise VocabularyError(f"{where}: {word!r} is {known} this vocabulary")
            where, bad = f"{where}, part {part}", parts[part]
        raise VocabularyError(f"{where}: {bad!r} is not known{nearest(bad, self.names[: self.learned_base])}")


def _without_ranges(content: dict[str, Any]) -> dict[str, Any]:
    instruments = [{key: value for key, value in item.items() if key != "range"} for item in content["instruments"]]
    return {**content, "instruments": instruments}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical_json(content).encode()).hexdigest()


def _canonical_json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
