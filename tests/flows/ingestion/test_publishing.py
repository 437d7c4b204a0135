"""Publishing: a version is named by its content, published whole, and never edited."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from flows.errors import UserError
from flows.files import STAGING_PREFIX
from flows.ingestion.manifest import read_manifest
from flows.ingestion.parsing import Limits
from flows.ingestion.publishing import (
    canonical_digest,
    dataset_versions,
    find_by_input,
    find_version,
    relabelled,
)
from flows.ingestion.splits import SPLITS, SplitShares
from flows.settings import Lake
from tokenization.encodings import get_encoding
from tokenization.shards import Stamp, read_shard, token_arrays
from tokenization.vocabulary import Vocabulary

HALVES = SplitShares(validation=0.3, test=0.2)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, song) -> Path:
    folder = tmp_path_factory.mktemp("home") / "songs"
    for seed in range(10):
        (folder / ("bach" if seed % 2 else "jazz")).mkdir(parents=True, exist_ok=True)
        (folder / ("bach" if seed % 2 else "jazz") / f"{seed}.mid").write_bytes(song(seed))
    (folder / "broken.mid").write_bytes(b"no music")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def bytes_that_count(folder: Path) -> dict[str, bytes]:
    """All files but `dataset.json`, which says when it was made."""
    return {name: data for name, data in contents(folder).items() if name != "dataset.json"}


class TestAVersion:
    def test_lies_under_its_name_and_digest(self, lake: Lake, songs: Path, ingest) -> None:
        version = ingest(lake, "mine", songs, splits=HALVES)
        assert version.folder == lake.datasets / "mine" / version.digest
        assert len(version.digest) == 32
        assert str(version) == f"mine@{version.digest[:12]}"
        assert set(contents(version.folder)) == {
            "manifest.parquet",
            "vocabulary.json",
            "dataset.json",
            *(f"{split}/00000.parquet" for split in SPLITS),
        }
        assert [path.name for path in (lake.datasets / "mine").iterdir()] == [version.digest], "staging is left"

    def test_holds_each_accepted_piece_once_in_its_split(self, lake: Lake, songs: Path, ingest) -> None:
        version = ingest(lake, "mine", songs, splits=HALVES)
        manifest = read_manifest(version.folder / "manifest.parquet")
        assert len(manifest) == 11
        accepted = manifest.filter(pl.col("status") == "accepted")
        expected = set(accepted.select("sha256", "split", "style").iter_rows())
        stamp = Stamp("combined", version.vocabulary.digest)
        rows = []
        for name, sha256 in version.description["shards"].items():
            data = (version.folder / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == sha256
            table = read_shard(version.folder / name, stamp)
            styles = zip(table.column("piece_id").to_pylist(), table.column("style").to_pylist())
            rows += [(piece, name.split("/")[0], style) for piece, style in styles]
        assert len(rows) == 10
        assert set(rows) == expected

    def test_decodes_to_the_notes_that_went_in(self, lake: Lake, songs: Path, ingest) -> None:
        version = ingest(lake, "mine", songs, splits=SplitShares(validation=0, test=0))
        (name,) = version.description["shards"]
        table = read_shard(version.folder / name, Stamp("combined", version.vocabulary.digest))
        for tokens, style in zip(token_arrays(table), table.column("style").to_pylist()):
            assert version.vocabulary.names[tokens[0]] == style
            assert len(version.encoding.decode(tokens)) == 20

    def test_describes_itself(self, lake: Lake, songs: Path, ingest) -> None:
        about = ingest(lake, "mine", songs, splits=HALVES).description
        assert about["fates"] == {"accepted": 10, "quarantined: not_midi": 1}
        assert about["files"] == 11
        assert about["styles"] == {"bach": 5, "jazz": 5}
        assert about["licences"] == ["CC0"]
        assert about["notes"] == 200
        assert sum(about["pieces"].values()) == 10
        assert about["hours"] == round(10 * 4.95 / 3600, 3)
        json.dumps(about)


class TestTheDigest:
    def test_is_of_content_not_of_workers_order_or_place(self, tmp_path: Path, songs: Path, ingest, song) -> None:
        first = ingest(Lake(tmp_path / "one"), "mine", songs, workers=1)
        moved = tmp_path / "elsewhere" / "songs"
        for path in sorted(songs.rglob("*.mid"), reverse=True):  # written in another order
            (moved / path.relative_to(songs)).parent.mkdir(parents=True, exist_ok=True)
            (moved / path.relative_to(songs)).write_bytes(path.read_bytes())
        second = ingest(Lake(tmp_path / "two"), "mine", moved, workers=3)
        assert second.digest == first.digest
        assert bytes_that_count(second.folder) == bytes_that_count(first.folder)

    def test_does_not_depend_on_the_order_of_collections(self, tmp_path: Path, song, ingest) -> None:
        folders = []
        for number in range(3):
            folder = tmp_path / f"collection{number}"
            folder.mkdir()
            (folder / "song.mid").write_bytes(song(number))
            folders.append(folder)
        first = ingest(Lake(tmp_path / "one"), "mine", *folders)
        second = ingest(Lake(tmp_path / "two"), "mine", *reversed(folders))
        assert first.digest == second.digest

    def test_differs_with_content_and_settings(self, lake: Lake, tmp_path: Path, songs: Path, ingest, song) -> None:
        digests = {
            ingest(lake, "mine", songs).digest,
            ingest(lake, "mine", songs, limits=Limits(min_notes=5)).digest,
            ingest(lake, "mine", songs, splits=SplitShares(seed=1)).digest,
            ingest(lake, "mine", songs / "bach").digest,
        }
        more = tmp_path / "songs"
        more.mkdir()
        for path in songs.rglob("*.mid"):
            (more / path.relative_to(songs)).parent.mkdir(exist_ok=True)
            (more / path.relative_to(songs)).write_bytes(path.read_bytes())
        (more / "new.mid").write_bytes(song(99))
        digests.add(ingest(lake, "mine", more).digest)
        assert len(digests) == 5
        assert len(dataset_versions(lake)) == 5

    def test_is_the_same_on_every_machine(self) -> None:
        text = '{"a":["é",1],"b":null}'
        assert canonical_digest({"b": None, "a": ["é", 1]}) == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_publishing_again_changes_nothing(lake: Lake, songs: Path, ingest) -> None:
    first = ingest(lake, "mine", songs)
    before = {path: path.stat().st_mtime_ns for path in lake.datasets.rglob("*")}
    assert ingest(lake, "mine", songs) == first
    assert {path: path.stat().st_mtime_ns for path in lake.datasets.rglob("*")} == before


def test_what_a_killed_ingestion_left_is_removed(lake: Lake, songs: Path, ingest) -> None:
    abandoned = lake.datasets / "mine" / f"{STAGING_PREFIX}999999999-abcdef01"
    abandoned.mkdir(parents=True)
    (abandoned / "dataset.json").write_text("{")  # half a version is no version
    assert dataset_versions(lake) == []
    version = ingest(lake, "mine", songs)
    assert [path.name for path in (lake.datasets / "mine").iterdir()] == [version.digest]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, songs: Path, ingest) -> tuple[Lake, list]:
    """A lake with two versions of `mine` and one of `other`, made on three days."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    made = [
        ingest(lake, "mine", songs / "bach"),
        ingest(lake, "mine", songs / "jazz"),
        ingest(lake, "other", songs / "jazz"),
    ]
    for day, version in enumerate(made, start=1):  # the clock has whole seconds
        file = version.folder / "dataset.json"
        file.write_text(json.dumps({**version.description, "created": f"2026-11-0{day}T00:00:00+00:00"}))
    return lake, made


class TestFinding:
    @pytest.fixture
    def lake(self, shelf) -> Lake:
        return shelf[0]

    @pytest.fixture
    def versions(self, shelf) -> list:
        return shelf[1]

    def test_the_newest_of_a_name(self, lake: Lake, versions: list) -> None:
        assert find_version(lake, "mine").digest == versions[1].digest

    def test_by_digest_or_the_beginning_of_it(self, lake: Lake, versions: list) -> None:
        digest = versions[0].digest
        assert find_version(lake, f"mine@{digest}").digest == digest
        assert find_version(lake, f"mine@{digest[:8]}").digest == digest

    def test_oldest_first(self, lake: Lake, versions: list) -> None:
        assert [v.digest for v in dataset_versions(lake)] == [v.digest for v in versions]
        assert [v.name for v in dataset_versions(lake, "other")] == ["other"]

    @pytest.mark.parametrize("name", ["lakh", "*", "min?", "", "/etc", "..", "mine/"])
    def test_an_unknown_name_lists_those_that_exist(self, lake: Lake, versions: list, name: str) -> None:
        with pytest.raises(UserError) as error:
            find_version(lake, name)
        assert str(error.value) == f"no dataset {name!r}; there are: mine, other"

    def test_an_unknown_digest_lists_those_that_exist(self, lake: Lake, versions: list) -> None:
        with pytest.raises(UserError) as error:
            find_version(lake, "mine@zzz")
        listed = ", ".join(version.digest[:12] for version in versions[:2])
        assert str(error.value) == f"no version of dataset mine 'zzz'; there are: {listed}"

    def test_an_empty_lake_says_how_to_begin(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no dataset 'mine'; there is none yet; make one with `musenet ingest"):
            find_version(Lake(tmp_path), "mine")

    def test_by_what_it_was_made_from(self, lake: Lake, versions: list) -> None:
        key = versions[0].description["input_key"]
        found = find_by_input(lake, "mine", key)
        assert found is not None
        assert found.digest == versions[0].digest
        assert find_by_input(lake, "other", key) is None


def test_tokens_keep_their_meaning_when_a_style_is_dropped() -> None:
    large, small = Vocabulary.load("musenet", ["bach", "jazz", "pop"]), Vocabulary.load("musenet", ["jazz"])
    text = "jazz piano start tempo90 piano:v72:C4 wait:128 piano:v0:C4 end"
    tokens = relabelled(large.from_text(text), large, small)
    assert small.to_text(tokens) == text
    assert get_encoding("combined", small).decode(tokens).tempo == 90
