"""Notes → MIDI files: message by message as mido reads them, and note by note as all readers do."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mido
import numpy as np
import pytest
import symusic
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi import MidiError, Unreadable, read_midi, read_score
from tokenization.midi.notes import Notes, TempoMap
from tokenization.midi.writing import MOST_TICKS, WRITE_TICKS_PER_BEAT, write_midi

MakeNotes = Callable[..., Notes]
Row = tuple[int, ...]
"""Start and length in ticks, pitch, velocity, program, drum."""
Voice = tuple[bool, int, int, int]
"""Drum, program, pitch, velocity."""


def opened(data: bytes) -> Any:
    return mido.MidiFile(file=io.BytesIO(data))


def music(track: Any) -> list[tuple[Any, ...]]:
    """Type, delta time and data of a track's messages, without the program that it begins with."""
    found: list[tuple[Any, ...]] = []
    for message in track:
        if message.type == "program_change":
            found.append(("program", message.time, message.program))
        elif message.type in ("note_on", "note_off"):
            found.append((message.type.removeprefix("note_"), message.time, message.note, message.velocity))
    return found[1:]


def with_tempos(notes: Notes, *changes: tuple[float, float]) -> Notes:
    """The notes with a tempo map of (second, beats per minute)."""
    seconds, tempo = np.array(changes, np.float64).T
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    return Notes.from_columns(*columns, tempo_map=TempoMap(seconds, tempo))


def rows_of_reader(data: bytes) -> list[Row]:
    score = read_score(data)
    assert score.repairs == ()
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
    for track in opened(data).tracks:
        sounding: dict[int, list[tuple[int, int, int]]] = {}
        program = tick = 0
        for message in track:
            tick += message.time
            if message.type == "program_change":
                program = message.program
            elif message.type == "note_on":
                sounding.setdefault(message.note, []).append((tick, message.velocity, program))
            elif message.type == "note_off":
                start, velocity, voice = sounding[message.note].pop(0)
                found.append((start, tick - start, message.note, velocity, voice, message.channel == 9))
        assert not any(sounding.values()), "a note without an end"
    return sorted(found)


def spans(notes: Notes) -> dict[Voice, tuple[list[float], list[float]]]:
    """Onsets and ends of each voice, sorted: all there is to compare where the first to begin is the first to end."""
    found: dict[Voice, tuple[list[float], list[float]]] = {}
    ends = (notes.onset + notes.duration).tolist()
    columns = (notes.drum, np.where(notes.drum, 0, notes.program), notes.pitch, notes.velocity, notes.onset)
    for drum, program, pitch, velocity, onset, end in zip(*(column.tolist() for column in columns), ends):
        onsets, stops = found.setdefault((drum, program, pitch, velocity), ([], []))
        onsets.append(onset)
        stops.append(end)
    return {voice: (sorted(onsets), sorted(stops)) for voice, (onsets, stops) in found.items()}


def half_ticks(notes: Notes) -> float:
    """Half a tick at the slowest tempo, in seconds."""
    return 60 / float(notes.tempos.tempo.min()) / WRITE_TICKS_PER_BEAT / 2


def first_in_first_out(rows: list[tuple[float, float, int, int, int, bool]], tempos: TempoMap) -> Notes:
    """Notes of which those with one pitch end in the order in which they begin, whatever plays them."""
    onset, duration, pitch, velocity, program, drum = (np.array(column) for column in zip(*rows))
    end = onset + duration
    for key in np.unique(pitch):
        same = np.flatnonzero(pitch == key)
        onset[same], end[same] = np.sort(onset[same]), np.sort(end[same])
    columns = (onset, end - onset, pitch, velocity, program, drum)
    return Notes.from_columns(*columns, tempo=float(tempos.tempo[0]), tempo_map=tempos)


seconds = st.floats(0, 300, allow_subnormal=False)
tempo_maps = st.lists(st.tuples(seconds, st.floats(10, 300)), min_size=1, max_size=8, unique_by=lambda row: row[0]).map(
    lambda changes: TempoMap(*np.array(sorted(changes), np.float64).T)
)


def rows_with(programs: st.SearchStrategy[int], pitches: st.SearchStrategy[int], most: int) -> st.SearchStrategy[Any]:
    fields = (seconds, st.floats(0, 20, allow_subnormal=False), pitches, st.integers(1, 127), programs, st.booleans())
    return st.lists(st.tuples(*fields), min_size=1, max_size=most)


expressible = st.builds(
    first_in_first_out,
    st.one_of(
        rows_with(st.integers(0, 127), st.integers(0, 127), 60),
        rows_with(st.integers(0, 20), st.sampled_from([0, 60, 127]), 60),
    ),
    tempo_maps,
)


@pytest.fixture
def ensemble(make_notes: MakeNotes) -> Notes:
    """Piano, violin and a bass drum, on the grid of 960 ticks a beat at 100 beats a minute."""
    return make_notes(
        [
            (0.0, 0.6, 60, 72, 0, False),
            (0.0, 0.3, 36, 100, 0, True),
            (0.6, 1.2, 67, 80, 40, False),
            (0.6, 0.6, 60, 64, 0, False),
        ],
        tempo=100.0,
    )


class TestFile:
    def test_it_is_of_type_1_with_a_tempo_track_first(self, ensemble: Notes) -> None:
        data = write_midi(ensemble)
        assert data[:14] == b"MThd" + struct.pack(">IHHH", 6, 1, 4, 960)
        assert [(m.type, m.time) for m in opened(data).tracks[0]] == [("set_tempo", 0), ("end_of_track", 0)]
        assert opened(data).tracks[0][0].tempo == 600_000

    def test_every_program_has_a_track_and_a_channel_and_drums_have_channel_10(self, ensemble: Notes) -> None:
        midi = opened(write_midi(ensemble))
        heads = [[message for message in track if message.type == "program_change"] for track in midi.tracks[1:]]
        assert [[(m.channel + 1, m.program, m.time) for m in head] for head in heads] == [
            [(1, 0, 0)],
            [(2, 40, 0)],
            [(10, 0, 0)],
        ]
        for track, head in zip(midi.tracks[1:], heads):
            assert {m.channel for m in track if not m.is_meta} == {head[0].channel}

    def test_the_program_of_a_drum_means_nothing(self, make_notes: MakeNotes) -> None:
        drums = [(0.0, 0.1, 36, 80, 16, True), (0.5, 0.1, 36, 80, 25, True)]
        assert music(opened(write_midi(make_notes(drums))).tracks[1])[0] == ("on", 0, 36, 80)
        assert read_midi(write_midi(make_notes(drums))).program.tolist() == [0, 0]

    def test_every_track_ends_with_end_of_track_and_has_no_other(self, ensemble: Notes) -> None:
        data = write_midi(ensemble)
        assert data.count(b"\xff\x2f\x00") == 4
        for track in opened(data).tracks:
            assert [m.type == "end_of_track" for m in track] == [False] * (len(track) - 1) + [True]

    def test_without_notes_it_is_a_file_without_notes(self, make_notes: MakeNotes) -> None:
        data = write_midi(make_notes([]), title="silence")
        assert [[m.type for m in track] for track in opened(data).tracks] == [
            ["track_name", "set_tempo", "end_of_track"]
        ]
        assert len(symusic.Score.from_midi(data).tracks) == 0
        with pytest.raises(MidiError) as caught:
            read_midi(data)
        assert caught.value.reason is Unreadable.NO_NOTES

    def test_the_same_notes_give_the_same_bytes(self, ensemble: Notes) -> None:
        assert write_midi(ensemble, {0: "piano"}, "a title") == write_midi(ensemble, {0: "piano"}, "a title")

    @pytest.mark.parametrize(
        "row", [(0, 1, 200, 80, 0, False), (0, 1, 60, 0, 0, False), (0, 1, 60, 128, 0, False), (0, 1, 60, 80, 128, 0)]
    )
    def test_what_midi_cannot_say_is_refused(self, row: tuple[float, ...], make_notes: MakeNotes) -> None:
        with pytest.raises(ValueError, match="is outside"):
            write_midi(make_notes([row]))


class TestNames:
    def test_given_names_then_those_of_general_midi(self, ensemble: Notes) -> None:
        tracks = opened(write_midi(ensemble, names={40: "fiddle"}, title="bach 1")).tracks
        assert [track.name for track in tracks] == ["bach 1", "acoustic grand piano", "fiddle", "drums"]

    def test_no_title_is_no_name(self, ensemble: Notes) -> None:
        assert opened(write_midi(ensemble)).tracks[0].name == ""

    @pytest.mark.parametrize(
        ("title", "written"),
        [
            ("Für Elise", "Für Elise"),  # Latin-1 has it
            ("Dvořák: Šárka", "Dvorák: Sárka"),  # letters of other alphabets lose their accents,
            ("e\N{COMBINING ACUTE ACCENT}tude", "etude"),
            ("さくら no. 1", "??? no. 1"),  # or are lost
            ("\ud800", "?"),  # half a letter, as broken file names have
        ],
    )
    def test_letters_that_latin_1_lacks(self, title: str, written: str, ensemble: Notes) -> None:
        tracks = opened(write_midi(ensemble, names={0: title}, title=title)).tracks
        assert [track.name for track in tracks[:2]] == [written, written]

    @given(name=st.text(min_size=1))
    def test_any_name_can_be_written(self, name: str, make_notes: MakeNotes) -> None:
        data = write_midi(make_notes([(0, 1, 60, 80, 0, False)]), {0: name}, name)
        assert len(opened(data).tracks) == 2
        assert len(symusic.Score.from_midi(data).tracks) == 1
        assert len(read_midi(data)) == 1


class TestNotes:
    def test_what_is_written_is_read_back(self, ensemble: Notes) -> None:
        back = read_midi(write_midi(ensemble))
        assert rows_of_reader(write_midi(ensemble)) == [
            (0, 480, 36, 100, 0, True),
            (0, 960, 60, 72, 0, False),
            (960, 960, 60, 64, 0, False),
            (960, 1920, 67, 80, 40, False),
        ]
        assert back.tempo == 100.0

    def test_a_repeated_note_ends_before_it_starts_anew(self, ensemble: Notes) -> None:
        assert music(opened(write_midi(ensemble)).tracks[1]) == [
            ("on", 0, 60, 72),
            ("off", 960, 60, 0),
            ("on", 0, 60, 64),
            ("off", 960, 60, 0),
        ]

    def test_a_note_lasts_at_least_a_tick(self, make_notes: MakeNotes) -> None:
        back = read_midi(write_midi(make_notes([(1.0, 0.0, 60, 72, 0, False)])))
        assert back.duration * 1920 == pytest.approx([1])

    def test_nothing_is_before_the_beginning(self, make_notes: MakeNotes) -> None:
        data = write_midi(make_notes([(-1.0, 1.5, 60, 72, 0, False), (-2.0, 1.0, 62, 72, 0, False)]))
        assert rows_of_reader(data) == [(0, 1, 62, 72, 0, False), (0, 960, 60, 72, 0, False)]

    def test_of_notes_that_begin_together_the_shortest_is_first(self, make_notes: MakeNotes) -> None:
        # 960 ticks are half a second; given the longest first
        rows = [(0.0, 1.0, 60, 10, 0, False), (0.0, 0.5, 60, 20, 0, False), (0.0, 0.25, 64, 30, 0, False)]
        data = write_midi(make_notes(rows))
        assert [event for event in music(opened(data).tracks[1]) if event[0] == "on"] == [
            ("on", 0, 64, 30),
            ("on", 0, 60, 20),
            ("on", 0, 60, 10),
        ]
        assert rows_of_reader(data) == [
            (0, 480, 64, 30, 0, False),
            (0, 960, 60, 20, 0, False),
            (0, 1920, 60, 10, 0, False),
        ]

    def test_a_note_is_cut_where_one_of_its_pitch_begins_within_it(self, make_notes: MakeNotes) -> None:
        # the long one would shift the ends of all others
        rows = [(0.0, 9.0, 60, 10, 0, False), (0.5, 0.5, 60, 20, 0, False), (2.0, 1.0, 60, 30, 0, False)]
        other = (0.0, 9.0, 62, 40, 0, False)
        assert rows_of_reader(write_midi(make_notes([*rows, other]))) == [
            (0, 960, 60, 10, 0, False),
            (0, 17280, 62, 40, 0, False),
            (960, 960, 60, 20, 0, False),
            (3840, 1920, 60, 30, 0, False),
        ]

    def test_a_tempo_that_ends_before_its_first_tick(self, make_notes: MakeNotes) -> None:
        # a tick is 16 ms at 4 beats a minute, and the next tempo begins after 9
        tempos = TempoMap(np.array([0, 0.009, 0.012]), np.array([4.0, 60.0, 20.0]))
        data = write_midi(replace(make_notes([(0.5, 1.0, 60, 10, 0, False)]), tempo_map=tempos))
        assert read_midi(data).onset == pytest.approx([0.5], abs=0.01)

    def test_two_programs_may_play_one_pitch(self, make_notes: MakeNotes) -> None:
        rows = [(0.0, 2.0, 60, 10, 0, False), (0.5, 0.5, 60, 20, 40, False)]
        assert rows_of_reader(write_midi(make_notes(rows))) == [
            (0, 3840, 60, 10, 0, False),
            (960, 960, 60, 20, 40, False),
        ]

    @given(data=st.data())
    def test_all_readers_agree(self, data: st.DataObject, pieces: st.SearchStrategy[Notes]) -> None:
        written = write_midi(data.draw(pieces))
        assert rows_of_reader(written) == rows_of_symusic(written) == rows_of_mido(written)

    @given(notes=expressible)
    def test_any_notes_are_read_back_within_half_a_tick(self, notes: Notes) -> None:
        data = write_midi(notes)
        assert rows_of_reader(data) == rows_of_symusic(data) == rows_of_mido(data)
        wanted, found = spans(notes), spans(read_midi(data))
        assert wanted.keys() == found.keys()
        half = half_ticks(notes) * 1.01
        for voice, (onsets, ends) in wanted.items():
            assert found[voice][0] == pytest.approx(onsets, abs=half)
            # A note without length lasts a tick, so its end may be later.
            assert all(-half <= late <= 3 * half for late in np.subtract(found[voice][1], ends))


class TestPrograms:
    def test_fifteen_programs_have_a_channel_each(self, make_notes: MakeNotes) -> None:
        rows = [(i / 2, 0.5, 60, 72, 100 + i, False) for i in range(15)]
        tracks = opened(write_midi(make_notes(rows))).tracks[1:]
        assert [{m.channel + 1 for m in track if not m.is_meta} for track in tracks] == [
            {channel} for channel in range(1, 17) if channel != 10
        ]

    def test_of_more_those_least_used_share_the_last_channel(self, make_notes: MakeNotes) -> None:
        # Programs 0–17; 2, 5, 7 and 11 have one note, the others two.
        rare = (2, 5, 7, 11)
        rows = [(i / 2, 0.5, 60, 72, i, False) for i in range(18)]
        rows += [(10 + i / 2, 0.5, 60, 72, i, False) for i in range(18) if i not in rare]
        data = write_midi(make_notes(rows), names={5: "organ"})
        assert read_midi(data).program.tolist() == [*range(18), *(i for i in range(18) if i not in rare)]
        *own, shared = opened(data).tracks[1:]
        assert [track[1].program for track in own] == [i for i in range(18) if i not in rare]
        assert shared.name == "electric grand piano, organ, clavinet, vibraphone"
        assert {m.channel + 1 for m in shared if not m.is_meta} == {16}

    def test_the_program_changes_only_where_it_must(self, make_notes: MakeNotes) -> None:
        # Three notes each of programs 0–13; then 20: C4 and E4 together, again C4, and 21: G4 before them and after.
        rows = [(i / 4, 0.25, 60, 72, i % 14, False) for i in range(42)]
        rows += [(0.0, 0.5, 67, 1, 21, False)]
        rows += [(0.5, 1.0, 60, 2, 20, False), (0.5, 1.0, 64, 3, 20, False), (1.5, 0.5, 60, 4, 20, False)]
        rows += [(1.75, 0.25, 67, 5, 21, False)]
        shared = opened(write_midi(make_notes(rows))).tracks[-1]
        assert (shared[1].program, shared[1].time) == (21, 0)
        assert music(shared) == [
            ("on", 0, 67, 1),
            ("off", 960, 67, 0),
            ("program", 0, 20),
            ("on", 0, 60, 2),
            ("on", 0, 64, 3),
            ("off", 1920, 60, 0),
            ("off", 0, 64, 0),
            ("on", 0, 60, 4),
            ("program", 480, 21),
            ("on", 0, 67, 5),
            ("off", 480, 60, 0),
            ("off", 0, 67, 0),
        ]

    def test_all_programs_at_once(self, make_notes: MakeNotes) -> None:
        rows = [(0.0, 1.0, i, 80, i, False) for i in range(128)] + [(0.0, 1.0, 36, 80, 0, True)]
        data = write_midi(make_notes(rows))
        assert len(opened(data).tracks) == 1 + 15 + 1
        assert rows_of_reader(data) == rows_of_symusic(data) == rows_of_mido(data)
        assert [row[4] for row in rows_of_reader(data) if not row[5]] == list(range(128))


class TestTempos:
    def test_all_changes_are_written_at_their_ticks(self, make_notes: MakeNotes) -> None:
        # 120 for a second are 2 beats, 60 for two seconds 2 beats; then 240.
        notes = with_tempos(make_notes([(3.25, 0.25, 60, 72, 0, False)]), (0, 120), (1, 60), (3, 240))
        data = write_midi(notes)
        assert [(m.time, m.tempo) for m in opened(data).tracks[0] if m.type == "set_tempo"] == [
            (0, 500_000),
            (1920, 1_000_000),
            (1920, 250_000),
        ]
        assert rows_of_reader(data) == [(3840 + 960, 960, 60, 72, 0, False)]

    def test_a_note_across_a_change(self, make_notes: MakeNotes) -> None:
        notes = with_tempos(make_notes([(0.5, 1.0, 60, 72, 0, False)]), (0, 120), (1, 60))
        data = write_midi(notes)
        assert rows_of_reader(data) == [(960, 960 + 480, 60, 72, 0, False)]
        assert (read_midi(data).onset.tolist(), read_midi(data).duration.tolist()) == ([0.5], [1.0])

    @pytest.mark.parametrize("changes", [[(2, 60), (3, 240)], [(-9, 30), (-1, 60), (3, 240)]])
    def test_there_is_a_tempo_from_the_beginning(
        self, changes: list[tuple[float, float]], make_notes: MakeNotes
    ) -> None:
        data = write_midi(with_tempos(make_notes([(1, 1, 60, 72, 0, False)]), *changes))
        assert [(m.time, m.tempo) for m in opened(data).tracks[0] if m.type == "set_tempo"] == [
            (0, 1_000_000),
            (2880, 250_000),
        ]
        assert rows_of_reader(data) == [(960, 960, 60, 72, 0, False)]

    def test_roundings_do_not_add_up(self, make_notes: MakeNotes) -> None:
        # 10,000 changes that all lie between two ticks
        changes = [(i * 0.0131, 100 + i % 7) for i in range(10_000)]
        notes = with_tempos(make_notes([(131 - 0.0131 / 2, 1.0, 60, 72, 0, False)]), *changes)
        assert read_midi(write_midi(notes)).onset == pytest.approx(notes.onset, abs=half_ticks(notes))

    @pytest.mark.parametrize(("tempo", "beat"), [(1e-3, 0xFFFFFF), (3.5, 0xFFFFFF), (6e7, 1), (1e9, 1)])
    def test_tempos_beyond_what_an_event_can_say(self, tempo: float, beat: int, make_notes: MakeNotes) -> None:
        data = write_midi(make_notes([(0.1, 0.15, 60, 72, 0, False)], tempo=tempo))
        assert opened(data).tracks[0][0].tempo == beat
        assert read_midi(data).onset == pytest.approx([0.1], abs=0.009)

    def test_a_piece_that_lasts_days_has_as_many_ticks_as_can_be_said(self, make_notes: MakeNotes) -> None:
        day = 86_400.0
        notes = make_notes([(2 * day, 1.0, 60, 72, 0, False), (2 * day + 0.5, 1.0, 62, 72, 0, False)], tempo=240.0)
        data = write_midi(notes)
        assert MOST_TICKS * 0.99 < max(row[0] for row in rows_of_mido(data)) < 2**28
        assert rows_of_reader(data) == rows_of_mido(data)
        assert read_midi(data).onset == pytest.approx(notes.onset, abs=1e-3)

    @pytest.mark.parametrize("onset", [1e9, np.inf, np.nan])
    def test_a_piece_that_lasts_months_is_refused(self, onset: float, make_notes: MakeNotes) -> None:
        with pytest.raises(ValueError, match="longer than a MIDI file can hold"):
            write_midi(make_notes([(onset, 1.0, 60, 72, 0, False)]))
