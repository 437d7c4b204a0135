"""Parsing: a file becomes tokens and facts, or a reason of the closed list; limits are exact."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from flows.ingestion.manifest import Reason
from flows.ingestion.parsing import Job, Limits, Music, Parser, Refusal, beyond_limits, parse_files
from tokenization.encodings.combined import Combined
from tokenization.midi import write_midi
from tokenization.notes import Notes
from tokenization.vocabulary import Vocabulary

ENCODING = Combined(Vocabulary.load("musenet", styles=["bach", "jazz"]))
ANYTHING = Limits(min_notes=1)


def parse(file: Path, limits: Limits = ANYTHING, style: str | None = "bach") -> Music | Refusal:
    return Parser("combined", ENCODING.vocabulary.to_json(), limits)(Job(file, style))


def notes(count: int, apart: float = 0.5) -> Notes:
    zeros = np.zeros(count)
    return Notes.from_columns(np.arange(count) * apart, zeros + 0.25, zeros + 60, zeros + 80, zeros, zeros)


class TestGoodFiles:
    def test_facts_and_tokens(self, tmp_path: Path) -> None:
        rows = [(0.0, 0.5, 60, 72, 0, False), (0.5, 0.5, 67, 72, 40, False), (0.5, 0.1, 36, 90, 0, True)]
        (tmp_path / "1.mid").write_bytes(write_midi(Notes.from_columns(*zip(*rows))))
        music = parse(tmp_path / "1.mid")
        assert isinstance(music, Music)
        assert (music.notes, music.seconds, music.programs, music.drums) == (3, 1.0, (0, 40), True)
        assert ENCODING.vocabulary.groups_of_mask(music.mask) == ["piano", "strings", "drums"]
        assert ENCODING.vocabulary.to_text(music.tokens) == (
            "bach piano_strings_drums start tempo120 piano:v72:C4 wait:48 piano:v0:C4 violin:v80:G4 drums:v80:C2 "
            "wait:48 violin:v0:G4 end"
        )

    def test_a_file_without_a_style(self, midi_fixtures: Path) -> None:
        music = parse(midi_fixtures / "ok_type0.mid", style=None)
        assert isinstance(music, Music)
        assert ENCODING.vocabulary.names[music.tokens[0]] == "no_style"

    def test_the_note_hash_is_of_the_notes_alone(self, midi_fixtures: Path) -> None:
        """Not of the style, the title, the file type, the resolution or the way the bytes are packed."""
        names = ["dup_a", "dup_b_retitled", "dup_c_type1", "dup_d_tpb960", "dup_e_running"]
        found = [parse(midi_fixtures / f"{name}.mid", style=style) for name in names for style in ("bach", None)]
        assert len({music.note_hash for music in found if isinstance(music, Music)}) == 1
        transposed = parse(midi_fixtures / "near_dup_transposed.mid")
        assert isinstance(transposed, Music)
        assert transposed.note_hash != found[0].note_hash  # type: ignore[union-attr]


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("empty_0_bytes.mid", Reason.NOT_MIDI),
            ("html_404.mid", Reason.NOT_MIDI),
            ("gzip_named_mid.mid", Reason.NOT_MIDI),
            ("truncated_in_track.mid", Reason.TRUNCATED),
            ("only_header.mid", Reason.NO_NOTES),
            ("division_zero.mid", Reason.UNSUPPORTED_TIMING),
        ],
    )
    def test_of_the_reader(self, midi_fixtures: Path, name: str, reason: Reason) -> None:
        refusal = parse(midi_fixtures / name)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == reason
        assert refusal.detail

    def test_a_file_that_has_vanished(self, tmp_path: Path) -> None:
        assert parse(tmp_path / "gone.mid") == Refusal(Reason.UNREADABLE_FILE, "No such file or directory")

    def test_a_file_too_large_to_be_parsed(self, midi_fixtures: Path) -> None:
        size = (midi_fixtures / "text_100k.mid").stat().st_size
        expected = Refusal(Reason.TOO_LONG, f"{size} bytes; the limit is 100000")
        assert parse(midi_fixtures / "text_100k.mid", Limits(min_notes=1, max_bytes=100_000)) == expected


class TestLimits:
    def test_the_least_number_of_notes(self) -> None:
        assert beyond_limits(notes(16), Limits()) is None
        assert beyond_limits(notes(15), Limits()) == Refusal(Reason.TOO_SHORT, "15 notes; the least is 16")

    def test_the_longest_time(self) -> None:
        limits = Limits(max_seconds=10.25)
        assert beyond_limits(notes(21), limits) is None
        assert beyond_limits(notes(22), limits) == Refusal(Reason.TOO_LONG, "11 s; the limit is 10")

    def test_the_greatest_density(self) -> None:
        limits = Limits(max_notes_per_second=10)
        assert beyond_limits(notes(100, apart=0.1), limits) is None
        assert beyond_limits(notes(300, apart=0.01), limits) == Refusal(Reason.TOO_DENSE, "93 notes/s; the limit is 10")

    def test_a_short_piece_is_taken_for_one_second(self) -> None:
        assert beyond_limits(notes(16, apart=0.0), Limits(max_notes_per_second=16)) is None


def test_files_in_worker_processes_as_here(midi_fixtures: Path, tmp_path: Path) -> None:
    names = ["ok_type0.mid", "random_4k.mid", "ok_type1_drums.mid", "truncated_in_vlq.mid", "nowhere.mid", "all_ff.mid"]
    jobs = [Job(midi_fixtures / name, "jazz") for name in names]
    found = dict(parse_files(jobs, ENCODING, ANYTHING, workers=2))
    assert sorted(found) == list(range(6))
    for index, job in enumerate(jobs):
        assert _facts(found[index]) == _facts(parse(job.location, style="jazz"))


def _facts(outcome: Music | Refusal) -> object:
    if isinstance(outcome, Refusal):
        return outcome
    return outcome.note_hash, outcome.notes, outcome.seconds, outcome.tokens.tolist()


class TestWorkersThatEnd:
    def test_a_file_that_is_never_read_to_its_end(self, midi_fixtures: Path, tmp_path: Path) -> None:
        """Nobody writes into this pipe, so whoever reads it waits for ever."""
        os.mkfifo(tmp_path / "pipe.mid")
        jobs = [Job(tmp_path / "pipe.mid", None), Job(midi_fixtures / "ok_type0.mid", None)]
        limits = Limits(min_notes=1, seconds_per_file=4)
        found = dict(parse_files(jobs, ENCODING, limits, workers=1))
        assert found[0] == Refusal(Reason.TIMED_OUT, "not read within 4 s")
        assert isinstance(found[1], Music)

    def test_a_file_that_does_not_fit_into_memory(self, midi_fixtures: Path, tmp_path: Path) -> None:
        with (tmp_path / "huge.mid").open("wb") as file:
            file.truncate(4 * 2**30)  # a hole: no disk is used
        jobs = [Job(tmp_path / "huge.mid", None), Job(midi_fixtures / "ok_type0.mid", None)]
        limits = Limits(min_notes=1, max_bytes=2**40, worker_bytes=2**31)
        found = dict(parse_files(jobs, ENCODING, limits, workers=1))
        assert found[0] == Refusal(Reason.PARSER_CRASHED, "needs more than 2147483648 bytes of memory")
        assert isinstance(found[1], Music)
