"""The collection: a plan of what goes, and its execution, which may be killed at any moment.

A folder is renamed to a temporary name before its content is deleted, so that it is there whole or not at all; what a
killed collection leaves under such a name is removed by the next command that works there. Versions are unpublished
before the store parts that they were made of go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.retention import candidates
from flows.retention.candidates import Candidate, Kind
from flows.retention.guard import alone
from flows.retention.references import Kept, divide, referring
from flows.retention.rules import RetentionRules
from infra.errors import UserError
from infra.files import discard, remove_abandoned
from infra.lake import Lake
from tokenization.dataset import dataset_versions

CONTENTS: dict[Kind, Callable[[Lake], Iterator[Candidate]]] = {
    Kind.ARCHIVE: candidates.finished_archives,
    Kind.CHECKPOINT: candidates.finished_checkpoints,
    Kind.CACHE: candidates.caches,
    Kind.SAMPLE: candidates.samples,
}


@dataclass(frozen=True)
class Item:
    """A file or folder to remove, and the bytes that become free with it."""

    candidate: Candidate
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What goes, in the order of removal, and what stays."""

    lake: Lake
    rules: RetentionRules
    items: tuple[Item, ...]
    kept: Kept

    @property
    def by_kind(self) -> dict[Kind, tuple[int, int]]:
        """Number of items and bytes of each class that has any."""
        found: dict[Kind, tuple[int, int]] = {}
        for item in self.items:
            count, size = found.get(item.candidate.kind, (0, 0))
            found[item.candidate.kind] = (count + 1, size + item.bytes)
        return found

    @property
    def bytes(self) -> int:
        """Bytes that become free."""
        return sum(item.bytes for item in self.items)


def plan(lake: Lake, rules: RetentionRules) -> Plan:
    """Find what may go. Removes nothing. Raises UserError for a lake in an object store or an unreadable run."""
    if lake.remote is not None:
        raise UserError(f"{lake.remote} is an object store, where no lock keeps others out; gc works on a lake on disk")
    if not lake.root.is_dir():
        raise UserError(f"{lake.root} is no lake; name one with --lake")
    kept = divide(dataset_versions(lake), referring(lake), rules.keep)
    latest = datetime.now(UTC) - rules.older_than
    old = [version for version in kept.others if version.description.created <= latest]
    staying = {id(version) for version in kept.others} - {id(version) for version in old}
    needed = [version for version, _ in kept.versions] + [each for each in kept.others if id(each) in staying]
    found = [*candidates.old_versions(old)]
    found += [each for each in candidates.unused_parts(lake, needed) if _changed(each.path) <= latest.timestamp()]
    for kind, of_kind in CONTENTS.items():
        if kind is not Kind.SAMPLE or rules.samples:
            found += [each for each in of_kind(lake) if _changed(each.path) <= latest.timestamp()]
    return Plan(lake, rules, tuple(_measured(found)), kept)


def carry_out(planned: Plan, progress: Callable[[int, int], None]) -> Plan:
    """Remove what a plan says and is still true, and return what was removed.

    Raises UserError while a flow uses the lake.
    """
    with alone(planned.lake):
        current = plan(planned.lake, planned.rules)  # a run may have begun since
        agreed = {item.candidate.path for item in planned.items}
        items = tuple(item for item in current.items if item.candidate.path in agreed)
        for number, item in enumerate(items):
            discard(item.candidate.path)
            progress(number + 1, len(items))
        for place in ("datasets/*", "pieces", "pieces/*", "archive/*", "runs/*", "cache/tokens"):
            for parent in planned.lake.root.glob(place):
                remove_abandoned(parent)
    return Plan(planned.lake, planned.rules, items, current.kept)


def _changed(path: Path) -> float:
    """Return the time of the newest change in a folder, or of a file, in seconds since the epoch."""
    inside = path.rglob("*") if path.is_dir() else ()
    return max((each.lstat().st_mtime for each in [path, *inside]), default=0.0)


def _measured(found: Sequence[Candidate]) -> list[Item]:
    """Return the bytes that each candidate frees; a file with several links is freed with the last of them."""
    links: dict[tuple[int, int], int] = {}
    items = []
    for candidate in found:
        size = 0
        for path in [candidate.path, *(candidate.path.rglob("*") if candidate.path.is_dir() else ())]:
            status = os.lstat(path)
            if not path.is_file():
                continue
            identity = (status.st_dev, status.st_ino)
            links[identity] = links.get(identity, 0) + 1
            size += status.st_size if links[identity] == status.st_nlink else 0
        items.append(Item(candidate, size))
    return items
