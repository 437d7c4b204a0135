"""Versions: found by name and digest, and what a digest is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from infra.lake import Lake
from tokenization.dataset.version import (
    DatasetVersion,
    canonical_digest,
    dataset_versions,
    find_by_input,
    find_version,
    read_version,
)


def test_a_digest_is_the_same_on_every_machine() -> None:
    text = '{"a":["é",1],"b":null}'
    assert canonical_digest({"b": None, "a": ["é", 1]}) == hashlib.sha256(text.encode()).hexdigest()[:32]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, song: Any, steps: Any) -> tuple[Lake, list[DatasetVersion]]:
    """A lake with two versions of `mine` and one of `other`, made on three days."""
    home = tmp_path_factory.mktemp("home")
    for seed in range(4):
        folder = home / ("bach" if seed % 2 else "jazz")
        folder.mkdir(exist_ok=True)
        (folder / f"{seed}.mid").write_bytes(song(seed))
    lake = Lake(home / "lake")
    made = [
        steps(lake, "mine", home / "bach").version,
        steps(lake, "mine", home / "jazz").version,
        steps(lake, "other", home / "jazz").version,
    ]
    for day, version in enumerate(made, start=1):
        file = version.path / "dataset.json"
        file.write_text(json.dumps({**version.description, "created": f"2026-11-0{day}T00:00:00+00:00"}))
    return lake, [read_version(version.path) for version in made]


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

    def test_too_few_digits(self, lake: Lake, versions: list[DatasetVersion], tmp_path: Path) -> None:
        for digest in ("ab12", "ab34"):
            folder = tmp_path / "datasets" / "mine" / digest
            folder.mkdir(parents=True)
            (folder / "dataset.json").write_text(json.dumps({**versions[0].description, "digest": digest}))
        with pytest.raises(UserError, match="'mine@ab' fits 2 versions; give more digits"):
            find_version(Lake(tmp_path), "mine@ab")

    def test_an_empty_lake_says_how_to_begin(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no dataset 'mine'; there is none yet; make one with `musenet ingest"):
            find_version(Lake(tmp_path), "mine")

    def test_by_what_it_was_made_from(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        key = versions[0].description["input_key"]
        assert find_by_input(lake, "mine", key) == versions[0]
        assert find_by_input(lake, "other", key) is None

    def test_a_version_on_disk_is_its_own_local_copy(self, lake: Lake, versions: list[DatasetVersion]) -> None:
        assert versions[0].local(lake) is versions[0]
        assert versions[0].path == lake.root / "datasets" / "mine" / versions[0].digest
