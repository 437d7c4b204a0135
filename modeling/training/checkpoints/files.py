"""Checkpoints as folders: their names, what is in them, whether it is whole, and how they are removed."""

from __future__ import annotations

import contextlib
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from infra.errors import RunError
from infra.files import publish_folder
from modeling.config import StrictModel

MANIFEST = "checkpoint.json"
BLOCK = 1 << 24
"""Bytes read at once."""


class CheckpointError(RunError, RuntimeError):
    """A checkpoint that cannot be written or read; the message is one line, the same on all ranks."""


class Stamp(StrictModel):
    """What a file must be."""

    size: int
    crc32: int
    """Tells damage, not malice; keeps up with the disk."""


class Form(StrictModel):
    """How a state is cut and kept. DeepSpeed itself reads no other form than the run's own."""

    ranks: int
    zero_stage: int
    offload: bool
    bf16: bool
    optimiser: str
    """The optimiser's class."""
    wrapper: str
    """DeepSpeed's class around it, which depends on the settings."""


class Manifest(StrictModel):
    """What `checkpoint.json` says."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # nothing evaluated yet may be told by an infinite loss

    step: int
    form: Form
    state: dict[str, Any]
    files: dict[str, Stamp]


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint."""

    path: Path
    step: int
    form: Form
    state: dict[str, Any]
    """What was given to `save`."""


def folder_of(folder: Path, step: int) -> Path:
    return folder / f"step{step:08d}"


def all_of(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first, good or not."""
    return sorted(path for path in folder.glob("step*") if path.is_dir())


def publish(manifest: Manifest, staging: Path, target: Path) -> None:
    """Write the manifest and give a checkpoint its name; after a power cut too there is either all of it or none.

    Those of the same and later steps go: steps are done again only if they are damaged.
    """
    (staging / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for worthless in all_of(target.parent):
        if worthless.name >= target.name:
            remove(worthless)
    publish_folder(staging, target)


def find(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and a remark on each newer one."""
    remarks: list[str] = []
    for path in reversed(all_of(folder)):
        try:
            return read(path), remarks
        except (OSError, ValueError) as error:
            remarks.append(f"the checkpoint {path} is damaged ({reason(error)}): the one before is used, if any")
    return None, remarks


def read(path: Path) -> Checkpoint:
    """The checkpoint at `path`, all of whose bytes are read. Raises OSError or ValueError saying what is wrong."""
    manifest = _manifest(path)
    for name, stamp in manifest.files.items():
        if not (path / name).exists():
            raise ValueError(f"{name} is missing")
        size = (path / name).stat().st_size
        if size != stamp.size:
            raise ValueError(f"{name} has {size} bytes instead of {stamp.size}")
    with ThreadPoolExecutor() as pool:
        found = pool.map(_crc32, (path / name for name in manifest.files))
        for (name, stamp), crc32 in zip(manifest.files.items(), found):
            if crc32 != stamp.crc32:
                raise ValueError(f"the content of {name} is not what was written")
    return Checkpoint(path, manifest.step, manifest.form, manifest.state)


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"{MANIFEST} is missing") from error
    except ValidationError as error:
        raise ValueError(f"{MANIFEST} is not what was written") from error


def prune(folder: Path, keep: int) -> list[dict[str, Any]]:
    """Remove all but the newest `keep` checkpoints and return the states of those that stay. For rank 0, after `save`.

    Only their manifests are read.
    """
    found = all_of(folder)
    for old in found[:-keep]:
        remove(old)
    states = []
    for kept in found[-keep:]:
        with contextlib.suppress(OSError, ValueError):  # a damaged one is told of when it is needed
            states.append(_manifest(kept).state)
    return states


def remove(path: Path) -> None:
    """Remove a checkpoint; never does a part of it look like a damaged one."""
    hidden = path.rename(path.with_name(f".{path.name}.removed"))
    shutil.rmtree(hidden, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """What killed runs have left of saving, converting and removing."""
    for leftover in folder.glob(".step*"):
        shutil.rmtree(leftover, ignore_errors=True)


def reason(error: BaseException) -> str:
    """What the system said; torch's zip writer covers its error with one of its own."""
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
