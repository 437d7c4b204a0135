"""The search of one collection: its folder, prefix or archive, and all archives in it."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from functools import partial
from pathlib import Path

import polars as pl

from flows.ingestion.sources.archives import ARCHIVE, Members, tar_members, targz_members, zip_members
from flows.ingestion.sources.collections import SUFFIXES, Collection
from flows.ingestion.sources.listing.file_filter import FileFilter
from flows.ingestion.sources.listing.file_table import archived_files, plain_files, with_distinct_paths
from flows.ingestion.sources.listing.folder_walk import FolderWalk, version_of
from flows.ingestion.sources.listing.object_prefix import find_objects
from flows.ingestion.sources.printable_names import printable_name
from flows.ingestion.sources.reading import ContainerKind, file_refs
from flows.ingestion.sources.storage import is_url, last_change, local_path, one_line, open_binary
from flows.ingestion.sources.style_labels import style_labels
from infra.errors import UserError

NOT_A_FILE = "(not a file)"


class CollectionSearch:
    """Search of one collection; `files` runs it, after which `problems` and `ignored` are complete."""

    def __init__(self, collection: Collection, lake: Path | str | None, index_folder: Path) -> None:
        self._collection = collection
        self._lake = None if lake is None else str(lake)
        self._index_folder = index_folder
        self._filter = FileFilter(collection)
        self._frames: list[pl.DataFrame] = []
        self._archives: list[tuple[str, str, int, str | None]] = []
        """Path in the collection, path or URL, size and version of archives still to be opened."""
        self._ignored: Counter[str] = Counter()
        self._problems: list[tuple[str, int, str]] = []
        """Path in the collection, size, and reason."""

    @property
    def problems(self) -> list[tuple[str, int, str]]:
        """Path in the collection, size and reason, of archives and folders that cannot be read to their end."""
        return sorted(self._problems)

    @property
    def ignored(self) -> dict[str, int]:
        """Number of files left out, by suffix."""
        return dict(sorted(self._ignored.items()))

    def files(self) -> pl.DataFrame:
        """Run the search, and return a row per file, sorted by path: path, style, size, file_ref, version.

        Raises UserError for a location that does not exist, cannot be opened, or holds no MIDI file.
        """
        local = local_path(self._collection.location)
        own_name = self._search_remote() if local is None else self._search_local(local)
        for archive in sorted(self._archives):
            self._search_archive(*archive)
        if not any(len(frame) for frame in self._frames):
            raise UserError(self._no_files_message())
        frame = pl.concat(self._frames)
        self._frames.clear()  # or two copies are held while the table is sorted
        frame = frame.sort("path")
        if (frame["path"] == frame["path"].shift()).any():
            frame = with_distinct_paths(frame)
        in_archive = frame["file_ref"].struct.field("kind") != ContainerKind.FOLDER.value
        style = style_labels(self._collection, frame["path"], in_archive, own_name)
        return frame.select("path", style.alias("style"), "size", "file_ref", "version")

    def _no_files_message(self) -> str:
        looked_for = ", ".join(self._collection.include or SUFFIXES)
        problem = "; {0}: {2}".format(*self._problems[0]) if self._problems else ""
        others = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in self._ignored.most_common(3))
        there_are = f"; there are: {others}" if others else ""
        return (
            f"{self._collection.location} holds no MIDI file (looked for {looked_for})"
            f"{problem or there_are}; name another folder"
        )

    def _search_local(self, root: str) -> str:
        """Search a local path; return its name for style labels."""
        root = root.rstrip("/") or "/"
        status = _status(root)
        if stat.S_ISDIR(status.st_mode):
            walk = FolderWalk(root, self._lake)
            for names, sizes, versions in walk.batches():
                self._take(plain_files(root, names, sizes, versions), open_archives=True)
            self._problems += walk.problems
            if walk.not_files:
                self._ignored[NOT_A_FILE] += walk.not_files
            return printable_name(os.path.basename(os.path.realpath(root)))  # noqa: PTH119
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{root} is neither a folder nor a file; name one of them")
        if ARCHIVE.search(root):
            self._archives.append(("", root, status.st_size, version_of(status, time.time_ns())))
            return printable_name(ARCHIVE.sub("", root.rpartition("/")[2]))
        folder, name = os.path.split(root)
        self._frames.append(plain_files(folder, [os.fsencode(name)], [status.st_size]).drop("midi"))
        return printable_name(os.path.realpath(folder).rpartition("/")[2])

    def _search_remote(self) -> str:
        """Search a prefix or object of a store; return its name for style labels."""
        url = self._collection.location.rstrip("/")
        objects = find_objects(url, self._lake)
        files = plain_files(objects.container, objects.names, objects.sizes, objects.versions)
        if objects.is_prefix:
            self._take(files, open_archives=True)
            return printable_name(objects.root_name)
        name = url.rpartition("/")[2]
        if ARCHIVE.search(name):
            self._archives.append(("", url, objects.sizes[0], objects.versions[0]))
            return printable_name(ARCHIVE.sub("", name))
        self._frames.append(files.drop("midi"))
        return printable_name(objects.container.rpartition("/")[2])

    def _search_archive(self, path: str, archive: str, size: int, version: str | None) -> None:
        suffix = archive.lower()
        kind = (
            ContainerKind.ZIP
            if suffix.endswith(".zip")
            else ContainerKind.TAR
            if suffix.endswith(".tar")
            else ContainerKind.TARGZ
        )
        try:
            members = self._members(kind, archive, size, version)
        except Exception as error:  # the storage's own errors
            members = Members(problem=f"it cannot be opened: {one_line(error)}")
        if members.problem:
            self._problems.append((path or printable_name(archive.rpartition("/")[2]), size, members.problem))
        if members.not_files:
            self._ignored[NOT_A_FILE] += members.not_files
        self._take(archived_files(kind, archive, path, version, members), open_archives=False)

    def _members(self, kind: ContainerKind, archive: str, size: int, version: str | None) -> Members:
        if kind is ContainerKind.TARGZ:
            identity = f"{archive}\n{size}\n{version if version and is_url(archive) else last_change(archive)}"
            return targz_members(partial(open_binary, archive), identity, size, self._index_folder)
        with open_binary(archive) as file:
            return zip_members(file) if kind is ContainerKind.ZIP else tar_members(file)

    def _take(self, files: pl.DataFrame, open_archives: bool) -> None:
        """Add the files of a batch that the collection takes; remember archives to be opened."""
        if not len(files):
            return
        selection = self._filter.select(files, open_archives)
        self._frames.append(selection.taken.drop("midi"))
        archives = selection.archives
        for path, file, version in zip(archives["path"], file_refs(archives), archives["version"]):
            self._archives.append((path, file.source, file.size, version))
        self._ignored.update(selection.ignored)


def check_location(location: str) -> None:
    """Raise UserError for a place on this machine where there is nothing, or nothing that can be read."""
    if (root := local_path(location)) is not None:
        _status(root.rstrip("/") or "/")


def _status(root: str) -> os.stat_result:
    try:
        return os.stat(root)  # noqa: PTH116
    except OSError as error:
        fault = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise UserError(f"{root} {fault}; name a folder, an archive or a MIDI file") from None
