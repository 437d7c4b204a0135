"""A vocabulary: the meaning of every token id, as a small immutable value.

A vocabulary is data, not code: a file (`builtin/*.toml`), from which the id layout follows, plus what a dataset adds,
styles and learned tokens. `musenet` gives the ids of OpenAI's service (2019) up to the styles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import among
from tokenization.vocabulary.file import VocabularyError, parse_toml, parse_vocabulary
from tokenization.vocabulary.layout import MARKS, ROWS, SPECIALS, TOKEN_VALUES, IdLayout, Tokens
from tokenization.vocabulary.learned_tokens import Expansion, LearnedKind, LearnedTokens
from tokenization.vocabulary.sources import find_source, read_source
from tokenization.vocabulary.text import TextForm, is_style_label, token_names


@dataclass(frozen=True)
class Vocabulary(IdLayout):
    """An id layout with the styles in its slots and the learned tokens behind its last block.

    Two vocabularies are equal exactly when their digests are: ranges of instruments do not count.
    """

    styles: tuple[str, ...] = ()
    """Labels in the order of their slots. New ones come last."""
    learned: LearnedTokens = field(default_factory=LearnedTokens)
    """The chords, merges or lengths of an encoding that adds some."""

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
        self._check_learned()

    def _check_styles(self) -> None:
        for style in self.styles:
            if not is_style_label(style):
                raise VocabularyError(
                    f"vocabulary {self.name!r}: {style!r} is not a style; use small letters, digits and single "
                    "underscores"
                )
        if len(set(self.styles)) < len(self.styles):
            twice = next(style for style in self.styles if self.styles.count(style) > 1)
            raise VocabularyError(f"vocabulary {self.name!r} has the style {twice!r} twice")
        if len(self.styles) > self.style_slots:
            raise VocabularyError(
                f"vocabulary {self.name!r} has {self.style_slots} slots for styles, not {len(self.styles)}; "
                "use fewer styles, or a vocabulary with more style_slots"
            )

    def _check_learned(self) -> None:
        if self.learned.kind is LearnedKind.LENGTH:
            return
        is_chord = self.learned.kind is LearnedKind.CHORD
        for index, item in enumerate(self.learned.items):
            bound = self.note_end if is_chord else self.learned_base + index
            if not all(0 <= token < bound for token in item):
                raise VocabularyError(
                    f"vocabulary {self.name!r}: learned token {index} refers to ids that it cannot hold: {list(item)}"
                )
        expansions = self.learned.expand(self.learned_base)
        if len(set(expansions)) < len(expansions):
            raise VocabularyError(f"vocabulary {self.name!r} has two learned tokens with the same expansion")

    # Reading and writing.

    @classmethod
    def load(cls, source: str | Path, styles: Iterable[str] = ()) -> Vocabulary:
        """Read a vocabulary by its built-in name (`musenet`), from a TOML file, or from the `vocabulary.json` of a
        dataset version, and add further styles.

        Raises VocabularyError for a name that does not exist or a file that is not a vocabulary, OSError for a file
        that cannot be read.
        """
        path = find_source(source)
        text = read_source(path, str(source))
        if path.name.endswith(".json"):
            return cls.from_json(text, str(source)).with_styles(styles)
        return cls(parse_toml(text, str(source))).with_styles(styles)

    @classmethod
    def from_dict(cls, data: dict[str, Any], source: str = "vocabulary") -> Vocabulary:
        """Return the vocabulary of which `to_dict` gave `data`. Raises VocabularyError, naming the `source`."""
        if not isinstance(data, dict):
            raise VocabularyError(f"{source} is not a vocabulary: it holds no JSON object")
        file = {key: value for key, value in data.items() if key not in ("styles", "units")}
        styles = data.get("styles", ())
        if not isinstance(styles, list | tuple) or not all(isinstance(style, str) for style in styles):
            raise VocabularyError(f"{source}: styles must be a list of names")
        return cls(parse_vocabulary(file, source), tuple(styles), LearnedTokens.from_dict(data.get("units"), source))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `vocabulary.json`; learned tokens, if any, are under the key `units`."""
        learned = {} if self.learned == LearnedTokens() else {"units": self.learned.to_dict()}
        return {**self.file.model_dump(mode="json", exclude_none=True), "styles": list(self.styles), **learned}

    @classmethod
    def from_json(cls, text: str, source: str = "vocabulary") -> Vocabulary:
        """Return the vocabulary of which `to_json` gave `text`. Raises VocabularyError, naming the `source`."""
        try:
            return cls.from_dict(json.loads(text), source)
        except json.JSONDecodeError as error:
            raise VocabularyError(f"{source} is not valid JSON: {error}") from error

    def to_json(self) -> str:
        """Return canonical JSON: equal vocabularies give equal text, but for the ranges of instruments."""
        return _canonical_json(self.to_dict())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all that gives ids their meaning, in hexadecimal."""
        return _digest(_without_ranges(self.to_dict()))

    @cached_property
    def fixed_digest(self) -> str:
        """The digest without the styles: where it is equal, only the slots of styles can differ."""
        return _digest({**_without_ranges(self.to_dict()), "styles": []})

    # Styles.

    def with_styles(self, styles: Iterable[str]) -> Vocabulary:
        """Return this vocabulary with further styles in the next free slots, sorted; those it has keep theirs."""
        new = sorted(set(styles) - set(self.styles))
        return replace(self, styles=(*self.styles, *new)) if new else self

    def style_id(self, style: str | None) -> int:
        """Return the id of a style; None means "not given". Raises VocabularyError listing the styles."""
        if style is None:
            return self.no_style
        if style not in self.styles:
            raise VocabularyError(f"no style {style!r}; {among(style, self.styles)}")
        return self.style_base + self.styles.index(style)

    # Learned tokens.

    @cached_property
    def size(self) -> int:
        """Number of ids."""
        return self.learned_base + len(self.learned)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The ticks of the tokens of lengths, the last of all ids, ascending; shape (lengths,)."""
        items = self.learned.items if self.learned.kind is LearnedKind.LENGTH else ()
        return np.array([ticks for (ticks,) in items], np.int64)

    @cached_property
    def expansion(self) -> Expansion:
        """The ids that each id stands for: below `learned_base`, and lengths."""
        return Expansion.of(self.learned, self.learned_base)

    # The text form.

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The text of every id; `token_names` describes the forms."""
        return token_names(self, self.styles, self.learned)

    @cached_property
    def _text(self) -> TextForm:
        return TextForm(self.names, self.learned_base)

    def to_text(self, tokens: ArrayLike) -> str:
        """Return tokens as text, separated by spaces. Raises VocabularyError for an unknown id."""
        return self._text.write(tokens)

    def from_text(self, text: str) -> Tokens:
        """Return the ids of a text; plain numbers are read as ids. Raises VocabularyError at the first bad token."""
        return self._text.read(text)

    def parse_text(self, text: str) -> Tokens:
        """Return the ids of a text as a person writes it.

        Like `from_text`; but where the vocabulary has no styles, a first word that reads like one (`chopin`) is
        accepted in the first style slot. Raises VocabularyError at the first bad token.
        """
        first = text.split(maxsplit=1)[0] if text.split() else ""
        is_style = is_style_label(first) and not first.isdecimal() and first not in self.names
        if is_style and not self.styles and self.style_slots:
            return self.with_styles([first]).from_text(text)
        return self.from_text(text)


def _without_ranges(content: dict[str, Any]) -> dict[str, Any]:
    instruments = [{key: value for key, value in item.items() if key != "range"} for item in content["instruments"]]
    return {**content, "instruments": instruments}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical_json(content).encode()).hexdigest()


def _canonical_json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
