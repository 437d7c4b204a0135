"""Style labels: from folders, patterns, tables of labels, and synonyms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flows.ingestion.sources import Listing, StyleRule, describe_unused
from infra.errors import UserError

Find = Callable[..., Listing]
LayOut = Callable[..., Path]
Pack = Callable[..., Path]


def styles(listing: Listing) -> dict[str, str | None]:
    return dict(listing.files.select("path", "style").iter_rows())


class TestWithoutRules:
    def test_of_the_first_folder_below(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("Folk Rock/live/1.mid", "J.S. Bach/2.mid")
        assert styles(find(root)) == {"Folk Rock/live/1.mid": "folk_rock", "J.S. Bach/2.mid": "j_s_bach"}

    def test_else_of_the_location_itself(self, find: Find, lay_out: LayOut) -> None:
        assert styles(find(lay_out("1.mid", name="Ragtime"))) == {"1.mid": "ragtime"}

    def test_none_where_no_letter_is_left(self, find: Find, lay_out: LayOut) -> None:
        assert styles(find(lay_out("音楽/1.mid"))) == {"音楽/1.mid": None}

    def test_of_archives_without_their_suffix(self, find: Find, lay_out: LayOut, pack: Pack) -> None:
        root = lay_out("folder.zip/1.mid")
        pack(root / "Jazz.tar.gz", {"deep/1.mid": b"1"})
        pack(root / "sub" / "more.zip", {"2.mid": b"2"})
        assert styles(find(root)) == {
            "Jazz.tar.gz/deep/1.mid": "jazz",
            "folder.zip/1.mid": "folder_zip",
            "sub/more.zip/2.mid": "sub",
        }
        assert styles(find(root / "Jazz.tar.gz")) == {"deep/1.mid": "deep"}
        assert styles(find(root / "sub" / "more.zip")) == {"2.mid": "more"}


class TestRules:
    def test_one_label_for_all(self, find: Find, lay_out: LayOut) -> None:
        found = find(lay_out("rock/1.mid", "2.mid"), styles=[StyleRule(label="Video Game")])
        assert set(styles(found).values()) == {"video_game"}

    def test_a_group_of_a_pattern(self, find: Find, lay_out: LayOut) -> None:
        rule = StyleRule(pattern=r"(?:^|/)(\d+)-(?P<style>[a-z ]+)[^/]*$")
        found = find(lay_out("x/1-bach.mid", "2-de falla 3.mid", "bach.mid"), styles=[rule])
        assert styles(found) == {"x/1-bach.mid": "bach", "2-de falla 3.mid": "de_falla", "bach.mid": None}

    def test_labels_of_no_file_are_listed(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        labels, licences = tmp_path / "labels.csv", tmp_path / "licences.csv"
        labels.write_text("path,style\n1.mid,bach\ngone/2.mid,jazz\n3.mid,\n")
        licences.write_text("path,licence\n1.mid,CC0\n4.mid,CC0\n")
        about = {"styles": [StyleRule(labels=str(labels))], "licences": str(licences)}
        unused = find(lay_out("1.mid"), **about).unused_labels
        assert unused == {"music": {str(labels): ["gone/2.mid", "3.mid"], str(licences): ["4.mid"]}}
        assert describe_unused(unused["music"]) == [
            f"{labels}: 2 labels for no file, as for 'gone/2.mid'",
            f"{licences}: 1 label for no file, that is for '4.mid'",
        ]
        assert find(lay_out("gone/2.mid", "3.mid", "4.mid"), **about).unused_labels == {"music": {}}

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_a_table_of_labels(self, find: Find, lay_out: LayOut, tmp_path: Path, suffix: str) -> None:
        table = pl.DataFrame({"style": ["Bach", "Jazz", None], "path": ["a/1.mid", "b.zip/2.mid", "3.mid"], "x": 1})
        labels = tmp_path / f"labels.{suffix}"
        table.write_csv(labels) if suffix == "csv" else table.write_parquet(labels)
        found = find(lay_out("a/1.mid", "3.mid", "4.mid"), styles=[StyleRule(labels=str(labels))])
        assert styles(found) == {"a/1.mid": "bach", "3.mid": None, "4.mid": None}

    def test_the_first_that_finds_a_label_gives_it(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("path,style\nbach/1.mid,Fugue\n")
        rules = [
            StyleRule(labels=str(tmp_path / "labels.csv")),
            StyleRule(pattern="^(?P<style>[^/]+)/"),
            StyleRule(label="other"),
        ]
        found = find(lay_out("bach/1.mid", "bach/2.mid", "3.mid"), styles=rules)
        assert styles(found) == {"bach/1.mid": "fugue", "bach/2.mid": "bach", "3.mid": "other"}

    def test_numbers_in_a_table_are_labels(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("path,style\n1.mid,1920\n")
        assert styles(find(lay_out("1.mid"), styles=[StyleRule(labels=str(tmp_path / "labels.csv"))])) == {
            "1.mid": "1920"
        }


def test_synonyms_after_normalisation(find: Find, lay_out: LayOut) -> None:
    root = lay_out("BachJohannSebastian/1.mid", "J.S. Bach/2.mid", "bach/3.mid", "brahms/4.mid")
    synonyms = {"bachjohannsebastian": "J.S.Bach", "j_s_bach": "Bach", "brahms": "Romantic Music"}
    assert list(styles(find(root, synonyms=synonyms)).values()) == ["j_s_bach", "bach", "bach", "romantic_music"]


class TestLabelsThatCannotBeUsed:
    def refusal(self, find: Find, root: Path, labels: Path) -> str:
        with pytest.raises(UserError) as refused:
            find(root, styles=[StyleRule(labels=str(labels))])
        return str(refused.value).removeprefix(f"the labels {labels} ")

    def test_they_do_not_exist(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        assert self.refusal(find, lay_out("1.mid"), tmp_path / "labels.csv") == "do not exist"

    def test_a_column_is_missing(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("file,style\n1.mid,bach\n")
        told = self.refusal(find, lay_out("1.mid"), tmp_path / "labels.csv")
        assert told == "have no column 'path'; there are: file, style"

    def test_they_contradict_themselves(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("path,style\n1.mid,bach\n1.mid,bach\n2.mid,bach\n2.mid,jazz\n")
        assert self.refusal(find, lay_out("1.mid"), tmp_path / "labels.csv") == "give '2.mid' two styles"

    def test_they_know_no_file(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("path,style\nmusic/1.mid,bach\n")
        told = self.refusal(find, lay_out("1.mid"), tmp_path / "labels.csv")
        assert told.endswith("has a style for no file; its paths: 'music/1.mid', the collection's: '1.mid'")

    def test_they_are_no_parquet(self, find: Find, lay_out: LayOut, tmp_path: Path) -> None:
        (tmp_path / "labels.parquet").write_text("path,style\n")
        assert self.refusal(find, lay_out("1.mid"), tmp_path / "labels.parquet").startswith("cannot be read: ")
