"""The files that give token ids their meaning: `vocabulary.json`, and the encoding that uses it.

A dataset version names its encoding in `dataset.json`; a model's bundle, which outlives the dataset, carries the pair
`vocabulary.json` and `encoding.json`.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from infra.object_store import Folder
from tokenization.encodings import Encoding, Time, get_encoding
from tokenization.vocabulary import Vocabulary

VOCABULARY_FILE = "vocabulary.json"
ENCODING_FILE = "encoding.json"


class EncodingInfo(BaseModel):
    """An encoding without its vocabulary, as JSON holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    version: int
    """Of the encoder, raised when the same notes give other tokens."""
    time: Time
    """Unit of ticks: `seconds` or `beats`."""

    @classmethod
    def of(cls, encoding: Encoding) -> Self:
        """Describe an encoding."""
        return cls(name=encoding.name, version=encoding.version, time=encoding.time)

    def over(self, vocabulary: Vocabulary) -> Encoding:
        """Build the encoding over a vocabulary. Raises VocabularyError for an encoding that does not exist."""
        return get_encoding(self.name, vocabulary, self.time)


def write_vocabulary(folder: Folder, vocabulary: Vocabulary) -> None:
    """Write `vocabulary.json`. Not atomic: write into a staging folder."""
    (folder / VOCABULARY_FILE).write_text(vocabulary.to_json(), encoding="utf-8")


def read_vocabulary(folder: Folder) -> Vocabulary:
    """Read `vocabulary.json`. Raises OSError, and ValueError for a file that is not a vocabulary."""
    return Vocabulary.from_json((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))


def write_encoding(folder: Folder, encoding: Encoding) -> None:
    """Write an encoding and its vocabulary: `encoding.json` and `vocabulary.json`. Not atomic."""
    write_vocabulary(folder, encoding.vocabulary)
    text = EncodingInfo.of(encoding).model_dump_json()
    (folder / ENCODING_FILE).write_text(text + "\n", encoding="utf-8")


def read_encoding(folder: Folder) -> Encoding:
    """Read what `write_encoding` wrote. Raises OSError, and ValueError for files that hold no encoding."""
    info = EncodingInfo.model_validate_json((folder / ENCODING_FILE).read_bytes())
    return info.over(read_vocabulary(folder))
