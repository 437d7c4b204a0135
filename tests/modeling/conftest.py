"""Fixtures of the tests of `modeling`: a small vocabulary, pieces at random, a dataset version and a small network."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from modeling.config import ModelConfig, SparsityConfig
from modeling.data import Split
from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from modeling.training.process_group import process_group
from tokenization.dataset import Description, Row, TokenFormat, write_description, write_shard, write_vocabulary
from tokenization.encodings.combined import Combined
from tokenization.encodings.texture import texture
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary

PROGRAMS = (0, 0, 40, 42)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are computed fastest, and reproducibly, by one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def vocabulary(small_vocabulary: Vocabulary) -> Vocabulary:
    return small_vocabulary


@pytest.fixture(scope="session")
def encoding(vocabulary: Vocabulary) -> Combined:
    return Combined(vocabulary)


def notes_at_random(count: int, seed: int) -> Notes:
    random = np.random.default_rng(seed)
    return Notes.from_columns(
        random.uniform(0, count / 8, count),
        random.uniform(0.05, 0.6, count),
        random.integers(48, 73, count),
        random.integers(1, 128, count),
        random.choice(PROGRAMS, count),
        random.random(count) < 0.1,
    )


@pytest.fixture(scope="session")
def make_notes() -> Callable[[int, int], Notes]:
    """Draw `count` notes from a seed, eight a second, for piano, strings and drums."""
    return notes_at_random


@pytest.fixture(scope="session")
def make_piece(encoding: Combined) -> Callable[..., Tokens]:
    """Encode `count` notes drawn from a seed."""

    def piece(count: int, seed: int = 0, style: str | None = "bach") -> Tokens:
        return encoding.encode(notes_at_random(count, seed), style)

    return piece


@pytest.fixture(scope="session")
def split(make_piece: Callable[..., Tokens], encoding: Combined) -> Split:
    """Twelve pieces of 2 to 60 notes, most of them longer than the network's context."""
    counts = [2, 5, 11, 17, 20, 25, 30, 34, 41, 47, 55, 60]
    styles = [("bach", "jazz", None)[i % 3] for i in range(len(counts))]
    pieces = [make_piece(count, seed, style) for seed, (count, style) in enumerate(zip(counts, styles))]
    return Split(pieces, [f"piece-{i}" for i in range(len(pieces))], styles, encoding)


def write_version(
    folder: Path, splits: dict[str, list[list[Row]]], encoding: Combined, make_description: Callable[..., Description]
) -> Path:
    token_format = TokenFormat.of(encoding)
    shards = {}
    for split, files in splits.items():
        (folder / split).mkdir(parents=True)
        for number, rows in enumerate(files):
            name = f"{split}/{number:05d}.parquet"
            shards[name] = write_shard(folder / name, rows, token_format)
    write_vocabulary(folder, encoding.vocabulary)
    write_description(folder, make_description(encoding, shards=shards))
    return folder


@pytest.fixture(scope="session")
def make_version(split: Split, make_description: Callable[..., Description]) -> Callable[[Path], Path]:
    """Write a dataset version: eight pieces in two shards to train on, four in one shard for validation."""

    def version(folder: Path) -> Path:
        rows = [
            Row(name, name, style, "piano", tokens)
            for name, style, tokens in zip(split.piece_ids, split.styles, split.pieces)
        ]
        splits = {"train": [rows[:5], rows[5:8]], "validation": [rows[8:]]}
        return write_version(folder, splits, split.encoding, make_description)

    return version


@pytest.fixture
def version(tmp_path: Path, make_version: Callable[[Path], Path]) -> Path:
    """A dataset version for one test, to read or to damage."""
    return make_version(tmp_path / "version")


@pytest.fixture(scope="session")
def make_model(vocabulary: Vocabulary) -> Callable[..., MuseNet]:
    """A small network from a seed: two layers, two heads of 16, 64 tokens, blocks of 8, stride 4."""

    def model(seed: int = 0, mode: str = "strided", **changes: object) -> MuseNet:
        sparsity = SparsityConfig.model_validate({"mode": mode, "block": 8, "stride": 4})
        shape = {"layers": 2, "heads": 2, "d_model": 32, "context": 64, "sparsity": sparsity}
        torch.manual_seed(seed)
        return MuseNet(ModelConfig.model_validate({**ModelConfig(**shape).over(vocabulary).model_dump(), **changes}))

    return model


@pytest.fixture(scope="session")
def make_batch(encoding: Combined) -> Callable[..., Batch]:
    """A batch of random tokens, header ids and all, with their features; the last eighth repeats the first."""

    def batch(size: int, length: int, seed: int = 0) -> Batch:
        tokens = np.random.default_rng(seed).integers(0, encoding.vocabulary.size, (size, length)).astype(np.uint16)
        tokens[:, length - length // 8 :] = tokens[:, : length // 8]
        marks = encoding.features(tokens)
        heard = np.stack([texture(row, encoding) for row in tokens])
        columns = [tokens, marks.time, marks.chord, marks.part, marks.countdown]
        fields = [torch.from_numpy(np.asarray(column, np.int64)) for column in columns]
        return Batch(*fields, texture=torch.from_numpy(heard))  # type: ignore[misc]

    return batch


@pytest.fixture(scope="module")
def one_rank() -> Iterator[None]:
    """A job of one rank, as the launcher would set it up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.items():
            patch.setenv(name, str(value))
        with process_group():
            yield
