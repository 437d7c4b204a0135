"""Equal music: which copy is kept by which order, and what people declare."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from flows.ingestion.dedup import Duplicates
from flows.ingestion.dedup.equal_music import Drop, EqualMusic, Preference, find_equal_music
from infra.errors import UserError
from tokenization.fingerprint import fingerprint, note_hash
from tokenization.midi.notes import Notes

Row = dict[str, Any]
SCHEMA = {"reason": pl.String, "repairs": pl.List(pl.String), "programs": pl.List(pl.UInt8), "fingerprint": pl.Binary}


@pytest.fixture
def song(music: Any) -> Notes:
    return music.song(1)


def file(path: str, music: Notes, **changes: Any) -> Row:
    """A row of files joined with their facts."""
    return {
        "collection": "songs",
        "path": path,
        "sha256": path,
        "licence": "CC0-1.0",
        "reason": None,
        "repairs": [],
        "notes": len(music),
        "programs": [0],
        "drums": False,
        "note_hash": note_hash(music),
        "fingerprint": fingerprint(music).tobytes(),
        **changes,
    }


def found(*files: Row, **settings: Any) -> EqualMusic:
    return find_equal_music(pl.DataFrame(list(files), schema_overrides=SCHEMA), Duplicates.model_validate(settings))


class TestOrderOfPreference:
    """Two files of the same notes; of edits the same order holds."""

    @pytest.mark.parametrize(
        ("worse", "better"),
        [
            ({"licence": "CC-BY-NC-4.0"}, {"licence": "CC-BY-4.0"}),
            ({"licence": "CC-BY-4.0"}, {"licence": "CC0-1.0"}),
            ({"licence": "CC-BY-SA-3.0"}, {"licence": "CC-BY-3.0"}),
            ({"licence": "all rights reserved"}, {"licence": "CC-BY-SA-4.0"}),
            ({"licence": None}, {"licence": "CC0-1.0"}),
            ({"repairs": ["truncated"]}, {}),
            ({"repairs": ["truncated"], "notes": 999}, {}),
            ({"notes": 99}, {"notes": 100}),
            ({"notes": 99, "programs": [0, 1, 2]}, {"notes": 100}),
            ({"programs": [0]}, {"programs": [0, 1]}),
            ({"programs": [0]}, {"drums": True}),
            ({"licence": "CC-BY-4.0"}, {"licence": "CC0-1.0", "repairs": ["truncated"], "notes": 20}),
        ],
    )
    @pytest.mark.parametrize("semitones", [0, 3])
    def test_licence_then_no_repair_then_notes_then_instruments(
        self, song: Notes, music: Any, worse: Row, better: Row, semitones: int
    ) -> None:
        one, other = file("1", song, **worse), file("2", music.moved(song, semitones), **better)
        assert found(one, other).kept.tolist() == [1, 1]
        assert found(other, one).kept.tolist() == [0, 0]

    def test_among_equals_the_first_is_kept(self, song: Notes) -> None:
        assert found(file("1", song), file("2", song), file("3", song)).kept.tolist() == [0, 0, 0]

    def test_of_equal_bytes_the_better_licence_is_kept(self, song: Notes) -> None:
        one, other = (
            file(path, song, sha256="x", licence=licence) for path, licence in (("1", "GPL-3.0"), ("2", "PD"))
        )
        assert found(one, other).kept.tolist() == [1, 1]

    def test_may_be_set(self, song: Notes) -> None:
        one, other = file("1", song, notes=99, programs=[0, 1]), file("2", song, notes=100)
        assert found(one, other).kept.tolist() == [1, 1]
        assert found(one, other, keep=["instruments", "notes"]).kept.tolist() == [0, 0]
        assert found(one, other, keep=[]).kept.tolist() == [0, 0]

    def test_the_order_of_licences_may_be_set(self, song: Notes) -> None:
        one, other = file("1", song, licence="CC0-1.0"), file("2", song, licence="GPL-3.0-only")
        assert found(one, other, licences=["GPL-*", "CC0-1.0"]).kept.tolist() == [1, 1]

    def test_other_words_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="keep"):
            Duplicates.model_validate({"keep": ["length"]})
        assert [str(preference) for preference in Duplicates().keep] == [
            "licence",
            "unrepaired",
            "notes",
            "instruments",
        ]
        assert Duplicates().keep == tuple(Preference)


class TestLinks:
    def test_equal_ones_are_duplicates_without_a_measure(self, song: Notes) -> None:
        result = found(file("1", song), file("2", song, sha256="1"), file("3", song))
        assert result.linked.tolist() == [-1, 0, 0]
        assert result.relation == [None, "duplicate", "duplicate"]
        assert result.reason == [None, "same_bytes", "same_notes"]
        assert pl.Series(result.similarity).is_nan().all()

    def test_a_quarantined_file_refers_to_itself(self, song: Notes) -> None:
        result = found(file("1", song, reason="too_short"), file("2", song), file("3", song, sha256="1"))
        assert result.kept.tolist() == result.root.tolist() == [0, 1, 1]
        assert result.linked.tolist() == [-1, -1, 1]

    def test_copies_of_a_near_duplicate_are_linked_to_it_and_kept_as_its_best(self, song: Notes, music: Any) -> None:
        near = music.moved(song, 2)
        result = found(file("1", song), file("2", near), file("3", near))
        assert result.kept.tolist() == [0, 0, 0]
        assert result.linked.tolist() == [-1, 0, 1]
        assert result.reason == [None, "near_duplicate", "same_notes"]


class TestDrop:
    @pytest.mark.parametrize(
        ("drop", "kept"),
        [(Drop.NOTHING, [0, 1, 2, 0]), (Drop.DUPLICATES, [0, 0, 2, 0]), (Drop.RELATIVES, [0, 0, 0, 0])],
    )
    def test_decides_what_stays_of_a_family(self, song: Notes, music: Any, drop: Drop, kept: list[int]) -> None:
        files = [file("1", song), file("2", music.moved(song, 1)), file("3", music.performance(song)), file("4", song)]
        result = found(*files, drop=drop)
        assert result.kept.tolist() == kept
        assert set(result.root.tolist()) == {0}

    def test_what_is_related_depends_on_the_thresholds(self, song: Notes, music: Any) -> None:
        files = [file("1", song), file("2", music.thinned(song, 0.1))]
        assert found(*files, duplicate_from=0.95).kept.tolist() == [0, 1]
        assert found(*files, duplicate_from=0.3).kept.tolist() == [0, 0]
        assert found(*files, related_from=1000).root.tolist() == [0, 1]


class TestDeclared:
    @pytest.fixture
    def files(self, music: Any) -> list[Row]:
        """A song, another, the first one transposed, and a copy of the second one's notes."""
        pieces = [music.song(1), music.song(2), music.moved(music.song(1), 3), music.song(2)]
        return [file(f"{number}.mid", notes) for number, notes in enumerate(pieces, 1)]

    def test_same(self, files: list[Row]) -> None:
        result = found(*files, same=[["songs/1.mid", "songs/2.mid"]])
        assert result.kept.tolist() == [0, 0, 0, 0]
        assert result.relation[1] == "duplicate"

    def test_the_copy_of_a_piece_stands_for_it(self, files: list[Row]) -> None:
        assert set(found(*files, same=[["songs/1.mid", "songs/4.mid"]]).kept.tolist()) == {0}

    def test_related(self, files: list[Row]) -> None:
        result = found(*files, related=[["songs/1.mid", "songs/2.mid"]])
        assert result.root.tolist() == [0, 0, 0, 0]
        assert result.kept.tolist() == [0, 1, 0, 1]

    def test_different(self, files: list[Row]) -> None:
        result = found(*files, different=[["songs/1.mid", "songs/3.mid"]])
        assert result.root.tolist() == [0, 1, 2, 1]

    def test_every_pair_of_a_group_is_meant(self, files: list[Row], music: Any) -> None:
        third = file("5.mid", music.moved(music.song(1), -2))
        result = found(*files, third, different=[["songs/1.mid", "songs/3.mid", "songs/5.mid"]])
        assert result.root.tolist() == [0, 1, 2, 1, 4]

    @pytest.mark.parametrize("key", ["same", "related", "different"])
    def test_a_name_that_no_file_has_is_refused_with_the_nearest(self, files: list[Row], key: str) -> None:
        with pytest.raises(UserError, match=rf"duplicates\.{key} names songs/1\.midi, which is no file here.*songs/1"):
            found(*files, **{key: [["songs/1.midi", "songs/2.mid"]]})

    def test_different_ones_of_the_same_notes_are_refused(self, files: list[Row]) -> None:
        words = "duplicates.different names songs/2.mid and songs/4.mid, which hold the same notes"
        with pytest.raises(UserError, match=words):
            found(*files, different=[["songs/2.mid", "songs/4.mid"]])

    def test_the_same_notes_may_be_called_the_same(self, files: list[Row]) -> None:
        assert found(*files, same=[["songs/2.mid", "songs/4.mid"]]).kept.tolist() == [0, 1, 0, 1]

    def test_needs_the_search_for_links(self) -> None:
        with pytest.raises(ValidationError, match="no effect without the search"):
            Duplicates.model_validate({"near": False, "same": [["songs/1.mid", "songs/2.mid"]]})

    def test_quarantined_files_are_left_out(self, files: list[Row]) -> None:
        files[1]["reason"] = files[3]["reason"] = "too_short"
        assert found(*files, same=[["songs/1.mid", "songs/2.mid"]]).root.tolist() == [0, 1, 0, 3]
