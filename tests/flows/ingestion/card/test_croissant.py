"""Croissant metadata: the reference implementation accepts it and reads the version's rows by it."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import absl.logging
import mlcroissant as mlc
import numpy as np
import pytest

from flows.ingestion.card import write_card
from flows.ingestion.card.croissant import ROW_FIELDS
from tokenization.dataset.shards import SCHEMA
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

# mlcroissant brings absl, whose log handler closes the stream that it found when logging is set up anew: not pytest's.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(scope="module")
def path(staged: Any) -> Path:
    write_card(staged.version, staged.manifest)
    return staged.folder / "croissant.json"


@pytest.fixture(scope="module")
def dataset(path: Path) -> mlc.Dataset:
    return mlc.Dataset(jsonld=path)


def test_it_is_valid(dataset: mlc.Dataset, staged: Any) -> None:
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert all("MAJOR.MINOR.PATCH" in warning for warning in issues.warnings)  # the version is a digest
    assert dataset.metadata.name == "songs"


def test_it_names_version_and_licences(path: Path, staged: Any) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["version"] == staged.description.digest
    assert "https://spdx.org/licenses/CC0-1.0.html" in data["license"]
    assert data["isLiveDataset"] is False


def test_every_file_is_listed_with_size_and_hash(path: Path, staged: Any) -> None:
    files = {item["@id"]: item for item in json.loads(path.read_text())["distribution"] if "sha256" in item}
    assert set(files) == {"manifest.parquet", "vocabulary.json", *staged.description.shards}
    for name, item in files.items():
        data = (staged.folder / name).read_bytes()
        assert item["sha256"] == hashlib.sha256(data).hexdigest()
        assert item["contentSize"] == f"{len(data)} B"


def test_rows_come_with_their_split_and_tokens_that_decode(dataset: mlc.Dataset, staged: Any) -> None:
    rows = list(dataset.records("rows"))
    splits = [row["rows/split"].decode() for row in rows]
    assert {split: splits.count(split) for split in set(splits)} == staged.description.variants
    vocabulary = Vocabulary.from_json((staged.folder / "vocabulary.json").read_text(encoding="utf-8"))
    tokens = np.frombuffer(rows[0]["rows/tokens"], "<u2")
    assert len(tokens) == rows[0]["rows/n_tokens"]
    assert len(Combined(vocabulary).decode(tokens)) == 40


def test_one_split_can_be_asked_for(path: Path) -> None:
    dataset = mlc.Dataset(jsonld=path)  # asking changes it
    rows = list(dataset.records("rows", filters={"rows/split": "train"}))
    assert {row["rows/split"] for row in rows} == {b"train"}
    assert len(rows) == 20


def test_every_file_of_the_manifest_can_be_read(dataset: mlc.Dataset, staged: Any) -> None:
    files = list(dataset.records("files"))
    assert [file["files/path"].decode() for file in files] == staged.manifest["path"].to_list()
    assert {name.removeprefix("files/") for name in files[0]} == set(staged.manifest.columns)
    assert files[1]["files/programs"] == [40]


def test_a_version_without_pieces_is_valid(empty: Any) -> None:
    write_card(empty.version, empty.manifest)
    assert not mlc.Dataset(jsonld=empty.folder / "croissant.json").metadata.ctx.issues.errors


def test_every_column_of_a_shard_is_described() -> None:
    assert list(ROW_FIELDS) == SCHEMA.names
