"""Outcomes: quarantine, duplicates, families and splits, decided on hand-made facts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.ingestion.dedup import Duplicates, Limits
from flows.ingestion.dedup.build_manifest import build_manifest
from flows.ingestion.dedup.equal_music import Drop
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.parsing.store import COLUMNS, FACTS
from tokenization.dataset.manifest import SCHEMA, Reason, Status
from tokenization.dataset.splits import SPLITS, TEST, TRAIN
from tokenization.fingerprint import fingerprint
from tokenization.midi.notes import Notes
from tokenization.midi.score import Repair


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


NOTHING = Notes.from_columns([], [], [], [], [], [])
"""Music without a feature, which is like no other."""


@dataclass(frozen=True)
class File:
    """A file as scanning and parsing left it."""

    path: str
    content: str | None = None
    """Stands for its bytes; None: like no other's."""
    notes: int = 100
    seconds: float = 60.0
    repairs: tuple[Repair, ...] = ()
    note_hash: str | None = None
    music: Notes | None = None
    """None: none of its own, like no other's."""
    refusal: Reason | None = None
    unreadable: bool = False
    style: str = "bach"

    @property
    def sha256(self) -> str | None:
        return None if self.unreadable else sha(self.content or self.path)


def decided(
    files: Sequence[File],
    limits: Limits | None = None,
    duplicates: Duplicates | None = None,
    shares: SplitShares | None = None,
    inherited: pl.DataFrame | None = None,
    tested: Path | None = None,
) -> pl.DataFrame:
    """The manifest of some files, all of one collection."""
    stock = pl.DataFrame(
        {
            "collection": ["songs"] * len(files),
            "path": [file.path for file in files],
            "sha256": [file.sha256 for file in files],
            "size": [10] * len(files),
            "licence": ["CC0-1.0"] * len(files),
            "stated_licence": ["CC0"] * len(files),
            "style": [file.style for file in files],
            "reason": [str(Reason.UNREADABLE_FILE) if file.unreadable else None for file in files],
            "detail": ["Permission denied" if file.unreadable else None for file in files],
            "partition": [0] * len(files),
        },
        schema_overrides={"sha256": pl.String, "reason": pl.String, "detail": pl.String},
    )
    facts = pl.DataFrame(
        [facts_of(file) for file in files if not file.unreadable], schema={name: COLUMNS[name] for name in FACTS}
    )
    return build_manifest(
        stock,
        facts.unique("sha256"),
        limits or Limits(),
        duplicates or Duplicates(),
        shares or SplitShares(),
        inherited,
        tested,
    )


def facts_of(file: File) -> dict[str, object]:
    if file.refusal:
        return {"sha256": file.sha256, "refusal": str(file.refusal), "detail": "no music", "repairs": []}
    content = file.content or file.path
    words = fingerprint(NOTHING if file.music is None else file.music)
    return {
        "sha256": file.sha256,
        "repairs": [str(repair) for repair in file.repairs],
        "notes": file.notes,
        "seconds": file.seconds,
        "tempo": 120.0,
        "programs": [0],
        "drums": False,
        "note_hash": file.note_hash or sha(f"notes of {content}"),
        "fingerprint": words.tobytes(),
    }


def outcomes(manifest: pl.DataFrame) -> dict[str, str]:
    """By path the reason, else the status."""
    return dict(manifest.select("path", pl.coalesce("reason", "status")).iter_rows())


def column(manifest: pl.DataFrame, name: str) -> dict[str, object]:
    return dict(manifest.select("path", name).iter_rows())


class TestQuarantine:
    @pytest.mark.parametrize(
        ("file", "limits", "reason", "words"),
        [
            (File("x", notes=15), Limits(), Reason.TOO_SHORT, "15 notes; the least is 16"),
            (File("x", notes=101), Limits(max_notes=100), Reason.TOO_LONG, "101 notes; the limit is 100"),
            (File("x", seconds=3600.2), Limits(), Reason.TOO_LONG, "3600.2 s; the limit is 3600"),
            (File("x", seconds=11), Limits(max_seconds=10.25), Reason.TOO_LONG, "11.0 s; the limit is 10.25"),
            (File("x", notes=601, seconds=3), Limits(), Reason.TOO_DENSE, "200.3 notes/s; the limit is 200"),
            (
                File("x", repairs=(Repair.TRUNCATED, Repair.FORMAT, Repair.BAD_TEMPO)),
                Limits(refused_repairs=(Repair.TRUNCATED, Repair.BAD_TEMPO)),
                Reason.REPAIRED,
                "had to be mended: bad_tempo, truncated",
            ),
        ],
    )
    def test_beyond_a_limit(self, file: File, limits: Limits, reason: Reason, words: str) -> None:
        (row,) = decided([file], limits).to_dicts()
        assert (row["status"], row["reason"], row["detail"]) == (Status.QUARANTINED, reason, words)
        assert row["family"] is row["split"] is row["kept"] is row["linked"] is row["relation"] is None
        assert row["similarity"] is row["evidence"] is None
        assert (row["sha256"], row["notes"], row["seconds"]) == (file.sha256, file.notes, file.seconds)

    @pytest.mark.parametrize(
        ("file", "limits"),
        [
            (File("x", notes=16), Limits()),
            (File("x", notes=100), Limits(max_notes=100)),
            (File("x", seconds=10.25), Limits(max_seconds=10.25)),
            (File("x", notes=600, seconds=3), Limits()),
            (File("x", repairs=(Repair.FORMAT,)), Limits(refused_repairs=(Repair.TRUNCATED,))),
        ],
    )
    def test_at_a_limit_a_piece_is_taken(self, file: File, limits: Limits) -> None:
        assert outcomes(decided([file], limits)) == {"x": "accepted"}

    def test_a_short_piece_is_taken_for_one_second(self) -> None:
        assert outcomes(decided([File("x", notes=200, seconds=0.1)])) == {"x": "accepted"}
        assert outcomes(decided([File("x", notes=201, seconds=0.1)])) == {"x": "too_dense"}

    def test_what_the_reader_refused_keeps_its_reason(self) -> None:
        (row,) = decided([File("x", refusal=Reason.NO_NOTES)]).to_dicts()
        assert (row["status"], row["reason"], row["detail"]) == ("quarantined", "no_notes", "no music")
        assert row["family"] is row["split"] is row["notes"] is None

    def test_what_could_not_be_read_at_all_has_no_hash(self) -> None:
        (row,) = decided([File("x", unreadable=True)]).to_dicts()
        assert (row["status"], row["reason"], row["detail"]) == ("quarantined", "unreadable_file", "Permission denied")
        assert row["sha256"] is None

    def test_equal_bad_files_are_all_quarantined_none_is_a_duplicate(self) -> None:
        bad = [File("1", "page", refusal=Reason.NOT_MIDI), File("2", "page", refusal=Reason.NOT_MIDI)]
        assert outcomes(decided([*bad, File("3", unreadable=True), File("4", unreadable=True)])) == {
            "1": "not_midi",
            "2": "not_midi",
            "3": "unreadable_file",
            "4": "unreadable_file",
        }

    def test_a_quarantined_piece_makes_no_other_a_duplicate(self, music: Any) -> None:
        short = File("1", notes=3, note_hash=sha("same"), music=music.song(1))
        assert outcomes(decided([short, replace(short, path="2", notes=100)])) == {"1": "too_short", "2": "accepted"}

    def test_a_misspelt_limit_is_no_default(self) -> None:
        with pytest.raises(ValidationError, match="min_note"):
            Limits.model_validate({"min_note": 3})


class TestDuplicates:
    def test_equal_bytes_before_equal_notes_before_near(self, music: Any) -> None:
        tune = File("1", notes=100, note_hash=sha("tune"), music=music.song(1))
        files = [
            tune,
            replace(tune, path="2", content="1"),
            replace(tune, path="3"),
            File("4", notes=90, music=music.thinned(music.song(1), 0.01)),
            File("5"),
        ]
        manifest = decided(files)
        expected = {"1": "accepted", "2": "same_bytes", "3": "same_notes", "4": "near_duplicate", "5": "accepted"}
        assert outcomes(manifest) == expected
        assert column(manifest, "kept") == {"1": None, "2": sha("1"), "3": sha("1"), "4": sha("1"), "5": None}
        assert column(manifest, "family") == {**dict.fromkeys("1234", sha("1")), "5": sha("5")}
        assert column(manifest, "detail") == {"1": None, **dict.fromkeys("234", "songs/1"), "5": None}

    def test_every_link_says_to_what_and_how(self, music: Any) -> None:
        near = File("2", notes=90, music=music.thinned(music.song(1), 0.02))
        played = File("5", notes=80, music=music.performance(music.song(1)))
        files = [File("1", music=music.song(1)), near, replace(near, path="3", content="2"), File("4", "1"), played]
        manifest = decided(files)
        assert column(manifest, "linked") == {"1": None, "2": sha("1"), "3": sha("2"), "4": sha("1"), "5": sha("1")}
        assert column(manifest, "relation") == {"1": None, **dict.fromkeys("234", "duplicate"), "5": "related"}
        similarity, evidence = column(manifest, "similarity"), column(manifest, "evidence")
        assert [similarity[path] for path in "134"] == [evidence[path] for path in "134"] == [None] * 3
        for path in "25":
            assert 0.75 < float(str(similarity[path])) <= 1.0001
            assert float(str(evidence[path])) > 20

    def test_related_pieces_are_kept_in_one_family_and_split(self, music: Any) -> None:
        song = music.song(1)
        kinds = {"song": song, "part": music.excerpt(song, 0.2, 0.5), "tune": music.melody(1), "other": music.song(2)}
        manifest = decided([File(name, notes=len(notes), music=notes) for name, notes in kinds.items()])
        assert set(outcomes(manifest).values()) == {"accepted"}
        family = column(manifest, "family")
        assert {path for path, name in family.items() if name == sha("song")} == {"song", "part", "tune"}
        assert manifest.filter(family=sha("song"))["split"].n_unique() == 1

    def test_a_duplicate_of_a_duplicate_points_to_what_is_kept(self, music: Any) -> None:
        small = File("1", notes=50, note_hash=sha("small"), music=music.moved(music.song(1), 2))
        files = [
            small,
            replace(small, path="2"),  # the notes of 1
            replace(small, path="3", content="2"),  # the bytes of 2
            File("4", notes=99, music=music.song(1)),  # the best
        ]
        manifest = decided(files)
        assert outcomes(manifest) == {"1": "near_duplicate", "2": "same_notes", "3": "same_bytes", "4": "accepted"}
        assert column(manifest, "kept") == {"1": sha("4"), "2": sha("4"), "3": sha("4"), "4": None}
        assert set(column(manifest, "detail").values()) == {"songs/4", None}

    def test_without_the_search_for_near_ones(self, music: Any) -> None:
        song = music.song(1)
        files = [
            File("1", note_hash=sha("n"), music=song),
            File("2", music=song),
            File("3", note_hash=sha("n"), music=song),
            File("4", "1"),
        ]
        manifest = decided(files, duplicates=Duplicates(near=False))
        assert outcomes(manifest) == {"1": "accepted", "2": "accepted", "3": "same_notes", "4": "same_bytes"}
        assert manifest["family"].n_unique() == 2

    @pytest.mark.parametrize(
        ("drop", "kept"),
        [
            (Drop.NOTHING, ["best", "edit", "performance", "edited performance"]),
            (Drop.DUPLICATES, ["best", "performance"]),
            (Drop.RELATIVES, ["best"]),
        ],
    )
    def test_the_setting_says_what_is_dropped_and_equal_bytes_always_are(
        self, music: Any, drop: Drop, kept: list[str]
    ) -> None:
        performance = music.performance(music.song(1))
        files = [
            File("best", notes=100, music=music.song(1)),
            File("edit", notes=99, music=music.moved(music.song(1), 1)),
            File("performance", notes=80, music=performance),
            File("edited performance", notes=70, music=music.moved(performance, -1)),
            File("performance again", "performance"),
        ]
        manifest = decided(files, duplicates=Duplicates(drop=drop))
        assert manifest.filter(status="accepted")["path"].to_list() == kept
        assert outcomes(manifest)["performance again"] == "same_bytes"
        assert set(manifest["family"]) == {sha("best")}
        assert manifest["split"].n_unique() == 1


class TestSplits:
    def files(self, music: Any, families: int) -> list[File]:
        """Families of three: a piece, a near one, and the bytes of that once more."""
        files: list[File] = []
        for number in range(families):
            song = music.song(number, 60)
            near = File(f"{number}b", notes=90, music=music.performance(song, number))
            files += [File(f"{number}a", music=song), near, replace(near, path=f"{number}c", content=near.path)]
        return files

    def test_go_by_family_and_follow_the_shares(self, music: Any) -> None:
        manifest = decided(self.files(music, 20), shares=SplitShares(validation=0.2, test=0.1))
        by_family = manifest.group_by("family").agg(pl.len(), pl.col("split").n_unique())
        assert by_family.select("len", "split").unique().rows() == [(3, 1)]
        accepted = manifest.filter(pl.col("status") == "accepted").unique("family")
        assert dict(accepted["split"].value_counts().iter_rows()) == {"train": 14, "validation": 4, "test": 2}

    def test_a_family_stays_where_a_member_was(self, music: Any) -> None:
        inherited = pl.DataFrame({"sha256": [sha("3b")], "split": [TEST]})
        manifest = decided(self.files(music, 4), shares=SplitShares(validation=0, test=0), inherited=inherited)
        assert set(manifest.filter(pl.col("path").str.starts_with("3"))["split"]) == {TEST}
        assert set(manifest.filter(~pl.col("path").str.starts_with("3"))["split"]) == {TRAIN}

    def test_equal_bytes_of_two_styles_count_for_the_first(self) -> None:
        """The order of a group's rows must not leave it to chance."""
        pieces = [File(f"{n}", style="bach" if n % 2 else "jazz") for n in range(40)]
        copies = [replace(piece, path=f"{piece.path} again", content=piece.path, style="pop") for piece in pieces]
        alone = column(decided(pieces, shares=SplitShares(validation=0.3, test=0.3)), "split")
        for _ in range(5):
            both = column(decided([*pieces, *copies], shares=SplitShares(validation=0.3, test=0.3)), "split")
            assert {path: both[path] for path in alone} == alone


Forms = dict[tuple[int, int], Notes]


@pytest.fixture(scope="module")
def forms(music: Any) -> Forms:
    """Four tunes: each also transposed, in another performance, and a part of it."""
    edits: list[Callable[[Notes], Notes]] = [
        lambda song: song,
        lambda song: music.moved(song, 2),
        music.performance,
        lambda song: music.excerpt(song, 0.3, 0.7),
    ]
    return {(tune, form): edit(music.song(tune, 60)) for tune in range(4) for form, edit in enumerate(edits)}


@st.composite
def some_files(draw: st.DrawFn, forms: Forms) -> list[File]:
    """Files of which some are equal, near to each other, refused or unreadable."""
    files = []
    for number in range(draw(st.integers(1, 24))):
        tune, form = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        kind = draw(st.sampled_from(["piece", "piece", "piece", "copy", "short", "refused", "unreadable"]))
        file = File(
            str(number),
            notes=80 + form,
            repairs=(Repair.TRUNCATED,) if form == 2 else (),
            note_hash=sha(f"notes {tune} {form}"),
            music=forms[tune, form],
        )
        if kind == "copy" and files and not files[-1].unreadable:
            file = replace(files[-1], path=str(number), content=files[-1].content or files[-1].path)
        elif kind == "short":
            file = replace(file, notes=2)
        elif kind == "refused":
            file = replace(file, refusal=Reason.DAMAGED)
        elif kind == "unreadable":
            file = replace(file, unreadable=True)
        files.append(file)
    return files


@settings(deadline=None, max_examples=40)
@given(data=st.data(), drop=st.sampled_from(Drop))
def test_every_file_has_one_consistent_outcome_in_its_place(data: st.DataObject, forms: Forms, drop: Drop) -> None:
    files = data.draw(some_files(forms))
    manifest = decided(files, duplicates=Duplicates(drop=drop))
    assert manifest.columns == list(SCHEMA)
    assert manifest.schema == pl.Schema(SCHEMA)
    assert manifest["path"].to_list() == [file.path for file in files]
    assert set(manifest["status"]) <= set(Status)
    assert set(manifest["reason"].drop_nulls()) <= set(Reason)
    rows = {row["sha256"]: row for row in manifest.to_dicts() if row["status"] == Status.ACCEPTED}
    assert manifest.filter(pl.col("status") == Status.ACCEPTED).height == len(rows), "one piece accepted twice"
    for row in manifest.iter_rows(named=True):
        assert (row["reason"] is None) == (row["status"] == Status.ACCEPTED)
        if row["status"] == Status.QUARANTINED:
            assert row["family"] is row["split"] is row["kept"] is row["linked"] is row["relation"] is None
            continue
        assert (row["linked"] is None) == (row["relation"] is None)
        assert (row["linked"] is None) == (row["status"] == Status.ACCEPTED and row["family"] == row["sha256"])
        assert (row["similarity"] is None) == (row["evidence"] is None)
        if row["linked"] is not None:
            assert set(manifest.filter(sha256=row["linked"])["family"]) == {row["family"]}
        best = rows[row["family"]]
        assert best["family"] == row["family"]
        assert row["split"] == best["split"]
        assert row["split"] in SPLITS
        if row["status"] == Status.DUPLICATE:
            kept = rows[row["kept"]]
            assert (kept["family"], row["detail"]) == (row["family"], f"songs/{kept['path']}")


class TestGrowth:
    @pytest.mark.parametrize("seed", range(4))
    def test_gives_the_families_of_all_files_at_once(self, music: Any, seed: int, tmp_path: Path) -> None:
        """Files come in four batches, of which each takes over the splits and tested pairs of the one before."""
        songs = [music.song(number, 60) for number in range(6)]
        pieces = [*songs, *(music.performance(song) for song in songs[:2])]
        pieces += [music.moved(song, 2) for song in songs[1:4]] + [music.excerpt(song, 0.1, 0.6) for song in songs[3:5]]
        files = [File(f"{number:02}.mid", notes=len(notes), music=notes) for number, notes in enumerate(pieces)]
        files.append(replace(files[0], path="again.mid", content="00.mid"))
        comes = np.random.default_rng(seed).integers(0, 4, len(files))
        inherited = None
        for batch in range(4):
            come = [file for file, at in zip(files, comes, strict=True) if at <= batch]
            grown = decided(come, inherited=inherited, tested=tmp_path / "songs.pairs")
            inherited = grown.drop_nulls("split").select("sha256", "split")
        assert grown.drop("split").equals(decided(files).drop("split"))
        assert len(grown.drop_nulls("linked")) == 2 + 3 + 2 + 1
        assert grown.group_by("family").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 6
