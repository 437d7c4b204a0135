"""Making a sample again: the same request to the same model, compared with what was written then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.sampling.export import SUFFIXES, picture_of, text_of
from flows.sampling.metadata import SampleMetadata, surroundings
from infra.errors import UserError
from infra.files import write_atomically
from registry.models import RegisteredModel, find_model, list_models
from registry.piece import SHORT, Piece
from registry.store import Registry
from tokenization.vocabulary import VocabularyError


@dataclass(frozen=True)
class AgainReport:
    """The outcome of making a sample again."""

    metadata: str
    """The file that said how."""
    equal: bool
    """True if the MIDI file has the same bytes."""
    differences: list[str]
    """What differs, a line each; empty if the bytes are equal."""
    restored: list[str]
    """Files that were missing beside the metadata and are there again."""
    changed: list[str]
    """Files beside the metadata that someone has changed since; they are left as they are."""
    midi: str | None
    """The new MIDI file, where an output folder was given."""


def find_same_model(registry: Registry, metadata: SampleMetadata, reference: str | None) -> RegisteredModel:
    """Return the version with the files that composed a sample, or the one that `reference` names. Raises UserError."""
    if reference is not None:
        return find_model(registry, reference)
    then = metadata.model
    same = [model for model in list_models(registry) if model.identity.digest == then.digest]
    if not same:
        raise UserError(
            f"no version of {then.name} here has the files {then.digest[:SHORT]} of version {then.version}, trained on "
            f"{then.dataset}; name a version to compare with by --model"
        )
    return next((model for model in same if model.version == then.version), same[-1])


def differences(then: SampleMetadata, folder: Path, piece: Piece) -> list[str]:
    """Return what differs between a sample and the same piece made again, a line each; none for equal MIDI bytes."""
    if hashlib.sha256(piece.midi).hexdigest() == then.files["midi"].sha256:
        return []
    lines = [_first_difference(then, folder, piece)]
    if piece.candidate != then.candidate:
        lines.append(f"candidate {then.candidate} was the best then, {piece.candidate} now")
    if piece.model.digest != then.model.digest:
        before, now = (f"{m.name} {m.version} ({m.digest[:SHORT]})" for m in (then.model, piece.model))
        lines.append(f"the model was {before}, now it is {now}")
    now_with = surroundings(piece.device)
    for name in sorted({*then.made_with, *now_with}):
        before, now = then.made_with.get(name, "none"), now_with.get(name, "none")
        if before != now:
            lines.append(f"{name} was {before}, now it is {now}")
    return lines


def _first_difference(then: SampleMetadata, folder: Path, piece: Piece) -> str:
    """Describe the first token that differs, from the text file of the sample."""
    vocabulary = piece.encoding.vocabulary
    file = folder / then.files["text"].name
    try:
        before = vocabulary.from_text(file.read_text(encoding="utf-8"))
    except OSError:
        return f"the MIDI file differs; {file.name}, which would tell the first token that does, is missing"
    except (VocabularyError, UnicodeDecodeError):
        return f"the MIDI file differs, and {file.name} is of another vocabulary"
    shared = min(len(before), len(piece.tokens))
    apart = np.flatnonzero(before[:shared] != piece.tokens[:shared])
    if not len(apart) and len(before) == len(piece.tokens):
        return "the MIDI file differs though no token does: another version of musenet has written it"
    at = int(apart[0]) if len(apart) else shared
    was, now = (vocabulary.names[int(row[at])] if at < len(row) else "nothing" for row in (before, piece.tokens))
    return f"tokens differ from number {at} on: {was} then, {now} now (of {len(before)} and {len(piece.tokens)})"


def restore(then: SampleMetadata, folder: Path, piece: Piece) -> tuple[list[str], list[str]]:
    """Write the files that are missing beside the metadata of an equal piece; return them, and those with other bytes.

    Files with other bytes are someone's work and stay.
    """
    make: dict[str, Callable[[Piece], bytes]] = {"midi": lambda p: p.midi, "text": text_of, "picture": picture_of}
    restored, changed = [], []
    for kind in SUFFIXES:
        file = folder / then.files[kind].name
        if not file.exists():
            write_atomically(file, make[kind](piece))
            restored.append(str(file))
        elif hashlib.sha256(file.read_bytes()).hexdigest() != then.files[kind].sha256:
            changed.append(str(file))
    return restored, changed
