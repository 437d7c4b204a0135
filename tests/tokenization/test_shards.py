"""Shards: rows come back as they went in, any Parquet reader opens them, and nothing wrong is read in silence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.shards import SCHEMA, Row, ShardError, Stamp, read_shard, read_stamp, token_arrays, write_shard
from tokenization.vocabulary import Vocabulary

ROWS = [
    Row("a" * 64, "family-1", "bach", "piano", np.array([4226, 4162, 4096, 956, 4097], np.uint16)),
    Row("b" * 64, "family-1", None, "piano_strings", np.array([1, 256, 65535], np.uint16), -5, 8, 1.025),
]


@pytest.fixture(scope="session")
def stamp(vocabulary: Vocabulary) -> Stamp:
    return Stamp("combined", vocabulary.digest)


@pytest.fixture
def shard(tmp_path: Path, stamp: Stamp) -> Path:
    path = tmp_path / "shard.parquet"
    write_shard(path, ROWS, stamp)
    return path


def many(count: int, length: int = 40) -> list[Row]:
    random = np.random.default_rng(0)
    tokens = random.integers(0, 4254, (count, length), dtype=np.uint16)
    return [replace(ROWS[0], piece_id=f"{i:064x}", tokens=row) for i, row in enumerate(tokens)]


class TestRoundTrip:
    def test_rows(self, shard: Path, stamp: Stamp) -> None:
        table = read_shard(shard, stamp)
        assert table.drop(["tokens", "stretch"]).to_pylist() == [
            {
                "piece_id": "a" * 64,
                "family": "family-1",
                "style": "bach",
                "instrumentation": "piano",
                "transpose": 0,
                "velocity_shift": 0,
                "n_tokens": 5,
            },
            {
                "piece_id": "b" * 64,
                "family": "family-1",
                "style": None,
                "instrumentation": "piano_strings",
                "transpose": -5,
                "velocity_shift": 8,
                "n_tokens": 3,
            },
        ]
        assert table["stretch"].to_pylist() == pytest.approx([1.0, 1.025])

    def test_tokens(self, shard: Path, stamp: Stamp) -> None:
        arrays = list(token_arrays(read_shard(shard, stamp)))
        assert [array.tolist() for array in arrays] == [row.tokens.tolist() for row in ROWS]
        assert {array.dtype for array in arrays} == {np.dtype("<u2")}

    def test_single_columns(self, shard: Path, stamp: Stamp) -> None:
        assert read_shard(shard, stamp, ["n_tokens"]).to_pydict() == {"n_tokens": [5, 3]}

    def test_tokens_of_a_slice(self, tmp_path: Path, stamp: Stamp) -> None:
        rows = many(300)
        write_shard(tmp_path / "many.parquet", rows, stamp)
        table = read_shard(tmp_path / "many.parquet", stamp).slice(120, 20)
        assert [array.tolist() for array in token_arrays(table)] == [row.tokens.tolist() for row in rows[120:140]]

    def test_a_shard_without_rows(self, tmp_path: Path, stamp: Stamp) -> None:
        write_shard(tmp_path / "empty.parquet", [], stamp)
        table = read_shard(tmp_path / "empty.parquet", stamp)
        assert table.num_rows == 0
        assert list(token_arrays(table)) == []

    @given(lists=st.lists(st.lists(st.integers(0, 65535), max_size=20), max_size=8))
    def test_any_tokens(self, lists: list[list[int]], tmp_path_factory: pytest.TempPathFactory, stamp: Stamp) -> None:
        path = tmp_path_factory.getbasetemp() / "any.parquet"
        write_shard(path, [replace(ROWS[0], tokens=np.array(ids, np.uint16)) for ids in lists], stamp)
        assert [array.tolist() for array in token_arrays(read_shard(path, stamp))] == lists

    def test_tokens_of_other_integer_types_are_stored_alike(self, tmp_path: Path, stamp: Stamp) -> None:
        digests = {
            write_shard(tmp_path / f"{dtype}.parquet", [replace(ROWS[0], tokens=np.array([1, 256], dtype))], stamp)
            for dtype in ("<u2", ">u2", "<i8")
        }
        assert len(digests) == 1


class TestFile:
    def test_the_digest_returned_is_that_of_the_file(self, tmp_path: Path, stamp: Stamp) -> None:
        path = tmp_path / "shard.parquet"
        assert write_shard(path, ROWS, stamp) == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_the_same_rows_give_the_same_bytes(self, tmp_path: Path, stamp: Stamp) -> None:
        first, second = (write_shard(tmp_path / name, many(200), stamp) for name in ("first", "second"))
        assert first == second

    def test_polars_reads_tokens_as_little_endian_bytes(self, shard: Path) -> None:
        frame = pl.read_parquet(shard)
        assert frame.columns == SCHEMA.names
        assert frame.schema["tokens"] == pl.Binary
        # 1 = 01 00, 256 = 00 01, 65535 = ff ff
        assert frame["tokens"][1] == b"\x01\x00\x00\x01\xff\xff"
        assert np.frombuffer(frame["tokens"][0], "<u2").tolist() == [4226, 4162, 4096, 956, 4097]

    def test_plain_pyarrow_reads_it(self, shard: Path) -> None:
        table = pq.read_table(shard)
        assert table.schema.equals(SCHEMA)
        assert table.schema.field("tokens").type == pa.binary()
        assert table["tokens"].to_pylist()[1] == b"\x01\x00\x00\x01\xff\xff"

    def test_only_the_labels_have_statistics(self, shard: Path) -> None:
        group = pq.read_metadata(shard).row_group(0)
        having = {
            group.column(i).path_in_schema: group.column(i).statistics is not None for i in range(group.num_columns)
        }
        assert having == {name: name != "tokens" for name in SCHEMA.names}

    def test_columns_are_zstd(self, shard: Path) -> None:
        group = pq.read_metadata(shard).row_group(0)
        assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}

    def test_row_groups_are_small_enough_to_read_one_at_a_time(self, tmp_path: Path, stamp: Stamp) -> None:
        write_shard(tmp_path / "many.parquet", many(600), stamp)
        metadata = pq.read_metadata(tmp_path / "many.parquet")
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert sum(sizes) == 600
        assert all(64 <= size <= 256 for size in sizes[:-1])

    def test_the_metadata_say_what_the_ids_are(self, shard: Path, stamp: Stamp, vocabulary: Vocabulary) -> None:
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"musenet.encoding"] == b"combined"
        assert metadata[b"musenet.vocabulary"].decode() == vocabulary.digest
        assert metadata[b"musenet.dtype"] == b"<u2"
        assert read_stamp(shard) == stamp


class TestRefusals:
    def test_another_vocabulary(self, shard: Path, stamp: Stamp) -> None:
        other = Vocabulary.load("musenet", styles=["bach"]).digest
        with pytest.raises(ShardError, match=f"{stamp.vocabulary_digest[:12]}, not 'combined' and {other[:12]}"):
            read_shard(shard, Stamp("combined", other))

    def test_another_encoding(self, shard: Path, stamp: Stamp) -> None:
        with pytest.raises(ShardError, match=r"encoding 'combined'.*not 'chordwise'.*mean something else"):
            read_shard(shard, replace(stamp, encoding="chordwise"))

    def test_a_parquet_file_that_is_no_shard(self, tmp_path: Path, stamp: Stamp) -> None:
        pq.write_table(pa.table({"tokens": [b""]}), tmp_path / "other.parquet")
        with pytest.raises(ShardError, match=r"other\.parquet has no musenet\.encoding.*not a shard"):
            read_shard(tmp_path / "other.parquet", stamp)

    def test_a_file_that_is_not_parquet(self, tmp_path: Path, stamp: Stamp) -> None:
        (tmp_path / "text.parquet").write_text("not a table")
        with pytest.raises(ShardError, match=r"text\.parquet cannot be read"):
            read_shard(tmp_path / "text.parquet", stamp)

    def test_a_file_that_is_not_there(self, tmp_path: Path, stamp: Stamp) -> None:
        with pytest.raises(ShardError, match=r"nowhere\.parquet cannot be read"):
            read_shard(tmp_path / "nowhere.parquet", stamp)

    @pytest.mark.parametrize("kept", [0, 0.5, 0.99])
    def test_a_file_cut_short(self, kept: float, shard: Path, stamp: Stamp) -> None:
        data = shard.read_bytes()
        shard.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(ShardError):
            read_shard(shard, stamp)

    @pytest.mark.parametrize("column", SCHEMA.names)
    def test_a_changed_bit_in_any_column(self, column: str, shard: Path, stamp: Stamp) -> None:
        group = pq.read_metadata(shard).row_group(0)
        chunk = group.column(SCHEMA.names.index(column))
        start = chunk.data_page_offset if chunk.dictionary_page_offset is None else chunk.dictionary_page_offset
        data = bytearray(shard.read_bytes())
        data[start + chunk.total_compressed_size - 1] ^= 1  # the last byte of its last page
        shard.write_bytes(data)
        with pytest.raises(ShardError, match="damaged"):
            read_shard(shard, stamp)

    def test_a_changed_bit_in_tokens_that_still_decompress(self, tmp_path: Path, stamp: Stamp) -> None:
        # Random bytes do not compress, so zstd stores them as they are and only the page's checksum can tell.
        tokens = np.random.default_rng(0).integers(0, 65536, 4000, dtype=np.uint16)
        path = tmp_path / "random.parquet"
        write_shard(path, [replace(ROWS[0], tokens=tokens)], stamp)
        data = bytearray(path.read_bytes())
        data[data.index(tokens[500:508].tobytes())] ^= 1
        path.write_bytes(data)
        assert pq.read_table(path)["tokens"][0].as_py() != tokens.tobytes(), "read without looking at checksums"
        with pytest.raises(ShardError, match=r"damaged.*CRC"):
            read_shard(path, stamp)
