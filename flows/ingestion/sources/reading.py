"""Reading: the bytes of listed files, in any process that reaches the same storage.

Files are read in small batches: within a batch what lies in an object store is fetched at once, neighbours with one
request, and what lies in a .tar.gz in the order of the stream. Whatever a listing says of sizes, no more than
`max_bytes` of a file are ever in memory.
"""

from __future__ import annotations

import bz2
import contextlib
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import IO, cast

import indexed_gzip
import polars as pl

from flows.ingestion.sources.archives import FAULTS, HEAD, SPACING, why
from flows.ingestion.sources.storage import is_url, one_line, open_binary, store_of
from infra.errors import RunError

BATCH_FILES = 256
BATCH_BYTES = 16 * 2**20
"""A batch ends before either is exceeded; a larger file is one by itself."""
OPEN_CONTAINERS = 32
"""Archives that are held open at once."""
MERGE_GAP = 2**16
"""Spans of a remote archive with fewer bytes between them are fetched as one."""
MERGE_BYTES = 8 * 2**20
"""But not more than this at once, so that several requests can run side by side."""

ZIP_HEADER = struct.Struct("<4s2xHH16xHH")
"""A local file header: signature, flags, method, lengths of name and extra field (APPNOTE.TXT 4.3.7)."""
ZIP_SLACK = 512
"""Bytes read for name and extra field; a longer one costs a second read."""


class ContainerKind(StrEnum):
    """How a file's bytes lie in its container."""

    FILE = "file"
    ZIP = "zip"
    TAR = "tar"
    TARGZ = "tar.gz"


LOCATION = pl.Struct(
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
"""The column `location` of a listing."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """Where one file's bytes lie: all that another process needs to read them."""

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


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """Why a file has no bytes."""

    detail: str
    """What exactly was found."""
    too_large: bool = False
    """Whether it could be read, but is beyond the limit."""


def file_refs(files: pl.DataFrame) -> list[FileRef]:
    """The references of a listing's rows; of the columns it needs `size` and `location`."""
    where = files["location"].struct.unnest()

    def text(column: str) -> list[str | None]:
        return [None if value is None else os.fsdecode(value) for value in where[column]]

    columns = (
        [ContainerKind(kind) for kind in where["kind"]],
        text("container"),
        text("member"),
        files["size"],
        where["offset"].fill_null(0),
        where["stored"].fill_null(0),
        where["crc"].fill_null(0),
        text("index"),
    )
    return [FileRef(*row) for row in zip(*columns)]


def read_files(file_refs: Sequence[FileRef], max_bytes: int) -> Iterator[bytes | ReadFailure]:
    """Each file's bytes, or why there are none, in the order of `file_refs`.

    A file of more than `max_bytes` is a failure, whatever size was declared for it. So is one whose size is not the
    listed one any more. Neighbours of one archive should stand together (`in_reading_order`).
    """
    with _Reader(max_bytes) as reader:
        for batch in _batches(file_refs):
            yield from reader.read(batch)


def read_heads(file_refs: Sequence[FileRef]) -> Iterator[bytes | ReadFailure]:
    """The first `HEAD` bytes of each file."""
    with _Reader(max_bytes=HEAD, heads=True) as reader:
        for batch in _batches(file_refs):
            yield from reader.read(batch)


def _batches(file_refs: Sequence[FileRef]) -> Iterator[list[FileRef]]:
    batch: list[FileRef] = []
    size = 0
    for location in file_refs:
        if batch and (len(batch) == BATCH_FILES or size + location.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(location)
        size += location.size
    if batch:
        yield batch


Outcome = bytes | ReadFailure


@dataclass(frozen=True, slots=True)
class _Span:
    """Bytes `start` to `stop` of a file."""

    source: str
    start: int
    stop: int


class _Reader:
    """Reads batches, and keeps the archives that it opens for the next one."""

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
        """The outcomes of a batch, in order."""
        outcomes: list[Outcome | None] = [self._too_large(location) for location in batch]
        ahead = [
            index
            for index, location in enumerate(batch)
            if outcomes[index] is None and (location.kind is not ContainerKind.FILE or is_url(location.container))
        ]
        streamed = [index for index in ahead if batch[index].kind is ContainerKind.TARGZ]
        for index in sorted(streamed, key=lambda index: (batch[index].container, batch[index].offset)):
            outcomes[index] = self._from_stream(batch[index])
        spanned = [index for index in ahead if batch[index].kind is not ContainerKind.TARGZ]
        spans = [self._span(batch[index]) for index in spanned]
        for index, raw in zip(spanned, self._fetch(spans)):
            outcomes[index] = raw if isinstance(raw, ReadFailure) else self._decoded(batch[index], raw)
        for location, outcome in zip(batch, outcomes):
            yield self._whole_file(location) if outcome is None else outcome

    def _too_large(self, location: FileRef) -> ReadFailure | None:
        largest = max(location.size, 0 if location.kind is not ContainerKind.ZIP else location.stored - ZIP_SLACK)
        if self._heads or largest <= self._max_bytes:
            return None
        return ReadFailure(f"{largest:,} bytes; the limit is {self._max_bytes:,}", too_large=True)

    def _wanted(self, location: FileRef) -> int:
        return min(location.size, HEAD) if self._heads else location.size

    def _whole_file(self, location: FileRef) -> Outcome:
        wanted = self._wanted(location)
        try:
            with open(location.source, "rb", buffering=0) as file:  # noqa: PTH123 (a Path costs more than the reading)
                return self._checked(location, file.read(wanted + (not self._heads)))
        except (OSError, ValueError) as error:
            return ReadFailure(getattr(error, "strerror", None) or one_line(error))

    def _checked(self, location: FileRef, raw: bytes) -> Outcome:
        wanted = self._wanted(location)
        if len(raw) < wanted:
            return ReadFailure(f"it is cut short: {len(raw):,} of {wanted:,} bytes are there")
        if len(raw) > wanted:
            return ReadFailure(f"it is longer than the {wanted:,} bytes that were listed")
        return raw

    def _span(self, location: FileRef) -> _Span:
        start = location.offset
        match location.kind:
            case ContainerKind.ZIP:
                stored = min(location.stored, ZIP_SLACK) if self._heads else location.stored
                stop = start + ZIP_HEADER.size + ZIP_SLACK + stored
            case ContainerKind.FILE if location.size and not self._heads:  # one more than listed: it may have grown
                stop = start + location.size + 1
            case _:
                stop = start + self._wanted(location)
        return _Span(location.source, start, stop)

    def _decoded(self, location: FileRef, raw: bytes) -> Outcome:
        return self._checked(location, raw) if location.kind is not ContainerKind.ZIP else self._unzipped(location, raw)

    def _unzipped(self, location: FileRef, raw: bytes) -> Outcome:
        if len(raw) < ZIP_HEADER.size:
            return ReadFailure("the archive ends before it")
        signature, flags, method, name, extra = ZIP_HEADER.unpack_from(raw)
        if signature != b"PK\x03\x04":
            return ReadFailure("the archive is damaged: there is no member where its directory says so")
        if flags & 1:
            return ReadFailure("it is encrypted")
        begin = ZIP_HEADER.size + name + extra
        end = begin + location.stored
        if end > len(raw) and name + extra > ZIP_SLACK:
            (longer,) = self._fetch([_Span(location.source, location.offset, location.offset + end)])
            if isinstance(longer, ReadFailure):
                return longer
            raw = longer
        return self._inflated(location, method, raw[begin:end])

    def _inflated(self, location: FileRef, method: int, packed: bytes) -> Outcome:
        wanted = self._wanted(location)
        try:
            match method:
                case 0:
                    raw = packed[: wanted + 1]
                case 8:
                    raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, wanted + 1)
                case 12:
                    raw = bz2.BZ2Decompressor().decompress(packed, wanted + 1)
                case _:
                    return ReadFailure(f"compression method {method} of .zip is not supported")
        except (zlib.error, OSError, EOFError) as error:
            return ReadFailure(f"it cannot be decompressed: {one_line(error)}")
        if self._heads:
            return raw[:HEAD]
        outcome = self._checked(location, raw)
        if isinstance(outcome, bytes) and zlib.crc32(outcome) != location.crc:
            return ReadFailure("its checksum (CRC-32) is wrong")
        return outcome

    def _from_stream(self, location: FileRef) -> Outcome:
        try:
            stream = self._opened(location.container, partial(_open_stream, index=location.index))
            stream.seek(location.offset)
            return self._checked(location, stream.read(self._wanted(location)))
        except FAULTS as error:
            return ReadFailure(f"the archive cannot be read here: {why(error)}")

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

    def _fetch(self, spans: Sequence[_Span]) -> Iterator[Outcome]:
        remote = [span for span in spans if is_url(span.source)]
        fetched = dict(zip(remote, _fetch_remote(remote)))
        for span in spans:
            yield fetched[span] if span in fetched else self._pread(span)

    def _pread(self, span: _Span) -> Outcome:
        try:
            file = self._opened(span.source, lambda source, stack: stack.enter_context(open_binary(source)))
            return os.pread(file.fileno(), span.stop - span.start, span.start)
        except OSError as error:
            return ReadFailure(error.strerror or one_line(error))


def _open_stream(container: str, stack: ExitStack, index: str | None) -> IO[bytes]:
    raw = stack.enter_context(open_binary(container))
    # The checksum was looked at when the archive was listed; a wrong one would take good members with it.
    stream = indexed_gzip.IndexedGzipFile(fileobj=raw, spacing=SPACING, buffer_size=SPACING, skip_crc_check=True)
    if index is not None:
        with contextlib.suppress(OSError, indexed_gzip.ZranError):  # elsewhere or damaged: go on without
            stream.import_index(filename=index)
    return cast(IO[bytes], stack.enter_context(stream))


def _fetch_remote(spans: Sequence[_Span]) -> list[Outcome]:
    """Spans of remote files: near ones of one file in one request, all requests side by side.

    Raises RunError where the store itself cannot be reached: that is not the files' fault.
    """
    blocks: list[_Span] = []
    block_of: dict[_Span, int] = {}
    for span in sorted({span for span in spans if span.start < span.stop}, key=lambda span: (span.source, span.start)):
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and last.source == span.source
            and span.start <= last.stop + MERGE_GAP
            and span.stop - last.start <= MERGE_BYTES
        ):
            blocks[-1] = _Span(span.source, last.start, max(last.stop, span.stop))
        else:
            blocks.append(span)
        block_of[span] = len(blocks) - 1
    fetched = _fetch_blocks(blocks)
    outcomes: list[Outcome] = []
    for span in spans:
        if span not in block_of:  # an empty one, which a store refuses
            outcomes.append(b"")
            continue
        block, raw = blocks[block_of[span]], fetched[block_of[span]]
        outcomes.append(raw[span.start - block.start : span.stop - block.start] if isinstance(raw, bytes) else raw)
    return outcomes


def _fetch_blocks(blocks: Sequence[_Span]) -> list[Outcome]:
    stores = [store_of(block.source) for block in blocks]
    outcomes: dict[int, Outcome] = {}
    for store in {id(store): store for store, _ in stores}.values():
        chosen = [index for index, (its_store, _) in enumerate(stores) if its_store is store]
        found = store.cat_ranges(
            [stores[index][1] for index in chosen],
            [blocks[index].start for index in chosen],
            [blocks[index].stop for index in chosen],
            on_error="return",
        )
        for index, raw in zip(chosen, found):
            outcomes[index] = raw if isinstance(raw, bytes) else _remote_failure(blocks[index].source, raw)
    return [outcomes[index] for index in range(len(blocks))]


def _remote_failure(source: str, error: BaseException) -> ReadFailure:
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        return ReadFailure(one_line(error))
    raise RunError(f"{source} cannot be reached: {one_line(error)}; run again") from None
