"""Versions: a folder opened, and the catalogue of a lake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from infra.lake import Lake
from tokenization.dataset import (
    DatasetError,
    DatasetVersion,
    dataset_versions,
    find_by_input,
    find_version,
    open_version,
)
from tokenization.dataset.shards import TokenFormat, read_shard
from tokenization.encodings.combined import Combined

VersionWriter = Callable[..., Path]


class TestOpening:
    @pytest.fixture
    def folder(self, tmp_path: Path, write_version: VersionWriter) -> Path:
        return write_version(tmp_path / "songs", "ab" * 16)

    def test_gives_name_digest_and_path(self, folder: Path) -> None:
        version = open_version(folder)
        assert (version.name, version.digest, str(version)) == ("songs", "ab" * 16, "songs@abababababab")
        assert version.path == version.folder == folder

    def test_gives_the_encoding_over_its_vocabulary(self, folder: Path, encoding: Combined) -> None:
        version = open_version(folder)
        assert (version.encoding.name, version.encoding.time) == (encoding.name, encoding.time)
        assert version.vocabulary == version.encoding.vocabulary == encoding.vocabulary

    def test_gives_the_manifest(self, folder: Path) -> None:
        assert open_version(folder).manifest.select("path", "status").rows() == [("1.mid", "accepted")]

    def test_gives_the_shards_of_a_split_in_order(self, folder: Path) -> None:
        version = open_version(folder)
        assert list(version.shards("train")) == ["train/00000.parquet", "train/00001.parquet"]
        assert list(version.shards("test")) == []
        for path in version.shards("validation"):
            table = read_shard(version.path / path, TokenFormat.of(version.encoding))
            assert table.column("piece_id").to_pylist() == ["piece 2"]

    def test_of_one_published_before_formats_had_numbers(self, folder: Path) -> None:
        now = open_version(folder)
        content = json.loads((folder / "dataset.json").read_text())
        del content["format"]
        content["fates"] = content.pop("outcomes")
        (folder / "dataset.json").write_text(json.dumps(content))
        assert open_version(folder) == now

    def test_of_a_folder_that_is_none_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"is not a dataset version: it has no dataset\.json"):
            open_version(tmp_path)

    def test_of_a_damaged_one_names_the_folder(self, folder: Path) -> None:
        (folder / "dataset.json").write_text("{")
        with pytest.raises(DatasetError, match=rf"^{folder}/dataset\.json is damaged"):
            open_version(folder)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, write_version: VersionWriter) -> tuple[Lake, list[DatasetVersion]]:
    """A lake with two versions of `mine` and one of `other`, made on three days."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    folders = [
        write_version(lake.root / "datasets" / "mine", "f0" * 16, 1, input_key="a" * 32),
        write_version(lake.root / "datasets" / "mine", "0f" * 16, 2, input_key="b" * 32),
        write_version(lake.root / "datasets" / "other", "77" * 16, 3, input_key="c" * 32),
    ]
    return lake, [open_version(folder) for folder in folders]


class TestFinding:
    @pytest.fixture
    def lake(self, shelf: Any) -> Lake:
        return shelf[0]

    @pytest.fixture
    def versions(self, shelf: Any) -> list[DatasetVersion]:
        return shelf[1]

    def test_the_newest_of_a_name(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        assert find_version(lake, "mine") == versions[1]

    def test_by_digest_or_the_beginning_of_it(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        digest = versions[0].digest
        assert find_version(lake, f"mine@{digest}").digest == digest
        assert find_version(lake, f"mine@{digest[:8]}").digest == digest
        assert find_version(lake, str(versions[0])).digest == digest

    def test_oldest_first(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        assert dataset_versions(lake) == versions
        assert [v.name for v in dataset_versions(lake, "other")] == ["other"]

    @pytest.mark.parametrize("name", ["lakh", "*", "min?", "", "/etc", "..", "mine/", "[m]ine"])
    def test_an_unknown_name_lists_those_that_exist(self, lake: Lake, name: str) -> None:
        with pytest.raises(UserError) as error:
            find_version(lake, name)
        assert str(error.value) == f"no dataset {name!r}; there are: mine, other"

    def test_an_unknown_digest_lists_those_that_exist(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        with pytest.raises(UserError) as error:
            find_version(lake, "mine@zzz")
        listed = ", ".join(version.digest[:12] for version in versions[:2])
        assert str(error.value) == f"no version of dataset mine 'zzz'; there are: {listed}"

    def test_too_few_digits(self, write_version: VersionWriter, tmp_path: Path) -> None:
        for digest in ("ab12", "ab34"):
            write_version(tmp_path / "datasets" / "mine", digest)
        with pytest.raises(UserError, match="'mine@ab' fits 2 versions; give more digits"):
            find_version(Lake(tmp_path), "mine@ab")

    def test_an_empty_lake_says_how_to_begin(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no dataset 'mine'; there is none yet; make one with `musenet ingest"):
            find_version(Lake(tmp_path), "mine")

    def test_by_what_it_was_made_from(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        key = versions[0].description.input_key
        assert find_by_input(dataset_versions(lake, "mine"), key) == versions[0]
        assert find_by_input(dataset_versions(lake, "other"), key) is None

    def test_of_two_made_from_the_same_the_newer(self, versions: list[DatasetVersion]) -> None:
        twice = [versions[0], versions[1], DatasetVersion(Path("newer"), versions[0].description)]
        assert find_by_input(twice, versions[0].description.input_key) is twice[2]

    def test_without_those_that_are_known(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        assert dataset_versions(lake, "mine", but={versions[0].digest}) == [versions[1]]
        assert dataset_versions(lake, "mine", but={version.digest for version in versions}) == []

    def test_one_that_cannot_be_read_is_named(
        self, versions: list[DatasetVersion], write_version: VersionWriter, tmp_path: Path
    ) -> None:
        write_version(tmp_path / "datasets" / "mine", "ab12")
        newer = shutil.copytree(versions[1].path, tmp_path / "datasets" / "mine" / "ab34")
        (newer / "dataset.json").write_text('{"format": 99}')
        with pytest.raises(DatasetError, match=r"mine/ab34/dataset\.json has format 99; .*; install a newer one"):
            find_version(Lake(tmp_path), "mine")

    def test_a_version_on_disk_is_its_own_local_copy(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        assert versions[0].local(lake) is versions[0]
        assert versions[0].path == lake.root / "datasets" / "mine" / versions[0].digest
