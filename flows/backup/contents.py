"""The list of a backup's contents: a JSON file with the SHA-256 of every file, whose own is in its name.

It is written last, so that a backup that was interrupted has none, and is none.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from infra.errors import RunError

FORMAT: Final = 1
NAME_DIGITS = 12
"""Hexadecimal digits of the list's SHA-256 in its name."""


class DamagedBackup(RunError):
    """A backup that is not what was written, or not all of it. The message names the file."""


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is not below the lake")
    return path


PathInLake = Annotated[str, AfterValidator(_inside)]
"""With forward slashes, relative to the lake's folder."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoredFile(_Strict):
    """A file of the lake."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    modified: int
    """Time of its last change, in nanoseconds since 1970."""
    stamp: str = ""
    """What changes whenever the file is written to, on the same machine; empty where it had just been written to."""


class Contents(_Strict):
    """What a backup holds."""

    format: Literal[1] = FORMAT
    created: AwareDatetime
    """When its first file was read."""
    release: str
    """Of musenet."""
    lake: str
    """Address of the lake, which may be an object store."""
    local: str
    """Folder that was copied: the lake's part on a disk."""
    left_out: tuple[str, ...]
    """Patterns of paths, as in `flows.backup.left_out`."""
    findings: tuple[str, ...]
    """What was wrong with the lake."""
    files: dict[PathInLake, StoredFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def serialised(self) -> tuple[str, bytes]:
        """Return the backup's name and its list as JSON."""
        data = self.model_dump_json(indent=0).encode()
        return f"{self.created:%Y%m%d-%H%M%S-%f}-{_digest(data)}", data


def parse_contents(name: str, data: bytes, place: str) -> Contents:
    """Parse the list of a backup; `place` names it in errors. Raises DamagedBackup."""
    if name.rpartition("-")[2] != _digest(data):
        raise DamagedBackup(f"{place} is damaged: its SHA-256 is not the one in its name; use another backup")
    try:
        return Contents.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        remedy = "restore it with the musenet that wrote it"
        raise DamagedBackup(f"{place} is of no format up to {FORMAT} ({where}: {fault['msg']}); {remedy}") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:NAME_DIGITS]
