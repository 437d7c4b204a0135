"""Fates: quarantine, duplicates, families and splits, decided on hand-made facts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from flows.ingestion.dedup import Duplicates, Limits
from flows.ingestion.dedup.build_manifest import build_manifest
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.parsing.store import COLUMNS, FACTS
from tokenization.dataset.manifest import SCHEMA, Reason, Status
from tokenization.dataset.splits import SPLITS, TEST, TRAIN
from tokenization.fingerprint import SIZE, VALUES, values
from tokenization.midi.score import Repair

Fingerprint = NDArray[np.uint32]


def music(seed: int) -> Fingerprint:
    """The fingerprint of music like no other."""
    return np.random.default_rng(seed).integers(0, 2**32, SIZE, dtype=np.uint32)


def version_of(origin: Fingerprint, share: float, seed: int = 0) -> Fingerprint:
    """A fingerprint that keeps a share of another's values."""
    kept = np.random.default_rng(seed).permutation(VALUES) < share * VALUES
    return np.where(kept, values(origin), values(music(seed + 1000))).view(np.uint32)


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


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
    fingerprint: Fingerprint | None = None
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
    )


def facts_of(file: File) -> dict[str, object]:
    if file.refusal:
        return {"sha256": file.sha256, "refusal": str(file.refusal), "detail": "no music", "repairs": []}
    content = file.content or file.path
    own = music(int(sha(content)[:8], 16)) if file.fingerprint is None else file.fingerprint
    return {
        "sha256": file.sha256,
        "repairs": [str(repair) for repair in file.repairs],
        "notes": file.notes,
        "seconds": file.seconds,
        "tempo": 120.0,
        "programs": [0],
        "drums": False,
        "note_hash": file.note_hash or sha(f"notes of {content}"),
        "fingerprint": own.tobytes(),
    }


def fates(manifest: pl.DataFrame) -> dict[str, str]:
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
        assert row["family"] is row["split"] is row["kept"] is row["similarity"] is None
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
        assert fates(decided([file], limits)) == {"x": "accepted"}

    def test_a_short_piece_is_taken_for_one_second(self) -> None:
        assert fates(decided([File("x", notes=200, seconds=0.1)])) == {"x": "accepted"}
        assert fates(decided([File("x", notes=201, seconds=0.1)])) == {"x": "too_dense"}

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
        assert fates(decided([*bad, File("3", unreadable=True), File("4", unreadable=True)])) == {
            "1": "not_midi",
            "2": "not_midi",
            "3": "unreadable_file",
            "4": "unreadable_file",
        }

    def test_a_quarantined_piece_makes_no_other_a_duplicate(self) -> None:
        short = File("1", notes=3, note_hash=sha("same"), fingerprint=music(1))
        assert fates(decided([short, replace(short, path="2", notes=100)])) == {"1": "too_short", "2": "accepted"}

    def test_a_misspelt_limit_is_no_default(self) -> None:
        with pytest.raises(ValidationError, match="min_note"):
            Limits.model_validate({"min_note": 3})


class TestDuplicates:
    def test_equal_bytes_before_equal_notes_before_near(self) -> None:
        tune = File("1", notes=100, note_hash=sha("tune"), fingerprint=music(1))
        files = [
            tune,
            replace(tune, path="2", content="1"),
            replace(tune, path="3"),
            File("4", notes=90, fingerprint=version_of(music(1), 0.6)),
            File("5"),
        ]
        manifest = decided(files)
        expected = {"1": "accepted", "2": "same_bytes", "3": "same_notes", "4": "near_duplicate", "5": "accepted"}
        assert fates(manifest) == expected
        assert column(manifest, "kept") == {"1": None, "2": sha("1"), "3": sha("1"), "4": sha("1"), "5": None}
        assert column(manifest, "family") == {**dict.fromkeys("1234", sha("1")), "5": sha("5")}
        assert column(manifest, "detail") == {"1": None, **dict.fromkeys("234", "songs/1"), "5": None}

    def test_similarity_is_told_of_near_ones_and_their_equals(self) -> None:
        near = File("2", notes=90, fingerprint=version_of(music(1), 0.6))
        files = [File("1", fingerprint=music(1)), near, replace(near, path="3", content="2"), File("4", "1")]
        found = column(decided(files), "similarity")
        assert found == {"1": None, "2": pytest.approx(0.6, abs=0.01), "3": found["2"], "4": None}

    @pytest.mark.parametrize(
        ("first", "second", "best"),
        [
            (File("1", notes=50), File("2", notes=60), "2"),
            (File("1", notes=60), File("2", notes=50), "1"),
            (File("1", notes=60), File("2", notes=60), "1"),
            (File("1", notes=90, repairs=(Repair.TRUNCATED,)), File("2", notes=50), "2"),
            (File("1", notes=50, repairs=(Repair.FORMAT,)), File("2", notes=60, repairs=(Repair.FORMAT,)), "2"),
        ],
    )
    def test_the_best_needed_no_repair_then_has_most_notes_then_comes_first(
        self, first: File, second: File, best: str
    ) -> None:
        pair = [
            replace(first, fingerprint=music(1)),
            replace(second, fingerprint=version_of(music(1), 0.7)),
        ]
        manifest = decided(pair)
        assert column(manifest.filter(pl.col("status") == "accepted"), "family") == {best: sha(best)}
        assert set(manifest["family"]) == {sha(best)}

    def test_of_equal_notes_the_first_is_kept_whatever_it_needed(self) -> None:
        files = [File("1", note_hash=sha("n"), repairs=(Repair.FORMAT,)), File("2", note_hash=sha("n"))]
        assert fates(decided(files)) == {"1": "accepted", "2": "same_notes"}

    def test_a_duplicate_of_a_duplicate_points_to_what_is_kept(self) -> None:
        small = File("1", notes=50, note_hash=sha("small"), fingerprint=version_of(music(1), 0.6))
        files = [
            small,
            replace(small, path="2"),  # the notes of 1
            replace(small, path="3", content="2"),  # the bytes of 2
            File("4", notes=99, fingerprint=music(1)),  # the best
        ]
        manifest = decided(files)
        assert fates(manifest) == {"1": "near_duplicate", "2": "same_notes", "3": "same_bytes", "4": "accepted"}
        assert column(manifest, "kept") == {"1": sha("4"), "2": sha("4"), "3": sha("4"), "4": None}
        assert set(column(manifest, "detail").values()) == {"songs/4", None}

    def test_without_the_search_for_near_ones(self) -> None:
        files = [
            File("1", note_hash=sha("n"), fingerprint=music(1)),
            File("2", fingerprint=music(1)),
            File("3", note_hash=sha("n"), fingerprint=music(1)),
            File("4", "1"),
        ]
        manifest = decided(files, duplicates=Duplicates(near=False))
        assert fates(manifest) == {"1": "accepted", "2": "accepted", "3": "same_notes", "4": "same_bytes"}
        assert manifest["family"].n_unique() == 2

    def test_the_threshold_decides_what_is_near(self) -> None:
        files = [File("1", fingerprint=music(1)), File("2", fingerprint=version_of(music(1), 0.5))]
        assert fates(decided(files, duplicates=Duplicates(threshold=0.45)))["2"] == "near_duplicate"
        assert fates(decided(files, duplicates=Duplicates(threshold=0.55)))["2"] == "accepted"

    def test_a_high_drop_keeps_other_performances_in_the_familys_split_and_edits_go(self) -> None:
        performance = version_of(music(1), 0.5)
        files = [
            File("best", notes=100, fingerprint=music(1)),
            File("edit", notes=99, fingerprint=version_of(music(1), 0.9)),
            File("performance", notes=80, fingerprint=performance),
            File("edited performance", notes=70, fingerprint=version_of(performance, 0.9, seed=1)),
            File("performance again", "performance"),
        ]
        manifest = decided(files, duplicates=Duplicates(drop=0.7))
        assert fates(manifest) == {
            "best": "accepted",
            "edit": "near_duplicate",
            "performance": "accepted",
            "edited performance": "near_duplicate",
            "performance again": "same_bytes",
        }
        assert column(manifest, "kept") == {
            "best": None,
            "edit": sha("best"),
            "performance": None,
            "edited performance": sha("performance"),
            "performance again": sha("performance"),
        }
        assert set(manifest["family"]) == {sha("best")}
        assert manifest["split"].n_unique() == 1
        similarity = column(manifest, "similarity")
        assert similarity["best"] is None
        assert similarity["performance"] == similarity["performance again"] == pytest.approx(0.5, abs=0.01)
        everything = decided(files, duplicates=Duplicates(drop=0.1))
        assert everything.filter(pl.col("status") == "accepted")["path"].to_list() == ["best"]


class TestSplits:
    def files(self, families: int) -> list[File]:
        """Families of three: a piece, a near one, and the bytes of that once more."""
        files: list[File] = []
        for number in range(families):
            near = File(f"{number}b", notes=90, fingerprint=version_of(music(number), 0.6, number))
            files += [File(f"{number}a", fingerprint=music(number)), near, replace(near, path=f"{number}c")]
            files[-1] = replace(files[-1], content=near.path)
        return files

    def test_go_by_family_and_follow_the_shares(self) -> None:
        manifest = decided(self.files(20), shares=SplitShares(validation=0.2, test=0.1))
        by_family = manifest.group_by("family").agg(pl.len(), pl.col("split").n_unique())
        assert by_family.select("len", "split").unique().rows() == [(3, 1)]
        accepted = manifest.filter(pl.col("status") == "accepted")
        assert dict(accepted["split"].value_counts().iter_rows()) == {"train": 14, "validation": 4, "test": 2}

    def test_a_family_stays_where_a_member_was(self) -> None:
        inherited = pl.DataFrame({"sha256": [sha("3b")], "split": [TEST]})
        manifest = decided(self.files(4), shares=SplitShares(validation=0, test=0), inherited=inherited)
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


FORMS = {
    (tune, form): version_of(music(tune), 0.6, seed=10 * tune + form) if form else music(tune)
    for tune in range(4)
    for form in range(4)
}
"""Four tunes, each in four forms that are near to the first."""


@st.composite
def some_files(draw: st.DrawFn) -> list[File]:
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
            fingerprint=FORMS[tune, form],
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
@given(files=some_files(), drop=st.sampled_from([0.0, 0.7]))
def test_every_file_has_one_consistent_fate_in_its_place(files: list[File], drop: float) -> None:
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
            assert row["family"] is row["split"] is row["kept"] is None
            continue
        best = rows[row["family"]]
        assert best["family"] == row["family"]
        assert row["split"] == best["split"]
        assert row["split"] in SPLITS
        if row["status"] == Status.DUPLICATE:
            kept = rows[row["kept"]]
            assert (kept["family"], row["detail"]) == (row["family"], f"songs/{kept['path']}")
