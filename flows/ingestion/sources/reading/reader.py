"""Reading: the bytes of listed files, in any process that reaches the same storage.

Files are read in small batches: within a batch, files in an object store are fetched at once, neighbours by one
request, and members of a .tar.gz in the order of its stream. Whatever sizes a listing declares, no more than
`max_bytes` of a file are held in memory.
"""

from __future__ import annotations

import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import IO

from flows.ingestion.sources.archives import ARCHIVE_ERRORS, HEAD, archive_fault, open_targz
from flows.ingestion.sources.archives.zip import LOCAL_HEADER, ZipMemberError, decompress, read_local_header
from flows.ingestion.sources.reading.byte_ranges import ByteRange, fetch
from flows.ingestion.sources.reading.file_ref import ContainerKind, FileRef
from flows.ingestion.sources.storage import is_url, one_line, open_binary
from infra.wording import counted

BATCH_FILES = 256
BATCH_BYTES = 16 * 2**20
"""A batch ends before either is exceeded; a larger file forms a batch by itself."""
OPEN_CONTAINERS = 32
"""Archives that are held open at once."""
HEADER_SLACK = 512
"""Bytes fetched for name and extra field of a .zip member; a longer one costs a second read."""


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """Reason for which a file has no bytes; takes their place in results."""

    detail: str
    """Description of the fault."""
    too_large: bool = False
    """True for a file beyond the size limit, which might be readable."""


def read_files(files: Sequence[FileRef], max_bytes: int) -> Iterator[bytes | ReadFailure]:
    """Yield each file's bytes, or the reason there are none, in the order of `files`.

    A file of more than `max_bytes` is a failure, whatever size was declared for it. So is one whose size differs from
    the listed one. Members of one archive should be neighbours (`in_reading_order`).
    """
    with _Reader(max_bytes) as reader:
        for batch in _batches(files):
            yield from reader.read(batch)


def read_heads(files: Sequence[FileRef]) -> Iterator[bytes | ReadFailure]:
    """Yield the first `HEAD` bytes of each file."""
    with _Reader(max_bytes=HEAD, heads=True) as reader:
        for batch in _batches(files):
            yield from reader.read(batch)


def _batches(files: Sequence[FileRef]) -> Iterator[list[FileRef]]:
    batch: list[FileRef] = []
    size = 0
    for file in files:
        if batch and (len(batch) == BATCH_FILES or size + file.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


Outcome = bytes | ReadFailure


class _Reader:
    """Reads batches of files; archives stay open for the next batch."""

    def __init__(self, max_bytes: int, heads: bool = False) -> None:
        self._max_bytes = max_bytes
        self._heads = heads
        self._open: OrderedDict[str, tuple[IO[bytes], ExitStack]] = OrderedDict()

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *error: object) -> None:
        for _, stack in self._open.values():
            stack.close()

    def read(self, batch: Sequence[FileRef]) -> Iterator[Outcome]:
        """Yield the outcomes of a batch, in order."""
        outcomes: list[Outcome | None] = [self._too_large(file) for file in batch]
        ahead = [
            index
            for index, file in enumerate(batch)
            if outcomes[index] is None and (file.kind is not ContainerKind.FOLDER or is_url(file.container))
        ]
        streamed = [index for index in ahead if batch[index].kind is ContainerKind.TARGZ]
        for index in sorted(streamed, key=lambda index: (batch[index].container, batch[index].offset)):
            outcomes[index] = self._from_stream(batch[index])
        ranged = [index for index in ahead if batch[index].kind is not ContainerKind.TARGZ]
        for index, raw in zip(ranged, self._fetch([self._range(batch[index]) for index in ranged])):
            outcomes[index] = raw if isinstance(raw, ReadFailure) else self._decode(batch[index], raw)
        for file, outcome in zip(batch, outcomes):
            yield self._whole_file(file) if outcome is None else outcome

    def _too_large(self, file: FileRef) -> ReadFailure | None:
        largest = max(file.size, 0 if file.kind is not ContainerKind.ZIP else file.stored - HEADER_SLACK)
        if self._heads or largest <= self._max_bytes:
            return None
        return ReadFailure(f"{counted(largest, 'byte')}; the limit is {self._max_bytes:,}", too_large=True)

    def _wanted(self, file: FileRef) -> int:
        return min(file.size, HEAD) if self._heads else file.size

    def _whole_file(self, file: FileRef) -> Outcome:
        wanted = self._wanted(file)
        try:
            with open(file.source, "rb", buffering=0) as opened:  # noqa: PTH123 (a Path costs more than the reading)
                return self._check(file, opened.read(wanted + (not self._heads)))
        except (OSError, ValueError) as error:
            return _failure(error)

    def _check(self, file: FileRef, raw: bytes) -> Outcome:
        """Return the bytes if they have the listed size."""
        wanted = self._wanted(file)
        if len(raw) < wanted:
            return ReadFailure(f"it is cut short: {len(raw):,} of {counted(wanted, 'byte')} read")
        if len(raw) > wanted:
            return ReadFailure(f"it is longer than listed ({counted(wanted, 'byte')})")
        return raw

    def _range(self, file: FileRef) -> ByteRange:
        """Return the bytes to fetch for a file: of a .zip member with its local header."""
        start = file.offset
        match file.kind:
            case ContainerKind.ZIP:
                stored = min(file.stored, HEADER_SLACK) if self._heads else file.stored
                stop = start + LOCAL_HEADER.size + HEADER_SLACK + stored
            case ContainerKind.FOLDER if file.size and not self._heads:  # one more than listed: it may have grown
                stop = start + file.size + 1
            case _:
                stop = start + self._wanted(file)
        return ByteRange(file.source, start, stop)

    def _decode(self, file: FileRef, raw: bytes) -> Outcome:
        return self._check(file, raw) if file.kind is not ContainerKind.ZIP else self._unzip(file, raw)

    def _unzip(self, file: FileRef, raw: bytes) -> Outcome:
        """Return a .zip member's bytes from those at its place, checked by CRC-32."""
        try:
            method, begin = read_local_header(raw)
            end = begin + file.stored
            if end > len(raw) and begin > LOCAL_HEADER.size + HEADER_SLACK:
                (longer,) = self._fetch([ByteRange(file.source, file.offset, file.offset + end)])
                if isinstance(longer, ReadFailure):
                    return longer
                raw = longer
            data = decompress(method, raw[begin:end], self._wanted(file) + 1)
        except ZipMemberError as error:
            return ReadFailure(str(error))
        if self._heads:
            return data[:HEAD]
        outcome = self._check(file, data)
        if isinstance(outcome, bytes) and zlib.crc32(outcome) != file.crc:
            return ReadFailure("its checksum (CRC-32) is wrong")
        return outcome

    def _from_stream(self, file: FileRef) -> Outcome:
        try:
            stream = self._opened(file.container, partial(open_targz, index=file.index))
            stream.seek(file.offset)
            return self._check(file, stream.read(self._wanted(file)))
        except ARCHIVE_ERRORS as error:
            return ReadFailure(f"the archive cannot be read here: {archive_fault(error)}")

    def _opened(self, container: str, opener: Callable[[str, ExitStack], IO[bytes]]) -> IO[bytes]:
        if container in self._open:
            self._open.move_to_end(container)
        else:
            with ExitStack() as stack:  # closes what is open when a later step fails
                file = opener(container, stack)
                self._open[container] = (file, stack.pop_all())
            if len(self._open) > OPEN_CONTAINERS:
                self._open.popitem(last=False)[1][1].close()
        return self._open[container][0]

    def _fetch(self, ranges: Sequence[ByteRange]) -> Iterator[Outcome]:
        """Yield the bytes of ranges: of remote files fetched together, of local ones read one by one."""
        remote = [each for each in ranges if is_url(each.source)]
        fetched = dict(zip(remote, fetch(remote)))
        for each in ranges:
            raw = fetched[each] if each in fetched else self._pread(each)
            yield ReadFailure(one_line(raw)) if isinstance(raw, OSError) else raw

    def _pread(self, part: ByteRange) -> Outcome:
        try:
            file = self._opened(part.source, lambda source, stack: stack.enter_context(open_binary(source)))
            return os.pread(file.fileno(), part.stop - part.start, part.start)
        except OSError as error:
            return _failure(error)


def _failure(error: OSError | ValueError) -> ReadFailure:
    return ReadFailure(getattr(error, "strerror", None) or one_line(error))
