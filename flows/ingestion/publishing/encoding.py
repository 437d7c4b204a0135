"""The encoding of a version to come: its vocabulary, with the dataset's styles and with learned tokens.

Ids are stable. A version inherits the styles and learned tokens of its parent, if that was made with the same
vocabulary file and encoding; new styles are appended. So a shard's tokens keep their meaning in all later versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flows.ingestion.parsing.store import RowRef, Store
from flows.ingestion.sources import Progress
from infra.errors import UserError
from infra.object_store import Folder
from tokenization.dataset.manifest import ACCEPTED
from tokenization.dataset.splits import TRAIN
from tokenization.dataset.version import DatasetVersion
from tokenization.encodings import ENCODINGS, Encoding, Time, get_encoding, learn_tokens
from tokenization.midi.score import Score
from tokenization.vocabulary import Tokens, Vocabulary

DEFAULT_UNITS = 4096
LEARNED_NOTES = 1_000_000
"""Notes in the sample of training pieces that tokens are learned from."""
BATCH = 256
"""Pieces read from the store at a time."""


class TokenSettings(BaseModel):
    """The settings by which notes become tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: str = "combined"
    """One of `tokenization.encodings`."""
    time: Time = Time.SECONDS
    """Unit of ticks: seconds, or beats with tempo changes as tokens."""
    vocabulary: str = "musenet"
    """A built-in one by name, a TOML file, or a dataset's `vocabulary.json` with its styles and learned tokens."""
    units: int | None = Field(None, ge=1, le=2**15)
    """Most chords or merges that a learned encoding learns, DEFAULT_UNITS unless given."""
    sustain: bool = False
    """True if the sustain pedal prolongs notes."""

    @field_validator("encoding")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in ENCODINGS:
            raise ValueError(f"no encoding {name!r}; there are: {', '.join(ENCODINGS)}")
        return name

    @model_validator(mode="after")
    def _something_to_learn(self) -> TokenSettings:
        if self.units is not None and ENCODINGS[self.encoding].learns is None:
            learned = ", ".join(name for name, encoding in ENCODINGS.items() if encoding.learns is not None)
            raise ValueError(f"the encoding {self.encoding!r} learns no units; these do: {learned}")
        return self

    def base_encoding(self) -> Encoding:
        """Build the encoding before anything is learned. Raises UserError for a vocabulary that cannot be read."""
        try:
            return get_encoding(self.encoding, Vocabulary.load(self.vocabulary), self.time)
        except OSError as error:
            raise UserError(f"the vocabulary {self.vocabulary} cannot be read: {error.strerror}") from error

    def content(self) -> dict[str, Any]:
        """Return the settings that tokens depend on, with the vocabulary's name; its digest is recorded separately."""
        return {**self.model_dump(mode="json"), "vocabulary": self.base_encoding().vocabulary.name}

    @property
    def wanted_units(self) -> int:
        """Number of tokens to learn."""
        return 0 if ENCODINGS[self.encoding].learns is None else self.units or DEFAULT_UNITS


def choose_encoding(
    settings: TokenSettings,
    manifest: pl.DataFrame,
    row_refs: pl.DataFrame,
    store: Folder,
    parent: DatasetVersion | None,
    progress: Progress,
) -> Encoding:
    """Choose the encoding of a version to come. `progress`: notes learned from, of how many.

    `row_refs`: columns `sha256`, `part`, `row` of the accepted pieces in the store.
    """
    encoding = settings.base_encoding()
    vocabulary = encoding.vocabulary
    accepted = manifest.filter(ACCEPTED)
    inherited = None if parent is None else parent.vocabulary
    if parent is not None and inherited is not None and inherited.file == vocabulary.file:
        if inherited.styles[: len(vocabulary.styles)] == vocabulary.styles:
            vocabulary = replace(vocabulary, styles=inherited.styles)
        if not vocabulary.learned and _learns_alike(parent, settings):
            vocabulary = replace(vocabulary, learned=inherited.learned)
    vocabulary = vocabulary.with_styles(accepted["style"].drop_nulls().unique())
    encoding = get_encoding(settings.encoding, vocabulary, settings.time)
    if not settings.wanted_units or vocabulary.learned:
        return encoding
    sample = _sample(accepted, row_refs)
    pieces = _plain_tokens(sample, store, encoding, settings.sustain, progress)
    return learn_tokens(encoding, pieces, settings.wanted_units)


def _learns_alike(parent: DatasetVersion, settings: TokenSettings) -> bool:
    """True if the parent's tokens were learned with the same settings, whatever its pieces."""
    about, chosen = parent.description.encoding, parent.description.settings["tokens"]
    same = (about.name, about.time) == (settings.encoding, settings.time)
    return same and (chosen["units"], chosen["sustain"]) == (settings.units, settings.sustain)


def _sample(accepted: pl.DataFrame, row_refs: pl.DataFrame) -> pl.DataFrame:
    """Sample training pieces in the order of their hashes, up to LEARNED_NOTES notes."""
    pieces = accepted.filter(pl.col("split") == TRAIN).select("sha256", "notes").sort("sha256")
    before = pl.col("notes").cum_sum() - pl.col("notes")
    return pieces.filter(before < LEARNED_NOTES).join(row_refs, on="sha256", how="left", maintain_order="left")


def _plain_tokens(
    sample: pl.DataFrame, store: Folder, encoding: Encoding, sustain: bool, progress: Progress
) -> Iterable[Tokens]:
    """Yield the sample's pieces in base tokens."""
    plain = Store(store)
    total = int(sample["notes"].sum())
    done = 0
    for rows in sample.iter_slices(BATCH):
        scores = plain.scores([RowRef(*ref) for ref in rows.select("part", "row").iter_rows()])
        yield from (encoding.encode(Score.from_bytes(data).to_notes(sustain)) for data in scores)
        done += int(rows["notes"].sum())
        progress(done, total)
