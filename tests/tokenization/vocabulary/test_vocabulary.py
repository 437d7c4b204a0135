"""The vocabulary: every id of MuseNet's table, the text form with its errors, and vocabularies as data."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.encodings import get_encoding
from tokenization.vocabulary import Vocabulary, VocabularyError, pitch_name, style_label
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

PLAIN = Vocabulary.load("musenet")
GENERAL_MIDI = Vocabulary.load("general_midi", ["bach", "chopin", "jazz"])
LABELS = st.text().map(style_label).filter(bool)


def with_merges(vocabulary: Vocabulary) -> Vocabulary:
    """With two learned tokens: C4 of row 1 and a wait of 12, and those with the C4 of row 0."""
    first = vocabulary.learned_base
    return replace(
        vocabulary, learned=LearnedTokens(LearnedKind.MERGE, ((128 + 60, vocabulary.wait_base + 12), (first, 60)))
    )


def with_chords(vocabulary: Vocabulary) -> Vocabulary:
    """With two learned tokens: C4 and E4 of rows 0 and 1, and silence."""
    return replace(vocabulary, learned=LearnedTokens(LearnedKind.CHORD, ((60, 128 + 64), ())))


ALL_KINDS = [
    change(vocabulary) for vocabulary in (PLAIN, GENERAL_MIDI) for change in (replace, with_merges, with_chords)
]
KIND_NAMES = [f"{each.name}-{len(each.learned)} {each.learned.kind}s" for each in ALL_KINDS]


# MuseNet's ids, with three styles: bach, chopin and jazz.
TABLE = {
    # piano: row 0 is the note-off, rows 1–13 the velocities 24, 32 … 120
    0: "piano:v0:C-1",
    60: "piano:v0:C4",
    127: "piano:v0:G9",
    128 + 60: "piano:v24:C4",
    2 * 128 + 60: "piano:v32:C4",
    3 * 128 + 60: "piano:v40:C4",
    4 * 128 + 60: "piano:v48:C4",
    5 * 128 + 60: "piano:v56:C4",
    6 * 128 + 60: "piano:v64:C4",
    7 * 128 + 60: "piano:v72:C4",
    8 * 128 + 60: "piano:v80:C4",
    9 * 128 + 60: "piano:v88:C4",
    10 * 128 + 60: "piano:v96:C4",
    11 * 128 + 60: "piano:v104:C4",
    12 * 128 + 60: "piano:v112:C4",
    13 * 128 + 60: "piano:v120:C4",
    # the others: on, then off
    14 * 128 + 67: "violin:v80:G4",
    15 * 128 + 67: "violin:v0:G4",
    16 * 128 + 48: "cello:v80:C3",
    17 * 128 + 48: "cello:v0:C3",
    18 * 128 + 36: "bass:v80:C2",
    19 * 128 + 36: "bass:v0:C2",
    20 * 128 + 52: "guitar:v80:E3",
    21 * 128 + 52: "guitar:v0:E3",
    22 * 128 + 81: "flute:v80:A5",
    23 * 128 + 81: "flute:v0:A5",
    24 * 128 + 70: "clarinet:v80:A#4",
    25 * 128 + 70: "clarinet:v0:A#4",
    26 * 128 + 66: "trumpet:v80:F#4",
    27 * 128 + 66: "trumpet:v0:F#4",
    28 * 128 + 62: "harp:v80:D4",
    29 * 128 + 62: "harp:v0:D4",
    3839: "harp:v0:G9",
    # drums have no note-off
    3840: "drums:v80:C-1",
    3840 + 36: "drums:v80:C2",
    3967: "drums:v80:G9",
    # waits of 1 to 128 ticks
    3968: "wait:1",
    3979: "wait:12",
    4095: "wait:128",
    4096: "start",
    4097: "end",
    4098: "end_sample",
    # instrumentation: 4098 + drums 1, winds 2, harp 4, guitar 8, bass 16, strings 32, piano 64
    4098 + 1: "drums",
    4098 + 2: "winds",
    4098 + 4: "harp",
    4098 + 8: "guitar",
    4098 + 16: "bass",
    4098 + 32: "strings",
    4098 + 64: "piano",
    4098 + 64 + 32: "piano_strings",
    4098 + 64 + 16 + 1: "piano_bass_drums",
    4098 + 32 + 2: "strings_winds",
    4225: "piano_strings_bass_guitar_harp_winds_drums",
    # 512 slots for styles, tempo buckets, specials
    4226: "bach",
    4227: "chopin",
    4228: "jazz",
    4229: "style#3",
    4226 + 511: "style#511",
    4738: "tempo20",
    4738 + 7: "tempo90",
    4738 + 10: "tempo120",
    4738 + 22: "tempo240",
    4761: "pad",
    4762: "no_style",
    4763: "no_instrumentation",
}


class TestIds:
    @pytest.mark.parametrize(("token", "text"), TABLE.items())
    def test_the_ids_of_musenet(self, token: int, text: str, vocabulary: Vocabulary) -> None:
        assert vocabulary.to_text([token]) == text
        assert vocabulary.from_text(text).tolist() == [token]

    def test_the_blocks_join_without_gaps(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.note_end == 3968
        assert vocabulary.wait_base == 3967
        assert (vocabulary.start, vocabulary.end, vocabulary.end_sample) == (4096, 4097, 4098)
        assert vocabulary.instrumentation_base == 4098
        assert vocabulary.style_base == 4226
        assert vocabulary.tempo_base == 4738
        assert vocabulary.group_bits.tolist() == [64, 32, 32, 16, 8, 2, 2, 2, 4, 1]
        assert (vocabulary.pad, vocabulary.no_style, vocabulary.no_instrumentation) == (4761, 4762, 4763)
        assert vocabulary.learned_base == vocabulary.size == len(vocabulary.names) == 4764

    @pytest.mark.parametrize("row", range(31))
    def test_a_row_is_128_pitches_of_one_velocity(self, row: int, vocabulary: Vocabulary) -> None:
        heads = {vocabulary.names[token].rpartition(":")[0] for token in range(128 * row, 128 * row + 128)}
        instrument = vocabulary.instruments[vocabulary.row_instrument[row]].name
        assert heads == {f"{instrument}:v{vocabulary.row_velocity[row]}"}

    def test_note_offs(self, vocabulary: Vocabulary) -> None:
        names = [instrument.name for instrument in vocabulary.instruments]
        assert dict(zip(names, vocabulary.off_row.tolist())) == {
            "piano": 0,
            "violin": 15,
            "cello": 17,
            "bass": 19,
            "guitar": 21,
            "flute": 23,
            "clarinet": 25,
            "trumpet": 27,
            "harp": 29,
            "drums": -1,
        }

    def test_a_tick_is_a_96th_of_a_second_or_a_48th_of_a_beat(self, vocabulary: Vocabulary) -> None:
        assert (vocabulary.ticks_per_second, vocabulary.ticks_per_beat) == (96, 48)


# `general_midi`, with the same three styles: 16 families of 9 rows, drums with 8.
GENERAL_MIDI_TABLE = {
    0: "piano:v16:C-1",
    60: "piano:v16:C4",
    3 * 128 + 60: "piano:v64:C4",
    7 * 128 + 127: "piano:v127:G9",
    8 * 128 + 60: "piano:v0:C4",
    9 * 128 + 60: "mallets:v16:C4",
    15 * 9 * 128 + 60: "sounds:v16:C4",
    15 * 9 * 128 + 8 * 128 + 60: "sounds:v0:C4",
    144 * 128 + 36: "drums:v16:C2",
    151 * 128 + 36: "drums:v127:C2",
    19455: "drums:v127:G9",
    19456: "wait:1",
    19583: "wait:128",
    19584: "start",
    19585: "end",
    19586: "end_sample",
    19586 + 1: "drums",
    19586 + 4096: "piano",
    19586 + 4096 + 128: "piano_strings",
    19586 + 8191: "piano_mallets_organ_guitar_bass_strings_brass_reed_pipe_synth_world_sounds_drums",
    27778: "bach",
    27780: "jazz",
    27781: "style#3",
    27778 + 1023: "style#1023",
    28802: "tempo20",
    28870: "tempo294",
    28871: "pad",
    28872: "no_style",
    28873: "no_instrumentation",
}


class TestGeneralMidi:
    @pytest.mark.parametrize(("token", "text"), GENERAL_MIDI_TABLE.items())
    def test_its_ids(self, token: int, text: str) -> None:
        assert GENERAL_MIDI.to_text([token]) == text
        assert GENERAL_MIDI.from_text(text).tolist() == [token]

    def test_all_families_have_a_note_off_and_drums_have_none(self) -> None:
        assert GENERAL_MIDI.size == 28874
        assert GENERAL_MIDI.off_row.tolist() == [*range(8, 144, 9), -1]

    def test_it_has_thirteen_switches(self) -> None:
        assert len(GENERAL_MIDI.groups) == 13
        assert GENERAL_MIDI.group_mask(["strings"]) == GENERAL_MIDI.group_mask(["ensemble"])
        assert GENERAL_MIDI.group_mask(["lead", "pad", "effects"]) == GENERAL_MIDI.group_mask(["synth"])

    def test_a_tempo_is_met_within_a_thirtieth(self) -> None:
        tempos = np.linspace(20, 294, 2000)
        met = np.array([GENERAL_MIDI.tempo_of(GENERAL_MIDI.tempo_id(tempo)) for tempo in tempos])
        assert np.abs(met / tempos - 1).max() <= 1 / 30


class TestEveryId:
    """Both vocabularies, without learned tokens, with merges and with chords."""

    @pytest.mark.parametrize("each", ALL_KINDS, ids=KIND_NAMES)
    def test_has_a_text_of_its_own_that_reads_back(self, each: Vocabulary) -> None:
        ids = np.arange(each.size)
        assert len(set(each.names)) == len(each.names) == each.size
        assert not any(name.isdecimal() for name in each.names)
        assert each.from_text(each.to_text(ids)).tolist() == ids.tolist()

    @pytest.mark.parametrize("each", ALL_KINDS, ids=KIND_NAMES)
    def test_can_be_written_as_a_number(self, each: Vocabulary) -> None:
        ids = np.arange(each.size)
        assert each.from_text(" ".join(map(str, ids))).tolist() == ids.tolist()

    @given(data=st.data())
    def test_text_and_ids_say_the_same(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(ALL_KINDS))
        tokens = data.draw(st.lists(st.integers(0, each.size - 1)))
        assert each.from_text(each.to_text(tokens)).tolist() == tokens


class TestSavedFromTheService:
    """MuseNet's service took and gave ids as numbers. Its styles and tempos had ids that we do not know by name."""

    def test_ids_without_a_name_of_ours_are_named_by_their_slot(self) -> None:
        saved = "4231 4194 4096 4250 927 1859 3876 3979 31 4095 1987 4097"
        assert PLAIN.to_text(PLAIN.from_text(saved)) == (
            "style#5 piano_strings start style#24 piano:v72:G1 violin:v80:G4 drums:v80:C2 wait:12 piano:v0:G1 "
            "wait:128 violin:v0:G4 end"
        )

    def test_the_music_is_the_same_whatever_its_style_and_tempo(self) -> None:
        combined = get_encoding("combined", PLAIN)
        for style, tempo in itertools.product((4226, 4231, 4737), (4227, 4250, 4700)):
            notes = combined.decode(PLAIN.from_text(f"{style} 4194 4096 {tempo} 927 3979 31 3876 4097"))
            # A piano's G1 for 12 ticks of a 96th of a second, then a bass drum.
            assert notes.pitch.tolist() == [31, 36]
            assert notes.onset.tolist() == [0, 0.125]
            assert notes.duration[0] == 0.125
            assert notes.drum.tolist() == [False, True]

    @given(st.lists(st.integers(0, 4762), max_size=40))
    def test_any_ids_decode(self, ids: list[int]) -> None:
        tokens = PLAIN.from_text(" ".join(map(str, ids)))
        assert tokens.tolist() == ids
        get_encoding("combined", PLAIN).decode(tokens)

    def test_a_style_named_like_a_number_hides_no_id(self) -> None:
        vocabulary = Vocabulary.load("musenet", ["1980"])
        assert vocabulary.from_text("1980").tolist() == [1980]
        assert vocabulary.from_text("style:1980").tolist() == [vocabulary.style_id("1980")] == [4226]


class TestStyles:
    def test_styles_are_sorted_and_said_once(self) -> None:
        assert Vocabulary.load("musenet", styles=["jazz", "bach", "jazz"]).styles == ("bach", "jazz")

    def test_new_styles_come_after_those_there_are(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.with_styles(["satie", "abba", "bach"]).styles == ("bach", "chopin", "jazz", "abba", "satie")

    @pytest.mark.parametrize("each", ALL_KINDS, ids=KIND_NAMES)
    def test_a_new_style_takes_a_free_slot_and_moves_nothing(self, each: Vocabulary) -> None:
        more = each.with_styles(["satie"])
        slot = each.style_base + len(each.styles)
        assert (each.names[slot], more.names[slot]) == (f"style#{len(each.styles)}", "satie")
        assert [*more.names[:slot], *more.names[slot + 1 :]] == [*each.names[:slot], *each.names[slot + 1 :]]

    def test_nothing_new_is_the_same_vocabulary(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.with_styles([]) == vocabulary.with_styles(["jazz", "bach"]) == vocabulary

    @given(st.lists(st.lists(LABELS, max_size=4), max_size=4))
    def test_no_style_ever_gets_another_id(self, additions: list[list[str]]) -> None:
        vocabulary, given_ids = PLAIN, dict[str, int]()
        for styles in additions:
            vocabulary = vocabulary.with_styles(styles)
            ids = {style: vocabulary.style_id(style) for style in vocabulary.styles}
            assert given_ids.items() <= ids.items()
            given_ids = ids
        assert sorted(given_ids.values()) == [*range(4226, 4226 + len(given_ids))]
        assert vocabulary.fixed_digest == PLAIN.fixed_digest

    def test_all_slots_can_be_filled(self) -> None:
        full = Vocabulary.load("musenet", [f"style_{number}" for number in range(512)])
        assert (full.style_id(full.styles[-1]), full.tempo_base, full.size) == (4737, 4738, 4764)
        with pytest.raises(VocabularyError, match="512 slots for styles, not 513"):
            full.with_styles(["one_more"])

    def test_no_style_is_a_token_too(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.style_id(None) == vocabulary.no_style

    def test_an_unknown_style_is_refused_with_those_that_exist(self, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=r"no style 'abba'.*bach, chopin, jazz"):
            vocabulary.style_id("abba")
        with pytest.raises(VocabularyError, match=r"\(none\)"):
            Vocabulary.load("musenet").style_id("bach")

    @pytest.mark.parametrize(
        ("text", "label"),
        [("Bach", "bach"), ("Folk Rock", "folk_rock"), ("  R&B / Soul ", "r_b_soul"), ("1980s", "1980s"), ("???", "")],
    )
    def test_labels(self, text: str, label: str) -> None:
        assert style_label(text) == label

    @given(st.text())
    def test_a_label_is_its_own_label(self, text: str) -> None:
        assert style_label(style_label(text)) == style_label(text)


class TestTempo:
    @pytest.mark.parametrize(
        ("tempo", "text"), [(90, "tempo90"), (94.9, "tempo90"), (95.1, "tempo100"), (1, "tempo20"), (9999, "tempo240")]
    )
    def test_the_nearest_bucket(self, tempo: float, text: str, vocabulary: Vocabulary) -> None:
        assert vocabulary.names[vocabulary.tempo_id(tempo)] == text

    def test_only_tempo_tokens_have_a_tempo(self, vocabulary: Vocabulary) -> None:
        tempos = {token: tempo for token in range(vocabulary.size) if (tempo := vocabulary.tempo_of(token)) is not None}
        assert tempos == {4738 + i: 20 + 10 * i for i in range(23)}


class TestInstrumentation:
    def test_a_mask_is_made_of_groups_or_instruments(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.group_mask(["piano", "strings"]) == 96
        assert vocabulary.group_mask(["piano", "violin", "cello"]) == 96
        assert vocabulary.group_mask([]) == 0

    def test_winds_are_flute_clarinet_and_trumpet(self, vocabulary: Vocabulary) -> None:
        assert [vocabulary.group_mask([name]) for name in ("flute", "clarinet", "trumpet")] == [2, 2, 2]

    def test_an_unknown_instrument_is_refused_with_those_that_exist(self, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=r"no instrument 'kazoo'.*piano.*violin"):
            vocabulary.group_mask(["piano", "kazoo"])

    @pytest.mark.parametrize("mask", range(1, 128))
    def test_ids_and_names_of_all_sets(self, mask: int, vocabulary: Vocabulary) -> None:
        groups = vocabulary.groups_of_mask(mask)
        assert vocabulary.group_mask(groups) == mask
        assert vocabulary.instrumentation_id(mask) == 4098 + mask
        assert vocabulary.names[4098 + mask] == "_".join(groups)

    @pytest.mark.parametrize("mask", [-1, 0, 128])
    def test_there_is_no_other_set(self, mask: int, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=f"the mask {mask} is not an instrumentation"):
            vocabulary.instrumentation_id(mask)


class TestText:
    def test_musenets_own_example(self, vocabulary: Vocabulary) -> None:
        text = "bach piano_strings start tempo90 piano:v72:G1 piano:v72:G2 wait:12 piano:v0:B5"
        tokens = vocabulary.from_text(text)
        assert tokens.tolist() == [4226, 4194, 4096, 4745, 7 * 128 + 31, 7 * 128 + 43, 3979, 83]
        assert tokens.dtype == np.uint16
        assert vocabulary.to_text(tokens) == text

    def test_numbers_are_ids_and_any_space_separates(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.from_text(" 4226\n4096\tstart  0 ").tolist() == [4226, 4096, 4096, 0]

    def test_nothing(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.from_text("").tolist() == []
        assert vocabulary.to_text([]) == ""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "bach piano start tempo90 pianoo:v72:C4",
                "token 4: 'pianoo:v72:C4' is not known; nearest: 'piano:v72:C4'",
            ),
            ("start wait:129", "token 1: 'wait:129' is not known; nearest: 'wait:"),
            ("chopan", "token 0: 'chopan' is not known; nearest: 'chopin'"),
            ("start tempo95", "token 1: 'tempo95' is not known; nearest: 'tempo90'"),
            ("start end 4764", "token 2: id 4764 is outside 0–4763"),
            ("12345678901234567890", "token 0: id 1234567890 is outside 0–4763"),
            ("start -1", "token 1: '-1' is not known"),
            ("bach piano START", "token 2: 'START' is not known"),
            ("style#2", "token 0: 'style#2' is not known"),  # it is jazz
            ("style#512", "token 0: 'style#512' is not known; nearest: 'style#5"),
        ],
    )
    def test_an_error_names_the_position_the_bad_token_and_the_nearest(
        self, text: str, message: str, vocabulary: Vocabulary
    ) -> None:
        with pytest.raises(VocabularyError) as caught:
            vocabulary.from_text(text)
        assert str(caught.value).startswith(message)

    def test_the_first_bad_token_is_the_one_named(self, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=r"^token 1: 'one'"):
            vocabulary.from_text("start one two")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "start piano:v72:C4+wait:12+piano:v7:C4 two",
                "token 1, part 2: 'piano:v7:C4' is not known; nearest: 'piano:v72:C4'",
            ),
            ("+wait:12", "token 0, part 0: '' is not known"),
            (
                "start chord(piano:v72:C4+piano:v0:E44)",
                "token 1, part 1: 'piano:v0:E44' is not known; nearest: 'piano:v0:E4'",
            ),
            ("chord(pianoo:v0:C4)", "token 0, part 0: 'pianoo:v0:C4' is not known; nearest: 'piano:v"),
            (
                "start piano:v72:C4+wait:12",
                "token 1: 'piano:v72:C4+wait:12' is not one of the 2 learned tokens of this vocabulary",
            ),
            (
                "chord(piano:v0:C4)",
                "token 0: 'chord(piano:v0:C4)' is not one of the 2 learned tokens of this vocabulary",
            ),
        ],
    )
    def test_an_error_in_a_learned_token_names_the_part_too(
        self, text: str, message: str, vocabulary: Vocabulary
    ) -> None:
        for learned in (with_merges(vocabulary), with_chords(vocabulary)):
            with pytest.raises(VocabularyError) as caught:
                learned.from_text(text)
            assert str(caught.value).startswith(message)

    @given(before=st.lists(st.integers(0, 4762), max_size=10), bad=st.sampled_from(["x:y", "65536", "wait:0", "a+b"]))
    def test_the_position_counts_from_0(self, before: list[int], bad: str, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=rf"^token {len(before)}[:,]"):
            vocabulary.from_text(f"{vocabulary.to_text(before)} {bad} start nonsense")

    @pytest.mark.parametrize("token", [-1, 4764, 65535])
    def test_an_id_outside_the_vocabulary_has_no_text(self, token: int, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=f"token 1: id {token} is outside 0–4763"):
            vocabulary.to_text([4096, token])

    def test_a_style_named_like_another_token_is_marked(self) -> None:
        vocabulary = Vocabulary.load("musenet", styles=["bach", "piano", "start"])
        assert vocabulary.names[4226:4229] == ("bach", "style:piano", "style:start")
        assert vocabulary.from_text("style:piano piano start").tolist() == [4227, 4098 + 64, 4096]
        assert vocabulary.style_id("piano") == 4227

    @given(st.lists(LABELS, max_size=5))
    def test_any_label_can_be_a_style(self, styles: list[str]) -> None:
        vocabulary = Vocabulary.load("musenet", styles=styles)
        for style in vocabulary.styles:
            token = vocabulary.style_id(style)
            assert vocabulary.from_text(vocabulary.to_text([token])).tolist() == [token]


class TestData:
    def test_json_gives_back_the_same_vocabulary(self, vocabulary: Vocabulary) -> None:
        again = Vocabulary.from_json(vocabulary.to_json())
        assert again == vocabulary
        assert again.digest == vocabulary.digest
        assert again.to_json() == vocabulary.to_json()

    @given(styles=st.lists(LABELS, max_size=5))
    def test_json_gives_back_any_styles(self, styles: list[str]) -> None:
        vocabulary = Vocabulary.load("musenet", styles=styles)
        again = Vocabulary.from_json(vocabulary.to_json())
        assert again == vocabulary
        assert again.digest == vocabulary.digest

    def test_the_order_of_styles_given_does_not_matter(self) -> None:
        forth, back = (Vocabulary.load("musenet", styles=styles) for styles in (["a", "b"], ["b", "a"]))
        assert forth.digest == back.digest

    def test_another_meaning_of_any_id_is_another_digest(self, vocabulary: Vocabulary) -> None:
        digests = {Vocabulary.load("musenet", styles=styles).digest for styles in ([], ["bach"], ["bach", "jazz"])}
        slower = Vocabulary.from_dict({**vocabulary.to_dict(), "ticks_per_second": 48})
        assert len({*digests, vocabulary.digest, slower.digest}) == 5

    def test_the_digest_is_a_sha256_in_hexadecimal(self, vocabulary: Vocabulary) -> None:
        assert len(vocabulary.digest) == 64
        assert int(vocabulary.digest, 16) >= 0

    @pytest.mark.parametrize(
        ("name", "digest"),
        [
            ("musenet", "03e6b8c78c6b1acf7cb3e14d677c97916eb87e779cedc241a985a85661b42dc8"),
            ("general_midi", "80fa4d15ddd8ef4e6f516a7e544a81188e81dcd6a56f37e970fac9485edd7e3c"),
        ],
    )
    def test_the_vocabularies_of_the_package_never_change(self, name: str, digest: str) -> None:
        # Datasets and models carry these digests: with others, none of them can be read.
        assert Vocabulary.load(name).digest == Vocabulary.load(name).fixed_digest == digest

    @pytest.mark.parametrize(
        ("kind", "items", "digest", "fixed_digest"),
        [
            (
                LearnedKind.MERGE,
                ((128 + 60, 3967 + 12), (4764, 60)),
                "b1d0b1609bb328de4296c9461c8266a62d75f618259ae6992651666fc0592200",
                "d68ebef489a689575fe6257b23bd93b8bf7def7692103892d383fe2a8b71eeb8",
            ),
            (
                LearnedKind.CHORD,
                ((60, 128 + 64), ()),
                "47ac2145a1fc24d91916c4f9ba7d0dbbfa499eec787eb955abe0364c31114e57",
                "f1a81ed5d729c9c4016a51611e0e8294ddc8ebabcd172ba1e0b70f756e84c778",
            ),
        ],
    )
    def test_nor_do_those_with_styles_and_learned_tokens(
        self, kind: LearnedKind, items: tuple[tuple[int, ...], ...], digest: str, fixed_digest: str
    ) -> None:
        learned = replace(Vocabulary.load("musenet", ["bach", "jazz"]), learned=LearnedTokens(kind, items))
        assert (learned.digest, learned.fixed_digest) == (digest, fixed_digest)

    def test_only_styles_do_not_change_the_fixed_digest(self, vocabulary: Vocabulary) -> None:
        slower = Vocabulary.from_dict({**vocabulary.to_dict(), "ticks_per_beat": 24})
        fewer = Vocabulary.from_dict({**vocabulary.to_dict(), "style_slots": 511})
        others = [with_merges(vocabulary), with_chords(vocabulary), slower, fewer]
        assert vocabulary.fixed_digest == PLAIN.fixed_digest
        assert len({vocabulary.fixed_digest, *(other.fixed_digest for other in others)}) == 5

    def test_ranges_of_instruments_are_kept_and_change_no_digest(self, vocabulary: Vocabulary) -> None:
        data = vocabulary.to_dict()
        data["instruments"][1]["range"] = [50, 60]
        narrow = Vocabulary.from_dict(data)
        assert narrow.instruments[1].range == (50, 60)
        assert Vocabulary.from_json(narrow.to_json()).instruments[1].range == (50, 60)
        assert narrow == vocabulary
        assert narrow.digest == vocabulary.digest

    @pytest.mark.parametrize(
        ("pitch", "name"), [(0, "C-1"), (12, "C0"), (21, "A0"), (60, "C4"), (61, "C#4"), (69, "A4"), (127, "G9")]
    )
    def test_pitch_names(self, pitch: int, name: str) -> None:
        assert pitch_name(pitch) == name
