"""Parsing: files become rows of the store, with music or with a reason of the closed list."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.engines import Failure, Heartbeat
from flows.ingestion.parsing import FailedItem, ParseJob, ParseLimits, ParseResult, parse
from flows.ingestion.parsing import parse_job as parsing
from flows.ingestion.parsing.store import RowRef, Store
from flows.ingestion.sources import ContainerKind, FileRef
from tokenization.dataset.manifest import Reason
from tokenization.fingerprint import fingerprint, note_hash
from tokenization.midi import MidiError, read_score
from tokenization.midi.notes import Notes
from tokenization.midi.score import Score
from tokenization.midi.writing import write_midi


def job_of(store: Path, *files: Path, **changes: Any) -> ParseJob:
    """A job over files as they are now."""
    return ParseJob(
        **{
            "file_refs": tuple(
                FileRef(ContainerKind.FOLDER, str(file.parent), file.name, file.stat().st_size) for file in files
            ),
            "sha256": tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files),
            "store": store,
            "limits": ParseLimits(),
            **changes,
        }
    )


def parsed(job: ParseJob) -> tuple[ParseResult, list[dict[str, Any]]]:
    """Run a job; return its result and the rows that it added to the store, with their scores."""
    report = parse(job, Heartbeat([0.0, 0.0]))
    store = Store(job.store)
    rows = store.facts([report.part]).to_dicts()
    scores = store.scores([RowRef(row["part"], row["row"]) for row in rows if row["refusal"] is None])
    for row, data in zip([row for row in rows if row["refusal"] is None], scores):
        row["score"] = Score.from_bytes(data)
    return report, rows


class TestGoodFiles:
    def test_facts_and_notes(self, tmp_path: Path) -> None:
        events = [(0.0, 0.5, 60, 72, 0, False), (0.5, 0.5, 67, 72, 40, False), (0.5, 0.1, 36, 90, 0, True)]
        (tmp_path / "1.mid").write_bytes(write_midi(Notes.from_columns(*zip(*events))))
        report, (row,) = parsed(job_of(tmp_path / "store", tmp_path / "1.mid"))
        assert report == ParseResult(row["part"], files=1, refused=0)
        assert (row["notes"], row["seconds"], row["tempo"]) == (3, 1.0, 120.0)
        assert (row["programs"], row["drums"], row["repairs"]) == ([0, 40], True, [])
        assert row["refusal"] is row["detail"] is None
        notes = row["score"].to_notes()
        assert notes.pitch.tolist() == [60, 36, 67]
        assert np.allclose(notes.onset, [0, 0.5, 0.5])
        assert row["note_hash"] == note_hash(notes)
        assert np.frombuffer(row["fingerprint"], np.uint64).tolist() == fingerprint(notes).tolist()

    def test_drums_alone_have_no_program(self, tmp_path: Path, song: Any) -> None:
        (tmp_path / "1.mid").write_bytes(song(1, drums=True))
        _, (row,) = parsed(job_of(tmp_path / "store", tmp_path / "1.mid"))
        assert (row["programs"], row["drums"]) == ([], True)

    def test_what_was_mended_is_told(self, tmp_path: Path, midi_fixtures: Path) -> None:
        _, (row,) = parsed(job_of(tmp_path, midi_fixtures / "truncated_in_track.mid"))
        assert "truncated" in row["repairs"]
        assert row["notes"] > 0

    def test_the_note_hash_is_of_the_notes_alone(self, tmp_path: Path, midi_fixtures: Path) -> None:
        """Not of the title, the file type, the resolution or the way the bytes are packed."""
        names = ["dup_a", "dup_b_retitled", "dup_c_type1", "dup_d_tpb960", "dup_e_running", "near_dup_transposed"]
        _, rows = parsed(job_of(tmp_path, *(midi_fixtures / f"{name}.mid" for name in names)))
        hashes = [row["note_hash"] for row in rows]
        assert len(set(hashes[:5])) == 1
        assert hashes[5] != hashes[0]


def test_every_fixture_is_read_or_refused_as_by_the_reader(tmp_path: Path, midi_fixtures: Path) -> None:
    files = sorted(path for path in midi_fixtures.iterdir() if path.is_file() and path.suffix != ".md")
    different = list({file.read_bytes(): file for file in files}.values())
    report, rows = parsed(job_of(tmp_path, *different))
    assert report.files == len(rows) == len(different)
    assert report.refused == len([row for row in rows if row["refusal"]]) > 10
    for file, row in zip(different, rows):
        assert (file.name, row["refusal"], row["detail"], row["notes"]) == (file.name, *expected(file.read_bytes()))


def expected(data: bytes) -> tuple[str | None, str | None, int | None]:
    """Refusal, its detail, and the number of notes, as the reader by itself gives them."""
    try:
        return None, None, len(read_score(data))
    except MidiError as error:
        return error.reason.value, error.detail, None


class TestFilesThatChange:
    def test_other_bytes_than_were_hashed_are_not_taken_for_them(self, tmp_path: Path, song: Any) -> None:
        file = tmp_path / "1.mid"
        file.write_bytes(song(1))
        job = job_of(tmp_path / "store", file)
        other = bytearray(song(1))
        other[-10] ^= 1
        file.write_bytes(other)
        report, (row,) = parsed(job)
        assert report.refused == 1
        assert (row["sha256"], row["refusal"]) == (job.sha256[0], Reason.UNREADABLE_FILE)
        assert "changed while it was being ingested" in row["detail"]

    def test_a_file_that_has_vanished(self, tmp_path: Path, song: Any) -> None:
        for name in "12":
            (tmp_path / name).write_bytes(song(int(name)))
        job = job_of(tmp_path / "store", tmp_path / "1", tmp_path / "2")
        (tmp_path / "1").unlink()
        report, (gone, there) = parsed(job)
        assert (report.files, report.refused) == (2, 1)
        assert (gone["refusal"], gone["detail"]) == (Reason.UNREADABLE_FILE, "No such file or directory")
        assert there["notes"] == 20

    def test_a_file_that_grew_beyond_the_limit(self, tmp_path: Path, song: Any) -> None:
        (tmp_path / "1").write_bytes(song(1))
        job = job_of(tmp_path / "store", tmp_path / "1", limits=ParseLimits(max_bytes=100))
        _, (row,) = parsed(job)
        assert row["refusal"] == Reason.UNREADABLE_FILE
        assert "100" in row["detail"]


class TestFailedFiles:
    def test_are_refused_unread_and_the_others_are_read(self, tmp_path: Path, song: Any) -> None:
        files = [tmp_path / f"{number}.mid" for number in range(4)]
        for number, file in enumerate(files):
            file.write_bytes(song(number))
        job = job_of(tmp_path / "store", *files, limits=ParseLimits(seconds_per_file=2.5))
        files[1].unlink()  # reading it again would fail
        again = job.without(1, Failure.TIMED_OUT).without(2, Failure.CRASHED)
        assert again.failed == (FailedItem(1, Failure.TIMED_OUT), FailedItem(2, Failure.CRASHED))
        report, rows = parsed(again)
        assert [row["sha256"] for row in rows] == list(job.sha256)
        assert [row["refusal"] for row in rows] == [None, Reason.TIMED_OUT, Reason.PARSER_CRASHED, None]
        assert rows[1]["detail"] == "not read within 2.5 s"
        assert rows[2]["detail"] == "the parser's process ended while reading this file"
        assert rows[3]["score"].to_notes().pitch.tolist() == read_score(song(3)).to_notes().pitch.tolist()
        assert report.refused == 2

    def test_may_be_all_there_are(self, tmp_path: Path, song: Any) -> None:
        (tmp_path / "1.mid").write_bytes(song(1))
        report, (row,) = parsed(job_of(tmp_path / "store", tmp_path / "1.mid").without(0, Failure.CRASHED))
        assert (report.refused, row["refusal"]) == (1, "parser_crashed")

    def test_the_beat_is_at_the_file_that_is_being_read(
        self, tmp_path: Path, song: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = [tmp_path / f"{number}.mid" for number in range(3)]
        for number, file in enumerate(files):
            file.write_bytes(song(number))
        heartbeat, seen = Heartbeat([0.0, 0.0]), []

        def watched(data: bytes) -> Score:
            seen.append((heartbeat.item, data))
            return read_score(data)

        monkeypatch.setattr(parsing, "read_score", watched)
        parse(job_of(tmp_path / "store", *files).without(1, Failure.CRASHED), heartbeat)
        assert seen == [(0, song(0)), (2, song(2))]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (RuntimeError("what was never thought of"), "RuntimeError: what was never thought of"),
        (ZeroDivisionError(), "ZeroDivisionError: "),
        (MemoryError(), "reading it needs more memory than a worker may take"),
    ],
)
def test_a_defect_of_the_reader_costs_one_file(
    tmp_path: Path, song: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
) -> None:
    files = [tmp_path / f"{number}.mid" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(song(number))

    def defective(data: bytes) -> Score:
        if data == song(1):
            raise error
        return read_score(data)

    monkeypatch.setattr(parsing, "read_score", defective)
    report, rows = parsed(job_of(tmp_path / "store", *files))
    assert [row["refusal"] for row in rows] == [None, Reason.PARSER_CRASHED, None]
    assert rows[1]["detail"] == detail
    assert report.refused == 1


def test_the_same_files_make_the_same_part(tmp_path: Path, song: Any) -> None:
    (tmp_path / "1.mid").write_bytes(song(1))
    first = parse(job_of(tmp_path / "one", tmp_path / "1.mid"), Heartbeat([0.0, 0.0]))
    os.utime(tmp_path / "1.mid", (0, 0))
    assert parse(job_of(tmp_path / "two", tmp_path / "1.mid"), Heartbeat([0.0, 0.0])) == first
