"""Byte ranges of remote files, fetched with few requests: near ranges of one file by one, all requests at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.ingestion.sources.storage import one_line, store_of
from infra.errors import RunError

MERGE_GAP = 2**16
"""Ranges of a file with at most this many bytes between them are fetched as one."""
MERGE_BYTES = 8 * 2**20
"""Largest merged range, so that several requests can run at once."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `stop` (excluded) of a file, given by path or URL."""

    source: str
    start: int
    stop: int


def fetch(ranges: Sequence[ByteRange]) -> list[bytes | OSError]:
    """Return the bytes of ranges of remote files, or the error of the file.

    A range that exceeds its file is cut short. Raises RunError where a store cannot be reached, for which no file is
    to blame.
    """
    merged, index_of = _merge(ranges)
    fetched = _fetch_merged(merged)
    found: list[bytes | OSError] = []
    for each in ranges:
        if each not in index_of:  # an empty range, which a store refuses
            found.append(b"")
            continue
        start, raw = merged[index_of[each]].start, fetched[index_of[each]]
        found.append(raw[each.start - start : each.stop - start] if isinstance(raw, bytes) else raw)
    return found


def _merge(ranges: Sequence[ByteRange]) -> tuple[list[ByteRange], dict[ByteRange, int]]:
    """Merge near ranges; return the merged ones and, for each range that is not empty, the index of its own."""
    merged: list[ByteRange] = []
    index_of: dict[ByteRange, int] = {}
    for each in sorted({each for each in ranges if each.start < each.stop}, key=lambda each: (each.source, each.start)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.source == each.source
            and each.start <= last.stop + MERGE_GAP
            and each.stop - last.start <= MERGE_BYTES
        ):
            merged[-1] = ByteRange(each.source, last.start, max(last.stop, each.stop))
        else:
            merged.append(each)
        index_of[each] = len(merged) - 1
    return merged, index_of


def _fetch_merged(ranges: Sequence[ByteRange]) -> list[bytes | OSError]:
    stores = [store_of(each.source) for each in ranges]
    found: dict[int, bytes | OSError] = {}
    for store in {id(store): store for store, _ in stores}.values():
        chosen = [index for index, (its_store, _) in enumerate(stores) if its_store is store]
        fetched = store.cat_ranges(
            [stores[index][1] for index in chosen],
            [ranges[index].start for index in chosen],
            [ranges[index].stop for index in chosen],
            on_error="return",
        )
        for index, raw in zip(chosen, fetched):
            found[index] = raw if isinstance(raw, bytes) else _file_error(ranges[index].source, raw)
    return [found[index] for index in range(len(ranges))]


def _file_error(source: str, error: BaseException) -> OSError:
    """Return the error if it is the file's own. Raises RunError for one of the store."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        return error
    raise RunError(f"{source} cannot be reached: {one_line(error)}; run again") from None
