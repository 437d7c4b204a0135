"""Tar archives: their members, found by one pass over the headers."""

from __future__ import annotations

import posixpath
import tarfile
from typing import IO

from flows.ingestion.sources.archives.members import (
    ARCHIVE_ERRORS,
    HEAD,
    LARGEST,
    Members,
    archive_fault,
    begins_like_midi,
    without_dot,
)

BLOCK = 512
"""Bytes of a tar header; members are padded to a multiple of it."""


def tar_members(file: IO[bytes]) -> Members:
    """Return the members of an uncompressed .tar; of a damaged one those before the fault."""
    members = Members(midi=[])
    assert members.midi is not None
    known: dict[str, tuple[int, int]] = {}
    links: list[tuple[bytes, str]] = []
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            behind = -1
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all of them
                if info.size < 0 or archive.offset <= behind:  # a header that leads back would loop for ever
                    raise tarfile.ReadError("a member of negative size")
                behind = archive.offset
                name = without_dot(info.name.encode(errors="surrogateescape"))
                folder = posixpath.dirname(info.name)
                if info.isreg() and not info.issparse():
                    _add(members, name, info.offset_data, info.size)
                    known[posixpath.normpath(info.name)] = (info.offset_data, info.size)
                    if b"." not in name.rpartition(b"/")[2]:  # its first bytes are at hand now
                        file.seek(info.offset_data)
                        members.midi[-1] = begins_like_midi(file.read(HEAD))
                elif info.islnk():
                    links.append((name, posixpath.normpath(info.linkname)))
                elif info.issym():
                    links.append((name, posixpath.normpath(posixpath.join(folder, info.linkname))))
                elif not info.isdir():
                    members.not_files += 1
            members.problem = _end_of_tar(file, archive.offset)
    except ARCHIVE_ERRORS as error:
        after = f" after {members.names[-1].decode(errors='backslashreplace')!r}" if members.names else ""
        members.problem = f"it cannot be read as .tar{after}: {archive_fault(error)}"
    for name, target in links:
        if target in known:
            _add(members, name, *known[target])
        else:
            members.not_files += 1
    return members


def _add(members: Members, name: bytes, offset: int, size: int) -> None:
    assert members.midi is not None
    members.names.append(name)
    members.offsets.append(min(offset, LARGEST))
    members.sizes.append(min(size, LARGEST))
    members.midi.append(None)


def _end_of_tar(file: IO[bytes], offset: int) -> str | None:
    """Describe what is wrong with the end at `offset`: tarfile also takes a damaged header for it."""
    file.seek(offset)
    block = file.read(BLOCK)
    if not block:
        return "it ends without an end mark: members may be missing"
    if block.strip(b"\0"):
        return f"it is damaged at byte {offset:,}: what follows cannot be found"
    return None
