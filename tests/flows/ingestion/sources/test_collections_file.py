"""The file collections.toml: what it can describe, the messages about what it cannot, and plain sources beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.ingestion.sources import Collection, StyleRule, collections_from, load_collections
from infra.errors import UserError

LAKH = '[[collection]]\nname = "lakh"\nlocation = "lakh.tar.gz"\n'


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "collections.toml"


def refusal(toml: Path, text: str) -> str:
    toml.write_text(text)
    with pytest.raises(UserError) as refused:
        load_collections(toml)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith(str(toml)) or "two collections" in message
    return message.removeprefix(f"{toml}: ")


class TestToml:
    def test_all_that_can_be_said(self, toml: Path) -> None:
        toml.write_text(
            """
            [[collection]]
            name = "lakh"
            location = "downloads/lmd_full.tar.gz"
            licence = "CC-BY 4.0"

            [[collection]]
            name = "classical"
            location = "s3://bucket/classical"
            include = ["*.mid", "*.seq"]
            exclude = ["drafts", "opera/wagner/**"]
            [[collection.styles]]
            labels = "composers.csv"
            [[collection.styles]]
            pattern = '^(?P<style>[^/_]+)_'
            [[collection.styles]]
            label = "Classical Music"
            [collection.synonyms]
            "J.S. Bach" = "Johann Sebastian"

            [synonyms]
            bachjohannsebastian = "bach"
            j_s_bach = "bach"
            """
        )
        lakh, classical = load_collections(toml)
        assert lakh == Collection(
            name="lakh",
            location=str(toml.parent / "downloads" / "lmd_full.tar.gz"),
            licence="CC-BY 4.0",
            synonyms={"bachjohannsebastian": "bach", "j_s_bach": "bach"},
        )
        assert classical == Collection(
            name="classical",
            location="s3://bucket/classical",
            include=("*.mid", "*.seq"),
            exclude=("drafts", "opera/wagner/**"),
            styles=(
                StyleRule(labels=str(toml.parent / "composers.csv")),
                StyleRule(pattern="^(?P<style>[^/_]+)_"),
                StyleRule(label="classical_music"),
            ),
            synonyms={"bachjohannsebastian": "bach", "j_s_bach": "johann_sebastian"},
        )

    def test_a_location_in_ones_home(self, toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/ada")
        toml.write_text('[[collection]]\nname = "mine"\nlocation = "~/midi"')
        assert load_collections(toml)[0].location == "/home/ada/midi"

    def test_a_collection_survives_json(self, toml: Path) -> None:
        toml.write_text(LAKH + '[[collection.styles]]\nlabel = "pop"')
        (collection,) = load_collections(toml)
        assert Collection.model_validate_json(collection.model_dump_json()) == collection


class TestRefused:
    def test_a_file_that_is_not_there(self, toml: Path) -> None:
        with pytest.raises(UserError, match=r"collections.toml cannot be read: No such file"):
            load_collections(toml)

    def test_no_toml(self, toml: Path) -> None:
        assert refusal(toml, "\nname = x").endswith("is not valid TOML: Invalid value (at line 2, column 8)")

    def test_nothing_in_it(self, toml: Path) -> None:
        assert "describes no collection" in refusal(toml, "")
        assert "write [[collection]]" in refusal(toml, '[collection]\nname = "x"')

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[[colection]]", "there is no key 'colection'; nearest: 'collection'"),
            (LAKH + 'locaton = "x"', "[[collection]] 'lakh': there is no key 'locaton'; nearest: 'location'"),
            (LAKH + "qqq = 1", "[[collection]] 'lakh': there is no key 'qqq'; there are: name, location, licence"),
            ('[[collection]]\nname = "x"', "[[collection]] 'x': location: Field required"),
            (LAKH + '[[collection]]\nlocation = "x"', "[[collection]] number 2: name: Field required"),
            (LAKH + "include = [3]", "[[collection]] 'lakh': include.1: Input should be a valid string"),
            (LAKH + 'exclude = ["a", "/"]', "'/' is no glob pattern"),
            (LAKH + '[synonyms]\nx = "???"', "synonyms: the label '???' has neither a letter from a to z nor a digit"),
            (LAKH + '[synonyms]\na-b = "x"\na_b = "y"', "synonyms: 'a_b' has two meanings"),
            ("synonyms = 3\n" + LAKH, "synonyms: Input should be a valid dictionary"),
            (LAKH * 2, "two collections are named 'lakh'; give each its own name"),
        ],
    )
    def test_what_does_not_fit(self, toml: Path, text: str, message: str) -> None:
        assert message in refusal(toml, text)

    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            ("pattern = '(?P<style>['", "styles.1.pattern: '(?P<style>[' is no regular expression: unclosed character"),
            ("pattern = '(.*)'", "styles.1.pattern: the regular expression '(.*)' has no group (?P<style>…)"),
            ("patern = 'x'", "[[collection.styles]] there is no key 'patern'; nearest: 'pattern'"),
            ("", "styles.1: a style rule has exactly one of pattern, labels and label"),
            ('label = "a"\nlabels = "b"', "styles.1: a style rule has exactly one of pattern, labels and label"),
            ('label = "♪"', "styles.1.label: the label '♪' has neither"),
        ],
    )
    def test_a_rule_that_cannot_work(self, toml: Path, rule: str, message: str) -> None:
        assert refusal(toml, f"{LAKH}[[collection.styles]]\n{rule}").startswith(f"[[collection]] 'lakh': {message}")


class TestCollectionsFrom:
    def test_plain_sources_are_named_by_their_folder_or_file_and_labelled_alike(self, tmp_path: Path) -> None:
        songs, archive = collections_from([tmp_path / "songs", f"{tmp_path}/more.tar.gz"], "Jazz", "CC0")
        assert [(c.name, c.licence, c.styles[0].label) for c in (songs, archive)] == [
            ("songs", "CC0", "jazz"),
            ("more", "CC0", "jazz"),
        ]

    def test_equal_names_become_whole_addresses(self) -> None:
        assert [c.name for c in collections_from(["/a/songs", "/b/songs"])] == ["/a/songs", "/b/songs"]

    def test_a_collections_toml_states_style_and_licence_itself(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text('[[collection]]\nname = "old"\nlocation = "songs"\nlicence = "CC-BY"\n')
        first, second = collections_from([file, tmp_path / "more"])
        assert {(first.name, first.licence), (second.name, second.licence)} == {
            ("old", "CC-BY"),
            ("more", "not stated"),
        }
        with pytest.raises(UserError, match=r"a collections\.toml states them for each collection"):
            collections_from([file], licence="CC0")
