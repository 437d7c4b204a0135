"""Licences of files: that of the collection, or those that a file lists by path."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flows.ingestion.sources import Collection, load_collections
from flows.ingestion.sources.licence_labels import licence_columns
from infra.errors import UserError

PATHS = pl.Series(["a.mid", "b.mid", "c.mid"])


def columns(**settings: str) -> list[tuple[str, str | None]]:
    """The licence of each path, and how it was stated where that differs."""
    collection = Collection.model_validate({"name": "songs", "location": "songs", **settings})
    licence, stated = licence_columns(collection, PATHS)
    assert (licence.name, stated.name) == ("licence", "stated_licence")
    return list(zip(licence, stated))


@pytest.fixture
def listed(tmp_path: Path) -> str:
    file = tmp_path / "licences.csv"
    file.write_text("path,licence\na.mid,Creative Commons Attribution 2.5\nb.mid,MIT\nother.mid,GPL-3.0\n")
    return str(file)


def test_the_collection_states_one_for_all() -> None:
    assert columns(licence="Public Domain") == [("PD", "Public Domain")] * 3
    assert columns(licence="PD") == [("PD", None)] * 3
    assert columns() == [("not stated", None)] * 3


def test_a_file_may_list_them_by_path_and_the_rest_have_that_of_the_collection(listed: str) -> None:
    assert columns(licence="CC0", licences=listed) == [
        ("CC-BY-2.5", "Creative Commons Attribution 2.5"),
        ("MIT", None),
        ("CC0-1.0", "CC0"),
    ]


def test_a_list_lies_beside_the_toml_that_names_it(listed: str) -> None:
    toml = Path(listed).with_name("songs.toml")
    toml.write_text("[[collection]]\nname = 'songs'\nlocation = 'songs'\nlicences = 'licences.csv'\n")
    (collection,) = load_collections(toml)
    assert collection.licences == listed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path,license\na.mid,MIT\n", "have no column 'licence'; there are: path, license"),
        ("path,licence\na.mid,MIT\na.mid,PD\n", "give 'a.mid' two licences"),
        (
            "path,licence\nsongs/a.mid,MIT\n",
            "has a licence for no file; its paths: 'songs/a.mid', the collection's: 'a.mid'",
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_a_mistake(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "licences.csv").write_text(text)
    with pytest.raises(UserError) as error:
        columns(licences=str(tmp_path / "licences.csv"))
    assert fault in str(error.value)
