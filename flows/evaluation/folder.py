"""Pieces of a folder of MIDI files, whatever made them, on the grid of a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from infra.wording import counted
from tokenization.encodings import Encoding
from tokenization.midi import MidiError, Notes, read_midi

SUFFIXES = (".mid", ".midi")
LEAST_FILES = 2


@dataclass(frozen=True)
class FolderPieces:
    """The pieces of a folder, by the subfolder that they lie in."""

    groups: dict[str, list[tuple[str, Notes]]]
    """Path and notes of each file, by the name of the first folder below; under the empty name those of none."""
    digest: str
    """SHA-256 over paths and bytes of all MIDI files, in hexadecimal."""
    refused: list[str]
    """A line for each file that cannot be used."""


def midi_files(folder: Path) -> list[Path]:
    """Return the MIDI files below a folder, by their names, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def read_folder(folder: Path, encoding: Encoding, styles: Sequence[str]) -> FolderPieces:
    """Read all MIDI files below a folder. A subfolder named like a style holds pieces of that style.

    Notes are quantised as the dataset's pieces were, so that both are measured on one grid. Raises UserError for a
    folder with fewer than LEAST_FILES usable files.
    """
    groups: dict[str, list[tuple[str, Notes]]] = {}
    refused: list[str] = []
    digest = hashlib.sha256()
    for path in midi_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            data = path.read_bytes()
            notes = encoding.quantised(read_midi(data))
        except OSError as error:
            refused.append(f"{name} cannot be read: {error.strerror}")
            continue
        except (MidiError, ValueError) as error:
            refused.append(f"{name} cannot be used: {error}")
            continue
        digest.update(f"{name}\0".encode() + hashlib.sha256(data).digest())
        first = name.partition("/")[0]
        groups.setdefault(first if first in styles and "/" in name else "", []).append((name, notes))
    usable = sum(map(len, groups.values()))
    if usable < LEAST_FILES:
        why = f"; {refused[0]}" if refused else ""
        raise UserError(f"{folder} has {counted(usable, 'usable MIDI file')}; an evaluation needs {LEAST_FILES}{why}")
    return FolderPieces(groups, digest.hexdigest(), refused)
