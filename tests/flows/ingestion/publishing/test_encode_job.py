"""Sharding: the rows of a piece and its variants, and the key that says when a shard is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from flows.engines import Failure, Heartbeat, JobError
from flows.ingestion.parsing.store import COLUMNS, Store
from flows.ingestion.publishing.encode_job import EncodeJob, encode
from flows.ingestion.publishing.shard_plan import Augmentation, EncodingChoice, ShardPlan
from tokenization.augmentation import ORIGINAL, AugmentationSettings, apply, draw_variants, transpose_range
from tokenization.dataset.shard_index import ShardEntry
from tokenization.dataset.shards import Row, TokenFormat, read_shard, token_arrays
from tokenization.dataset.splits import SPLITS, TEST, TRAIN, VALIDATION
from tokenization.encodings import Time, get_encoding
from tokenization.midi import read_score
from tokenization.vocabulary import Vocabulary

VOCABULARY = Vocabulary.load("musenet", ["bach", "jazz"])
ENCODING = get_encoding("combined", VOCABULARY)
PLAIN = EncodingChoice.of(ENCODING, False, Augmentation())
THREE_COPIES = replace(PLAIN, augmentation=Augmentation(copies=3))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, song: Any) -> tuple[Path, pl.DataFrame]:
    """A store of six songs, and the rows they are to become."""
    store = tmp_path_factory.mktemp("pieces")
    rows: dict[str, list[Any]] = {name: [None] * 6 for name in COLUMNS}
    rows["sha256"] = [f"{number:064x}" for number in range(6)]
    rows["score"] = [read_score(song(number, program=40 * (number % 2))).to_bytes() for number in range(6)]
    part = Store(store).write(rows)
    styles = ["bach", "jazz", None]
    pieces = [(sha, sha, styles[n % 3], part, n) for n, sha in enumerate(rows["sha256"])]
    return store, pl.DataFrame(pieces, ["sha256", "family", "style", "part", "row"], orient="row")


def encoded(
    folder: Path, shelf: tuple[Path, pl.DataFrame], split: str = TRAIN, choice: EncodingChoice = PLAIN
) -> tuple[ShardEntry, list[Row]]:
    """The shard of all six, and its rows."""
    store, pieces = shelf
    plan = ShardPlan(f"{split}/00000.parquet", split, pieces)
    (folder / split).mkdir(parents=True)
    (shard,) = encode(EncodeJob((plan,), folder, store, choice), Heartbeat([0.0, 0.0]))
    assert shard.key == plan.key(choice)
    return shard, list(rows_of(folder / plan.path))


def rows_of(path: Path) -> Iterator[Row]:
    table = read_shard(path, TokenFormat.of(ENCODING))
    for row, tokens in zip(table.drop(["tokens", "n_tokens"]).to_pylist(), token_arrays(table)):
        yield Row(tokens=tokens, **row)


def variants(rows: list[Row]) -> list[tuple[str, int, int, float]]:
    return [(row.piece_id, row.transpose, row.velocity_shift, round(row.stretch, 6)) for row in rows]


class TestWithoutCopies:
    def test_a_row_is_the_piece_as_it_is(self, tmp_path: Path, shelf: Any, song: Any) -> None:
        shard, rows = encoded(tmp_path, shelf)
        assert (shard.rows, shard.tokens) == (6, sum(len(row.tokens) for row in rows))
        for number, (row, (sha256, family, style, *_)) in enumerate(zip(rows, shelf[1].iter_rows())):
            assert (row.piece_id, row.family, row.style) == (sha256, family, style)
            assert (row.transpose, row.velocity_shift, row.stretch) == (0, 0, 1.0)
            assert row.instrumentation == ("strings" if number % 2 else "piano")
            notes = read_score(song(number, program=40 * (number % 2))).to_notes()
            assert row.tokens.tolist() == PLAIN.encoding.encode(notes, style).tolist()
            assert VOCABULARY.names[row.tokens[0]] == (style or "no_style")

    def test_statistics_are_of_pieces_not_of_variants(self, tmp_path: Path, shelf: Any) -> None:
        shard, _ = encoded(tmp_path / "plain", shelf)
        assert shard.statistics == encoded(tmp_path / "copies", shelf, choice=THREE_COPIES)[0].statistics


class TestCopies:
    def test_each_piece_that_trains_is_followed_by_its_variants(self, tmp_path: Path, shelf: Any, song: Any) -> None:
        shard, rows = encoded(tmp_path, shelf, choice=THREE_COPIES)
        assert shard.rows == len(rows) == 24
        assert [row.piece_id for row in rows] == [sha256 for sha256 in shelf[1]["sha256"] for _ in range(4)]
        for number, (sha256, style) in enumerate(shelf[1].select("sha256", "style").iter_rows()):
            notes = read_score(song(number, program=40 * (number % 2))).to_notes()
            drawn = draw_variants(sha256, 3, 0, AugmentationSettings(), transpose_range(notes, VOCABULARY))
            assert drawn[0] == ORIGINAL
            assert len(set(drawn)) == 4
            for row, variant in zip(rows[4 * number : 4 * number + 4], drawn):
                assert (row.transpose, row.velocity_shift) == (variant.transpose, variant.velocity_shift)
                assert row.stretch == pytest.approx(variant.stretch)
                assert row.tokens.tolist() == PLAIN.encoding.encode(apply(notes, variant), style).tolist()

    def test_what_is_recorded_is_what_the_tokens_say(self, tmp_path: Path, shelf: Any) -> None:
        _, rows = encoded(tmp_path, shelf, choice=THREE_COPIES)
        for number in range(0, 24, 4):
            original = PLAIN.encoding.decode(rows[number].tokens)
            for row in rows[number + 1 : number + 4]:
                notes = PLAIN.encoding.decode(row.tokens)
                assert (notes.pitch == original.pitch.astype(int) + row.transpose).all()
                assert np.allclose(notes.onset, original.onset * row.stretch, atol=0.05)

    @pytest.mark.parametrize("split", [VALIDATION, TEST])
    def test_what_is_held_out_has_none(self, tmp_path: Path, shelf: Any, split: str) -> None:
        shard, rows = encoded(tmp_path / "with", shelf, split, THREE_COPIES)
        plain, _ = encoded(tmp_path / "without", shelf, split)
        assert len(rows) == 6
        assert {(row.transpose, row.velocity_shift, row.stretch) for row in rows} == {(0, 0, 1.0)}
        assert (shard.sha256, shard.key) == (plain.sha256, plain.key)

    def test_follow_from_the_seed(self, tmp_path: Path, shelf: Any) -> None:
        first, rows = encoded(tmp_path / "1", shelf, choice=THREE_COPIES)
        again, _ = encoded(tmp_path / "2", shelf, choice=THREE_COPIES)
        assert (again.sha256, again.key) == (first.sha256, first.key)
        seeded, others = encoded(
            tmp_path / "3", shelf, choice=replace(PLAIN, augmentation=Augmentation(copies=3, seed=1))
        )
        assert seeded.key != first.key
        assert not set(variants(rows)[1::4]) & set(variants(others)[1::4])
        assert variants(rows)[::4] == variants(others)[::4], "originals stay"

    def test_stay_within_the_settings(self, tmp_path: Path, shelf: Any) -> None:
        changes = AugmentationSettings(transpose=1, velocity=0, stretch=0)
        _, rows = encoded(tmp_path, shelf, choice=replace(PLAIN, augmentation=Augmentation(copies=8, changes=changes)))
        assert {(row.transpose, row.velocity_shift, row.stretch) for row in rows} == {
            (step, 0, 1.0) for step in (-1, 0, 1)
        }
        assert len(rows) == len(set(variants(rows))) == 15, "half of them cannot go below the violin"

    def test_the_first_ones_stay_when_more_are_asked_for(self, tmp_path: Path, shelf: Any) -> None:
        _, few = encoded(tmp_path / "1", shelf, choice=THREE_COPIES)
        _, many = encoded(tmp_path / "2", shelf, choice=replace(PLAIN, augmentation=Augmentation(copies=5)))
        assert [row for number in range(6) for row in variants(many)[6 * number : 6 * number + 4]] == variants(few)

    @pytest.mark.parametrize("settings", [{"copies": -1}, {"copies": 65}, {"copy": 1}, {"changes": {"transpose": 99}}])
    def test_settings_out_of_range(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Augmentation.model_validate(settings)


class TestKeys:
    @pytest.fixture
    def plan(self, shelf: Any) -> ShardPlan:
        return ShardPlan("train/00000.parquet", TRAIN, shelf[1])

    def test_do_not_depend_on_where_things_lie(self, plan: ShardPlan) -> None:
        moved = plan.pieces.with_columns(pl.lit("other.parquet").alias("part"), pl.lit(99).alias("row"))
        assert ShardPlan("train/00007.parquet", TRAIN, moved).key(PLAIN) == plan.key(PLAIN)

    def test_differ_for_other_rows(self, plan: ShardPlan) -> None:
        pieces, is_first = plan.pieces, pl.int_range(pl.len()) == 0

        def with_first(column: str, value: str | None) -> pl.DataFrame:
            return pieces.with_columns(pl.when(is_first).then(pl.lit(value)).otherwise(column).alias(column))

        others = [
            pieces[1:],
            pieces.reverse(),
            with_first("sha256", "f" * 64),
            with_first("family", "f" * 64),
            with_first("style", "jazz"),
            with_first("style", None),
        ]
        keys = {plan.key(PLAIN), *(replace(plan, pieces=pieces).key(PLAIN) for pieces in others)}
        assert len(keys) == 7

    def test_differ_for_another_encoding_vocabulary_or_variants(self, plan: ShardPlan) -> None:
        choices = [
            PLAIN,
            replace(PLAIN, version=9),
            replace(PLAIN, name="onset"),
            replace(PLAIN, time=Time.BEATS),
            replace(PLAIN, sustain=True),
            replace(PLAIN, vocabulary_json=Vocabulary.load("general_midi", ["bach", "jazz"]).to_json()),
            replace(
                PLAIN, vocabulary_json=Vocabulary.load("musenet").with_styles(["jazz"]).with_styles(["bach"]).to_json()
            ),
            THREE_COPIES,
            replace(PLAIN, augmentation=Augmentation(copies=3, seed=1)),
            replace(PLAIN, augmentation=Augmentation(copies=3, changes=AugmentationSettings(stretch=0.1))),
        ]
        assert len({plan.key(choice) for choice in choices}) == len(choices)

    def test_ignore_styles_that_no_row_has(self, plan: ShardPlan) -> None:
        more = replace(PLAIN, vocabulary_json=VOCABULARY.with_styles(["abba"]).to_json())
        assert plan.key(more) == plan.key(PLAIN)

    def test_ignore_a_seed_that_no_variant_is_drawn_from(self, plan: ShardPlan) -> None:
        assert plan.key(replace(PLAIN, augmentation=Augmentation(seed=7))) == plan.key(PLAIN)
        held_out = replace(plan, split=TEST)
        assert held_out.key(THREE_COPIES) == held_out.key(PLAIN)


def test_several_shards_of_one_job(tmp_path: Path, shelf: Any) -> None:
    store, pieces = shelf
    groups = {TRAIN: pieces[4:], VALIDATION: pieces[:3], TEST: pieces[3:4]}
    for split in SPLITS:
        (tmp_path / split).mkdir()
    plans = tuple(ShardPlan(f"{split}/00000.parquet", split, group) for split, group in groups.items())
    shards = encode(EncodeJob(plans, tmp_path, store, PLAIN), Heartbeat([0.0, 0.0]))
    assert [shard.path for shard in shards] == [plan.path for plan in plans]
    for shard, group in zip(shards, groups.values()):
        assert [row.piece_id for row in rows_of(tmp_path / shard.path)] == group["sha256"].to_list()


def test_no_item_of_encoding_can_be_left_out(tmp_path: Path, shelf: Any) -> None:
    plan = ShardPlan("train/00000.parquet", TRAIN, shelf[1])
    with pytest.raises(JobError, match=r"encoding item 3 of train/00000\.parquet: the worker timed out"):
        EncodeJob((plan,), tmp_path, shelf[0], PLAIN).without(3, Failure.TIMED_OUT)
