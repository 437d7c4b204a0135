"""Export of a composed piece: a MIDI file, its tokens as text, a piano roll, audio if wanted, and its metadata."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flows.sampling.metadata import FileInfo, SampleMetadata, metadata_of, prompt_name
from flows.sampling.originality import OriginalityInfo
from flows.sampling.origins import NOWHERE, Origin
from infra.errors import UserError
from infra.files import write_atomically
from registry.audio import AudioFormat, Soundfont, render
from registry.piece import Piece
from tokenization.pictures.piano_roll_file import draw_piano_roll

SUFFIXES = {"midi": "mid", "text": "txt", "picture": "png"}


@dataclass(frozen=True)
class Sample:
    """The files of a composed piece, and its figures."""

    midi: str
    text: str
    picture: str
    audio: str | None
    metadata: str
    digest: str
    """Of the request to the model; its first digits are in the names of the files."""
    score: float | None
    """The critic's probability that it is real; None where the model has no critic."""
    notes: int
    seconds: float
    copied_notes: int | None
    """Of the longest copy of a training piece, 0 where there is none; None where it is not known."""
    unheard: tuple[str, ...] = ()
    """Groups and instruments that were asked for by name and do not sound."""


@dataclass(frozen=True)
class AudioOutput:
    """Audio to write beside the MIDI file."""

    format: AudioFormat
    soundfont: Soundfont


def export(
    piece: Piece,
    folder: Path,
    audio: AudioOutput | None = None,
    originality: OriginalityInfo | None = None,
    origin: Origin = NOWHERE,
) -> Sample:
    """Write the files of a piece, named `piece.name`, and the prompt beside them; the metadata last.

    A file of the same name is replaced: it is of the same request. Raises UserError for a folder that cannot be
    written.
    """
    contents = {"midi": piece.midi, "text": text_of(piece), "picture": picture_of(piece)}
    suffixes = dict(SUFFIXES)
    font = None
    if audio is not None:
        contents["audio"] = render(piece.midi, audio.soundfont, audio.format)
        suffixes["audio"] = str(audio.format)
        font = FileInfo(name=audio.soundfont.path.name, sha256=audio.soundfont.sha256)
    files = {
        kind: FileInfo(name=f"{piece.name}.{suffixes[kind]}", sha256=hashlib.sha256(data).hexdigest())
        for kind, data in contents.items()
    }
    metadata = metadata_of(piece, files, font, originality, origin)
    about = folder / f"{piece.name}.json"
    try:
        for kind, data in contents.items():
            write_atomically(folder / files[kind].name, data)
        if piece.prompt is not None:
            write_atomically(folder / prompt_name(piece.prompt), piece.prompt.data)
        write_atomically(about, (metadata.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    return sample_of(metadata, folder, about)


def sample_of(metadata: SampleMetadata, folder: Path, about: Path) -> Sample:
    """Return the sample in a folder that the metadata in the file `about` describe."""
    midi, text, picture = (str(folder / metadata.files[kind].name) for kind in SUFFIXES)
    return Sample(
        midi=midi,
        text=text,
        picture=picture,
        audio=str(folder / metadata.files["audio"].name) if "audio" in metadata.files else None,
        metadata=str(about),
        digest=metadata.digest,
        score=metadata.score,
        notes=metadata.notes,
        seconds=metadata.seconds,
        copied_notes=copied_notes(metadata.originality),
        unheard=metadata.unheard,
    )


def copied_notes(originality: OriginalityInfo | None) -> int | None:
    """Return the notes of the longest copy, None where nothing is known."""
    if originality is None or originality.unknown is not None:
        return None
    return 0 if originality.copied is None else originality.copied.notes


def text_of(piece: Piece) -> bytes:
    """Return the content of the text file."""
    return (piece.text + "\n").encode()


def picture_of(piece: Piece) -> bytes:
    """Return the piano roll as PNG."""
    return draw_piano_roll(piece.notes, piece.encoding.vocabulary, piece.title, curve=piece.score_curve)
