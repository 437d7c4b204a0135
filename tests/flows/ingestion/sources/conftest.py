"""Fixtures of the tests of sources: folders and archives of given files, and listings of them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.ingestion.sources import Collection, Listing, ReadFailure, file_refs, list_files, read_files

Contents = dict[str, bytes]


@pytest.fixture
def lay_out(tmp_path: Path) -> Callable[..., Path]:
    """Write files into a folder `name`, those given by path with their path as content, and return the folder."""

    def write(*paths: str, contents: Contents | None = None, name: str = "music") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for path, data in ({path: os.fsencode(path) for path in paths} | (contents or {})).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return root

    return write


def zip_of(path: Path, contents: Contents, method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def tar_of(path: Path, contents: Contents, **kind: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    compressed = path.name.endswith(("gz", "GZ"))
    with tarfile.open(path, "w:gz" if compressed else "w", **kind) as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def pack() -> Callable[..., Path]:
    """Write an archive of given files, of the kind of its suffix."""

    def write(path: Path, contents: Contents, **kind: Any) -> Path:
        return (zip_of if path.suffix.lower() == ".zip" else tar_of)(path, contents, **kind)

    return write


@pytest.fixture
def find(tmp_path: Path) -> Callable[..., Listing]:
    """List one location; further arguments are those of Collection, and `lake`."""

    def search(location: Path | str, lake: Path | str | None = None, **about: Any) -> Listing:
        collection = Collection(name="music", location=location, **about)
        return list_files([collection], lake=lake, index_folder=tmp_path / "index")

    return search


@pytest.fixture
def read() -> Callable[..., dict[str, bytes | ReadFailure]]:
    """Read a listing's files: bytes or failures by path."""

    def contents(listing: Listing, max_bytes: int = 10**6) -> dict[str, bytes | ReadFailure]:
        return dict(zip(listing.files["path"], read_files(file_refs(listing.files), max_bytes), strict=True))

    return contents
