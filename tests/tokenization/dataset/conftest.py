"""Shared by the tests of dataset versions: versions written by hand, without an ingestion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tokenization.dataset import (
    Description,
    Row,
    TokenFormat,
    write_description,
    write_manifest,
    write_shard,
    write_vocabulary,
)
from tokenization.dataset.manifest import SCHEMA
from tokenization.encodings.combined import Combined

VersionWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def write_version(encoding: Combined, make_description: Callable[..., Description]) -> VersionWriter:
    """Writes a version with two training shards and one for validation: `write_version(home, digest, **changes)`."""

    def write(home: Path, digest: str, day: int = 1, **changes: Any) -> Path:
        folder = home / digest
        shards = {}
        for number, path in enumerate(("train/00000.parquet", "train/00001.parquet", "validation/00000.parquet")):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            rows = [Row(f"piece {number}", f"piece {number}", "bach", "piano", np.array([4096, 60, 4097], np.uint16))]
            shards[path] = write_shard(folder / path, rows, TokenFormat.of(encoding))
        write_vocabulary(folder, encoding.vocabulary)
        file = {**dict.fromkeys(SCHEMA), "path": "1.mid", "collection": "songs", "status": "accepted"}
        write_manifest(folder / "manifest.parquet", pl.DataFrame([file], schema=SCHEMA))
        created = datetime(2026, 11, day, tzinfo=UTC)
        given = {"name": home.name, "digest": digest, "created": created, "shards": shards, **changes}
        write_description(folder, make_description(encoding, **given))
        return folder

    return write
