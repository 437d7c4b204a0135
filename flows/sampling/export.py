"""Export of a composed piece: a MIDI file, its tokens as text, a piano roll and its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.files import write_atomically
from modeling.generation import Candidate
from tokenization.encodings import Encoding
from tokenization.midi.writing import write_midi
from tokenization.pictures.piano_roll_file import draw_piano_roll


@dataclass(frozen=True)
class Sample:
    """The files of a composed piece, and its figures."""

    midi: str
    text: str
    picture: str
    metadata: str
    score: float
    notes: int
    seconds: float


def export(candidate: Candidate, encoding: Encoding, stem: Path, title: str, about: dict[str, Any]) -> Sample:
    """Write `<stem>.mid`, `.txt`, `.png` and `.json`; `about` goes into the metadata.

    `title` names the MIDI file's first track and is the heading of the picture.
    """
    vocabulary = encoding.vocabulary
    notes = encoding.decode(candidate.tokens)
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in ("mid", "txt", "png", "json")}
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(paths["mid"], write_midi(notes, vocabulary.output_names, title))
    write_atomically(paths["txt"], (vocabulary.to_text(candidate.tokens) + "\n").encode())
    write_atomically(paths["png"], draw_piano_roll(notes, vocabulary, title))
    sample = Sample(
        midi=str(paths["mid"]),
        text=str(paths["txt"]),
        picture=str(paths["png"]),
        metadata=str(paths["json"]),
        score=candidate.score,
        notes=len(notes),
        seconds=round(notes.seconds, 2),
    )
    metadata = {**about, **asdict(sample), "tokens": len(candidate.tokens), "candidate": candidate.index}
    write_atomically(paths["json"], (json.dumps(metadata, indent=1) + "\n").encode())
    return sample
