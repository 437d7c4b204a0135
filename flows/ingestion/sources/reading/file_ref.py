"""References to files: where the bytes of one file lie, in a folder, an object store or an archive."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

import polars as pl


class ContainerKind(StrEnum):
    """Kinds of containers that files lie in."""

    FOLDER = "folder"
    """A folder, or a prefix of an object store."""
    ZIP = "zip"
    TAR = "tar"
    TARGZ = "tar.gz"


FILE_REF = pl.Struct(
    {
        "kind": pl.Enum([kind.value for kind in ContainerKind]),
        "container": pl.Binary(),  # names are bytes: old ones are in no known encoding
        "member": pl.Binary(),
        "offset": pl.Int64(),
        "stored": pl.Int64(),
        "crc": pl.Int64(),
        "index": pl.Binary(),
    }
)
"""Type of the column `file_ref` of a listing."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A reference to one file's bytes: all that another process needs to read them."""

    kind: ContainerKind
    container: str
    """Path or URL: of an archive, else of the folder or prefix that `member` is below."""
    member: str | None
    """Of a plain file its path below the container; bytes that are not UTF-8 as lone surrogates (os.fsdecode)."""
    size: int
    """Bytes, as listed."""
    offset: int = 0
    """Of a .tar member's first byte (in a .tar.gz: of the uncompressed stream) or a .zip member's local header."""
    stored: int = 0
    """Compressed bytes of a .zip member."""
    crc: int = 0
    """CRC-32 of a .zip member's bytes."""
    index: str | None = None
    """Index of a .tar.gz; where it cannot be read the stream is decompressed from its beginning."""

    @property
    def source(self) -> str:
        """Path or URL of the file or archive that holds the bytes."""
        return self.container if self.member is None else f"{self.container.rstrip('/')}/{self.member}"


def file_refs(files: pl.DataFrame) -> list[FileRef]:
    """Return the references of a listing's rows, from its columns `size` and `file_ref`."""
    fields = files["file_ref"].struct.unnest()

    def text(column: str) -> list[str | None]:
        return [None if value is None else os.fsdecode(value) for value in fields[column]]

    columns = (
        [ContainerKind(kind) for kind in fields["kind"]],
        text("container"),
        text("member"),
        files["size"],
        fields["offset"].fill_null(0),
        fields["stored"].fill_null(0),
        fields["crc"].fill_null(0),
        text("index"),
    )
    return [FileRef(*row) for row in zip(*columns)]
