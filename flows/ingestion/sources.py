"""Sources: which files a collection holds, with their licence and style label."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flows.errors import UserError
from tokenization.vocabulary import style_label

SUFFIXES = frozenset({".mid", ".midi", ".smf", ".kar", ".rmi"})


class Collection(BaseModel):
    """A named set of MIDI files from one source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    path: Path
    """A folder, searched to any depth, or a single file."""
    licence: str = "not stated"
    style: str | None = None
    """The label of all files; without it a file's label is the first folder below `path`, else `path`'s name."""

    @field_validator("style")
    @classmethod
    def _label(cls, style: str | None) -> str | None:
        return None if style is None else style_label(style) or None


@dataclass(frozen=True)
class SourceFile:
    """One file of a collection."""

    location: Path
    path: str
    """Relative to the collection, with forward slashes."""
    collection: str
    licence: str
    style: str | None
    size: int


def list_files(collections: Iterable[Collection], lake: Path | None = None) -> list[SourceFile]:
    """Every MIDI file of the collections, in order of collection and path.

    What the platform itself wrote into a `lake` below a collection is left out. A file that is named itself is taken
    whatever its suffix. Raises UserError for a path that does not exist, for a
    collection without MIDI files and for two collections of one name.
    """
    found: list[SourceFile] = []
    names: set[str] = set()
    for collection in collections:
        if collection.name in names:
            raise UserError(f"two collections are named {collection.name!r}; give each its own name")
        names.add(collection.name)
        files = _collection_files(collection, lake)
        if not files:
            raise UserError(
                f"{collection.path} holds no MIDI file (looked for {', '.join(sorted(SUFFIXES))}); name another folder"
            )
        found += files
    return found


def _collection_files(collection: Collection, lake: Path | None) -> list[SourceFile]:
    root = collection.path.expanduser()
    if root.is_file():
        locations, base = [root], root.parent
    elif root.is_dir():
        own = lake if lake is not None and lake.is_relative_to(root.resolve()) else None
        locations = [
            at
            for at in root.rglob("*")
            if at.suffix.lower() in SUFFIXES and at.is_file() and not (own and at.resolve().is_relative_to(own))
        ]
        base = root
    else:
        raise UserError(f"{root} does not exist; name a folder or a MIDI file")
    files = [
        SourceFile(
            location=location,
            path=_as_text(location.relative_to(base)),
            collection=collection.name,
            licence=collection.licence,
            style=collection.style or _folder_style(location.relative_to(base), base),
            size=location.stat().st_size,
        )
        for location in locations
    ]
    return sorted(files, key=lambda file: file.path)


def _as_text(path: Path) -> str:
    """A path that any file format can hold: bytes that are not UTF-8 (names of old archives) as `\\xe9`."""
    return os.fsencode(path.as_posix()).decode("utf-8", errors="backslashreplace")


def _folder_style(relative: Path, base: Path) -> str | None:
    folder = relative.parts[0] if len(relative.parts) > 1 else base.resolve().name
    return style_label(folder) or None


def file_sha256(location: Path) -> str | None:
    """SHA-256 of a file's bytes in hexadecimal; None when it cannot be read."""
    try:
        with location.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
