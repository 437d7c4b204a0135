"""Checkpoints as folders: names, contents, verification and removal."""

from __future__ import annotations

import contextlib
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from infra.errors import RunError
from infra.files import publish_folder
from modeling.config import StrictModel

MANIFEST = "checkpoint.json"
BLOCK = 1 << 24
"""Bytes read at once."""


class CheckpointError(RunError, RuntimeError):
    """A checkpoint that cannot be written or read; the message is one line, the same on all ranks."""


class FileChecksum(StrictModel):
    """The size and checksum of a file."""

    size: int
    crc32: int
    """Detects damage, not tampering; computed as fast as a disk reads."""


class Partitioning(StrictModel):
    """The division of a training state among files. DeepSpeed itself reads only the run's own."""

    ranks: int
    zero_stage: int
    offload: bool
    bf16: bool
    optimiser: str
    """Class of the optimiser."""
    wrapper: str
    """DeepSpeed's class around it, which depends on the settings."""


class Manifest(StrictModel):
    """The content of `checkpoint.json`."""

    model_config = ConfigDict(ser_json_inf_nan="constants", populate_by_name=True)  # the best loss may be infinite

    step: int
    partitioning: Partitioning = Field(alias="form")
    state: dict[str, Any]
    files: dict[str, FileChecksum]


@dataclass(frozen=True)
class Checkpoint:
    """An intact checkpoint."""

    path: Path
    step: int
    partitioning: Partitioning
    state: dict[str, Any]
    """The trainer's state, as given to `save`."""


def folder_of(folder: Path, step: int) -> Path:
    return folder / f"step{step:08d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, intact or not, oldest first."""
    return sorted(path for path in folder.glob("step*") if path.is_dir())


def publish(manifest: Manifest, staging: Path, target: Path) -> None:
    """Write the manifest and give a checkpoint its name, so that even after a power cut all of it is there or none.

    Checkpoints of the same and later steps are removed: steps are only repeated when those are damaged.
    """
    (staging / MANIFEST).write_text(manifest.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    for damaged in list_checkpoints(target.parent):
        if damaged.name >= target.name:
            remove(damaged)
    publish_folder(staging, target)


def find(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest intact checkpoint, if any, and a warning about each newer one."""
    warnings: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return read(path), warnings
        except (OSError, ValueError) as error:
            warnings.append(f"the checkpoint {path} is damaged ({reason(error)}): the one before it is used, if any")
    return None, warnings


def read(path: Path) -> Checkpoint:
    """Read and verify all bytes of a checkpoint. Raises OSError or ValueError naming the fault."""
    manifest = _manifest(path)
    for name, expected in manifest.files.items():
        if not (path / name).exists():
            raise ValueError(f"{name} is missing")
        size = (path / name).stat().st_size
        if size != expected.size:
            raise ValueError(f"{name} has {size} bytes instead of {expected.size}")
    with ThreadPoolExecutor() as pool:
        found = pool.map(_crc32, (path / name for name in manifest.files))
        for (name, expected), crc32 in zip(manifest.files.items(), found):
            if crc32 != expected.crc32:
                raise ValueError(f"the content of {name} is not what was written")
    return Checkpoint(path, manifest.step, manifest.partitioning, manifest.state)


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"{MANIFEST} is missing") from error
    except ValidationError as error:
        raise ValueError(f"{MANIFEST} is not what was written") from error


def prune(folder: Path, keep: int) -> list[dict[str, Any]]:
    """Remove all but the newest `keep` checkpoints; return the states of those that stay. For rank 0, after `save`.

    Of the checkpoints that stay only the manifests are read.
    """
    found = list_checkpoints(folder)
    for old in found[:-keep]:
        remove(old)
    states = []
    for kept in found[-keep:]:
        with contextlib.suppress(OSError, ValueError):  # a damaged one is reported when it is needed
            states.append(_manifest(kept).state)
    return states


def remove(path: Path) -> None:
    """Remove a checkpoint, renamed first, so that a part of it is never taken for a damaged one."""
    hidden = path.rename(path.with_name(f".{path.name}.removed"))
    shutil.rmtree(hidden, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs have left while saving, converting and removing."""
    for leftover in folder.glob(".step*"):
        shutil.rmtree(leftover, ignore_errors=True)


def reason(error: BaseException) -> str:
    """Return the system's reason for an error; torch's zip writer hides it behind an error of its own."""
    cause = error.__context__ if isinstance(error, RuntimeError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return (str(error) or type(error).__name__).splitlines()[0]


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = zlib.crc32(block, value)
    return value
