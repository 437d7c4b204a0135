"""Splits: the pieces of a dataset version, and what is said when it is not what it should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modeling.data.split import Split, load_split
from tokenization.dataset.shards import Row, ShardError, TokenFormat, write_shard
from tokenization.encodings import get_encoding
from tokenization.vocabulary import Vocabulary


@pytest.fixture(params=["in memory", "mapped"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "cache" if request.param == "mapped" else None


class TestLoadSplit:
    def test_it_has_the_pieces_of_all_its_shards_in_order(
        self, version: Path, split: Split, cache: Path | None
    ) -> None:
        train, validation = load_split(version, "train", cache), load_split(version, "validation", cache)
        assert [*train.piece_ids, *validation.piece_ids] == split.piece_ids
        assert [*train.styles, *validation.styles] == split.styles
        found = [*train.pieces, *validation.pieces]
        assert [piece.tolist() for piece in found] == [piece.tolist() for piece in split.pieces]
        assert train.sizes.tolist() == [len(piece) for piece in split.pieces[:8]]
        assert train.vocabulary == split.vocabulary

    def test_columns_are_sequences(self, version: Path, split: Split, cache: Path | None) -> None:
        train = load_split(version, "train", cache)
        assert train.pieces[-1].tolist() == split.pieces[7].tolist()
        assert [piece.tolist() for piece in train.pieces[2:4]] == [piece.tolist() for piece in split.pieces[2:4]]
        assert train.piece_ids[-2:] == split.piece_ids[6:8]
        assert train.styles[1:3] == split.styles[1:3]
        for column in (train.pieces, train.piece_ids, train.styles):
            with pytest.raises(IndexError):
                column[8]

    def test_pieces_cannot_be_written(self, version: Path, cache: Path | None) -> None:
        with pytest.raises(ValueError, match="read-only"):
            load_split(version, "train", cache).pieces[0][0] = 1

    def test_a_split_without_shards_is_empty(self, version: Path, cache: Path | None) -> None:
        test = load_split(version, "test", cache)
        assert [*test.pieces, *test.piece_ids, *test.styles] == []
        assert test.sizes.tolist() == []

    def test_files_that_the_version_does_not_list_are_not_read(self, version: Path, cache: Path | None) -> None:
        (version / "train" / "99999.parquet").write_bytes(b"left over")
        assert len(load_split(version, "train", cache).pieces) == 8


class TestErrors:
    def test_a_missing_shard(self, version: Path, cache: Path | None) -> None:
        (version / "train" / "00001.parquet").unlink()
        with pytest.raises(ShardError, match=r"00001\.parquet is missing .*: ingest again"):
            load_split(version, "train", cache)

    def test_a_damaged_shard(self, version: Path, cache: Path | None) -> None:
        path = version / "train" / "00000.parquet"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ShardError, match=r"00000\.parquet"):
            load_split(version, "train", cache)

    def test_a_shard_that_is_another_one(self, version: Path, split: Split, cache: Path | None) -> None:
        row = Row("x", "x", None, "piano", split.pieces[0])
        write_shard(version / "train" / "00001.parquet", [row], TokenFormat.of(split.encoding))
        with pytest.raises(ShardError, match=r"00001\.parquet is not the file that dataset\.json lists: ingest again"):
            load_split(version, "train", cache)

    def test_a_shard_of_another_vocabulary(self, version: Path, split: Split, cache: Path | None) -> None:
        foreign = Vocabulary.load("general_midi")
        row = Row("x", "x", None, "piano", split.pieces[0])
        write_shard(version / "train" / "00000.parquet", [row], TokenFormat.of(get_encoding("combined", foreign)))
        with pytest.raises(ShardError, match="mean something else"):
            load_split(version, "train", cache)

    def test_a_shard_of_another_encoding(self, version: Path, cache: Path | None) -> None:
        path = version / "dataset.json"
        description = json.loads(path.read_text())
        path.write_text(json.dumps({**description, "encoding": {"name": "chordwise", "version": 1, "time": "seconds"}}))
        with pytest.raises(ShardError, match="'chordwise'"):
            load_split(version, "train", cache)
