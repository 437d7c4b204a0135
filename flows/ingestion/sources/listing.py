"""Listing: which files the collections hold, as rows of a table.

Ten million files are the measure: folders are walked without an object per file, an object store is asked for a whole
prefix at once, and everything that can be said of a batch of names is said of its columns.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from flows.ingestion.sources.archives import ARCHIVE, Members, begins_like_midi, tar_members, targz_members, zip_members
from flows.ingestion.sources.collections import SUFFIXES, Collection, distinct
from flows.ingestion.sources.labels import style_labels
from flows.ingestion.sources.names import as_text, glob_regex
from flows.ingestion.sources.reading import LOCATION, ContainerKind, file_refs, read_heads
from flows.ingestion.sources.storage import is_url, last_change, local_path, one_line, open_binary, store_of
from infra.errors import UserError

FILES = {
    "collection": pl.String(),
    "path": pl.String(),  # relative to the location, with forward slashes; printable; different for every file
    "licence": pl.String(),
    "style": pl.String(),
    "size": pl.Int64(),  # bytes, as folder, store or archive say
    "location": LOCATION,
    "version": pl.String(),  # the store's own hash of the content (an S3 ETag); null where there is none
}
PROBLEMS = {"collection": pl.String(), "path": pl.String(), "size": pl.Int64(), "detail": pl.String()}
NOT_A_FILE = "(not a file)"
BATCH = 100_000
"""Names of a folder that are looked at together."""


@dataclass(frozen=True)
class Listing:
    """What the collections hold."""

    files: pl.DataFrame
    """A row for each file, columns as in `FILES`, sorted by collection (in the order given) and path."""
    problems: pl.DataFrame
    """A row for each archive or folder that cannot be read, or not to its end; columns as in `PROBLEMS`."""
    ignored: dict[str, dict[str, int]]
    """By collection, how many files of each suffix (`""`: without) were left out; `(not a file)` are links to nothing
    in an archive, devices and the like."""


def list_files(collections: Iterable[Collection], lake: Path | str | None = None, *, index_folder: Path) -> Listing:
    """Every MIDI file of the collections.

    What the platform itself wrote into a `lake` (path or URL) below a collection is left out. `index_folder` keeps
    what makes the members of a .tar.gz readable. Raises UserError for a location that does not exist or cannot be
    opened, for a collection without MIDI files, and for two collections of one name.
    """
    collections = distinct(collections)
    searches = [_Search(collection, lake, index_folder) for collection in collections]
    files = [search.files() for search in searches]
    problems = [search.problems() for search in searches]
    return Listing(
        pl.concat([pl.DataFrame(schema=FILES), *files]),
        pl.concat([pl.DataFrame(schema=PROBLEMS), *problems]),
        {collection.name: search.ignored() for collection, search in zip(collections, searches)},
    )


def in_reading_order(files: pl.DataFrame) -> pl.DataFrame:
    """The rows of a listing as they are read fastest: the members of an archive together, as they lie in it."""
    where = pl.col("location").struct
    if not len(files) or files.select((where.field("kind") == ContainerKind.FILE.value).all()).item():
        return files
    return files.sort(where.field("container"), where.field("offset"), maintain_order=True)


class _Search:
    """The search of one collection."""

    def __init__(self, collection: Collection, lake: Path | str | None, index_folder: Path) -> None:
        self._collection = collection
        self._lake = None if lake is None else str(lake)
        self._index_folder = index_folder
        self._frames: list[pl.DataFrame] = []
        self._archives: list[tuple[str, str, int, str | None]] = []
        """Path in the collection, path or URL, size and version of archives still to be opened."""
        self._problems: list[tuple[str, int, str]] = []
        """Path in the collection, size, and what is wrong."""
        self._ignored: Counter[str] = Counter()
        self._default = not collection.include
        self._include = [glob_regex(pattern) for pattern in collection.include]
        self._exclude = [glob_regex(pattern, folders=True) for pattern in collection.exclude]

    def files(self) -> pl.DataFrame:
        """Search, and give what was found, columns as in `FILES`. Once; then ask for the rest."""
        local = local_path(self._collection.location)
        own_name = self._search_remote() if local is None else self._search_local(local)
        for archive in sorted(self._archives):
            self._search_archive(*archive)
        if not any(len(frame) for frame in self._frames):
            raise UserError(self._nothing())
        frame = pl.concat(self._frames)
        self._frames.clear()  # or two copies are held while the table is sorted
        frame = frame.sort("path")
        if (frame["path"] == frame["path"].shift()).any():
            frame = _with_different_paths(frame)
        in_archive = frame["location"].struct.field("kind") != ContainerKind.FILE.value
        return frame.select(
            pl.lit(self._collection.name).alias("collection"),
            pl.col("path"),
            pl.lit(self._collection.licence).alias("licence"),
            style_labels(self._collection, frame["path"], in_archive, own_name).alias("style"),
            pl.col("size", "location", "version"),
        )

    def problems(self) -> pl.DataFrame:
        """Columns as in `PROBLEMS`."""
        rows = [(self._collection.name, *problem) for problem in sorted(self._problems)]
        return pl.DataFrame(rows, schema=PROBLEMS, orient="row")

    def ignored(self) -> dict[str, int]:
        """Files by suffix."""
        return dict(sorted(self._ignored.items()))

    def _nothing(self) -> str:
        looked_for = ", ".join(self._collection.include or SUFFIXES)
        problem = "; {0}: {2}".format(*self._problems[0]) if self._problems else ""
        others = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in self._ignored.most_common(3))
        there_are = f"; there are: {others}" if others else ""
        return (
            f"{self._collection.location} holds no MIDI file (looked for {looked_for})"
            f"{problem or there_are}; name another folder"
        )

    def _search_local(self, root: str) -> str:
        root = root.rstrip("/") or "/"
        try:
            status = os.stat(root)  # noqa: PTH116
        except OSError as error:
            why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            raise UserError(f"{root} {why}; name a folder, an archive or a MIDI file") from None
        folder, name = os.path.split(os.path.realpath(root))
        if stat.S_ISDIR(status.st_mode):
            for names, sizes in self._walk(root):
                self._take(_plain_files(root, names, sizes), root)
            return _text(name)
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{root} is neither a folder nor a file; name one of them")
        if ARCHIVE.search(root):
            self._archives.append(("", root, status.st_size, None))
            return _text(ARCHIVE.sub("", root.rpartition("/")[2]))
        folder, name = os.path.split(root)
        self._frames.append(_plain_files(folder, [os.fsencode(name)], [status.st_size]))
        return _text(os.path.realpath(folder).rpartition("/")[2])

    def _walk(self, root: str) -> Iterator[tuple[list[bytes], list[int]]]:
        """Batches of names below `root`, with sizes; each real folder once, those behind links after all others."""
        seen = {identity for identity in [self._lake_identity()] if identity is not None}
        base = os.fsencode(root.rstrip("/")) + b"/"
        folders, links = [b""], list[bytes]()
        names: list[bytes] = []
        sizes: list[int] = []
        while folders or links:
            folder = folders.pop() if folders else heapq.heappop(links)
            try:
                identity = _identity(base + folder)
                entries = os.scandir(base + folder) if identity not in seen else None
            except OSError as error:
                self._problems.append((_text(os.fsdecode(folder)), 0, f"the folder cannot be read: {error.strerror}"))
                continue
            if entries is None:
                continue
            seen.add(identity)
            prefix = folder + b"/" if folder else b""
            with entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                        continue
                    try:
                        status = entry.stat()
                    except OSError:  # a link to nothing: a file that cannot be read
                        names.append(name)
                        sizes.append(0)
                        continue
                    if stat.S_ISREG(status.st_mode):
                        names.append(name)
                        sizes.append(status.st_size)
                    elif stat.S_ISDIR(status.st_mode):
                        heapq.heappush(links, name)
                    else:
                        self._ignored[NOT_A_FILE] += 1
            if len(names) >= BATCH:
                yield names, sizes
                names, sizes = [], []
        yield names, sizes

    def _lake_identity(self) -> tuple[int, int] | None:
        local = local_path(self._lake) if self._lake else None
        try:
            return None if local is None else _identity(local)
        except OSError:
            return None

    def _search_remote(self) -> str:
        url = self._collection.location.rstrip("/")
        store, root = store_of(url)
        root = root.rstrip("/")
        try:
            store.invalidate_cache()  # a listing of long ago may be remembered
            archive = store.info(root) if ARCHIVE.search(root) else {}
            is_archive = archive.get("type") == "file"
            found = {root: archive} if is_archive else store.find(root, detail=True)
        except FileNotFoundError:
            found = {}
        except Exception as error:  # each store's library has its own errors
            raise UserError(f"{url} cannot be listed: {one_line(error)}") from None
        if not found:
            raise UserError(f"{url} does not exist or holds nothing; name a prefix, an archive or a MIDI file")
        if list(found) == [root]:
            return self._take_object(url, found[root])
        lake = self._lake_key(store.protocol)
        names: list[bytes] = []
        infos: list[dict[str, Any]] = []
        for key, info in found.items():
            name = key[len(root) :].lstrip("/")
            if name and not name.endswith("/") and not (lake and f"{key}/".startswith(lake)):
                names.append(name.encode(errors="surrogateescape"))
                infos.append(info)
        sizes, versions = [info["size"] or 0 for info in infos], [_version(info) for info in infos]
        self._take(_plain_files(url, names, sizes, versions), url)
        return _text(root.rpartition("/")[2])

    def _take_object(self, url: str, info: dict[str, Any]) -> str:
        folder, _, name = url.rpartition("/")
        if ARCHIVE.search(name):
            self._archives.append(("", url, info["size"] or 0, _version(info)))
            return _text(ARCHIVE.sub("", name))
        self._frames.append(_plain_files(folder, [name.encode()], [info["size"] or 0], [_version(info)]))
        return _text(folder.rpartition("/")[2])

    def _lake_key(self, protocol: str | tuple[str, ...]) -> str | None:
        """Where the lake begins in a store, with a final slash; None when it is in another."""
        protocols = (protocol,) if isinstance(protocol, str) else protocol
        if self._lake is None or self._lake.split("://")[0] not in protocols or not is_url(self._lake):
            return None
        return store_of(self._lake)[1].rstrip("/") + "/"

    def _search_archive(self, path: str, where: str, size: int, version: str | None) -> None:
        suffix = where.lower()
        kind = (
            ContainerKind.ZIP
            if suffix.endswith(".zip")
            else ContainerKind.TAR
            if suffix.endswith(".tar")
            else ContainerKind.TARGZ
        )
        try:
            members = self._members(kind, where, size, version)
        except Exception as error:  # the storage's own errors
            members = Members(problem=f"it cannot be opened: {one_line(error)}")
        if members.problem:
            self._problems.append((path or _text(where.rpartition("/")[2]), size, members.problem))
        if members.not_files:
            self._ignored[NOT_A_FILE] += members.not_files
        self._take(_archived_files(kind, where, path, version, members), None)

    def _members(self, kind: ContainerKind, where: str, size: int, version: str | None) -> Members:
        if kind is ContainerKind.TARGZ:
            identity = f"{where}\n{size}\n{version or last_change(where)}"
            return targz_members(partial(open_binary, where), identity, size, self._index_folder)
        with open_binary(where) as file:
            return zip_members(file) if kind is ContainerKind.ZIP else tar_members(file)

    def _take(self, files: pl.DataFrame, root: str | None) -> None:
        """Sort a batch of files into taken ones, archives still to be opened (in `root`) and ignored ones."""
        if not len(files):
            return
        path = files["path"]
        suffix = path.str.extract(r"(?i)(\.tar\.gz|\.[a-z0-9_-]{1,10})$").str.to_lowercase()
        wanted = suffix.is_in(SUFFIXES).fill_null(False) if self._default else _matches(path, self._include)
        excluded = _matches(path, self._exclude)
        if root is not None:
            archives = path.str.contains(ARCHIVE.pattern) & ~excluded
            self._remember_archives(files.filter(archives), root)
            excluded |= archives
        else:
            archives = pl.repeat(False, len(files), dtype=pl.Boolean, eager=True)
        if self._default:
            wanted |= self._begin_like_midi(files, suffix.is_null() & ~excluded)
        taken = wanted & ~excluded
        self._frames.append(files.filter(taken).drop("midi"))
        left_out = suffix.filter(~taken & ~archives).fill_null("").value_counts()
        self._ignored.update(dict(left_out.iter_rows()))

    def _remember_archives(self, archives: pl.DataFrame, root: str) -> None:
        for path, location, version in zip(archives["path"], file_refs(archives), archives["version"]):
            self._archives.append((path, location.source, location.size, version))

    @staticmethod
    def _begin_like_midi(files: pl.DataFrame, asked: pl.Series) -> pl.Series:
        """Which of the files that are asked about begin like MIDI."""
        known = files["midi"]
        to_read = (asked & known.is_null()).arg_true()
        if len(to_read):
            heads = read_heads(file_refs(files[to_read]))
            known = known.scatter(to_read, [isinstance(head, bytes) and begins_like_midi(head) for head in heads])
        return (asked & known).fill_null(False)


def _matches(paths: pl.Series, patterns: Sequence[str]) -> pl.Series:
    found = pl.repeat(False, len(paths), dtype=pl.Boolean, eager=True)
    for pattern in patterns:
        found |= paths.str.contains(pattern)
    return found


def _plain_files(
    container: str, names: list[bytes], sizes: list[int], versions: list[str | None] | None = None
) -> pl.DataFrame:
    member = pl.Series(names, dtype=pl.Binary)
    columns = {"member": member, "path": as_text(member), "size": sizes, "version": versions}
    return _rows(ContainerKind.FILE, container, columns)


def _archived_files(kind: ContainerKind, where: str, path: str, version: str | None, members: Members) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "path": as_text(pl.Series(members.names, dtype=pl.Binary)),
        "size": members.sizes,
        "offset": members.offsets,
        "stored": members.stored,
        "crc": members.crcs,
        "midi": members.midi,
    }
    frame = _rows(kind, where, columns, members.index)
    prefix, offset = f"{path}/" if path else "", pl.col("location").struct.field("offset")
    return frame.with_columns(
        path=pl.lit(prefix) + pl.col("path"),
        version=pl.lit(None, dtype=pl.String) if version is None else pl.format("{}#{}", pl.lit(version), offset),
    )


_COLUMNS = {
    "path": pl.String(),
    "size": pl.Int64(),
    "version": pl.String(),
    "midi": pl.Boolean(),
    "member": pl.Binary(),
    "offset": pl.Int64(),
    "stored": pl.Int64(),
    "crc": pl.Int64(),
}


def _rows(kind: ContainerKind, container: str, columns: dict[str, Any], index: str | None = None) -> pl.DataFrame:
    """Rows of path, size, version, location, and `midi`: whether a file begins like MIDI, where that is known."""
    given = {name: column for name, column in columns.items() if column is not None}
    frame = pl.DataFrame(given, schema_overrides={name: _COLUMNS[name] for name in given})
    same = {"kind": kind.value, "container": os.fsencode(container), "index": index and os.fsencode(index)}
    fields = [
        pl.lit(same[name]).cast(dtype).alias(name)
        if name in same
        else pl.col(name)
        if name in given
        else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in LOCATION.to_schema().items()
    ]
    others = [
        pl.col(name) if name in given else pl.lit(None, dtype=_COLUMNS[name]).alias(name)
        for name in ("path", "size", "version", "midi")
    ]
    return frame.select(*others, pl.struct(fields).alias("location"))


def _with_different_paths(frame: pl.DataFrame) -> pl.DataFrame:
    """Files of one path (an archive may hold two; two odd names may look the same) are numbered: `a.mid [2]`."""
    where = pl.col("location").struct
    frame = frame.sort("path", where.field("container"), where.field("member"), where.field("offset"))
    number = pl.int_range(1, pl.len() + 1).over("path")
    path = pl.when(number == 1).then(pl.col("path")).otherwise(pl.format("{} [{}]", "path", number))
    frame = frame.with_columns(path.alias("path")).sort("path")
    return _with_different_paths(frame) if frame["path"].is_duplicated().any() else frame


def _identity(folder: str | bytes) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _version(info: dict[str, Any]) -> str | None:
    """The hash or generation that a store gives an object's content."""
    version = info.get("ETag") or info.get("etag") or info.get("md5Hash")
    return str(version).strip('"') if version else None


def _text(name: str) -> str:
    return str(as_text(pl.Series([os.fsencode(name)], dtype=pl.Binary))[0])
