"""Shards: rows come back as they went in, any Parquet reader opens them, and nothing wrong is read in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.dataset.shards import (
    SCHEMA,
    Row,
    ShardError,
    TokenFormat,
    read_shard,
    read_token_format,
    token_arrays,
    write_shard,
)
from tokenization.encodings import Encoding, Time, get_encoding
from tokenization.vocabulary import Vocabulary, style_label
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

ROWS = [
    Row("a" * 64, "family-1", "bach", "piano", np.array([4226, 4162, 4096, 956, 4097], np.uint16)),
    Row("b" * 64, "family-1", None, "piano_strings", np.array([1, 256, 65535], np.uint16), -5, 8, 1.025),
]


@pytest.fixture(scope="session")
def token_format(encoding: Encoding) -> TokenFormat:
    return TokenFormat.of(encoding)


def format_over(vocabulary: Vocabulary) -> TokenFormat:
    return TokenFormat.of(get_encoding("combined", vocabulary))


@pytest.fixture
def shard(tmp_path: Path, token_format: TokenFormat) -> Path:
    path = tmp_path / "shard.parquet"
    write_shard(path, ROWS, token_format)
    return path


def many(count: int, length: int = 40) -> list[Row]:
    random = np.random.default_rng(0)
    tokens = random.integers(0, 4254, (count, length), dtype=np.uint16)
    return [replace(ROWS[0], piece_id=f"{i:064x}", tokens=row) for i, row in enumerate(tokens)]


class TestRoundTrip:
    def test_rows(self, shard: Path, token_format: TokenFormat) -> None:
        table = read_shard(shard, token_format)
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

    def test_tokens(self, shard: Path, token_format: TokenFormat) -> None:
        arrays = list(token_arrays(read_shard(shard, token_format)))
        assert [array.tolist() for array in arrays] == [row.tokens.tolist() for row in ROWS]
        assert {array.dtype for array in arrays} == {np.dtype("<u2")}

    def test_single_columns(self, shard: Path, token_format: TokenFormat) -> None:
        assert read_shard(shard, token_format, ["n_tokens"]).to_pydict() == {"n_tokens": [5, 3]}

    def test_tokens_of_a_slice(self, tmp_path: Path, token_format: TokenFormat) -> None:
        rows = many(300)
        write_shard(tmp_path / "many.parquet", rows, token_format)
        table = read_shard(tmp_path / "many.parquet", token_format).slice(120, 20)
        assert [array.tolist() for array in token_arrays(table)] == [row.tokens.tolist() for row in rows[120:140]]

    def test_a_shard_without_rows(self, tmp_path: Path, token_format: TokenFormat) -> None:
        write_shard(tmp_path / "empty.parquet", [], token_format)
        table = read_shard(tmp_path / "empty.parquet", token_format)
        assert table.num_rows == 0
        assert list(token_arrays(table)) == []

    @given(lists=st.lists(st.lists(st.integers(0, 65535), max_size=20), max_size=8))
    def test_any_tokens(
        self, lists: list[list[int]], tmp_path_factory: pytest.TempPathFactory, token_format: TokenFormat
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.parquet"
        write_shard(path, [replace(ROWS[0], tokens=np.array(ids, np.uint16)) for ids in lists], token_format)
        assert [array.tolist() for array in token_arrays(read_shard(path, token_format))] == lists

    def test_tokens_of_other_integer_types_are_stored_alike(self, tmp_path: Path, token_format: TokenFormat) -> None:
        digests = {
            write_shard(
                tmp_path / f"{dtype}.parquet", [replace(ROWS[0], tokens=np.array([1, 256], dtype))], token_format
            )
            for dtype in ("<u2", ">u2", "<i8")
        }
        assert len(digests) == 1


class TestFile:
    def test_the_digest_returned_is_that_of_the_file(self, tmp_path: Path, token_format: TokenFormat) -> None:
        path = tmp_path / "shard.parquet"
        assert write_shard(path, ROWS, token_format) == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_the_same_rows_give_the_same_bytes(self, tmp_path: Path, token_format: TokenFormat) -> None:
        first, second = (write_shard(tmp_path / name, many(200), token_format) for name in ("first", "second"))
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

    def test_row_groups_are_small_enough_to_read_one_at_a_time(self, tmp_path: Path, token_format: TokenFormat) -> None:
        write_shard(tmp_path / "many.parquet", many(600), token_format)
        metadata = pq.read_metadata(tmp_path / "many.parquet")
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert sum(sizes) == 600
        assert all(64 <= size <= 256 for size in sizes[:-1])

    def test_the_metadata_say_what_the_ids_are(
        self, shard: Path, token_format: TokenFormat, vocabulary: Vocabulary
    ) -> None:
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"musenet.encoding"] == b"combined"
        assert metadata[b"musenet.time"] == b"seconds"
        assert metadata[b"musenet.vocabulary"].decode() == vocabulary.fixed_digest
        assert metadata[b"musenet.styles"] == b'{"bach": 4226}'
        assert metadata[b"musenet.dtype"] == b"<u2"
        assert read_token_format(shard) == replace(token_format, styles={"bach": 4226})


class TestStyles:
    """A shard names the styles that it uses. Whoever has them as the same ids, and whatever others, reads it."""

    def test_a_shard_names_only_those_of_its_rows(self, tmp_path: Path, token_format: TokenFormat) -> None:
        rows = [ROWS[1], replace(ROWS[0], style="jazz"), ROWS[0], replace(ROWS[0], style="jazz")]
        write_shard(tmp_path / "some.parquet", rows, token_format)
        write_shard(tmp_path / "none.parquet", [ROWS[1]], token_format)
        assert read_token_format(tmp_path / "some.parquet").styles == {"bach": 4226, "jazz": 4228}
        assert read_token_format(tmp_path / "none.parquet").styles == {}

    def test_a_new_style_changes_no_shard_without_it(self, tmp_path: Path, vocabulary: Vocabulary) -> None:
        digests = {
            write_shard(tmp_path / f"{len(each.styles)}.parquet", ROWS, format_over(each))
            for each in (Vocabulary.load("musenet", ["bach"]), vocabulary, vocabulary.with_styles(["abba"]))
        }
        assert len(digests) == 1

    @pytest.mark.parametrize("styles", [["bach"], ["bach", "chopin"], ["bach", "chopin", "jazz", "satie"]])
    def test_a_reader_with_fewer_or_more_reads_it(self, styles: list[str], shard: Path) -> None:
        table = read_shard(shard, format_over(Vocabulary.load("musenet", styles)))
        assert [array.tolist() for array in token_arrays(table)] == [row.tokens.tolist() for row in ROWS]

    def test_a_reader_without_the_style_refuses(self, shard: Path) -> None:
        with pytest.raises(ShardError, match="written with the style 'bach' as id 4226, not at all: its ids mean"):
            read_shard(shard, format_over(Vocabulary.load("musenet")))

    def test_a_reader_with_another_style_in_its_slot_refuses(self, shard: Path) -> None:
        other = Vocabulary.load("musenet", ["abba"]).with_styles(["bach"])
        with pytest.raises(ShardError, match="written with the style 'bach' as id 4226, not 4227: its ids mean"):
            read_shard(shard, format_over(other))

    @given(
        first=st.lists(st.text().map(style_label).filter(bool), max_size=5),
        more=st.lists(st.text().map(style_label).filter(bool), max_size=5),
    )
    def test_whoever_adds_styles_reads_all_there_was(self, first: list[str], more: list[str]) -> None:
        before = Vocabulary.load("musenet", first)
        after = format_over(before.with_styles(more))
        assert format_over(before).mismatch(after) == ""
        misread = after.mismatch(format_over(before))
        assert bool(misread) == bool(set(more) - set(first))


class TestRefusals:
    @pytest.mark.parametrize(
        "change",
        [
            lambda it: Vocabulary.load("general_midi", it.styles),
            lambda it: replace(it, learned=LearnedTokens(LearnedKind.MERGE, ((1, 2),))),
            lambda it: Vocabulary.from_dict({**it.to_dict(), "ticks_per_second": 48}),
        ],
        ids=["instruments", "units", "grid"],
    )
    def test_another_vocabulary(
        self, change: Callable[[Vocabulary], Vocabulary], shard: Path, token_format: TokenFormat, vocabulary: Vocabulary
    ) -> None:
        other = replace(token_format, vocabulary=change(vocabulary).fixed_digest)
        with pytest.raises(ShardError, match=f"vocabulary {token_format.vocabulary[:12]}, not {other.vocabulary[:12]}"):
            read_shard(shard, other)

    def test_ranges_of_instruments_are_none_of_a_shards_business(self, shard: Path, vocabulary: Vocabulary) -> None:
        data = vocabulary.to_dict()
        data["instruments"][1]["range"] = [50, 60]
        assert read_shard(shard, format_over(Vocabulary.from_dict(data))).num_rows == 2

    def test_another_encoding(self, shard: Path, vocabulary: Vocabulary) -> None:
        onset = TokenFormat.of(get_encoding("onset", vocabulary))
        with pytest.raises(ShardError, match="encoding 'combined' in seconds, not 'onset' in seconds: its ids mean"):
            read_shard(shard, onset)

    def test_another_time(self, shard: Path, vocabulary: Vocabulary) -> None:
        beats = TokenFormat.of(get_encoding("combined", vocabulary, Time.BEATS))
        with pytest.raises(ShardError, match="encoding 'combined' in seconds, not 'combined' in beats: its ids mean"):
            read_shard(shard, beats)

    def test_the_error_names_the_file(self, shard: Path, token_format: TokenFormat) -> None:
        with pytest.raises(ShardError, match=rf"^{shard} was written with"):
            read_shard(shard, replace(token_format, time="beats"))

    @pytest.mark.parametrize("key", ["encoding", "time", "vocabulary", "styles"])
    def test_a_shard_that_does_not_say_all_of_it(self, key: str, shard: Path, token_format: TokenFormat) -> None:
        metadata = {name: value for name, value in token_format.metadata(["bach"]).items() if name != f"musenet.{key}"}
        pq.write_table(pq.read_table(shard).replace_schema_metadata(metadata), shard)
        with pytest.raises(ShardError, match=rf"has no musenet\.{key} in its metadata: it is not a shard"):
            read_shard(shard, token_format)

    @pytest.mark.parametrize("styles", ["{", b"\xff"])
    def test_metadata_that_cannot_be_read(self, styles: str | bytes, shard: Path, token_format: TokenFormat) -> None:
        metadata = {**token_format.metadata(["bach"]), "musenet.styles": styles}
        pq.write_table(pq.read_table(shard).replace_schema_metadata(metadata), shard)
        with pytest.raises(ShardError, match="damaged: its metadata cannot be read"):
            read_shard(shard, token_format)

    def test_a_parquet_file_that_is_no_shard(self, tmp_path: Path, token_format: TokenFormat) -> None:
        pq.write_table(pa.table({"tokens": [b""]}), tmp_path / "other.parquet")
        with pytest.raises(ShardError, match=r"other\.parquet has no musenet\.encoding.*not a shard"):
            read_shard(tmp_path / "other.parquet", token_format)

    def test_a_file_that_is_not_parquet(self, tmp_path: Path, token_format: TokenFormat) -> None:
        (tmp_path / "text.parquet").write_text("not a table")
        with pytest.raises(ShardError, match=r"text\.parquet cannot be read"):
            read_shard(tmp_path / "text.parquet", token_format)

    def test_a_file_that_is_not_there(self, tmp_path: Path, token_format: TokenFormat) -> None:
        with pytest.raises(ShardError, match=r"nowhere\.parquet cannot be read"):
            read_shard(tmp_path / "nowhere.parquet", token_format)

    @pytest.mark.parametrize("kept", [0, 0.5, 0.99])
    def test_a_file_cut_short(self, kept: float, shard: Path, token_format: TokenFormat) -> None:
        data = shard.read_bytes()
        shard.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(ShardError):
            read_shard(shard, token_format)

    @pytest.mark.parametrize("column", SCHEMA.names)
    def test_a_changed_bit_in_any_column(self, column: str, shard: Path, token_format: TokenFormat) -> None:
        group = pq.read_metadata(shard).row_group(0)
        chunk = group.column(SCHEMA.names.index(column))
        start = chunk.data_page_offset if chunk.dictionary_page_offset is None else chunk.dictionary_page_offset
        data = bytearray(shard.read_bytes())
        data[start + chunk.total_compressed_size - 1] ^= 1  # the last byte of its last page
        shard.write_bytes(data)
        with pytest.raises(ShardError, match="damaged"):
            read_shard(shard, token_format)

    def test_a_changed_bit_in_tokens_that_still_decompress(self, tmp_path: Path, token_format: TokenFormat) -> None:
        # Random bytes do not compress, so zstd stores them as they are and only the page's checksum can tell.
        tokens = np.random.default_rng(0).integers(0, 65536, 4000, dtype=np.uint16)
        path = tmp_path / "random.parquet"
        write_shard(path, [replace(ROWS[0], tokens=tokens)], token_format)
        data = bytearray(path.read_bytes())
        data[data.index(tokens[500:508].tobytes())] ^= 1
        path.write_bytes(data)
        assert pq.read_table(path)["tokens"][0].as_py() != tokens.tobytes(), "read without looking at checksums"
        with pytest.raises(ShardError, match=r"damaged.*CRC"):
            read_shard(path, token_format)
