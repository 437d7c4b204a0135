"""A composed piece: its tokens and notes, and the names and digests by which it can be made again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.errors import UserError
from infra.files import write_atomically
from modeling.config import PLAIN, DrawingConfig, Rank
from registry.identity import ModelIdentity
from registry.prompts import Prompt
from registry.requests import PieceRequest
from tokenization.encodings import Encoding
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi
from tokenization.vocabulary import Tokens

SHORT = 12
"""Digits of a digest in names."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece that a model composed."""

    request: PieceRequest
    prompt: Prompt | None
    model: ModelIdentity
    encoding: Encoding
    tokens: Tokens
    score: float | None
    """The critic's probability that it is real; None where the model has no critic."""
    candidate: int
    """Its number among the request's candidates."""
    device: str
    """That the network ran on."""
    seam: float | None = None
    """Of an infilled piece: mean loss in nats of the first tokens behind what was composed anew."""
    likelihood: float | None = None
    """Mean log-likelihood of its tokens in nats, where candidates were ranked by it."""
    curve: tuple[tuple[int, float], ...] = ()
    """Tokens up to the end of windows along the piece, and the critic's probability that each is real."""
    drawing: DrawingConfig = PLAIN
    """How it was drawn: what the request says, else the model's own settings."""
    rank: Rank = "none"
    """By what the candidates were ranked."""

    @cached_property
    def digest(self) -> str:
        """Of the request to this model."""
        return self.request.digest(self.model.digest, self.prompt)

    @property
    def name(self) -> str:
        """Name for its files: style, instruments, seed, and what tells it from all other pieces.

        `bach-piano_strings-seed7-0123456789ab-c3`: digits of the digest, and the number of the candidate.
        """
        head = f"{self.request.style or 'free'}-{self.instrumentation}-seed{self.request.seed}"
        return f"{head}-{self.digest[:SHORT]}-c{self.candidate}"

    @property
    def instrumentation(self) -> str:
        """Its groups of instruments, as the text form names them: `piano_strings`."""
        return self.encoding.vocabulary.names[int(self.tokens[1])]

    @property
    def title(self) -> str:
        """Title that follows from the request alone, so that equal pieces are equal files."""
        groups = self.instrumentation.replace("_", ", ")
        return f"{self.request.style or 'free'}: {groups}, seed {self.request.seed}, {self.digest[:SHORT]}"

    @cached_property
    def notes(self) -> Notes:
        return self.encoding.decode(self.tokens)

    @cached_property
    def unheard(self) -> tuple[str, ...]:
        """The groups and instruments that were asked for by name and do not sound."""
        vocabulary = self.encoding.vocabulary
        heard = vocabulary.instruments_in(self.encoding.read(self.encoding.expand(self.tokens)).row)
        names = self.request.instruments
        return tuple(name for name in names if not (heard & vocabulary.named_instruments((name,))).any())

    @property
    def seconds(self) -> float:
        return self.notes.seconds

    @cached_property
    def score_curve(self) -> list[tuple[float, float]]:
        """The times in seconds at which windows end, and the critic's probability that each window is real."""
        found = []
        for tokens, score in self.curve:
            onsets = self.encoding.decode(self.tokens[:tokens]).onset
            found.append((round(float(onsets.max(initial=0.0)), 3), round(score, 4)))
        return found

    @property
    def text(self) -> str:
        """The tokens in their text form."""
        return self.encoding.vocabulary.to_text(self.tokens)

    @cached_property
    def midi(self) -> bytes:
        """The MIDI file."""
        return write_midi(self.notes, self.encoding.vocabulary.output_names, self.title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the MIDI file. Raises UserError for a path that cannot be written."""
        file = Path(path).expanduser()
        try:
            write_atomically(file, self.midi)
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}") from error
        return file
