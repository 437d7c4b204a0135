"""Publishing: a version is named by its content, published whole, never edited, and encodes only what is new."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.ingestion import card
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.music_statistics import Statistics
from flows.ingestion.sources import Collection
from infra.files import STAGING_PREFIX
from infra.lake import Lake
from tokenization.dataset.catalogue import dataset_versions
from tokenization.dataset.description import Description
from tokenization.dataset.encoding_files import EncodingInfo
from tokenization.dataset.shard_index import SHARD_INDEX_SCHEMA
from tokenization.dataset.shards import TokenFormat, read_shard, token_arrays
from tokenization.dataset.splits import SPLITS
from tokenization.dataset.version import FILES, DatasetVersion
from tokenization.encodings import Time
from tokenization.encodings.combined import Combined

HALVES = SplitShares(validation=0.3, test=0.2)
ALL_TRAIN = SplitShares(validation=0, test=0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, song: Any) -> Path:
    folder = tmp_path_factory.mktemp("home") / "songs"
    for seed in range(10):
        (folder / ("bach" if seed % 2 else "jazz")).mkdir(parents=True, exist_ok=True)
        (folder / ("bach" if seed % 2 else "jazz") / f"{seed}.mid").write_bytes(song(seed))
    (folder / "broken.mid").write_bytes(b"no music")
    return folder


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, songs: Path, steps: Any) -> DatasetVersion:
    """A version of those songs, half of them held out."""
    found: DatasetVersion = steps(Lake(tmp_path_factory.mktemp("lake")), "mine", songs, splits=HALVES).version
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def inodes(version: DatasetVersion) -> dict[str, int]:
    return {name: (version.path / name).stat().st_ino for name in version.description.shards}


class TestAVersion:
    def test_lies_under_its_name_and_digest(self, version: DatasetVersion) -> None:
        assert version.path.parts[-3:] == ("datasets", "mine", version.digest)
        assert len(version.digest) == 32
        assert str(version) == f"mine@{version.digest[:12]}"
        shards = {f"{split}/00000.parquet" for split in SPLITS}
        assert set(contents(version.path)) == {*FILES, *shards, "originality/00000.index"}
        assert [path.name for path in version.path.parent.iterdir()] == [version.digest], "staging is left"

    def test_holds_each_accepted_piece_once_in_its_split(self, version: DatasetVersion) -> None:
        manifest = version.manifest
        assert len(manifest) == 11
        accepted = manifest.filter(pl.col("status") == "accepted")
        rows = []
        for name, sha256 in version.description.shards.items():
            assert hashlib.sha256((version.path / name).read_bytes()).hexdigest() == sha256
            table = read_shard(version.path / name, TokenFormat.of(version.encoding))
            styles = zip(table.column("piece_id").to_pylist(), table.column("style").to_pylist())
            rows += [(piece, name.split("/")[0], style) for piece, style in styles]
        assert len(rows) == 10
        assert set(rows) == set(accepted.select("sha256", "split", "style").iter_rows())

    def test_decodes_to_the_notes_that_went_in(self, version: DatasetVersion) -> None:
        for name in version.description.shards:
            table = read_shard(version.path / name, TokenFormat.of(version.encoding))
            for tokens, style in zip(token_arrays(table), table.column("style").to_pylist()):
                assert version.vocabulary.names[tokens[0]] == style
                assert len(version.encoding.decode(tokens)) == 20

    def test_describes_itself(self, version: DatasetVersion) -> None:
        about = version.description
        assert about.outcomes == {"accepted": 10, "quarantined: not_midi": 1}
        assert about.files == 11
        assert about.styles == {"bach": 5, "jazz": 5}
        assert about.licences == {"CC0-1.0": 10}
        assert about.notes == 200
        assert about.pieces == about.variants
        assert sum(about.pieces.values()) == 10
        assert about.hours == round(10 * 4.95 / 3600, 3)
        assert about.families.model_dump() == {"families": 10, "members": 10, "largest": 1}
        assert (about.parent, about.repairs, about.ignored) == (None, {}, {"songs": {}})
        assert about == Description.model_validate_json(about.to_json())

    def test_lists_its_shards_with_their_statistics(self, version: DatasetVersion) -> None:
        shards = pl.read_parquet(version.path / "shards.parquet")
        assert dict(shards.schema) == SHARD_INDEX_SCHEMA
        assert dict(shards.select("path", "sha256").iter_rows()) == version.description.shards
        assert shards["rows"].sum() == 10
        assert shards["tokens"].sum() == sum(version.description.tokens.values())
        parts = [Statistics.from_dict(json.loads(text)) for text in shards["statistics"]]
        assert sum(parts, Statistics()).to_dict() == version.description.statistics

    def test_in_several_partitions_has_rows_in_the_order_of_the_manifest(
        self, tmp_path: Path, song: Any, steps: Any, lake: Lake
    ) -> None:
        for seed in range(120):
            (tmp_path / "many").mkdir(exist_ok=True)
            (tmp_path / "many" / f"{seed:03}.mid").write_bytes(song(seed))
        version = steps(lake, "many", tmp_path / "many", splits=HALVES, partition_files=16).version
        for split in SPLITS:
            pieces: list[str] = []
            names = [name for name in version.description.shards if name.startswith(split)]
            assert names == [f"{split}/{number:05}.parquet" for number in range(len(names))]
            assert len(names) > 2
            for name in names:
                table = read_shard(version.path / name, TokenFormat.of(version.encoding))
                pieces += table.column("piece_id").to_pylist()
            assert pieces == version.manifest.filter(pl.col("split") == split)["sha256"].to_list()


class TestPublishingAgain:
    def test_changes_nothing(self, lake: Lake, songs: Path, steps: Any) -> None:
        first = steps(lake, "mine", songs).version
        before = {path: path.stat().st_mtime_ns for path in (lake.root / "datasets").rglob("*")}
        again = steps(lake, "mine", songs).published
        assert (again.version, again.encoded, again.shards) == (first, 0, 3)
        assert {path: path.stat().st_mtime_ns for path in (lake.root / "datasets").rglob("*")} == before

    def test_what_a_killed_ingestion_left_is_removed(self, lake: Lake, songs: Path, steps: Any) -> None:
        abandoned = lake.root / "datasets" / "mine" / f"{STAGING_PREFIX}999999999-abcdef01"
        abandoned.mkdir(parents=True)
        (abandoned / "dataset.json").write_text("{")  # half a version is no version
        assert dataset_versions(lake) == []
        version = steps(lake, "mine", songs).version
        assert [path.name for path in (lake.root / "datasets" / "mine").iterdir()] == [version.digest]

    def test_two_processes_that_publish_the_same_agree(
        self, lake: Lake, songs: Path, steps: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other one comes first just before this one delivers."""
        write_card, others = card.write_card, []

        def slow(*args: Any) -> None:
            write_card(*args)
            if not others:
                others.append(None)
                others.append(steps(lake, "mine", songs).version)

        monkeypatch.setattr(card, "write_card", slow)
        assert steps(lake, "mine", songs).version == others[1]
        assert len(list((lake.root / "datasets" / "mine").iterdir())) == 1


@pytest.fixture
def shelf(tmp_path: Path, song: Any) -> list[Collection]:
    """Three collections of 60 songs each, so that each has some partitions of about 16."""
    collections = []
    for number, name in enumerate(("first", "second", "third")):
        (tmp_path / name).mkdir()
        for seed in range(60):
            (tmp_path / name / f"{seed:02}.mid").write_bytes(song(1000 * number + seed))
        collections.append(collection(tmp_path / name, "x"))
    return collections


def collection(folder: Path, style: str) -> Collection:
    return Collection.model_validate(
        {"name": folder.name, "location": folder, "licence": "CC0", "styles": [{"label": style}]}
    )


def by_collection(version: DatasetVersion) -> dict[str, set[str]]:
    """The shards with rows of each collection."""
    owner = dict(version.manifest.select("sha256", "collection").iter_rows())
    found: dict[str, set[str]] = {}
    for name in version.description.shards:
        table = read_shard(version.path / name, TokenFormat.of(version.encoding), ["piece_id"])
        for piece in table.column("piece_id").to_pylist():
            found.setdefault(owner[piece], set()).add(name)
    return found


class TestBackfill:
    SETTINGS = {"partition_files": 16, "splits": ALL_TRAIN}  # noqa: RUF012

    def test_after_another_style_rule_only_that_collections_partitions_are_encoded(
        self, tmp_path: Path, shelf: list[Collection], steps: Any, lake: Lake
    ) -> None:
        # The vocabulary lists the styles, so both are in use from the beginning.
        shelf[0] = collection(tmp_path / "first", "y")
        first = steps(lake, "mine", *shelf, **self.SETTINGS)
        assert first.published.encoded == first.published.shards > 6
        before = contents(first.version.path)
        shelf[1] = collection(tmp_path / "second", "y")
        second = steps(lake, "mine", *shelf, **self.SETTINGS)
        shards = by_collection(second.version)
        assert shards["second"].isdisjoint(shards["first"] | shards["third"])
        assert (second.parsed.files, second.published.encoded) == (0, len(shards["second"]))
        assert second.published.shards == first.published.shards
        for name, inode in inodes(second.version).items():
            assert (inode == inodes(first.version)[name]) == (name not in shards["second"]), name
        assert contents(first.version.path) == before
        rows = [read_shard(second.version.path / name, stamp(second.version)) for name in shards["second"]]
        assert {style for table in rows for style in table.column("style").to_pylist()} == {"y"}
        fresh = steps(Lake(tmp_path / "fresh"), "mine", *shelf, **self.SETTINGS)
        assert fresh.version.digest == second.version.digest
        assert fresh.version.description.shards == second.version.description.shards
        for name in fresh.version.description.shards:
            assert (fresh.version.path / name).read_bytes() == (second.version.path / name).read_bytes()

    def test_of_a_file_that_is_added_touches_its_partition_only(
        self, tmp_path: Path, shelf: list[Collection], song: Any, steps: Any, lake: Lake
    ) -> None:
        first = steps(lake, "mine", *shelf, **self.SETTINGS)
        (tmp_path / "second" / "30b.mid").write_bytes(song(77777))
        second = steps(lake, "mine", *shelf, **self.SETTINGS)
        assert second.parsed.files == 1
        # A file may open a partition, and so end another one.
        assert 1 <= second.published.encoded <= 2
        assert second.published.shards - first.published.shards <= 1

    def test_after_another_limit_reads_nothing(
        self, tmp_path: Path, shelf: list[Collection], song: Any, steps: Any, lake: Lake
    ) -> None:
        (tmp_path / "third" / "30b.mid").write_bytes(song(77777, notes=18))
        first = steps(lake, "mine", *shelf, **self.SETTINGS)
        second = steps(lake, "mine", *shelf, limits={"min_notes": 19}, **self.SETTINGS)
        assert second.parsed.files == 0
        assert second.published.encoded == 1
        assert second.version.description.outcomes == {"accepted": 180, "quarantined: too_short": 1}
        back = steps(lake, "mine", *shelf, **self.SETTINGS)
        assert (back.version.digest, back.published.encoded) == (first.version.digest, 0)

    def test_of_another_encoder_encodes_everything_and_reads_nothing(
        self, shelf: list[Collection], steps: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = steps(lake, "mine", *shelf, **self.SETTINGS)
        monkeypatch.setattr(Combined, "version", Combined.version + 1)
        second = steps(lake, "mine", *shelf, **self.SETTINGS)
        assert second.parsed.files == 0
        assert second.published.encoded == second.published.shards == first.published.shards
        assert second.version.digest != first.version.digest
        assert second.version.description.encoding == EncodingInfo(
            name="combined", version=Combined.version, time=Time.SECONDS
        )

    def test_of_more_variants_encodes_what_trains(self, shelf: list[Collection], steps: Any, lake: Lake) -> None:
        settings = {"partition_files": 16, "splits": HALVES}
        first = steps(lake, "mine", *shelf, **settings)
        second = steps(lake, "mine", *shelf, augmentation={"copies": 2}, **settings)
        training = [name for name in second.version.description.shards if name.startswith("train/")]
        assert (second.parsed.files, second.published.encoded) == (0, len(training))
        assert second.version.digest != first.version.digest
        pieces, rows = second.version.description.pieces, second.version.description.variants
        assert rows == {**pieces, "train": 3 * pieces["train"]}
        assert second.version.description.tokens["test"] == first.version.description.tokens["test"]
        assert second.version.description.statistics == first.version.description.statistics
        reseeded = steps(lake, "mine", *shelf, augmentation={"copies": 2, "seed": 1}, **settings)
        assert reseeded.published.encoded == len(training)
        assert reseeded.version.digest != second.version.digest

    def test_takes_shards_from_any_earlier_version(self, shelf: list[Collection], steps: Any, lake: Lake) -> None:
        steps(lake, "mine", shelf[0], **self.SETTINGS)
        steps(lake, "mine", shelf[1], **self.SETTINGS)
        both = steps(lake, "mine", shelf[0], shelf[1], **self.SETTINGS)
        assert (both.parsed.files, both.published.encoded) == (0, 0)

    def test_copies_where_the_file_system_has_no_links(
        self, tmp_path: Path, shelf: list[Collection], steps: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = steps(lake, "mine", shelf[0], **self.SETTINGS)

        def refused(*_: Any) -> None:
            raise OSError("this file system has no links")

        monkeypatch.setattr(os, "link", refused)
        second = steps(lake, "mine", shelf[0], shelf[1], **self.SETTINGS)
        shared = first.version.description.shards.items() & second.version.description.shards.items()
        assert len(shared) == first.published.shards
        assert second.published.encoded == second.published.shards - len(shared)
        for name, sha256 in shared:
            assert hashlib.sha256((second.version.path / name).read_bytes()).hexdigest() == sha256
            assert inodes(first.version)[name] != inodes(second.version)[name]


def stamp(version: DatasetVersion) -> TokenFormat:
    return TokenFormat.of(version.encoding)
