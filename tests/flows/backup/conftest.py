"""A lake made by hand: each class of files is in it, and two databases. Nothing of it was trained or ingested."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from infra.lake import Lake
from infra.services.database import create_database

SHARD = b"the tokens of a piece" * 100
SECRET = "musenet:the-password-of-the-servers"


def write(root: Path, path: str, content: bytes = b"x") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def write_dataset(root: Path, digest: str) -> None:
    """A dataset version as far as its shard's digest is concerned."""
    folder = f"datasets/songs/{digest}"
    write(root, f"{folder}/train/00000.parquet", SHARD)
    shards = {"train/00000.parquet": hashlib.sha256(SHARD).hexdigest()}
    write(root, f"{folder}/dataset.json", json.dumps({"format": 2, "shards": shards}).encode())


def write_run(root: Path, run: str, dataset: str) -> None:
    write(root, f"runs/{run}/run.json", json.dumps({"dataset": dataset}).encode())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "a place" / "lake")
    write_dataset(lake.root, "1111")
    write_dataset(lake.root, "2222")
    first, second = (lake.root / f"datasets/songs/{digest}/train/00000.parquet" for digest in ("1111", "2222"))
    second.unlink()
    os.link(first, second)
    write_run(lake.root, "aaaa", "songs@1111")
    for name in ("metrics.jsonl", ".lock", ".deepspeed_env", ".stop", "checkpoints/.step00000003.saving/part"):
        write(lake.root, f"runs/aaaa/{name}", name.encode())
    for step in (1, 2):
        for name in ("checkpoint.json", "state.pt"):
            write(lake.root, f"runs/aaaa/checkpoints/step{step:08d}/{name}", f"{name} of {step}".encode())
    write(lake.root, "pieces/reader3/part.parquet")
    write(lake.root, "samples/ü.mid", b"MThd")
    write(lake.root, "gate.toml", b"[rules]")
    write(lake.root, "registry/artifacts/1/artifacts/.gitignore", b"")
    write(lake.root, "services/password", SECRET.encode())
    write(lake.root, "prefect/profiles.toml", SECRET.encode())
    for name in ("cache/x", "served/x", "prepared/x", "locks/x", ".staging-1-x/x", "samples/.staging-1-x"):
        write(lake.root, name)
    create_database(lake)
    with closing(sqlite3.connect(lake.registry_database)) as content:
        content.executescript("PRAGMA journal_mode=WAL; CREATE TABLE runs (name TEXT); CREATE TABLE twins (name TEXT)")
    return lake


CONTENTS = {
    "datasets/songs/1111/dataset.json",
    "datasets/songs/1111/train/00000.parquet",
    "datasets/songs/2222/dataset.json",
    "datasets/songs/2222/train/00000.parquet",
    "gate.toml",
    "pieces/reader3/part.parquet",
    "prefect/prefect.db",
    "registry/artifacts/1/artifacts/.gitignore",
    "registry/mlflow.db",
    "runs/aaaa/.lock",
    "runs/aaaa/checkpoints/step00000001/checkpoint.json",
    "runs/aaaa/checkpoints/step00000001/state.pt",
    "runs/aaaa/checkpoints/step00000002/checkpoint.json",
    "runs/aaaa/checkpoints/step00000002/state.pt",
    "runs/aaaa/metrics.jsonl",
    "runs/aaaa/run.json",
    "samples/ü.mid",
}
"""What of this lake is in a backup."""


@pytest.fixture
def contents() -> set[str]:
    """The paths of this lake that are in a backup."""
    return CONTENTS


@pytest.fixture(name="write_dataset")
def dataset_writer() -> Callable[[Path, str], None]:
    """Writes a dataset version: `write_dataset(root, digest)`."""
    return write_dataset


@pytest.fixture(name="write_run")
def run_writer() -> Callable[[Path, str, str], None]:
    """Writes a run: `write_run(root, run, dataset)`."""
    return write_run
