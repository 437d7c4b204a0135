"""The manifest of a version: the SHA-256 of each of its files, checked wherever they are pulled or loaded."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from infra.digests import file_sha256
from registry.errors import RegistryError

MANIFEST = "manifest.json"
FORMAT = 1
OF_MLFLOW = "registered_model_meta"
"""File that MLflow writes beside those of a version that it downloads."""
COMPILED = "__pycache__"
"""Folder that Python writes beside modules that it loads."""


class ChangedFile(RegistryError):
    """A file of a version that is not the one that was registered."""


def write_manifest(folder: Path) -> str:
    """Write the manifest of all files below a folder into it; return its SHA-256."""
    files = {name: file_sha256(folder / name) for name in _names(folder)}
    content = json.dumps({"format": FORMAT, "files": files}, indent=1).encode() + b"\n"
    (folder / MANIFEST).write_bytes(content)
    return sha256(content).hexdigest()


def check_manifest(folder: Path, digest: str | None = None) -> None:
    """Check that a folder holds the files of its manifest, byte for byte, and no others.

    `digest`: SHA-256 of the manifest, where it is known from elsewhere. Raises ChangedFile.
    """
    files = _read(folder, digest)
    names = _names(folder)
    for name in sorted({*files, *names}):
        if name not in files:
            raise ChangedFile(f"{folder / name} was not registered; remove it")
        if name not in names:
            raise _changed(folder / name, "is missing")
        if file_sha256(folder / name) != files[name]:
            raise _changed(folder / name, "was changed after it was registered (its SHA-256 is another)")


def _read(folder: Path, digest: str | None) -> dict[str, str]:
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ChangedFile(
            f"{folder} has no {MANIFEST} to check its files by; register the run again with `musenet register`"
        ) from error
    if digest is not None and sha256(content).hexdigest() != digest:
        raise _changed(folder / MANIFEST, "is not the one that was registered")
    try:
        found = json.loads(content)
        if found["format"] != FORMAT:
            raise _changed(folder / MANIFEST, f"has format {found['format']}, not {FORMAT}")
        return {str(name): str(value) for name, value in found["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _changed(folder / MANIFEST, "cannot be read") from error


def _changed(file: Path, how: str) -> ChangedFile:
    return ChangedFile(f"{file} {how}; pull the version again, or register its run again with `musenet register`")


def _names(folder: Path) -> list[str]:
    """Return the files of a version, relative to its folder, in order."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and COMPILED not in path.parts)
    return sorted(path.as_posix() for path in found if path.as_posix() not in (MANIFEST, OF_MLFLOW))
