"""Programs and drums: which message decides how a note sounds, over all tracks, ports and sequences of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi import Score, read_score

Event = tuple[int, bytes]
FileOf = Callable[..., bytes]


def program(number: int, channel: int = 1) -> bytes:
    return bytes([0xC0 | channel - 1, number])


def bank(number: int, channel: int = 1) -> bytes:
    return bytes([0xB0 | channel - 1, 0, number])


def port(number: int) -> bytes:
    return bytes([0xFF, 0x21, 1, number])


def exclusive(message: str) -> bytes:
    """A system exclusive message from its bytes after F0, in hexadecimal."""
    body = bytes.fromhex(message)
    return bytes([0xF0, len(body)]) + body


GM_ON, GM_OFF, GM2_ON = (exclusive(f"7e 7f 09 0{kind} f7") for kind in (1, 2, 3))
GS_RESET, XG_ON = exclusive("41 10 42 12 40 00 7f 00 41 f7"), exclusive("43 10 4c 00 00 7e 00 f7")


def gs_rhythm(block: int, map_number: int) -> bytes:
    checksum = -(0x40 + 0x10 + block + 0x15 + map_number) % 128
    return exclusive(f"41 10 42 12 40 1{block:x} 15 {map_number:02x} {checksum:02x} f7")


def xg_part_mode(part: int, mode: int) -> bytes:
    return exclusive(f"43 10 4c 08 {part:02x} 07 {mode:02x} f7")


def notes(*pitches: int, channel: int = 1, at: int = 0) -> list[Event]:
    """A note of 60 ticks every 120 ticks."""
    begins = [(at + 120 * index, pitch) for index, pitch in enumerate(pitches)]
    kinds = ((0, bytes([0x90 | channel - 1]), 80), (60, bytes([0x80 | channel - 1]), 64))
    return [
        (begin + after, status + bytes([pitch, value])) for begin, pitch in begins for after, status, value in kinds
    ]


def sounds(score: Score) -> dict[int, int | str]:
    """The program of each pitch; "drum" for drums."""
    columns = zip(score.pitch.tolist(), score.program.tolist(), score.drum.tolist())
    return {pitch: "drum" if drum else number for pitch, number, drum in columns}


class TestPrograms:
    @pytest.mark.parametrize("order", [1, -1], ids=["first", "last"])
    def test_a_set_up_track_sets_the_programs_of_the_other_tracks(self, order: int, file_of: FileOf) -> None:
        tracks = [[(0, program(40, 1)), (0, program(32, 2))], notes(60, 62), notes(48, 50, channel=2)]
        assert sounds(read_score(file_of(*tracks[::order]))) == {60: 40, 62: 40, 48: 32, 50: 32}

    def test_a_program_holds_from_its_tick_on_wherever_it_is(self, file_of: FileOf) -> None:
        changes = [(0, program(40)), (120, program(41)), (250, program(42))]
        assert sounds(read_score(file_of(notes(60, 61, 62, 63), changes))) == {60: 40, 61: 41, 62: 41, 63: 42}

    def test_a_program_after_the_note_at_its_tick_is_for_the_next_one(self, file_of: FileOf) -> None:
        first, last, *rest = notes(60, 61)
        assert sounds(read_score(file_of([first, (0, program(40)), last, *rest]))) == {60: 0, 61: 40}

    def test_tracks_that_share_a_channel_and_set_it_at_one_tick_keep_their_own(self, file_of: FileOf) -> None:
        tracks = ([(0, program(24)), *notes(60, 61)], [(0, program(33)), *notes(40, 41)], [(0, program(56))], notes(70))
        assert sounds(read_score(file_of(*tracks))) == {60: 24, 61: 24, 40: 33, 41: 33, 70: 56}

    def test_but_a_later_change_is_for_all_of_them(self, file_of: FileOf) -> None:
        tracks = ([(0, program(24)), *notes(60, 61, 62)], [(0, program(33)), (120, program(34)), *notes(41, at=120)])
        assert sounds(read_score(file_of(*tracks))) == {60: 24, 61: 34, 62: 34, 41: 34}

    def test_the_sequences_of_type_2_know_nothing_of_each_other(self, file_of: FileOf) -> None:
        setup = [(0, XG_ON), (0, bank(127)), (0, program(40)), (0, program(32, 2))]
        tracks = ([*setup, *notes(60)], notes(61), [(0, program(56, 2)), *notes(62, channel=2), (180, program(9, 2))])
        assert sounds(read_score(file_of(*tracks, kind=2))) == {60: "drum", 61: 0, 62: 56}

    def test_a_reset_sets_all_channels_back(self, file_of: FileOf) -> None:
        track = [(0, program(40)), (0, program(32, 2)), *notes(60), (100, GM_ON), *notes(61, at=120)]
        assert sounds(read_score(file_of(track, notes(62, channel=2, at=120)))) == {60: 40, 61: 0, 62: 0}

    def test_resets_come_before_what_is_set_at_their_tick(self, file_of: FileOf) -> None:
        tracks = ([(0, program(40)), *notes(60, 61)], [(0, GM_ON), (0, XG_ON)])
        assert sounds(read_score(file_of(*tracks))) == {60: 40, 61: 40}


class TestDrums:
    @pytest.mark.parametrize("number", [126, 127])
    def test_a_drum_bank_of_xg(self, number: int, file_of: FileOf) -> None:
        track = [(0, XG_ON), (0, bank(number)), (0, program(25)), *notes(36), *notes(60, channel=2, at=200)]
        score = read_score(file_of(track))
        assert sounds(score) == {36: "drum", 60: 0}
        assert score.program.tolist() == [25, 0]

    @pytest.mark.parametrize("system", [None, GM_ON, GM_OFF, GS_RESET, GM2_ON])
    def test_it_says_nothing_in_another_system(self, system: bytes | None, file_of: FileOf) -> None:
        # on GS it is the instruments of the MT-32
        greeting = [(0, XG_ON), (10, system)] if system else []
        track = [*greeting, (20, bank(127)), (20, program(25)), *notes(36, at=20)]
        assert sounds(read_score(file_of(track))) == {36: 25}

    def test_a_bank_is_that_of_the_next_program(self, file_of: FileOf) -> None:
        track = [(0, XG_ON), (0, bank(127)), *notes(60), (120, program(8)), *notes(36, at=120)]
        track += [(200, bank(0)), *notes(38, at=200), (300, program(9)), *notes(61, at=300)]
        assert sounds(read_score(file_of(track))) == {60: 0, 36: "drum", 38: "drum", 61: 9}

    def test_the_drum_channel_of_xg_stays_one_in_bank_0(self, file_of: FileOf) -> None:
        # as real files have it
        track = [(0, XG_ON), (0, bank(0, 10)), (0, program(8, 10)), *notes(36, 38, channel=10)]
        assert sounds(read_score(file_of(track))) == {36: "drum", 38: "drum"}

    @pytest.mark.parametrize(("mode", "sound"), [(0, 8), (1, "drum"), (2, "drum"), (3, "drum")])
    @pytest.mark.parametrize("channel", [1, 10, 16])
    def test_the_part_mode_of_xg(self, mode: int, sound: int | str, channel: int, file_of: FileOf) -> None:
        track = [(0, xg_part_mode(channel - 1, mode)), (0, program(8, channel)), *notes(36, channel=channel)]
        assert sounds(read_score(file_of(track))) == {36: sound}

    @pytest.mark.parametrize(("number", "sound"), [(0, 8), (1, "drum"), (2, "drum")])
    @pytest.mark.parametrize(("block", "channel"), [(1, 1), (9, 9), (0, 10), (0xA, 11), (0xF, 16)])
    def test_the_rhythm_part_of_gs(
        self, number: int, sound: int | str, block: int, channel: int, file_of: FileOf
    ) -> None:
        track = [(0, GS_RESET), (0, gs_rhythm(block, number)), (0, program(8, channel)), *notes(36, channel=channel)]
        other = 12 if channel != 12 else 13
        assert sounds(read_score(file_of(track, notes(60, channel=other)))) == {36: sound, 60: 0}

    def test_it_needs_no_reset_and_holds_from_its_tick_on(self, file_of: FileOf) -> None:
        changes = [(100, gs_rhythm(1, 1)), (220, gs_rhythm(1, 0))]
        assert sounds(read_score(file_of(notes(60, 36, 61), changes))) == {60: 0, 36: "drum", 61: 0}

    @pytest.mark.parametrize(
        ("number", "channel", "sound"), [(120, 1, "drum"), (121, 1, 8), (121, 10, 8), (0, 10, "drum")]
    )
    def test_the_banks_of_gm2(self, number: int, channel: int, sound: int | str, file_of: FileOf) -> None:
        track = [(0, GM2_ON), (0, bank(number, channel)), (0, program(8, channel)), *notes(36, channel=channel)]
        assert sounds(read_score(file_of(track))) == {36: sound}

    @pytest.mark.parametrize("number", [120, 121])
    def test_they_say_nothing_without_gm2(self, number: int, file_of: FileOf) -> None:
        track = [(0, bank(number, channel)) for channel in (1, 10)]
        track += [(0, program(8, channel)) for channel in (1, 10)]
        assert sounds(read_score(file_of([*track, *notes(60)], notes(36, channel=10)))) == {60: 8, 36: "drum"}

    @pytest.mark.parametrize("device", [0, 0x0F])
    def test_any_device_number_will_do_and_the_end_mark_may_be_missing(self, device: int, file_of: FileOf) -> None:
        system, escaped = exclusive(f"43 1{device:x} 4c 00 00 7e 00"), bytes([0xF7, 9]) + XG_ON[:1] + XG_ON[2:]
        for message in (system, escaped):
            track = [(0, message), (0, bank(127)), (0, program(0)), *notes(36)]
            assert sounds(read_score(file_of(track))) == {36: "drum"}

    @pytest.mark.parametrize(
        "message",
        [
            "43 10 4c 00 00 7d 00 f7",  # another address
            "43 30 4c 00 00 7e 00 f7",  # a request
            "43 10 4c f7",
            "41 10 16 12 40 11 15 02 18 f7",  # another model
            "41 10 42 11 40 11 15 02 18 f7",  # a request
            "7e 7f 06 01 f7",
            "7e f7",
            "f7",
        ],
    )
    def test_other_messages_say_nothing(self, message: str, file_of: FileOf) -> None:
        track = [(0, exclusive(message)), (0, bank(127)), (0, program(8)), *notes(60)]
        assert sounds(read_score(file_of(track))) == {60: 8}

    def test_a_hanging_hit_of_any_drum_channel_takes_no_time(self, file_of: FileOf) -> None:
        score = read_score(file_of([(0, gs_rhythm(1, 1)), *notes(36)[:1], (400, program(0))]))
        assert score.length.tolist() == [0]

    def test_the_pedal_is_for_melody(self, file_of: FileOf) -> None:
        down, up = (0, b"\xb0\x40\x7f"), (400, b"\xb0\x40\x00")
        switched = [(0, gs_rhythm(1, 1)), down, *notes(36), up]
        melody = [(0, gs_rhythm(0, 0)), (0, b"\xb9\x40\x7f"), *notes(60, channel=10), (400, b"\xb9\x40\x00")]
        assert read_score(file_of(switched)).sustained is None
        score = read_score(file_of(melody))
        assert score.sustained is not None
        assert score.sustained.tolist() == [400]


class TestPorts:
    def test_a_channel_is_another_one_on_another_port(self, file_of: FileOf) -> None:
        tracks = (
            [(0, program(40)), *notes(60)],
            [(0, port(1)), *notes(61)],
            [(0, port(1)), (0, program(41, 2))],
            [(0, port(2)), *notes(36, channel=10)],
            [(0, port(1)), *notes(62, channel=2)],
        )
        assert sounds(read_score(file_of(*tracks))) == {60: 40, 61: 0, 36: "drum", 62: 41}

    def test_so_are_its_drums(self, file_of: FileOf) -> None:
        tracks = ([(0, port(3)), (0, gs_rhythm(1, 1)), *notes(36)], notes(60))
        assert sounds(read_score(file_of(*tracks))) == {36: "drum", 60: 0}

    def test_the_parts_of_xg_from_17_on_are_those_of_the_next_port(self, file_of: FileOf) -> None:
        tracks = ([(0, xg_part_mode(16, 1)), *notes(60)], [(0, port(1)), *notes(36)])
        assert sounds(read_score(file_of(*tracks))) == {60: 0, 36: "drum"}

    def test_a_reset_is_for_all_ports(self, file_of: FileOf) -> None:
        drums = [(0, port(1)), (0, bank(127)), (0, program(0)), *notes(36)]
        assert sounds(read_score(file_of([(0, XG_ON)], drums))) == {36: "drum"}

    def test_the_first_port_of_a_track_holds_for_its_set_up(self, file_of: FileOf) -> None:
        tracks = ([(0, program(40)), (0, port(1)), *notes(60)], [(0, port(0)), *notes(61)])
        assert sounds(read_score(file_of(*tracks))) == {60: 40, 61: 0}

    def test_but_not_for_notes_nor_where_all_ports_are_in_one_track(self, file_of: FileOf) -> None:
        begun = [(0, program(40)), *notes(60), (100, port(1)), *notes(61, at=120)]
        assert sounds(read_score(file_of(begun, notes(62)))) == {60: 40, 61: 0, 62: 40}
        alone = [(0, program(40)), (0, port(1)), (0, program(41)), *notes(61), (100, port(0)), *notes(60, at=120)]
        assert sounds(read_score(file_of(alone, kind=0))) == {60: 40, 61: 41}

    def test_a_note_off_is_for_notes_of_its_port(self, file_of: FileOf) -> None:
        on, off = b"\x90\x3c\x50", b"\x80\x3c\x40"
        track = [(0, port(0)), (0, on), (10, port(1)), (10, on), (30, off), (50, port(0)), (50, off)]
        assert read_score(file_of(track)).length.tolist() == [50, 20]

    def test_all_notes_off_and_the_pedal_are_for_their_port(self, file_of: FileOf) -> None:
        held = [(0, b"\xb0\x40\x7f"), *notes(60), (400, b"\xb0\x40\x00")]
        other = [(0, port(1)), *notes(61), (400, b"\xb0\x7b\x00")]
        score = read_score(file_of(held, other))
        assert score.sustained is not None
        assert dict(zip(score.pitch.tolist(), score.sustained.tolist())) == {60: 400, 61: 60}

    def test_the_same_pitch_on_another_port_ends_no_sound(self, file_of: FileOf) -> None:
        held = [(0, b"\xb0\x40\x7f"), *notes(60), (400, b"\xb0\x40\x00")]
        score = read_score(file_of(held, [(0, port(1)), *notes(60, at=120)]))
        assert score.sustained is not None
        assert score.sustained.tolist() == [400, 60]

    @pytest.mark.parametrize("event", [b"\xff\x21\x01\x80", b"\xff\x21\x00", b"\xff\x21\x02\x01\x01"])
    def test_a_port_that_is_none_is_left_out(self, event: bytes, file_of: FileOf) -> None:
        tracks = ([(0, program(40)), (0, program(41, 2))], [(0, event), *notes(60, channel=2)])
        assert sounds(read_score(file_of(*tracks))) == {60: 41}


@dataclass(frozen=True)
class Setting:
    """An event of the property below: `what` and its value, on a voice."""

    tick: int
    what: str
    value: int
    voice: tuple[int, int]
    """Port and channel."""


SETTINGS = st.builds(
    Setting,
    st.integers(0, 3).map(lambda beat: 120 * beat),
    st.sampled_from(["program", "program", "bank", "rhythm", "reset", "note", "note"]),
    st.sampled_from([0, 1, 2, 120, 121, 127]),
    st.tuples(st.sampled_from([0, 0, 1]), st.sampled_from([1, 1, 2, 10])),
)
RESETS = {0: GM_ON, 1: GM2_ON, 2: XG_ON, 120: XG_ON, 121: GS_RESET, 127: GM2_ON}
SYSTEMS = {GM_ON: "gm", GM2_ON: "gm2", XG_ON: "xg", GS_RESET: "gs"}
Place = tuple[int, int, int]
"""Tick, track, index in the track."""


def specified(tracks: Sequence[Sequence[Setting]]) -> dict[int, int | str]:
    """The sounds of all notes; a note's pitch is its number. Message by message, with all states written down."""
    events = [((setting.tick, k, i), setting) for k, track in enumerate(tracks) for i, setting in enumerate(track)]
    rank = {"reset": 0, "rhythm": 1}
    states: dict[tuple[int, int], list[tuple[Place, int | str]]] = {}
    channels: dict[tuple[int, int], dict[str, Any]] = {}
    system = ""

    def fresh(voice: tuple[int, int]) -> dict[str, Any]:
        return {"program": 0, "sent": None, "bank": None, "rhythm": voice[1] == 10}

    def sound(state: dict[str, Any]) -> int | str:
        is_drum = state["rhythm"]
        if system == "xg":
            is_drum = is_drum or state["bank"] in (126, 127)
        if system == "gm2" and state["bank"] in (120, 121):
            is_drum = state["bank"] == 120
        return "drum" if is_drum else int(state["program"])

    for place, setting in sorted(events, key=lambda event: (event[0][0], rank.get(event[1].what, 2), event[0])):
        state = channels.setdefault(setting.voice, fresh(setting.voice))
        common = (setting.tick, -1, -1)
        if setting.what == "reset":
            system = SYSTEMS[RESETS[setting.value]]
            for voice in channels:
                channels[voice] = fresh(voice)
                states.setdefault(voice, []).append((common, sound(channels[voice])))
        elif setting.what == "rhythm":
            state.update(rhythm=setting.value > 0, bank=None)
            states.setdefault(setting.voice, []).append((common, sound(state)))
        elif setting.what == "bank":
            state["sent"] = setting.value
        elif setting.what == "program":
            state.update(program=setting.value, bank=state["sent"])
            states.setdefault(setting.voice, []).append((place, sound(state)))

    found: dict[int, int | str] = {}
    for (tick, track, index), setting in events:
        if setting.what != "note":
            continue
        changes = [
            (at, to)
            for at, to in states.get(setting.voice, [])
            if at[0] <= tick and not (at[:2] == (tick, track) and at[2] > index)
        ]
        last = max((at[0] for at, _ in changes), default=None)
        there = [(at, to) for at, to in changes if at[0] == last]
        own = [(at, to) for at, to in there if at[1] == track]
        default: int | str = "drum" if setting.voice[1] == 10 else 0
        found[len(found)] = (own or there or [((0, 0, 0), default)])[-1][1]
    return found


def as_bytes(setting: Setting, pitch: int) -> bytes:
    channel = setting.voice[1]
    return {
        "program": program(setting.value, channel),
        "bank": bank(setting.value, channel),
        "rhythm": xg_part_mode(channel - 1, setting.value),
        "reset": RESETS[setting.value],
        "note": bytes([0x90 | channel - 1, pitch, 80]),
    }[setting.what]


@given(drawn=st.lists(st.lists(SETTINGS, max_size=10), min_size=2, max_size=4))
def test_every_note_sounds_as_specified_message_by_message(drawn: list[list[Setting]], file_of: FileOf) -> None:
    tracks = [sorted(track, key=lambda setting: setting.tick) for track in drawn]
    expected = specified(tracks)
    files: list[list[Event]] = []
    pitch = 0
    for track in tracks:
        events: list[Event] = []
        for setting in track:
            # Every event says its port first; the track's first port event has nothing before it.
            events += [(setting.tick, port(setting.voice[0])), (setting.tick, as_bytes(setting, pitch))]
            pitch += setting.what == "note"
        files.append(events)
    if expected:
        assert sounds(read_score(file_of(*files))) == expected
