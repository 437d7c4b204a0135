"""Pace: tokens a second by style, measured over the unaugmented pieces of a version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tokenization.dataset import (
    DatasetVersion,
    Row,
    TokenFormat,
    write_description,
    write_manifest,
    write_shard,
    write_vocabulary,
)
from tokenization.dataset.manifest import SCHEMA
from tokenization.dataset.pace import Pace
from tokenization.dataset.version import open_version
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

# (style, tokens, seconds, stretch); the third is a slower copy of the first.
PIECES = [("bach", 100, 10.0, 1.0), ("bach", 50, 20.0, 1.0), ("bach", 400, 10.0, 1.1), (None, 150, 30.0, 1.0)]


@pytest.fixture
def version(tmp_path: Path, make_description: Callable[..., Any]) -> DatasetVersion:
    encoding = Combined(Vocabulary.load("musenet", ["bach", "jazz"]))
    ids = [f"{number:064x}" for number in (1, 2, 1, 3)]
    rows = [
        Row(ids[i], ids[i], style, "piano", np.zeros(tokens, np.uint16), stretch=stretch)
        for i, (style, tokens, _, stretch) in enumerate(PIECES)
    ]
    (tmp_path / "train").mkdir()
    sha256 = write_shard(tmp_path / "train" / "00000.parquet", rows, TokenFormat.of(encoding))
    accepted = [
        {**dict.fromkeys(SCHEMA), "sha256": ids[i], "seconds": PIECES[i][2], "status": "accepted"} for i in (0, 1, 3)
    ]
    write_manifest(tmp_path / "manifest.parquet", pl.DataFrame(accepted, schema=SCHEMA))
    write_vocabulary(tmp_path, encoding.vocabulary)
    write_description(tmp_path, make_description(encoding, shards={"train/00000.parquet": sha256}))
    return open_version(tmp_path)


def test_is_measured_by_style_and_over_all(version: DatasetVersion) -> None:
    assert Pace.of(version) == Pace(5.0, {"bach": 5.0})


def test_plans_tokens_and_takes_that_of_all_music_for_a_style_without_pieces() -> None:
    pace = Pace(5.0, {"bach": 8.0})
    assert [pace.tokens(style, 10) for style in ("bach", "jazz", None)] == [80, 50, 50]


def test_is_read_as_it_was_written(tmp_path: Path) -> None:
    Pace(5.0, {"bach": 8.0}).write(tmp_path)
    assert Pace.read(tmp_path) == Pace(5.0, {"bach": 8.0})
    (tmp_path / "pace.json").write_text('{"format": 2, "overall": 1.0, "styles": {}}')
    with pytest.raises(ValueError, match="has format 2; this version of musenet reads format 1"):
        Pace.read(tmp_path)
