"""The vocabulary: every id of MuseNet's table, the text form with its errors, and vocabularies as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.vocabulary import (
    Vocabulary,
    VocabularyError,
    builtin_vocabularies,
    pitch_name,
    style_label,
)

TINY = """
name = "tiny"
ticks_per_second = 10
max_wait = 4
tempos = [60, 120]
groups = ["drums", "piano"]

[[instruments]]
name = "piano"
group = "piano"
output_program = 0
rows = [0, 64]

[[instruments]]
name = "drums"
group = "drums"
output_program = 0
drum = true
rows = [100]
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Vocabulary:
    (tmp_path / "tiny.toml").write_text(TINY)
    return Vocabulary.load(tmp_path / "tiny.toml", styles=["bach"])


def all_families(groups: int, piano_rows: int = 14) -> dict[str, Any]:
    """A vocabulary with the 16 families of General MIDI, 13 velocities each, and drums."""

    def family(index: int) -> dict[str, Any]:
        velocities = range(1, piano_rows) if index == 0 else range(24, 128, 8)
        claimed = {"programs": list(range(8 * index, 8 * index + 8))} if index else {}
        group = f"group{index % groups}"
        return {
            "name": f"family{index}",
            "group": group,
            "output_program": 8 * index,
            "rows": [0, *velocities],
        } | claimed

    drums = {"name": "drums", "group": f"group{groups - 1}", "output_program": 0, "rows": [80], "drum": True}
    return {
        "name": "families",
        "ticks_per_second": 96,
        "max_wait": 128,
        "tempos": [120],
        "groups": [f"group{index}" for index in range(groups)],
        "instruments": [*(family(index) for index in range(16)), drums],
        "styles": [],
    }


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
    # styles, tempo buckets, specials
    4226: "bach",
    4227: "chopin",
    4228: "jazz",
    4229: "tempo20",
    4229 + 7: "tempo90",
    4229 + 10: "tempo120",
    4229 + 22: "tempo240",
    4252: "pad",
    4253: "no_style",
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
        assert vocabulary.tempo_base == 4229
        assert vocabulary.group_bits.tolist() == [64, 32, 32, 16, 8, 2, 2, 2, 4, 1]
        assert (vocabulary.pad, vocabulary.no_style) == (4252, 4253)
        assert vocabulary.size == len(vocabulary.names) == 4254

    def test_every_id_has_a_text_of_its_own(self, vocabulary: Vocabulary) -> None:
        assert len(set(vocabulary.names)) == vocabulary.size
        assert not any(" " in name for name in vocabulary.names)

    def test_more_styles_move_only_what_comes_after_them(self, vocabulary: Vocabulary) -> None:
        more = Vocabulary.load("musenet", styles=[*vocabulary.styles, "satie"])
        assert more.names[:4229] == vocabulary.names[:4229]
        assert more.names[4229] == "satie"
        assert more.names[4230:] == vocabulary.names[4229:]

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

    def test_a_tick_is_a_96th_of_a_second(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.ticks_per_second == 96


class TestStyles:
    def test_styles_are_sorted_and_said_once(self) -> None:
        assert Vocabulary.load("musenet", styles=["jazz", "bach", "jazz"]).styles == ("bach", "jazz")

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
        assert tempos == {4229 + i: 20 + 10 * i for i in range(23)}


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
        with pytest.raises(VocabularyError, match=f"the mask {mask} has not"):
            vocabulary.instrumentation_id(mask)


class TestText:
    def test_musenets_own_example(self, vocabulary: Vocabulary) -> None:
        text = "bach piano_strings start tempo90 piano:v72:G1 piano:v72:G2 wait:12 piano:v0:B5"
        tokens = vocabulary.from_text(text)
        assert tokens.tolist() == [4226, 4194, 4096, 4236, 7 * 128 + 31, 7 * 128 + 43, 3979, 83]
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
            ("start end 4254", "token 2: id 4254 is outside 0–4253"),
            ("start -1", "token 1: '-1' is not known"),
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

    @pytest.mark.parametrize("token", [-1, 4254, 65535])
    def test_an_id_outside_the_vocabulary_has_no_text(self, token: int, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=f"token 1: id {token} is outside 0–4253"):
            vocabulary.to_text([4096, token])

    def test_a_style_named_like_another_token_is_marked(self) -> None:
        vocabulary = Vocabulary.load("musenet", styles=["bach", "piano", "start"])
        assert vocabulary.names[4226:4229] == ("bach", "style:piano", "style:start")
        assert vocabulary.from_text("style:piano piano start").tolist() == [4227, 4098 + 64, 4096]
        assert vocabulary.style_id("piano") == 4227

    @given(data=st.data())
    def test_text_and_ids_say_the_same(self, data: st.DataObject, vocabulary: Vocabulary) -> None:
        tokens = np.array(data.draw(st.lists(st.integers(0, vocabulary.size - 1))), np.uint16)
        assert vocabulary.from_text(vocabulary.to_text(tokens)).tolist() == tokens.tolist()

    @given(st.lists(st.text().map(style_label).filter(bool), max_size=5))
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

    @given(styles=st.lists(st.text().map(style_label).filter(bool), max_size=5))
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

    def test_musenets_vocabulary_never_changes(self) -> None:
        # Datasets and models carry this digest: with another one, none of them can be read.
        digest = "a80aa8386ff1b5effdc1c07d5a91e3f65dd2f5f507e29ca1c3bfc8fe59c34b85"
        assert Vocabulary.load("musenet").digest == digest

    def test_ranges_of_instruments_are_kept_and_change_no_digest(self, vocabulary: Vocabulary) -> None:
        data = vocabulary.to_dict()
        data["instruments"][1]["range"] = [50, 60]
        narrow = Vocabulary.from_dict(data)
        assert narrow.instruments[1].range == (50, 60)
        assert Vocabulary.from_json(narrow.to_json()).instruments[1].range == (50, 60)
        assert narrow == vocabulary
        assert narrow.digest == vocabulary.digest

    def test_builtin_vocabularies_are_listed(self) -> None:
        assert "musenet" in builtin_vocabularies()

    def test_a_name_that_does_not_exist_is_refused_with_those_that_do(self) -> None:
        with pytest.raises(VocabularyError, match=r"no vocabulary 'mozart'.*musenet"):
            Vocabulary.load("mozart")

    def test_a_second_vocabulary_is_a_file_and_no_code(self, tiny: Vocabulary) -> None:
        assert tiny.note_end == 3 * 128
        assert tiny.names[3 * 128 :] == (
            *("wait:1", "wait:2", "wait:3", "wait:4"),
            *("start", "end", "end_sample"),
            *("drums", "piano", "piano_drums"),
            *("bach", "tempo60", "tempo120", "pad", "no_style"),
        )
        assert tiny.size == len(tiny.names)
        assert Vocabulary.from_json(tiny.to_json()) == tiny

    def test_all_general_midi_families_with_velocities_fit(self) -> None:
        data = all_families(groups=8)
        vocabulary = Vocabulary.from_dict(data)
        assert vocabulary.note_end == 128 * (16 * 14 + 1)
        assert [int(vocabulary.program_instrument[program]) for program in (0, 7, 8, 40, 127)] == [0, 0, 1, 5, 15]
        assert vocabulary.off_row.tolist() == [*range(0, 16 * 14, 14), -1]
        assert vocabulary.on_row[15].min() == 15 * 14 + 1

    def test_more_ids_than_a_token_can_hold_are_refused(self) -> None:
        with pytest.raises(VocabularyError, match=r"'families' has \d+ ids, 131071 of them sets of its 17 groups"):
            Vocabulary.from_dict(all_families(groups=17))

    def test_more_rows_than_can_be_counted_are_refused(self) -> None:
        with pytest.raises(VocabularyError, match="'families' has 257 rows; 256 are possible"):
            Vocabulary.from_dict(all_families(groups=2, piano_rows=46))

    @pytest.mark.parametrize(
        ("pitch", "name"), [(0, "C-1"), (12, "C0"), (21, "A0"), (60, "C4"), (61, "C#4"), (69, "A4"), (127, "G9")]
    )
    def test_pitch_names(self, pitch: int, name: str) -> None:
        assert pitch_name(pitch) == name
