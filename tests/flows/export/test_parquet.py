"""The exported dataset: what loaders find through the card, and rows that need no musenet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
import yaml

from flows.export import export_parquet, parquet
from flows.export.hub_card import hub_licences, size_category
from infra.errors import UserError
from infra.files import STAGING_PREFIX
from tokenization.dataset import DatasetVersion, read_encoding
from tokenization.dataset.manifest import Status
from tokenization.dataset.shards import ShardError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, version: DatasetVersion) -> Path:
    target = tmp_path_factory.mktemp("exported") / "songs"
    done = export_parquet(version, target, lambda *_: None)
    assert done.rows == sum(version.description.variants.values())
    assert done.files == len([path for path in target.rglob("*") if path.is_file()])
    return target


def front_matter(folder: Path) -> dict[str, Any]:
    _, matter, _ = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(matter)


def splits(folder: Path) -> dict[str, pl.DataFrame]:
    """The splits as `load_dataset` finds them: through the patterns of the card."""
    (config,) = front_matter(folder)["configs"]
    assert config["config_name"] == "default"
    return {each["split"]: pl.read_parquet(folder / each["path"]) for each in config["data_files"]}


def test_the_card_leads_to_all_rows_of_every_split(folder: Path, version: DatasetVersion) -> None:
    found = splits(folder)
    assert {split: len(rows) for split, rows in found.items()} == version.description.variants
    names = sorted(path.name for path in (folder / "data").iterdir())
    assert names == [f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")]


def test_a_row_has_plain_tokens_and_its_source(folder: Path, version: DatasetVersion) -> None:
    rows = pl.concat(splits(folder).values())
    assert rows.schema["tokens"] == pl.List(pl.UInt16)
    shards = pl.concat([pl.read_parquet(version.path / path) for path in version.description.shards])
    plain = dict(zip(zip(shards["piece_id"], shards["transpose"], shards["stretch"]), shards["tokens"]))
    for row in rows.to_dicts():
        tokens = np.frombuffer(plain[row["piece_id"], row["transpose"], row["stretch"]], "<u2")
        assert row["tokens"] == tokens.tolist()
        assert row["n_tokens"] == len(tokens)
    accepted = version.manifest.filter(pl.col("status") == Status.ACCEPTED).select(
        "sha256", "collection", "path", "licence"
    )
    sources = rows.select("piece_id", "collection", "path", "licence").unique()
    assert sources.sort("piece_id").rows() == accepted.sort("sha256").rows()


def test_its_tokens_decode_with_the_files_beside_them(folder: Path) -> None:
    encoding = read_encoding(folder)
    row = splits(folder)["validation"].row(0, named=True)
    assert len(encoding.decode(np.array(row["tokens"], np.uint16))) == row["notes"]


def test_another_database_reads_it(folder: Path) -> None:
    query = f"select sum(len(tokens)), sum(n_tokens), count(distinct licence) from '{folder}/data/*.parquet'"
    ((tokens, declared, licences),) = duckdb.sql(query).fetchall()
    assert (tokens, licences) == (declared, 2)


def test_the_card_states_licences_and_size(folder: Path, version: DatasetVersion) -> None:
    matter = front_matter(folder)
    assert matter["license"] == ["cc0-1.0", "other"]
    assert matter["size_categories"] == ["n<1K"]
    text = (folder / "README.md").read_text()
    assert version.description.reference in text
    assert str(version.path.parent.parent) not in text, "a path of this machine"


def test_a_large_split_has_several_files(
    version: DatasetVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "FILE_TOKENS", 1)
    export_parquet(version, tmp_path / "many", lambda *_: None)
    count = len(version.description.shards_of("train"))
    assert count > 1
    names = sorted(path.name for path in (tmp_path / "many" / "data").glob("train*"))
    assert names == [f"train-{number:05d}-of-{count:05d}.parquet" for number in range(count)]
    assert {split: len(rows) for split, rows in splits(tmp_path / "many").items()} == version.description.variants


class TestTarget:
    def test_an_empty_folder_is_taken(self, version: DatasetVersion, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        export_parquet(version, tmp_path / "empty", lambda *_: None)
        assert (tmp_path / "empty" / "README.md").is_file()

    def test_a_folder_with_anything_in_it_is_refused(self, version: DatasetVersion, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("mine")
        with pytest.raises(UserError, match="is not empty; name a new folder"):
            export_parquet(version, tmp_path, lambda *_: None)
        with pytest.raises(UserError, match="is a file; name a new folder"):
            export_parquet(version, tmp_path / "a", lambda *_: None)
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    def test_a_place_that_cannot_be_written_is_refused(self, version: DatasetVersion) -> None:
        with pytest.raises(UserError, match="cannot be written"):
            export_parquet(version, Path("/proc/none/export"), lambda *_: None)

    def test_a_failed_export_leaves_nothing(
        self, version: DatasetVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[int] = []

        def progress(done: int, _total: int) -> None:
            steps.append(done)
            if done == 2:
                raise ShardError("damaged")

        with pytest.raises(ShardError):
            export_parquet(version, tmp_path / "out", progress)
        assert steps == [1, 2]
        assert not list(tmp_path.glob(f"{STAGING_PREFIX}*"))
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["CC0-1.0"], ["cc0-1.0"]),
        (["MIT", "CC-BY-4.0"], ["cc-by-4.0", "mit"]),
        (["PD"], ["other"]),
        (["PD", "MIT"], ["mit", "other"]),
        ([""], ["unknown"]),
        ([], ["unknown"]),
    ],
)
def test_licences_by_the_hubs_names(licences: list[str], expected: list[str]) -> None:
    assert hub_licences(licences) == expected


@pytest.mark.parametrize(("rows", "expected"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**7, "10M<n<100M")])
def test_sizes_by_the_hubs_names(rows: int, expected: str) -> None:
    assert size_category(rows) == expected
