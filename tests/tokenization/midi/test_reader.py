"""The tolerant reader: what it makes of faulty tracks, event by event.

Tracks are spelled out in bytes. `SCALE` stands where something undamaged is needed before or after a fault.
"""

from __future__ import annotations

import io
import struct

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi import MidiError, Unreadable, read_score
from tokenization.midi.score import Repair, Score

END_OF_TRACK = b"\x00\xff\x2f\x00"
Row = tuple[int, int, int]
"""Start, length, pitch."""


def chunk(body: bytes, name: bytes = b"MTrk", length: int | None = None) -> bytes:
    return name + struct.pack(">I", len(body) if length is None else length) + body


def header(tracks: int = 1, kind: int = 1, ticks_per_beat: int = 480) -> bytes:
    return chunk(struct.pack(">HHH", kind, tracks, ticks_per_beat), b"MThd")


def read(*tracks: bytes) -> Score:
    """The tracks, each with an End of Track, in a file without fault."""
    return read_score(header(len(tracks)) + b"".join(chunk(track + END_OF_TRACK) for track in tracks))


def note(pitch: int, length: int = 96, channel: int = 0) -> bytes:
    """A note with a status for its start and for its end, right after what comes before it."""
    return bytes([0, 0x90 | channel, pitch, 80, length, 0x80 | channel, pitch, 64])


def rows(score: Score) -> list[Row]:
    return list(zip(score.start.tolist(), score.length.tolist(), score.pitch.tolist()))


def scale(first: int, at: int = 0) -> list[Row]:
    """The notes of SCALE if it begins at a tick, a number of semitones higher or lower."""
    return [(at + 96 * index, 96, first + index) for index in range(12)]


SCALE = b"".join(note(pitch) for pitch in range(60, 72))
RUNNING = b"\x00\x90" + b"\x00".join(bytes([pitch, 80, 96, pitch, 0]) for pitch in range(60, 72))
"""The same in running status, note-ons without velocity as note-offs."""
LENGTH = 12 * 96


class TestNotes:
    def test_running_status_and_stated_status_say_the_same(self) -> None:
        assert rows(read(RUNNING)) == rows(read(SCALE)) == scale(60)

    def test_notes_of_several_tracks_are_in_one_order(self) -> None:
        # of one start: by pitch, then pitched before drums, then by program, velocity, length
        def hit(channel: int, program: int, pitch: int, velocity: int, length: int) -> bytes:
            statuses = bytes([0, 0xC0 | channel, program, 0, 0x90 | channel, pitch, velocity])
            return statuses + bytes([length, 0x80 | channel, pitch, 0])

        sounds = [(0, 0, 59, 80, 9), (0, 5, 60, 80, 9), (0, 6, 60, 70, 9), (0, 6, 60, 80, 8), (0, 6, 60, 80, 9)]
        sounds += [(9, 0, 60, 80, 9), (0, 0, 61, 80, 9)]
        score = read(*(hit(*sound) for sound in reversed(sounds)))
        columns = (score.program, score.pitch, score.velocity, score.length)
        assert list(zip(*(column.tolist() for column in columns))) == [sound[1:] for sound in sounds]
        assert score.drum.tolist() == [sound[0] == 9 for sound in sounds]

    @given(data=st.data())
    def test_the_order_of_tracks_does_not_matter(self, data: st.DataObject) -> None:
        pitches = st.lists(st.integers(12, 127), min_size=1, max_size=60)
        tracks = [b"".join(note(pitch) for pitch in data.draw(pitches)) for _ in range(data.draw(st.integers(1, 5)))]
        again = data.draw(st.permutations(tracks))
        assert read(*tracks).to_bytes() == read(*again).to_bytes()

    @pytest.mark.parametrize("controller", [120, 123, 124, 125, 126, 127])
    def test_all_notes_off_ends_what_sounds_on_its_channel(self, controller: int) -> None:
        held = b"\x00\x90\x3c\x50\x00\x91\x40\x50"
        off = bytes([48, 0xB0, controller, 0])
        score = read(held + off + b"\x30\x90\x3e\x50\x30\x80\x3e\x00\x00\x81\x40\x00")
        assert rows(score) == [(0, 48, 60), (0, 144, 64), (96, 48, 62)]
        assert score.repairs == ()

    def test_all_notes_off_beside_the_first_note_is_a_greeting(self) -> None:
        score = read(b"\x00\x90\x3c\x50\x00\xb0\x7b\x00\x60\x80\x3c\x00")
        assert rows(score) == [(0, 96, 60)]

    @pytest.mark.parametrize("controller", [119, 121, 122])
    def test_other_controllers_end_nothing(self, controller: int) -> None:
        score = read(b"\x00\x90\x3c\x50" + bytes([48, 0xB0, controller, 0]) + b"\x30\x80\x3c\x00")
        assert rows(score) == [(0, 96, 60)]

    def test_a_program_holds_for_its_channel_in_all_tracks(self) -> None:
        score = read(b"\x00\xc0\x28" + note(60) + note(61, channel=1), note(62))
        assert dict(zip(score.pitch.tolist(), score.program.tolist())) == {60: 40, 61: 0, 62: 40}

    @pytest.mark.parametrize(("until", "length"), [(96, 96), (120 * 20, 480)])
    def test_a_note_that_is_never_ended_lasts_a_beat_at_most(self, until: int, length: int) -> None:
        after = bytes([0x80 | until >> 7, until & 0x7F]) + b"\xb0\x07\x40"
        score = read(b"\x00\x90\x3c\x50" + after)
        assert rows(score) == [(0, length, 60)]
        assert score.repairs == (Repair.HANGING_NOTE,)

    def test_a_drum_that_is_never_ended_lasts_no_time(self) -> None:
        score = read(b"\x00\x99\x24\x50\x60\x99\x26\x50\x60\xb9\x07\x40")
        assert rows(score) == [(0, 0, 36), (96, 0, 38)]
        assert score.repairs == (Repair.HANGING_NOTE,)

    def test_a_hanging_note_does_not_reach_into_the_next_track(self) -> None:
        score = read(b"\x00\x90\x3c\x50", b"\x60\x80\x3c\x00" + note(62))
        assert rows(score) == [(0, 0, 60), (96, 96, 62)]

    def test_two_minutes_are_counted_across_tempo_changes(self) -> None:
        # 60 s at 60 beats a minute are 28,800 ticks; 60 s more at 120 are 57,600.
        slow = b"\x00\xff\x51\x03\x0f\x42\x40"
        fast = b"\x81\xe1\x00\xff\x51\x03\x07\xa1\x20"
        score = read(slow + fast, b"\x00\x90\x3c\x50\xff\xff\x7f\x80\x3c\x00" + note(62))
        assert score.length.tolist() == [28_800 + 57_600, 96]
        assert score.to_notes().duration == pytest.approx([120.0, 0.1])
        assert score.repairs == (Repair.LONG_NOTE,)


def pedal(after: int, value: int, channel: int = 0) -> bytes:
    return control(after, 64, value, channel)


def control(after: int, controller: int, value: int = 0, channel: int = 0) -> bytes:
    return bytes([after, 0xB0 | channel, controller, value])


def press(after: int, pitch: int, channel: int = 0) -> bytes:
    return bytes([after, 0x90 | channel, pitch, 80])


def release(after: int, pitch: int, channel: int = 0) -> bytes:
    return bytes([after, 0x80 | channel, pitch, 64])


def sustained(*tracks: bytes) -> list[int]:
    """How long the notes sound with the pedal; a file in which it changes nothing has no such column."""
    return sounds(read(*tracks))


def sounds(score: Score) -> list[int]:
    if score.sustained is not None:
        assert (score.sustained >= score.length).all()
        assert (score.sustained > score.length).any()
    lengths: list[int] = (score.length if score.sustained is None else score.sustained).tolist()
    return lengths


LAST = note(100, length=127)
"""A note after all others, so that the piece goes on."""


class TestPedal:
    def test_a_note_whose_key_goes_up_while_the_pedal_is_down_sounds_until_the_pedal_goes_up(self) -> None:
        track = press(0, 60) + pedal(10, 127) + release(10, 60) + pedal(30, 0) + LAST
        assert sustained(track) == [50, 127]
        assert read(track).length.tolist() == [20, 127]

    def test_so_does_a_note_that_begins_under_the_pedal_and_one_of_no_length(self) -> None:
        track = pedal(0, 127) + press(10, 60) + release(10, 60) + press(0, 62) + release(0, 62) + pedal(30, 0)
        assert sustained(track) == [40, 30]

    def test_a_note_whose_key_goes_up_before_the_pedal_goes_down_is_as_long_as_its_key(self) -> None:
        assert sustained(press(0, 60) + release(20, 60) + pedal(1, 127) + pedal(30, 0) + LAST) == [20, 127]

    def test_a_note_whose_key_goes_up_after_the_pedal_is_as_long_as_its_key(self) -> None:
        assert sustained(press(0, 60) + pedal(5, 127) + pedal(5, 0) + release(1, 60) + LAST) == [11, 127]

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_pedal_that_goes_down_just_when_the_key_goes_up_holds_the_note(self, order: int) -> None:
        together = [release(0, 60), pedal(0, 127)][::order]
        assert sustained(press(0, 60) + control(20, 7) + b"".join(together) + pedal(30, 0) + LAST) == [50, 127]

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_pedal_that_goes_up_just_when_the_key_does_holds_nothing(self, order: int) -> None:
        together = [release(0, 60), pedal(0, 0)][::order]
        assert sustained(press(0, 60) + pedal(20, 127) + control(20, 7) + b"".join(together) + LAST) == [40, 127]

    @pytest.mark.parametrize("place", range(3))
    def test_a_pedal_that_is_changed_just_when_the_key_goes_up_lets_the_note_go(self, place: int) -> None:
        together = [pedal(0, 0), pedal(0, 127)]
        together.insert(place, release(0, 60))
        track = pedal(0, 127) + press(0, 60) + control(40, 7) + b"".join(together) + pedal(30, 0) + LAST
        assert sustained(track) == [40, 127]

    def test_a_pedal_that_goes_down_and_up_at_once_holds_nothing(self) -> None:
        assert sustained(press(0, 60) + release(20, 60) + pedal(0, 127) + pedal(0, 0) + LAST) == [20, 127]

    def test_the_next_change_of_the_pedal_counts_not_the_last(self) -> None:
        changes = b"".join(pedal(0, 127) + press(0, pitch) + release(10, pitch) + pedal(10, 0) for pitch in (60, 62))
        assert sustained(changes + LAST) == [20, 20, 127]

    def test_the_same_pitch_anew_ends_the_sound(self) -> None:
        track = pedal(0, 127) + press(0, 60) + release(10, 60) + press(30, 60) + release(10, 60) + pedal(50, 0) + LAST
        assert sustained(track) == [40, 60, 127]

    def test_also_at_once_and_also_if_it_began_before_the_key_went_up(self) -> None:
        at_once = press(0, 60) + release(10, 60) + press(0, 60) + release(10, 60)
        within = press(0, 62) + press(10, 62) + release(10, 62) + release(10, 62)
        assert sustained(pedal(0, 127) + at_once + within + pedal(50, 0) + LAST) == [10, 90, 20, 70, 127]

    def test_notes_of_one_pitch_that_begin_together_do_not_end_each_other(self) -> None:
        twice = [press(0, 60) + release(length, 60) for length in (10, 20)]
        assert sustained(pedal(0, 127) + control(50, 7) + pedal(0, 0), *twice) == [50, 50]

    def test_another_channel_ends_no_sound(self) -> None:
        other = press(10, 60, channel=1) + release(10, 60, channel=1)
        assert sustained(pedal(0, 127) + press(0, 60) + release(10, 60) + other + pedal(20, 0) + LAST) == [50, 10, 127]

    def test_the_pedal_of_another_channel_holds_nothing(self) -> None:
        held = pedal(0, 127, channel=1) + press(0, 60) + release(10, 60) + press(0, 62, 1) + release(10, 62, 1)
        assert sustained(held + pedal(20, 0, channel=1) + LAST) == [10, 30, 127]

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_pedal_may_be_in_another_track(self, order: int) -> None:
        tracks = [pedal(0, 127) + pedal(50, 0), press(10, 60) + release(10, 60) + LAST]
        assert sustained(*tracks[::order]) == [40, 127]

    def test_also_its_two_halves_and_the_note_that_ends_the_sound(self) -> None:
        assert sustained(pedal(0, 127), pedal(50, 0), press(0, 60) + release(10, 60), LAST) == [50, 127]
        assert sustained(pedal(0, 127) + pedal(50, 0), note(60, 10), press(30, 60) + release(30, 60)) == [30, 30]

    def test_drums_have_no_pedal(self) -> None:
        drums = pedal(0, 127, channel=9) + press(0, 36, 9) + release(10, 36, 9) + pedal(30, 0, channel=9)
        assert sustained(drums + LAST) == [10, 127]
        assert sustained(drums + pedal(0, 127) + press(0, 60) + release(10, 60) + pedal(10, 0)) == [10, 20]

    @pytest.mark.parametrize(("value", "length"), [(0, 10), (1, 10), (63, 10), (64, 50), (65, 50), (127, 50)])
    def test_half_of_the_way_is_down(self, value: int, length: int) -> None:
        assert sustained(pedal(0, value) + press(0, 60) + release(10, 60) + pedal(40, 63) + LAST) == [length, 127]

    def test_a_pedal_that_moves_and_stays_down_is_one(self) -> None:
        moves = pedal(10, 90) + pedal(10, 64) + pedal(10, 127) + pedal(10, 63) + pedal(10, 0)
        assert sustained(pedal(0, 127) + press(0, 60) + release(10, 60) + moves + LAST) == [50, 127]

    def test_in_running_status(self) -> None:
        track = b"\x00\xb0\x40\x7f\x00\x40\x7f" + press(0, 60) + release(10, 60) + b"\x14\xb0\x07\x40\x14\x40\x00"
        assert sustained(track + LAST) == [50, 127]

    def test_a_pedal_that_is_never_let_go_goes_up_with_the_last_key(self) -> None:
        held = pedal(0, 127) + press(0, 60) + release(10, 60)
        end = control(127, 7)  # the track is longer than its notes
        assert sustained(held + press(10, 62) + release(30, 62) + end) == [50, 30]
        assert sustained(held + end, press(50, 36, channel=9) + release(10, 36, channel=9)) == [60, 10]
        assert read(held + end).sustained is None

    def test_a_last_note_sounds_until_the_pedal_goes_up(self) -> None:
        assert sustained(pedal(0, 127) + press(0, 60) + release(10, 60) + pedal(100, 0)) == [110]

    def test_reset_all_controllers_lets_it_go(self) -> None:
        track = pedal(0, 127) + press(0, 60) + release(10, 60) + control(20, 121) + press(10, 62) + release(10, 62)
        assert sustained(track + LAST) == [30, 10, 127]

    def test_all_sound_off_silences_what_is_held_and_leaves_the_pedal_down(self) -> None:
        begin = pedal(0, 127) + press(0, 60) + release(10, 60) + press(0, 62)
        end = press(10, 64) + release(10, 64) + pedal(10, 0)
        assert sustained(begin + control(20, 120) + end + LAST) == [30, 20, 20, 127]
        # what has ended the keys only is held on
        assert sustained(begin + control(20, 123) + end + LAST) == [60, 50, 20, 127]

    def test_a_note_is_held_for_two_minutes_at_most_and_that_is_no_repair(self) -> None:
        # at 120 beats a minute 120 s are 115,200 ticks, 87 80 00 as a delta time is 114,688
        score = read(pedal(0, 127) + note(60) + b"\x87\x80\x00\xb0\x07\x40" + note(62) + b"\x87\x80\x00\xb0\x40\x00")
        assert score.sustained is not None
        assert score.sustained.tolist() == [115_200, 96 + 114_688]
        assert score.length.tolist() == [96, 96]
        assert score.repairs == ()

    def test_it_does_not_reach_into_the_next_sequence_of_type_2(self) -> None:
        def songs(*tracks: bytes) -> list[int]:
            chunks = b"".join(chunk(track + END_OF_TRACK) for track in tracks)
            return sounds(read_score(header(len(tracks), kind=2) + chunks))

        held = pedal(0, 127) + press(0, 60) + release(10, 60)
        plain = press(0, 62) + release(10, 62)
        end = press(10, 64) + release(10, 64)
        assert songs(held + end, plain + pedal(50, 0)) == [30, 10, 10]
        assert songs(held + pedal(30, 0), plain + end, held + control(50, 7) + pedal(0, 0)) == [40, 10, 10, 60]
        # what ends where the next one begins is not held by its pedal
        assert songs(plain, held + pedal(30, 0)) == [10, 40]

    def test_damage_around_it_is_no_matter(self) -> None:
        score = read(SCALE + pedal(0, 127) + note(60) + b"\x20\xb0\x40" + b"\xff" * 5 + pedal(10, 0) + SCALE)
        assert score.sustained is not None
        assert rows(score)[:12] == scale(60)

    @given(data=st.data())
    def test_it_is_as_specified_message_by_message(self, data: st.DataObject) -> None:
        midi = mido.MidiFile(type=data.draw(st.sampled_from([1, 1, 2])), ticks_per_beat=4)
        for _ in range(data.draw(st.integers(1, 3))):
            midi.tracks.append(mido.MidiTrack(data.draw(st.lists(MESSAGES, max_size=25))))
        midi.tracks[0].insert(0, mido.Message("note_on", note=70, velocity=1, time=data.draw(st.integers(0, 3))))
        score = read_score(saved(midi))
        columns = (score.start, score.length, score.pitch, score.drum)
        found = zip(sounds(score), *(column.tolist() for column in columns))
        assert sorted(found) == specified(midi)

        for track in midi.tracks:  # without its pedals the file has the same keys
            track[:] = [message.copy(control=7) if is_pedal(message) else message for message in track]
        without = read_score(saved(midi))
        assert without.sustained is None
        assert rows(without) == rows(score)


def saved(midi: mido.MidiFile) -> bytes:
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def is_pedal(message: mido.Message) -> bool:
    return bool(message.type == "control_change" and message.control == 64)


def messages(kind: str, **values: st.SearchStrategy[int]) -> st.SearchStrategy[mido.Message]:
    few = {"time": st.sampled_from([0, 0, 1, 2]), "channel": st.sampled_from([0, 0, 1, 9])}
    return st.builds(mido.Message, st.just(kind), **few, **values)


MESSAGES = st.one_of(
    messages("note_on", note=st.sampled_from([60, 61]), velocity=st.just(80)),
    messages("note_off", note=st.sampled_from([60, 61])),
    messages("control_change", control=st.just(64), value=st.sampled_from([0, 63, 64, 127])),
    messages("control_change", control=st.sampled_from([7, 64, 64, 120, 121, 123]), value=st.just(0)),
)


def keys_of(track: mido.MidiTrack, tick: int, beat: int) -> list[tuple[int, int, int, int]]:
    """Start, channel, pitch and end of the keys of a track: paired best, of those the oldest ends first."""
    notes: list[tuple[int, int, int]] = []
    ends: dict[int, int] = {}
    offs: list[tuple[int, int, int]] = []
    open_notes: dict[tuple[int, int], list[int]] = {}
    paired: dict[tuple[int, int], list[int]] = {}
    for message in track:
        tick += message.time
        if message.type == "note_on":
            open_notes.setdefault((message.channel, message.note), []).append(len(notes))
            notes.append((tick, message.channel, message.note))
        elif message.type == "note_off" and open_notes.get((message.channel, message.note)):
            key = message.channel, message.note
            paired.setdefault(key, []).append(open_notes[key].pop())
            offs.append((tick, *key))
        elif message.type == "control_change" and message.control in (120, 123):
            for key in [key for key in open_notes if key[0] == message.channel]:
                for note in [note for note in open_notes[key] if notes[note][0] < tick]:
                    open_notes[key].remove(note)
                    if note > max(paired.get(key, [-1])) or tick - notes[note][0] <= beat:
                        ends[note] = tick
    for key, chosen in paired.items():
        ends |= zip(sorted(chosen), [off[0] for off in offs if off[1:] == key])
    return [
        (start, channel, pitch, ends.get(note, start if channel == 9 else min(tick, start + beat)))
        for note, (start, channel, pitch) in enumerate(notes)
    ]


def specified(midi: mido.MidiFile) -> list[tuple[int, int, int, int, bool]]:
    """Length with the pedal, start, length, pitch, drum: every note by itself looks through all messages."""
    found = []
    offset = 0
    sequences = [[track] for track in midi.tracks] if midi.type == 2 else [midi.tracks]
    for tracks in sequences:
        notes: list[tuple[int, int, int, int]] = []
        changes: list[tuple[int, int, str]] = []
        for track in tracks:
            tick = offset
            for message in track:
                tick += message.time
                if message.type == "control_change" and message.control in (64, 120, 121):
                    down = message.control == 64 and message.value >= 64
                    act = "silence" if message.control == 120 else "down" if down else "up"
                    changes.append((tick, message.channel, act))
            notes += keys_of(track, offset, midi.ticks_per_beat)
        changes.sort(key=lambda change: change[0])
        for start, channel, pitch, end in notes:
            mine = [(tick, act) for tick, other, act in changes if other == channel and channel != 9]
            before = [act for tick, act in mine if tick < end and act != "silence"]
            there = [act for tick, act in mine if tick == end and act != "silence"]
            ups = [tick for tick, act in mine if act != "down"]
            anew = [other[0] for other in notes if other[1:3] == (channel, pitch) and other[0] > start]
            last = max(other[3] for other in notes)
            if before[-1:] == ["down"]:
                until = min([tick for tick in ups if tick >= end], default=last)
            elif there[-1:] == ["down"]:
                until = min([tick for tick in ups if tick > end], default=last)
            else:
                until = end
            held = max(min([until, *anew]), end)
            found.append((held - start, start, end - start, pitch, channel == 9))
        offset = tick
    return sorted(found)


class TestTempo:
    def test_sequences_of_type_2_have_their_own(self) -> None:
        # the first at 60 beats a minute, the second says nothing, so 120
        first = b"\x00\xff\x51\x03\x0f\x42\x40" + SCALE + END_OF_TRACK
        score = read_score(header(2, kind=2) + chunk(first) + chunk(SCALE + END_OF_TRACK))
        assert rows(score) == scale(60) + scale(60, at=LENGTH)
        assert score.tempo_ticks.tolist() == [0, LENGTH]
        assert score.tempo_beats.tolist() == [1_000_000.0, 500_000.0]

    def test_changes_of_several_tracks_are_one_map_and_the_last_of_a_tick_holds(self) -> None:
        def tempo(after: int, beat: int) -> bytes:
            return bytes([after]) + b"\xff\x51\x03" + beat.to_bytes(3, "big")

        score = read(tempo(48, 1000) + tempo(24, 2000), tempo(0, 3000) + tempo(48, 4000) + tempo(0, 5000), SCALE)
        assert score.tempo_ticks.tolist() == [0, 48, 72]
        assert score.tempo_beats.tolist() == [3000.0, 5000.0, 2000.0]


class TestEvents:
    def test_a_controller_above_127_is_clipped(self) -> None:
        score = read(b"\x00\xb0\x07\x80" + SCALE)
        assert rows(score) == scale(60)
        assert score.repairs == (Repair.CLIPPED_BYTE,)

    def test_so_is_a_velocity_and_a_program(self) -> None:
        score = read(b"\x00\xc0\xff" + b"\x00\x90\x32\xd0\x60\x80\x32\x40" + SCALE)
        assert (score.velocity[0], score.program[0], score.pitch[0]) == (127, 127, 50)
        assert len(score) == 13
        assert score.repairs == (Repair.CLIPPED_BYTE,)

    def test_many_at_once(self) -> None:
        setup = b"".join(bytes([0, 0xB0 | channel, 7, 0xF8]) for channel in range(16))
        assert rows(read(setup + SCALE)) == scale(60)

    def test_a_pitch_above_127_is_no_note(self) -> None:
        score = read(SCALE + b"\x00\x90\xfd\x50\x60\x80\xfd\x40" + SCALE)
        assert rows(score) == scale(60) + scale(60, at=LENGTH + 96)
        assert score.repairs == (Repair.CLIPPED_BYTE,)

    def test_a_long_rest_after_a_clipped_byte_is_a_rest(self) -> None:
        # 10,000 ticks: a part that enters in bar 6
        score = read(b"\x00\xb0\x07\xff\xce\x10\xb0\x0a\x40" + SCALE)
        assert rows(score) == scale(60, at=10_000)

    @pytest.mark.parametrize("lost", range(24, 32))
    def test_any_byte_lost_from_a_note_costs_that_note_and_its_time_at_most(self, lost: int) -> None:
        # Without its delta time, the fourth note's status and pitch would be a rest of 2,111 ticks.
        whole = SCALE + END_OF_TRACK
        score = read_score(header(2) + chunk(whole[:lost] + whole[lost + 1 :], length=len(whole)) + chunk(whole))
        found = rows(score)
        for row in scale(60):
            found.remove(row)
        kept = {pitch: tick for tick, _, pitch in found}
        for tick, _, pitch in scale(60)[:3] + scale(60)[4:]:
            assert abs(kept[pitch] - tick) <= 96
        assert Repair.TRACK_LENGTH in score.repairs

    def test_a_true_delta_time_that_looks_like_a_status_is_one(self) -> None:
        # in running status, 2,111 ticks after the last note, in a track of wrong length
        track = RUNNING + b"\x90\x3f" + RUNNING[2:] + END_OF_TRACK
        score = read_score(header(2) + chunk(track, length=len(track) + 5) + chunk(SCALE + END_OF_TRACK))
        assert rows(score) == sorted(2 * scale(60)) + scale(60, at=LENGTH + 2111)

    @pytest.mark.parametrize("added", [b"\x7f\x7f\x7f", b"\xff\xff\xff\xff\xff"])
    def test_bytes_too_many_cost_a_note_at_most(self, added: bytes) -> None:
        score = read(SCALE[:36] + added + SCALE[36:])
        assert set(score.pitch.tolist()) >= set(range(60, 72)) - {64}
        assert score.start.max() <= LENGTH + 128

    def test_there_is_room_for_all_notes_where_bytes_are_read_twice(self) -> None:
        # Every 23 bytes reading goes two bytes back, so that notes take less than three bytes each.
        first = b"\x00\x90dd" + b"\x0cdd" * 6 + b"\x0c\x0cd"
        again = b"d\x0c\x90dd" + b"\x0cdd" * 5 + b"\x0c\x0cd"
        data = header(1, ticks_per_beat=1) + chunk(first + again * 2000 + END_OF_TRACK)
        score = read_score(data)
        assert len(score) > len(data) / 3 + 100
        assert set(score.pitch.tolist()) == {12, 100}
        assert (score.velocity == 100).all()

    def test_there_is_room_for_events_of_two_bytes(self) -> None:
        programs = b"\x00\xc0\x28" + b"\x00\x29" * 20_000
        score = read(programs + SCALE)
        assert rows(score) == scale(60)
        assert set(score.program.tolist()) == {0x29}

    def test_a_block_of_noise_costs_what_lies_under_it(self) -> None:
        noise = np.random.default_rng(5).integers(0, 256, 512, np.uint8).tobytes()
        score = read(b"".join([SCALE] * 8), SCALE[:48] + noise + SCALE + SCALE)
        found = rows(score)
        assert sum(row in found for row in scale(60)) == 12
        assert len(score) <= 8 * 12 + 6 + 24 + 12
        assert score.start.max() <= 8 * LENGTH + 128 * 480
        assert Repair.SKIPPED_BYTES in score.repairs

    def test_text_in_the_place_of_events_is_no_music(self) -> None:
        page = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1>The file was moved." * 3
        score = read(RUNNING + b"\xff\xff\xff\xff" + page + SCALE, SCALE * 8)
        assert rows(score)[:24] == sorted(2 * scale(60))
        assert 9 * 12 + 11 <= len(score) <= 10 * 12 + 1

    def test_data_bytes_without_any_status_are_skipped(self) -> None:
        score = read(b"\x00\x3c\x50" + SCALE)
        assert rows(score) == scale(60)
        assert score.repairs == (Repair.SKIPPED_BYTES,)

    @pytest.mark.parametrize("clock", [b"\xf8", b"\xfa", b"\xfe", b"\xf6", b"\xf1\x30", b"\xf2\x01\x02", b"\xf3\x01"])
    def test_messages_of_the_wire_are_passed_over_in_their_time(self, clock: bytes) -> None:
        score = read(b"\x60" + clock + SCALE)
        assert rows(score) == scale(60, at=96)
        assert score.repairs == (Repair.SYSTEM_MESSAGE,)

    def test_a_recorded_clock_keeps_the_time(self) -> None:
        ticking = b"".join(SCALE[at : at + 8] + b"\x00\xf8" for at in range(0, len(SCALE), 8))
        assert rows(read(b"\x14\xf8" * 24 + ticking)) == scale(60, at=480)

    @pytest.mark.parametrize(
        "event",
        [
            b"\xff\x01\x00",
            b"\xff\x59\x02\x10\x07",
            b"\xff\x58\x04\x00\x01\x18\x08",
            b"\xff\x54\x05\x7f\x7f\x7f\x7f\x7f",
            b"\xff\x7f\x03abc",
            b"\xff\x03\x81\x00" + b"\x90" * 128,
            b"\xf0\x03\x43\x10\xf7",
            b"\xf0\x02\x43\x10\x00\xf7\x02\x42\xf7",
            b"\xf0\x02\x43\x10",
        ],
    )
    def test_what_is_not_music_may_say_what_it_likes_and_does_not_end_running_status(self, event: bytes) -> None:
        begin, rest = RUNNING[:4], RUNNING[4:]
        score = read(begin + b"\x00" + event + rest)
        assert rows(score) == scale(60)
        assert score.repairs == ()

    def test_the_longest_rest_is_believed_if_music_follows(self) -> None:
        score = read(SCALE + b"\xff\xff\xff\x7f\xb0\x07\x40" + SCALE)
        assert rows(score) == scale(60) + scale(60, at=LENGTH + 2**28 - 1)
        assert score.repairs == ()

    def test_beyond_the_last_tick_nothing_is_read(self) -> None:
        score = read(b"\xff\xff\xff\x7f\xb0\x07\x40" * 9 + SCALE, SCALE)
        assert rows(score) == scale(60)
        assert Repair.TOO_LATE in score.repairs

    def test_a_tempo_event_that_lost_a_byte_is_left_out(self) -> None:
        # 07 a1 20 without its first byte would be a1 20 00, 10.6 s a beat
        score = read(b"\x00\xff\x51\x03\xa1\x20\x00\xff\x58\x04\x04\x02\x18\x08" + SCALE)
        assert score.tempo_beats.tolist() == [500_000.0]
        assert rows(score) == scale(60)


class TestChunks:
    TRACK = SCALE + END_OF_TRACK

    @pytest.mark.parametrize("wrong", [-20, -4, -1, 1, 3, 50, 2**31])
    @pytest.mark.parametrize("place", [0, 1])
    def test_a_wrong_length_costs_nothing(self, wrong: int, place: int) -> None:
        lengths = [len(self.TRACK) + (wrong if place == index else 0) for index in range(2)]
        score = read_score(header(2) + b"".join(chunk(self.TRACK, length=length) for length in lengths))
        assert rows(score) == sorted(2 * scale(60))
        assert score.repairs == (Repair.TRACK_LENGTH,)

    def test_a_length_that_covers_the_next_track_too(self) -> None:
        score = read_score(header(2) + chunk(self.TRACK, length=2 * len(self.TRACK) + 8) + chunk(self.TRACK))
        assert rows(score) == sorted(2 * scale(60))
        assert score.repairs == (Repair.TRACK_LENGTH,)

    def test_a_length_with_a_lost_byte(self) -> None:
        data = header(2) + chunk(self.TRACK).replace(b"MTrk\0\0", b"MTrk\0") + chunk(self.TRACK)
        assert rows(read_score(data)) == sorted(2 * scale(60))

    def test_the_next_track_ends_one_that_has_no_end(self) -> None:
        score = read_score(header(2) + chunk(SCALE, length=10**6) + chunk(self.TRACK))
        assert rows(score) == sorted(2 * scale(60))
        assert score.repairs == (Repair.NO_END_OF_TRACK, Repair.TRACK_LENGTH)

    def test_an_end_of_track_before_the_last_one_is_passed_over(self) -> None:
        score = read_score(header() + chunk(END_OF_TRACK + self.TRACK + self.TRACK))
        assert rows(score) == scale(60) + scale(60, at=LENGTH)
        assert score.repairs == (Repair.EARLY_END,)

    def test_so_is_one_before_the_first_note(self) -> None:
        score = read_score(header(2) + chunk(END_OF_TRACK + SCALE) + chunk(END_OF_TRACK))
        assert rows(score) == scale(60)
        assert score.repairs == (Repair.EARLY_END, Repair.NO_END_OF_TRACK)

    def test_also_in_a_file_that_is_cut_behind_it(self) -> None:
        score = read_score(header() + chunk(END_OF_TRACK + SCALE, length=1000))
        assert rows(score) == scale(60)
        assert score.repairs == (Repair.EARLY_END, Repair.TRACK_LENGTH, Repair.TRUNCATED)

    @pytest.mark.parametrize("remains", [SCALE, b"\x00" * 40 + END_OF_TRACK, b"\xff" * 40 + END_OF_TRACK])
    def test_after_notes_and_without_another_end_of_track_or_sense_it_is_the_end(self, remains: bytes) -> None:
        score = read_score(header() + chunk(self.TRACK + remains))
        assert rows(score) == scale(60)
        assert score.repairs == (Repair.AFTER_END,)

    def test_a_file_whose_only_events_follow_an_end_of_track_senselessly_says_so(self) -> None:
        with pytest.raises(MidiError, match="no track holds a note; left out: bytes behind an End of Track"):
            read_score(header() + chunk(END_OF_TRACK + b"\xff" * 40))

    def test_other_chunks_are_skipped(self) -> None:
        data = header(2) + chunk(b"MTrk" * 9, b"XFIH") + chunk(self.TRACK) + chunk(b"", b"abcd") + chunk(self.TRACK)
        score = read_score(data)
        assert rows(score) == sorted(2 * scale(60))
        assert score.repairs == (Repair.UNKNOWN_CHUNK,)

    def test_junk_between_tracks_is_skipped(self) -> None:
        score = read_score(header(2) + chunk(self.TRACK) + b"\xff" * 33 + chunk(self.TRACK))
        assert rows(score) == sorted(2 * scale(60))

    @pytest.mark.parametrize("name", [b"mTrk", b"MXrk", b"MTr\0"])
    def test_one_wrong_letter_makes_no_other_chunk(self, name: bytes) -> None:
        score = read_score(header() + chunk(self.TRACK, name))
        assert rows(score) == scale(60)
        assert score.repairs == (Repair.CHUNK_NAME,)

    @pytest.mark.parametrize("name", [b"mtrk", b"XXrk", b"MThd"])
    def test_two_wrong_letters_do(self, name: bytes) -> None:
        with pytest.raises(MidiError, match="no_notes"):
            read_score(header() + chunk(self.TRACK, name))

    def test_more_tracks_than_the_header_says_are_read_if_they_follow_directly(self) -> None:
        score = read_score(header(1) + chunk(self.TRACK) + chunk(self.TRACK))
        assert rows(score) == sorted(2 * scale(60))
        assert score.repairs == (Repair.TRACK_COUNT,)

    def test_the_remains_of_a_longer_file_are_not_read(self) -> None:
        score = read_score(header(1) + chunk(self.TRACK) + SCALE[20:] + chunk(self.TRACK))
        assert rows(score) == scale(60)
        assert score.repairs == ()

    @pytest.mark.parametrize("left", range(8, len(SCALE), 7))
    def test_of_a_cut_track_everything_up_to_the_cut_is_kept(self, left: int) -> None:
        data = header(2) + chunk(self.TRACK) + chunk(self.TRACK)[: 8 + left]
        score = read_score(data)
        begun = (left + 4) // 8  # a note-on is complete with its fourth byte
        assert len(score) == 12 + begun
        assert set(score.repairs) - {Repair.HANGING_NOTE} == {Repair.TRACK_LENGTH, Repair.TRUNCATED}

    def test_a_file_that_ends_before_its_first_note_is_truncated(self) -> None:
        with pytest.raises(MidiError, match="before the first note") as caught:
            read_score(header() + chunk(b"\x00\xff\x03\x05title" + self.TRACK)[:14])
        assert caught.value.reason is Unreadable.TRUNCATED

    def test_noise_with_little_music_is_damage(self) -> None:
        noise = np.random.default_rng(6).integers(0, 256, 2000, np.uint8).tobytes()
        with pytest.raises(MidiError, match=r"damaged: [\d,]+ of [\d,]+ bytes of the tracks make no sense"):
            read(noise + SCALE)
