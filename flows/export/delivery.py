"""Delivery: an export appears under its name whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from infra.files import publish_folder, remove_abandoned, staging_folder


@dataclass(frozen=True)
class Export:
    """What was written."""

    folder: Path
    files: int
    rows: int
    bytes: int


@contextmanager
def delivered(target: Path) -> Iterator[Path]:
    """Yield a folder to write to, which becomes `target` when the block succeeds.

    Raises UserError if `target` is anything but an empty folder or nothing, or cannot be written.
    """
    if target.is_dir():
        if any(target.iterdir()):
            raise UserError(f"{target} is not empty; name a new folder")
    elif target.exists() or target.is_symlink():
        raise UserError(f"{target} is a file; name a new folder")
    try:
        remove_abandoned(target.parent)
        with staging_folder(target.parent) as staged:
            yield staged
            if target.is_dir():
                target.rmdir()
            publish_folder(staged, target)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}; name another folder") from error


def written(target: Path, rows: int) -> Export:
    """Count what lies in a delivered folder."""
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    return Export(target, len(sizes), rows, sum(sizes))
