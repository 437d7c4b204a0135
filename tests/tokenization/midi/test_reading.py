"""MIDI files → notes: what is read, what is refused and why. Bytes of small files are spelled out here."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.midi import MidiError, Unreadable, read_midi, read_score
from tokenization.midi.notes import Notes
from tokenization.midi.score import Repair, Score

END_OF_TRACK = b"\x00\xff\x2f\x00"
Outcome = int | Unreadable

NOT_MIDI, TRUNCATED, DAMAGED = Unreadable.NOT_MIDI, Unreadable.TRUNCATED, Unreadable.DAMAGED
NO_NOTES, UNSUPPORTED_TIMING = Unreadable.NO_NOTES, Unreadable.UNSUPPORTED_TIMING

# The number of notes, or the reason of refusal.
OUTCOMES: dict[str, Outcome] = {
    # correct files
    "ok_type0.mid": 8,
    "ok_type1_drums.mid": 16,
    "UPPER.MID": 8,
    "no_extension": 8,  # the reader sees bytes, not names
    "karaoke.kar": 8,
    "sp ace & 'quote' “ü”.mid": 8,
    "directory.mid/inside.mid": 8,
    "running_status.mid": 3,
    "empty_tracks.mid": 8,
    "64_tracks.mid": 512,
    "all_128_pitches_at_once.mid": 128,
    "20k_notes_one_tick.mid": 20_000,
    "drums_program_change.mid": 6,
    "channel_program_switch.mid": 5,
    "pedal_sustain.mid": 5,
    "note_overlap_same_pitch.mid": 2,
    # one piece in several disguises
    "dup_a.mid": 8,
    "dup_b_retitled.mid": 8,
    "dup_c_type1.mid": 8,
    "dup_d_tpb960.mid": 8,
    "dup_e_running.mid": 8,
    "near_dup_velocity.mid": 8,
    "near_dup_transposed.mid": 8,
    # not MIDI at all
    "empty_0_bytes.mid": NOT_MIDI,
    "gzip_named_mid.mid": NOT_MIDI,
    "html_404.mid": NOT_MIDI,
    "._appledouble.mid": NOT_MIDI,
    "git_lfs_pointer.mid": NOT_MIDI,
    "random_4k.mid": NOT_MIDI,
    "zip_with_traversal.zip": NOT_MIDI,
    # cut short
    "header_4_bytes.mid": TRUNCATED,
    "truncated_in_track.mid": 3,
    "truncated_in_vlq.mid": 8,
    "truncated_in_meta.mid": 8,
    "sysex_huge_len.mid": TRUNCATED,  # the file's rest is the message's
    # no notes
    "only_header.mid": NO_NOTES,
    "note_off_only.mid": NO_NOTES,
    # nothing but noise
    "all_ff.mid": DAMAGED,
    "random_after_header.mid": DAMAGED,
    # wrapped
    "leading_garbage.mid": 8,
    "macbinary_128.mid": 8,
    "rmid.rmi": 8,
    "rmid_named_mid.mid": 8,
    # odd headers and chunks
    "header_len_5.mid": DAMAGED,
    "header_len_8.mid": 8,
    "track_len_zero_but_data.mid": 8,
    "track_len_too_long.mid": 8,
    "track_len_4gib.mid": 8,
    "type0_two_tracks.mid": 16,
    "type2_two_songs.mid": 16,
    "type3_unknown.mid": 8,
    "ntrks_too_big.mid": 8,
    "ntrks_65535.mid": 8,
    "ntrks_too_small.mid": 16,
    "unknown_chunk_between.mid": 16,
    "trailing_garbage.mid": 8,
    # odd timing
    "division_1.mid": 8,
    "division_32767.mid": 8,
    "division_zero.mid": UNSUPPORTED_TIMING,
    "division_smpte_25_40.mid": 8,
    "division_smpte_30drop.mid": 8,
    "vlq_5_bytes.mid": 1,
    "tempo_zero.mid": 8,
    "tempo_max.mid": 8,
    "tempo_len_wrong.mid": 8,
    "tempo_1000_changes.mid": 8,
    "tempo_in_track2.mid": 16,
    "time_signature_zero.mid": 8,
    "delta_max_vlq.mid": 9,
    # odd events
    "no_eot.mid": 8,
    "eot_early.mid": 8,
    "running_status_after_meta.mid": 1,
    "running_status_first.mid": 1,
    "data_byte_high.mid": 9,
    "cc_value_high.mid": 8,
    "program_high.mid": 8,
    "key_signature_bad.mid": 8,
    "note_never_off.mid": 9,
    "all_notes_off.mid": 3,
    "zero_length_notes.mid": 24,
    "sysex_unterminated.mid": 8,
    "sysex_split_f7.mid": 8,
    "realtime_bytes.mid": 8,
    "text_latin1.mid": 8,
    "text_shift_jis.mid": 8,
    "text_nul_and_control.mid": 8,
    "text_100k.mid": 8,
}

# What is mended in which file; in all others nothing is.
MENDED: dict[str, set[Repair]] = {
    "truncated_in_track.mid": {Repair.TRUNCATED, Repair.TRACK_LENGTH, Repair.HANGING_NOTE},
    "truncated_in_vlq.mid": {Repair.TRUNCATED, Repair.TRACK_LENGTH},
    "truncated_in_meta.mid": {Repair.TRUNCATED, Repair.TRACK_LENGTH},
    "leading_garbage.mid": {Repair.WRAPPER},
    "macbinary_128.mid": {Repair.WRAPPER},
    "rmid.rmi": {Repair.WRAPPER},
    "rmid_named_mid.mid": {Repair.WRAPPER},
    "track_len_zero_but_data.mid": {Repair.TRACK_LENGTH},
    "track_len_too_long.mid": {Repair.TRACK_LENGTH},
    "track_len_4gib.mid": {Repair.TRACK_LENGTH},
    "type3_unknown.mid": {Repair.FORMAT},
    "ntrks_too_big.mid": {Repair.TRACK_COUNT},
    "ntrks_65535.mid": {Repair.TRACK_COUNT},
    "ntrks_too_small.mid": {Repair.TRACK_COUNT},
    "unknown_chunk_between.mid": {Repair.UNKNOWN_CHUNK},
    "vlq_5_bytes.mid": {Repair.SKIPPED_BYTES},
    "tempo_zero.mid": {Repair.BAD_TEMPO},
    "tempo_len_wrong.mid": {Repair.BAD_TEMPO},
    "delta_max_vlq.mid": {Repair.LONG_NOTE},
    "no_eot.mid": {Repair.NO_END_OF_TRACK},
    "eot_early.mid": {Repair.AFTER_END},
    "running_status_first.mid": {Repair.SKIPPED_BYTES},
    "data_byte_high.mid": {Repair.CLIPPED_BYTE},
    "cc_value_high.mid": {Repair.CLIPPED_BYTE},
    "program_high.mid": {Repair.CLIPPED_BYTE},
    "note_never_off.mid": {Repair.HANGING_NOTE},
    "realtime_bytes.mid": {Repair.SYSTEM_MESSAGE},
}

# Files that symusic and mido read as they should be read. None sets programs in another track than the notes', or has
# ports or drums on other channels, in which they differ from us (`docs/reading.md`).
READ_BY_ALL = sorted(
    {name for name, outcome in OUTCOMES.items() if isinstance(outcome, int)}
    - set(MENDED)
    - {"header_len_8.mid", "division_smpte_25_40.mid", "division_smpte_30drop.mid"}  # symusic refuses
    - {"key_signature_bad.mid"}  # mido refuses
    - {"type2_two_songs.mid"}  # both play the songs at once
    - {"all_notes_off.mid"}  # neither knows the controller
    - {"sysex_split_f7.mid"}  # symusic misreads the second half
)

Row = tuple[int, ...]
"""Start, length, pitch, velocity, program, drum."""


def outcome(data: bytes) -> Outcome:
    try:
        return len(read_midi(data))
    except MidiError as error:
        return error.reason


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body


def midi_file(*tracks: bytes, ticks_per_beat: int = 480) -> bytes:
    head = chunk(b"MThd", struct.pack(">HHH", int(len(tracks) > 1), len(tracks), ticks_per_beat))
    return head + b"".join(chunk(b"MTrk", track + END_OF_TRACK) for track in tracks)


def delta(ticks: int) -> bytes:
    """A variable-length quantity of up to two bytes."""
    return bytes([ticks]) if ticks < 128 else bytes([0x80 | ticks >> 7, ticks & 127])


def set_tempo(after: int, microseconds: int) -> bytes:
    return delta(after) + b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def note_on(after: int, pitch: int, velocity: int = 80, channel: int = 0) -> bytes:
    return delta(after) + bytes([0x90 | channel, pitch, velocity])


def note_off(after: int, pitch: int, channel: int = 0) -> bytes:
    return delta(after) + bytes([0x80 | channel, pitch, 64])


def columns(notes: Notes) -> list[tuple[float, float, int, int, int, bool]]:
    """The notes in an order that does not depend on the reader."""
    return sorted(
        zip(
            notes.onset.tolist(),
            notes.duration.tolist(),
            notes.pitch.tolist(),
            notes.velocity.tolist(),
            notes.program.tolist(),
            notes.drum.tolist(),
        )
    )


def rows(score: Score) -> list[Row]:
    table = (score.start, score.length, score.pitch, score.velocity, score.program, score.drum)
    return sorted(zip(*(column.tolist() for column in table)))


def rows_of_symusic(data: bytes) -> list[Row]:
    score: Any = symusic.Score.from_midi(data)
    return sorted(
        (note.time, note.duration, note.pitch, note.velocity, track.program, track.is_drum)
        for track in score.tracks
        for note in track.notes
    )


def rows_of_mido(data: bytes) -> list[Row]:
    """Message by message: a note-off ends the oldest note of its channel and pitch in the track."""
    found: list[Row] = []
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        sounding: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        program, tick = [0] * 16, 0
        for message in track:
            tick += message.time
            if message.type == "program_change":
                program[message.channel] = message.program
            elif message.type == "note_on" and message.velocity > 0:
                note = (tick, message.velocity, program[message.channel])
                sounding.setdefault((message.channel, message.note), []).append(note)
            elif message.type in ("note_on", "note_off") and sounding.get((message.channel, message.note)):
                start, velocity, voice = sounding[message.channel, message.note].pop(0)
                found.append((start, tick - start, message.note, velocity, voice, message.channel == 9))
    return sorted(found)


class TestReading:
    def test_a_note_has_its_time_pitch_velocity_and_program(self) -> None:
        data = midi_file(b"\x00\xc0\x28" + note_on(240, 67, 101) + note_off(480, 67))
        assert columns(read_midi(data)) == [(0.25, 0.5, 67, 101, 40, False)]

    def test_channel_10_is_drums(self) -> None:
        data = midi_file(note_on(0, 36, 100, channel=9) + note_off(48, 36, channel=9))
        assert columns(read_midi(data)) == [(0.0, 0.05, 36, 100, 0, True)]

    def test_a_note_on_without_velocity_ends_the_note(self) -> None:
        data = midi_file(note_on(0, 60) + note_on(480, 60, 0))
        assert columns(read_midi(data)) == [(0.0, 0.5, 60, 80, 0, False)]

    def test_without_a_stated_tempo_it_is_120(self) -> None:
        assert read_midi(midi_file(note_on(0, 60) + note_off(480, 60))).tempo == 120.0

    def test_a_channel_may_change_its_program_between_notes(self, midi_folder: Path) -> None:
        notes = read_midi((midi_folder / "channel_program_switch.mid").read_bytes())
        assert notes.program.tolist() == [0, 40, 73, 24, 56]

    def test_the_first_of_two_overlapping_notes_of_one_pitch_ends_first(self, midi_folder: Path) -> None:
        # on at tick 0, on at 100, off at 200, off at 300; 960 ticks a second
        notes = read_midi((midi_folder / "note_overlap_same_pitch.mid").read_bytes())
        assert notes.onset * 960 == pytest.approx([0, 100])
        assert notes.duration * 960 == pytest.approx([200, 200])
        assert notes.velocity.tolist() == [80, 96]

    def test_the_pedal_counts_if_asked_for(self, midi_folder: Path) -> None:
        # five keys of 60 ticks one after another, the pedal down from tick 0 to 1260; 960 ticks a second
        data = (midi_folder / "pedal_sustain.mid").read_bytes()
        assert read_midi(data).duration * 960 == pytest.approx([60] * 5)
        assert read_midi(data, sustain=True).duration * 960 == pytest.approx([1260, 1200, 1140, 1080, 1020])

    @pytest.mark.parametrize("name", sorted(set(READ_BY_ALL) - {"pedal_sustain.mid"}))
    def test_where_no_pedal_changes_a_note_asking_for_it_changes_nothing(self, name: str, midi_folder: Path) -> None:
        data = (midi_folder / name).read_bytes()
        assert columns(read_midi(data, sustain=True)) == columns(read_midi(data))


class TestTempoMap:
    """480 ticks a beat, so at 120 beats a minute a tick is 1/960 s and at 60 it is 1/480 s."""

    # 120 up to tick 960, which is second 1; 60 up to tick 1440, which is second 2; then 240.
    CHANGES = set_tempo(0, 500_000) + set_tempo(960, 1_000_000) + set_tempo(480, 250_000)
    # Notes: ticks 0–480, 480–1440 across one change, 1440–1920, 1920–2400.
    NOTES = (
        note_on(0, 60)
        + note_off(480, 60)
        + note_on(0, 62)
        + note_off(960, 62)
        + note_on(0, 64)
        + note_off(480, 64)
        + note_on(0, 65)
        + note_off(480, 65)
    )

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["changes first", "changes in the second track"])
    def test_seconds_of_notes_around_changes(self, order: tuple[int, int]) -> None:
        tracks = (self.CHANGES, self.NOTES)
        notes = read_midi(midi_file(*(tracks[i] for i in order)))
        assert notes.onset.tolist() == [0.0, 0.5, 2.0, 2.25]
        assert notes.duration.tolist() == [0.5, 1.5, 0.25, 0.25]
        assert notes.tempos.seconds.tolist() == [0.0, 1.0, 2.0]
        assert notes.tempos.tempo.tolist() == [120.0, 60.0, 240.0]

    def test_the_piece_has_the_tempo_that_holds_longest_in_seconds(self) -> None:
        # 120 for 1.25 s (1200 ticks), then 60 for 2 s (960 ticks)
        slow_end = note_on(0, 60) + note_off(2160, 60)
        assert read_midi(midi_file(set_tempo(1200, 1_000_000), slow_end)).tempo == 60.0

    def test_parts_with_one_tempo_add_up(self) -> None:
        # 90 (0.667 s a beat) for 480 ticks, 60 for 480 = 1 s, 90 again for 480: 1.33 s in all
        changes = set_tempo(0, 666_667) + set_tempo(480, 1_000_000) + set_tempo(480, 666_667)
        assert read_midi(midi_file(changes, note_on(0, 60) + note_off(1440, 60))).tempo == pytest.approx(90, abs=1e-3)

    def test_a_tempo_after_the_last_note_does_not_count(self) -> None:
        # one beat of notes; then 60 for twenty beats, then 240
        changes = set_tempo(0, 500_000) + set_tempo(4800, 1_000_000) + set_tempo(9600, 250_000)
        notes = read_midi(midi_file(changes, note_on(0, 60) + note_off(480, 60)))
        assert notes.tempo == 120.0

    def test_of_two_changes_at_one_tick_the_last_holds(self) -> None:
        notes = read_midi(
            midi_file(set_tempo(0, 250_000) + set_tempo(0, 1_000_000), note_on(0, 60) + note_off(480, 60))
        )
        assert notes.duration.tolist() == [1.0]

    def test_a_tempo_of_zero_is_left_out(self) -> None:
        changes = set_tempo(0, 250_000) + set_tempo(0, 0)
        notes = read_midi(midi_file(changes, note_on(0, 60) + note_off(480, 60)))
        assert notes.duration.tolist() == [0.25]

    def test_a_change_in_the_second_track_acts_on_all(self, midi_folder: Path) -> None:
        # twice as fast from tick 960 on, in the middle of the first track's scale
        notes = read_midi((midi_folder / "tempo_in_track2.mid").read_bytes())
        scale = notes.onset[np.isin(notes.pitch, [60, 62, 64, 65]) & (notes.onset < 1)]
        assert scale.tolist() == [0.0, 0.25, 0.5, 0.75]
        assert notes.seconds == 2.0
        assert set(notes.duration[notes.onset >= 1].tolist()) == {0.125}


class TestFixtures:
    @pytest.mark.parametrize("name", OUTCOMES)
    def test_what_is_read(self, name: str, midi_folder: Path) -> None:
        assert outcome((midi_folder / name).read_bytes()) == OUTCOMES[name]

    @pytest.mark.parametrize("name", OUTCOMES)
    def test_what_is_mended_is_said_and_nothing_else_is(self, name: str, midi_folder: Path) -> None:
        try:
            repairs = read_score((midi_folder / name).read_bytes()).repairs
        except MidiError:
            assert name not in MENDED
        else:
            assert repairs == tuple(sorted(MENDED.get(name, set())))

    def test_every_file_is_in_the_table(self, midi_folder: Path) -> None:
        files = {path.relative_to(midi_folder).as_posix() for path in midi_folder.rglob("*") if path.is_file()}
        assert files - {"SOURCES.md"} == set(OUTCOMES)

    @pytest.mark.parametrize("name", READ_BY_ALL)
    def test_notes_are_those_of_symusic_and_of_mido(self, name: str, midi_folder: Path) -> None:
        data = (midi_folder / name).read_bytes()
        assert rows(read_score(data)) == rows_of_symusic(data) == rows_of_mido(data)

    @pytest.mark.parametrize("letter", ["a", "b_retitled", "c_type1", "d_tpb960", "e_running"])
    def test_one_piece_has_the_same_notes_in_every_disguise(self, letter: str, midi_folder: Path) -> None:
        original = read_midi((midi_folder / "ok_type0.mid").read_bytes())
        assert columns(read_midi((midi_folder / f"dup_{letter}.mid").read_bytes())) == columns(original)
        assert original.onset.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
        assert original.pitch.tolist() == [60, 62, 64, 65, 67, 69, 71, 72]

    def test_drum_keys_outside_the_percussion_map_are_kept(self, midi_folder: Path) -> None:
        notes = read_midi((midi_folder / "drums_program_change.mid").read_bytes())
        assert notes.drum.all()
        assert notes.pitch.tolist() == [0, 20, 35, 81, 87, 127]

    def test_a_split_system_exclusive_moves_no_note(self, midi_folder: Path) -> None:
        # 16 ticks lie before its second half, and nothing else before the first note
        notes = read_midi((midi_folder / "sysex_split_f7.mid").read_bytes())
        assert notes.onset[0] * 960 == pytest.approx(16)

    def test_a_note_of_155_hours_is_two_minutes_long(self, midi_folder: Path) -> None:
        notes = read_midi((midi_folder / "delta_max_vlq.mid").read_bytes())
        assert notes.duration.max() == pytest.approx(120.0, abs=0.001)

    def test_the_songs_of_a_type_2_file_are_played_one_after_another(self, midi_folder: Path) -> None:
        notes = read_midi((midi_folder / "type2_two_songs.mid").read_bytes())
        assert notes.onset.tolist() == [index / 4 for index in range(16)]


class TestHeader:
    MUSIC = note_on(0, 60) + note_off(480, 60)
    FILE = midi_file(MUSIC)

    def smpte(self, frames: int, ticks: int, *tracks: bytes) -> Notes:
        data = bytearray(midi_file(*tracks))
        data[12:14] = struct.pack(">bB", -frames, ticks)
        return read_midi(bytes(data))

    @pytest.mark.parametrize(
        ("frames", "seconds"), [(24, 20 / 24), (25, 20 / 25), (29, 20 * 1001 / 30_000), (30, 2 / 3)]
    )
    def test_a_division_in_seconds(self, frames: int, seconds: float) -> None:
        # a note of 960 ticks, 48 to a frame: 20 frames
        notes = self.smpte(frames, 48, note_on(0, 60) + note_off(960, 60))
        assert notes.duration == pytest.approx([seconds])
        assert notes.tempo == pytest.approx(120, rel=0.001)

    def test_a_division_in_seconds_knows_no_tempo(self) -> None:
        assert self.smpte(25, 40, set_tempo(0, 10_000) + self.MUSIC).duration == pytest.approx([0.48])

    @pytest.mark.parametrize(("frames", "ticks"), [(25, 0), (26, 40), (128, 40)])
    def test_a_division_that_is_no_time_is_refused(self, frames: int, ticks: int) -> None:
        with pytest.raises(MidiError, match="unsupported_timing: division -"):
            self.smpte(frames, ticks, self.MUSIC)

    @pytest.mark.parametrize("length", [0, 5, 7, 22, 2**32 - 1])
    def test_a_wrong_length_is_no_matter_if_the_track_follows(self, length: int) -> None:
        score = read_score(self.FILE[:4] + struct.pack(">I", length) + self.FILE[8:])
        assert rows(score) == [(0, 480, 60, 80, 0, False)]
        assert score.repairs == (Repair.HEADER_LENGTH,)

    @pytest.mark.parametrize("name", [b"MT0d", b"mThd", b"MThD"])
    def test_one_wrong_letter_in_its_name(self, name: bytes) -> None:
        assert read_score(name + self.FILE[4:]).repairs == (Repair.CHUNK_NAME,)

    @pytest.mark.parametrize("name", [b"MXYd", b"RIFF", b"\0\0\0\0"])
    def test_more_wrong_letters_are_another_format(self, name: bytes) -> None:
        assert outcome(name + self.FILE[4:]) is NOT_MIDI

    @pytest.mark.parametrize("junk", [1, 128, 252])
    def test_junk_before_the_header(self, junk: int) -> None:
        score = read_score(b"\x00" * junk + self.FILE)
        assert (len(score), score.repairs) == (1, (Repair.WRAPPER,))

    def test_more_junk_is_no_midi_file(self) -> None:
        assert outcome(b"\x00" * 253 + self.FILE) is NOT_MIDI

    def test_a_riff_wrapper_may_have_long_chunks_before_and_after_the_file(self) -> None:
        def riff(name: bytes, body: bytes) -> bytes:
            return name + struct.pack("<I", len(body)) + body

        wrapped = riff(
            b"RIFF", b"RMID" + riff(b"DISP", b"a" * 5000) + riff(b"data", self.FILE) + riff(b"LIST", b"INFO")
        )
        score = read_score(wrapped)
        assert (len(score), score.repairs) == (1, (Repair.WRAPPER,))

    @pytest.mark.parametrize("kind", ["zip", "stored zip", "tar", "tar.gz", "gz"])
    def test_an_archive_under_the_name_of_a_midi_file_is_called_one(self, kind: str) -> None:
        buffer = io.BytesIO()
        if "zip" in kind:
            method = zipfile.ZIP_STORED if "stored" in kind else zipfile.ZIP_DEFLATED
            with zipfile.ZipFile(buffer, "w", method) as archive:
                archive.writestr("a.mid", self.FILE)
        elif "tar" in kind:
            with tarfile.open(fileobj=buffer, mode="w:gz" if "gz" in kind else "w") as tar:
                member = tarfile.TarInfo("a.mid")
                member.size = len(self.FILE)
                tar.addfile(member, io.BytesIO(self.FILE))
        else:
            buffer.write(gzip.compress(self.FILE))
        with pytest.raises(MidiError) as caught:
            read_midi(buffer.getvalue())
        assert caught.value.reason is NOT_MIDI
        assert (
            caught.value.detail
            == {
                "zip": "the file is a zip archive; name it .zip and its MIDI files are read",
                "stored zip": "the file is a zip archive; name it .zip and its MIDI files are read",
                "tar": "the file is a tar archive; name it .tar and its MIDI files are read",
                "tar.gz": "the file is a tar archive compressed by gzip; name it .tar.gz and its MIDI files are read",
                "gz": "the file is a MIDI file compressed by gzip; decompress it",
            }[kind]
        )

    def test_a_damaged_gzip_file_is_one(self) -> None:
        with pytest.raises(MidiError, match="the file is compressed by gzip, and damaged"):
            read_midi(b"\x1f\x8b" + b"\xff" * 40)


class TestTextMode:
    """A transfer as text has put a carriage return before each line feed, so that pitch 10 became 13 and 10."""

    SCALE = b"".join(note_on(0, pitch) + note_off(480, pitch) for pitch in range(60, 72))
    # A delta time, a velocity and a note's length are line feeds.
    TRACKS = (SCALE + note_on(10, 70) + note_off(20, 70) + note_on(0, 72, 10) + note_off(10, 72) + SCALE, SCALE)

    def test_it_is_undone(self) -> None:
        right = midi_file(*self.TRACKS)
        score = read_score(right.replace(b"\n", b"\r\n"))
        assert rows(score) == rows(read_score(right))
        assert score.repairs == (Repair.TEXT_MODE,)

    def test_a_file_with_line_ends_in_its_right_place_is_left_alone(self) -> None:
        lyrics = b"\x00\xff\x05\x04la\r\n"
        score = read_score(midi_file(lyrics + note_on(0, 60) + note_off(480, 60)))
        assert score.repairs == ()

    def test_damage_of_another_kind_is_not_undone(self) -> None:
        # one line feed of its own: this was no transfer as text
        data = midi_file(*self.TRACKS).replace(b"\n", b"\r\n") + b"\n"
        assert Repair.TEXT_MODE not in read_score(data).repairs


class TestRefusals:
    def test_the_message_gives_the_reason_and_what_was_found(self) -> None:
        with pytest.raises(MidiError, match=r"^not_midi: the file is empty$") as caught:
            read_midi(b"")
        assert caught.value.reason is NOT_MIDI
        assert caught.value.detail == "the file is empty"

    def test_reasons_are_words_of_the_manifest(self) -> None:
        assert [reason.value for reason in Unreadable] == [
            *("not_midi", "truncated", "damaged", "no_notes", "unsupported_timing"),
        ]

    def test_a_file_cut_anywhere_is_notes_or_a_reason(self, midi_folder: Path) -> None:
        data = (midi_folder / "ok_type1_drums.mid").read_bytes()
        found = [outcome(data[:length]) for length in range(len(data))]
        assert {result for result in found if isinstance(result, Unreadable)} == {NOT_MIDI, TRUNCATED, NO_NOTES}
        notes = [result for result in found if isinstance(result, int)]
        assert notes == sorted(notes)
        assert notes[-1] == 16
        assert found[:4] == [NOT_MIDI] * 4
        assert found[4:14] == [TRUNCATED] * 10

    @settings(max_examples=100)
    @given(track=st.binary(max_size=400))
    def test_any_bytes_as_a_track_are_notes_or_a_reason(self, track: bytes) -> None:
        check(midi_file(track))

    @settings(max_examples=100)
    @given(data=st.data())
    def test_a_mutated_file_is_notes_or_a_reason(self, data: st.DataObject, midi_folder: Path) -> None:
        name = data.draw(st.sampled_from(["ok_type1_drums.mid", "dup_e_running.mid", "unknown_chunk_between.mid"]))
        content = (midi_folder / name).read_bytes()
        for _ in range(data.draw(st.integers(1, 6))):
            begin = data.draw(st.integers(0, len(content)))
            length = data.draw(st.sampled_from([0, 0, 1, 1, 2, 40]))
            content = content[:begin] + data.draw(st.binary(max_size=4)) + content[begin + length :]
        check(content)

    @pytest.mark.parametrize(
        "block",
        [
            b"\x00",
            b"\xff",
            b"\x81",
            b"M",
            b"MTrk",
            b"\x00\x90\x40\xff",
            b"\x00\x90\x40\x40",
            b"\x00\xff\x51\x03\x00\x00\x01",
            b"\x00\xff\x21\x01\x7f\x00\x90\x40\x40\x00\xff\x21\x01\x00",
            b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7\x00\xc0\x40",
            b"\x00\x90\x40\x40\x00\xc0\x40",
            b"\x00\x90\x40\x40\x00\xb0\x7b\x00",
            b"\x00\x90\x40\x40\x00\x90\x40\x40\x00\x80\x40\x40",
            b"\x00\xff\x2f\x00",
            b"\x00\xff\x2f\x00MTrk\x00\x00\x00\x04",
        ],
    )
    def test_a_hostile_megabyte_is_read_in_a_moment(self, block: bytes) -> None:
        data = midi_file(b"")[:22] + block * (2**20 // len(block))
        begin = time.perf_counter()
        outcome(data)
        assert time.perf_counter() - begin < 2.0


def check(data: bytes) -> None:
    """Notes inside their ranges, or a reason."""
    try:
        score = read_score(data)
    except MidiError:
        return
    assert rows(score) == sorted(rows(score))
    assert (np.diff(score.start) >= 0).all()
    assert (score.length >= 0).all()
    assert max(score.pitch.max(), score.velocity.max(), score.program.max()) <= 127
    assert score.velocity.min() >= 1
    assert score.tempo_ticks[0] == 0
    assert (np.diff(score.tempo_ticks) > 0).all()
    assert (score.tempo_beats > 0).all()
    assert rows(Score.from_bytes(score.to_bytes())) == rows(score)
    assert score.sustained is None or (score.sustained >= score.length).all()
    notes = score.to_notes()
    assert score.to_notes(sustain=True).duration.max() <= 120.001
    assert notes.tempo > 0
