"""Vocabulary files: a third vocabulary is a file and no code, and each wrong file gives one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tokenization.encodings import get_encoding
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary, VocabularyError, builtin_vocabularies
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

TRIO = """\
name = "trio"
ticks_per_second = 50
ticks_per_beat = 24
max_wait = 4
style_slots = 2
tempos = [60, 120]
groups = ["drums", "brass", "keys"]

[[instruments]]
name = "organ"
group = "keys"
output_program = 19
rows = [0, 64]

[[instruments]]
name = "tuba"
group = "brass"
output_program = 58
programs = [57, 58]
rows = [40, 100, 0]
range = [26, 60]

[[instruments]]
name = "kit"
group = "drums"
output_program = 0
drum = true
rows = [100]
"""

ORGAN, TUBA, KIT = (f"[[instruments]]{part}" for part in TRIO.split("[[instruments]]")[1:])
TUBA_ROWS = "rows = [40, 100, 0]"
HARP = '[[instruments]]\nname = "harp"\ngroup = "keys"\noutput_program = 46\nrows = [80, 0]\n'


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Vocabulary]:
    """The vocabulary of a text that lies in a file of the working folder."""
    monkeypatch.chdir(tmp_path)

    def vocabulary(text: str, name: str = "trio.toml", styles: tuple[str, ...] = ()) -> Vocabulary:
        Path(name).write_text(text, encoding="utf-8")
        return Vocabulary.load(name, styles)

    return vocabulary


class TestAThirdVocabulary:
    def test_its_ids_follow_from_the_order_of_the_file(self, load: Callable[..., Vocabulary]) -> None:
        trio = load(TRIO, styles=("bach",))
        first_of_rows = ("organ:v0", "organ:v64", "tuba:v40", "tuba:v100", "tuba:v0", "kit:v100")
        assert trio.names[: 6 * 128 : 128] == tuple(f"{row}:C-1" for row in first_of_rows)
        assert trio.names[6 * 128 :] == (
            *("wait:1", "wait:2", "wait:3", "wait:4"),
            *("start", "end", "end_sample"),
            *("drums", "brass", "brass_drums", "keys", "keys_drums", "keys_brass", "keys_brass_drums"),
            *("bach", "style#1"),
            *("tempo60", "tempo120"),
            *("pad", "no_style", "no_instrumentation"),
        )
        assert (trio.ticks_per_second, trio.ticks_per_beat) == (50, 24)
        assert trio.size == len(trio.names) == 789

    def test_its_instruments(self, load: Callable[..., Vocabulary]) -> None:
        trio = load(TRIO)
        played = [trio.instruments[index].name for index in trio.program_instrument]
        assert played == ["tuba" if program in (57, 58) else "organ" for program in range(128)]
        assert trio.off_row.tolist() == [0, 4, -1]
        assert trio.output_names == {19: "organ", 58: "tuba"}
        assert [instrument.range for instrument in trio.instruments] == [(0, 127), (26, 60), (0, 127)]

    def test_it_encodes_and_decodes_music(
        self, load: Callable[..., Vocabulary], make_notes: Callable[..., Notes]
    ) -> None:
        # In ticks of a 50th of a second: an organ for 4, then a tuba for 6 with a drum.
        notes = make_notes(
            [(0, 0.08, 60, 70, 0, False), (0.08, 0.12, 36, 127, 58, False), (0.08, 0.1, 38, 90, 0, True)]
        )
        encoding = get_encoding("combined", load(TRIO, styles=("bach",)))
        tokens = encoding.encode(notes, "bach")
        assert encoding.vocabulary.to_text(tokens) == (
            "bach keys_brass_drums start tempo120 organ:v64:C4 wait:4 organ:v0:C4 tuba:v100:C2 kit:v100:D2 "
            "wait:4 wait:2 tuba:v0:C2 end"
        )
        assert encoding.decode(tokens).program.tolist() == [19, 58, 0]

    def test_one_group_and_no_styles_do(self, load: Callable[..., Vocabulary]) -> None:
        text = TRIO.replace('["drums", "brass", "keys"]', '["band"]').replace("style_slots = 2", "style_slots = 0")
        for group in ("drums", "brass", "keys"):
            text = text.replace(f'group = "{group}"', 'group = "band"')
        assert load(text).names[768 + 4 :] == (
            *("start", "end", "end_sample", "band", "tempo60", "tempo120", "pad", "no_style", "no_instrumentation"),
        )

    def test_it_has_512_slots_for_styles_unless_it_says_otherwise(self, load: Callable[..., Vocabulary]) -> None:
        assert load(TRIO.replace("style_slots = 2\n", "")).style_slots == 512

    def test_no_instrument_need_play_the_rest_if_all_programs_are_claimed(
        self, load: Callable[..., Vocabulary]
    ) -> None:
        rest = [program for program in range(128) if program not in (57, 58)]
        trio = load(TRIO.replace("output_program = 19", f"output_program = 19\nprograms = {rest}"))
        assert trio.program_instrument.tolist() == load(TRIO).program_instrument.tolist()


class TestSources:
    def test_a_path_is_as_good_as_its_text(self, load: Callable[..., Vocabulary], tmp_path: Path) -> None:
        assert load(TRIO) == Vocabulary.load(tmp_path / "trio.toml")

    def test_the_json_of_a_dataset_brings_its_styles_and_others_follow(self, load: Callable[..., Vocabulary]) -> None:
        of_dataset = load(TRIO, styles=("jazz",))
        again = load(of_dataset.to_json(), "vocabulary.json", styles=("bach",))
        assert again.styles == ("jazz", "bach")

    def test_those_that_come_with_the_package(self) -> None:
        assert builtin_vocabularies() == ["general_midi", "musenet"]
        assert [Vocabulary.load(name).name for name in builtin_vocabularies()] == builtin_vocabularies()

    @pytest.mark.parametrize("source", ["mozart", Path("musenet"), "trio.yaml", ""])
    def test_a_name_that_does_not_exist_is_refused_with_those_that_do(self, source: str | Path) -> None:
        with pytest.raises(VocabularyError, match=r"no vocabulary '.*'; there are: general_midi, musenet, or name a"):
            Vocabulary.load(source)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Vocabulary.load(tmp_path / "none.toml")


WRONG = {
    "missing key": (("max_wait = 4\n", ""), "trio.toml: max_wait: Field required"),
    "misspelt key": (
        ("ticks_per_second", "tick_per_second"),
        "trio.toml: tick_per_second: this key is not known; nearest: 'ticks_per_second'",
    ),
    "unknown key besides all others": (
        ("max_wait = 4", "max_wait = 4\nmax_waits = 5"),
        "trio.toml: max_waits: this key is not known; nearest: 'max_wait'",
    ),
    "unknown key like no other": (
        ("max_wait = 4", "max_wait = 4\nxyz = 5"),
        "trio.toml: xyz: this key is not known",
    ),
    "unknown key of an instrument": (
        ("range = [26, 60]", "ranges = [26, 60]"),
        "trio.toml: instruments 'tuba' ranges: this key is not known; nearest: 'range'",
    ),
    "no name": (('name = "tuba"\n', ""), "trio.toml: instruments 1 name: Field required"),
    "a number as text": (
        ("max_wait = 4", 'max_wait = "4"'),
        "trio.toml: max_wait: Input should be a valid integer",
    ),
    "a truth as a number": (
        ("output_program = 58", "output_program = true"),
        "trio.toml: instruments 'tuba' output_program: Input should be a valid integer",
    ),
    "no list": (("tempos = [60, 120]", "tempos = 60"), "trio.toml: tempos: Input should be a list"),
    "one instrument, not a list of them": (
        (ORGAN + TUBA + KIT, KIT.replace("[[instruments]]", "[instruments]")),
        "trio.toml: instruments: Input should be a list",
    ),
    "a program claimed twice": (
        (KIT, HARP + "programs = [46, 58]\n" + KIT),
        "trio.toml: program 58 is claimed by tuba and harp",
    ),
    "a program that there is not": (
        ("[57, 58]", "[57, 128]"),
        "trio.toml: instruments 'tuba' programs 1: Input should be less than or equal to 127",
    ),
    "a program that nobody plays": (
        ("output_program = 19", "output_program = 19\nprograms = [19]"),
        "trio.toml: no instrument plays program 0",
    ),
    "two that play all others": (
        (KIT, HARP + KIT),
        "trio.toml: one instrument at most can play all other programs, not organ and harp",
    ),
    "no drums": ((KIT, ""), "trio.toml: exactly one instrument must have drum = true, not 0"),
    "drums twice": (
        (KIT, KIT + KIT.replace('"kit"', '"kit2"')),
        "trio.toml: exactly one instrument must have drum = true, not 2",
    ),
    "drums with programs": (
        ("drum = true", "drum = true\nprograms = [1]"),
        "trio.toml: instruments 'kit': drums have no programs",
    ),
    "drums with a note-off": (
        ("rows = [100]", "rows = [100, 0]"),
        "trio.toml: instruments 'kit': rows of drums must not hold 0, their note-off",
    ),
    "rows without a note-off": (
        (TUBA_ROWS, "rows = [40, 100]"),
        "trio.toml: instruments 'tuba': rows lack 0, the note-off",
    ),
    "rows of a note-off alone": (
        (TUBA_ROWS, "rows = [0]"),
        "trio.toml: instruments 'tuba': rows must be different velocities, one of them above 0",
    ),
    "a row twice": (
        (TUBA_ROWS, "rows = [40, 40, 0]"),
        "trio.toml: instruments 'tuba': rows must be different velocities, one of them above 0",
    ),
    "a velocity that there is not": (
        (TUBA_ROWS, "rows = [40, 128, 0]"),
        "trio.toml: instruments 'tuba' rows 1: Input should be less than or equal to 127",
    ),
    "a range the wrong way round": (
        ("[26, 60]", "[60, 26]"),
        "trio.toml: instruments 'tuba': range [60, 26] is not two pitches of 0–127, low first",
    ),
    "half a range": (("[26, 60]", "[26]"), "trio.toml: instruments 'tuba' range 1: Field required"),
    "unknown group": (
        ('group = "brass"', 'group = "winds"'),
        "trio.toml: instrument 'tuba' is of the group 'winds', which is none of drums, brass, keys",
    ),
    "a group twice": (
        ('["drums", "brass", "keys"]', '["drums", "brass", "keys", "brass"]'),
        "trio.toml: groups has 'brass' twice",
    ),
    "a group named like a set": (
        ('"keys"]', '"keys", "keys_brass"]'),
        "trio.toml: groups 3: String should match pattern '^[a-z0-9]+$'",
    ),
    "a group named like a token": (
        ('"keys"]', '"keys", "start"]'),
        "vocabulary 'trio' has the token 'start'; name its groups otherwise",
    ),
    "groups that are a token together": (
        ('"keys"]', '"keys", "sample", "end"]'),
        "vocabulary 'trio' has the token 'end'; name its groups otherwise",
    ),
    "an instrument twice": ((KIT, TUBA + KIT), "trio.toml: instruments has 'tuba' twice"),
    "no instruments": (
        (ORGAN + TUBA + KIT, "instruments = []"),
        "trio.toml: instruments: List should have at least 1 item after validation, not 0",
    ),
    "tempos that do not ascend": (("[60, 120]", "[120, 60]"), "trio.toml: tempos must ascend"),
    "a tempo twice": (("[60, 120]", "[60, 60]"), "trio.toml: tempos must ascend"),
    "a tempo of nothing": (
        ("[60, 120]", "[0, 60]"),
        "trio.toml: tempos 0: Input should be greater than or equal to 1",
    ),
    "a name that is no word": (
        ('"trio"', '"The Trio"'),
        "trio.toml: name: String should match pattern '^[a-z0-9][a-z0-9_]*$'",
    ),
    "more ids than a token can hold": (
        ('["drums", "brass", "keys"]', str(["drums", "brass", "keys", *(f"g{i}" for i in range(14))])),
        "vocabulary 'trio' has 131853 ids, 131071 of them sets of its 17 groups; tokens of 16 bits hold 65536",
    ),
    "more rows than can be counted": (
        (
            f"{TUBA_ROWS}\nrange = [26, 60]\n\n{KIT}",
            f"rows = {[*range(128)]}\n{KIT}".replace("[100]", f"{[*range(1, 128)]}"),
        ),
        "vocabulary 'trio' has 257 rows; 256 are possible",
    ),
}


class TestWrongFiles:
    @pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
    def test_the_error_says_the_file_the_place_and_the_problem(
        self, change: tuple[str, str], message: str, load: Callable[..., Vocabulary]
    ) -> None:
        assert TRIO.count(change[0]) == 1
        with pytest.raises(VocabularyError) as caught:
            load(TRIO.replace(*change))
        assert str(caught.value) == message

    def test_no_toml(self, load: Callable[..., Vocabulary]) -> None:
        with pytest.raises(VocabularyError, match=r"^trio\.toml is not valid TOML: .*line 1"):
            load("name: trio")

    def test_no_json(self, load: Callable[..., Vocabulary]) -> None:
        with pytest.raises(VocabularyError, match=r"^v\.json is not valid JSON: .*line 1"):
            load("{", "v.json")

    @pytest.mark.parametrize("text", ["[]", "null", "3", '"musenet"'])
    def test_json_that_is_something_else(self, text: str, load: Callable[..., Vocabulary]) -> None:
        with pytest.raises(VocabularyError, match=r"^v\.json is not a vocabulary: it holds no JSON object$"):
            load(text, "v.json")

    @pytest.mark.parametrize("name", ["trio.toml", "v.json"])
    def test_no_text(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(b"MThd\x00\x00\xff\xfe")
        with pytest.raises(VocabularyError, match=rf"{name} is not UTF-8 text: "):
            Vocabulary.load(tmp_path / name)

    def test_a_toml_file_has_no_styles_of_its_own(self, load: Callable[..., Vocabulary]) -> None:
        with pytest.raises(VocabularyError, match=r"^trio\.toml: styles: this key is not known"):
            load('styles = ["bach"]\n' + TRIO)


class TestStylesOfADataset:
    def test_more_than_there_are_slots(self, load: Callable[..., Vocabulary]) -> None:
        full = load(TRIO, styles=("bach", "jazz"))
        with pytest.raises(
            VocabularyError, match=r"^vocabulary 'trio' has 2 slots for styles, not 3; use fewer styles"
        ):
            full.with_styles(["rock"])

    @pytest.mark.parametrize(
        ("styles", "message"),
        [
            ("bach", "v.json: styles must be a list of names"),
            ([1], "v.json: styles must be a list of names"),
            (["bach", "bach"], "vocabulary 'trio' has the style 'bach' twice"),
            (["R&B"], "vocabulary 'trio': 'R&B' is not a style; use small letters, digits and single underscores"),
            ([""], "vocabulary 'trio': '' is not a style; use small letters, digits and single underscores"),
        ],
    )
    def test_styles_that_cannot_be(self, styles: Any, message: str, load: Callable[..., Vocabulary]) -> None:
        with pytest.raises(VocabularyError) as caught:
            load(json.dumps({**load(TRIO).to_dict(), "styles": styles}), "v.json")
        assert str(caught.value) == message


# In `trio`: note ids are 0–767, the longest wait is 771, the first learned token 789.
WRONG_LEARNED = [
    ("merge", [[1, 2, 3]], "v.json: learned token 0 joins 3 ids, not two"),
    ("merge", [[1, 2], [3]], "v.json: learned token 1 joins 1 ids, not two"),
    ("merge", [[1, 789]], "vocabulary 'trio': learned token 0 refers to ids that it cannot hold: [1, 789]"),
    ("merge", [[1, 2], [789, 790]], "vocabulary 'trio': learned token 1 refers to ids that it cannot hold: [789, 790]"),
    ("merge", [[-1, 2]], "vocabulary 'trio': learned token 0 refers to ids that it cannot hold: [-1, 2]"),
    ("merge", [[1, 2], [1, 2]], "vocabulary 'trio' has two learned tokens with the same expansion"),
    # (1 2) 3 and 1 (2 3)
    ("merge", [[1, 2], [2, 3], [789, 3], [1, 790]], "vocabulary 'trio' has two learned tokens with the same expansion"),
    ("merge", [[1, 1], *([789 + i] * 2 for i in range(60))], "learned token 12 stands for more than 4096 tokens"),
    ("chord", [[60, 768]], "vocabulary 'trio': learned token 0 refers to ids that it cannot hold: [60, 768]"),
    ("chord", [[64, 60]], "v.json: learned token 0 has ids that do not ascend: [64, 60]"),
    ("chord", [[60, 60]], "v.json: learned token 0 has ids that do not ascend: [60, 60]"),
    ("chord", [[60, 64], [60, 64]], "vocabulary 'trio' has two learned tokens with the same expansion"),
    ("merge", [[1.5, 2]], "v.json: units must have a kind (merge, chord, length) and items, lists of ids"),
    ("merge", [["1", "2"]], "v.json: units must have a kind (merge, chord, length) and items, lists of ids"),
    ("merge", ["12"], "v.json: units must have a kind (merge, chord, length) and items, lists of ids"),
    ("merge", 5, "v.json: units must have a kind (merge, chord, length) and items, lists of ids"),
    ("scale", [], "v.json: units must have a kind (merge, chord, length) and items, lists of ids"),
]


class TestLearnedTokensOfADataset:
    @pytest.mark.parametrize(("kind", "items", "message"), WRONG_LEARNED)
    def test_learned_tokens_that_cannot_be(
        self, kind: str, items: Any, message: str, load: Callable[..., Vocabulary]
    ) -> None:
        with pytest.raises(VocabularyError) as caught:
            load(json.dumps({**load(TRIO).to_dict(), "units": {"kind": kind, "items": items}}), "v.json")
        assert str(caught.value) == message

    @pytest.mark.parametrize("units", [[], "merge", {}, {"kind": "merge"}, {"kind": "merge", "items": [], "x": 1}])
    def test_learned_tokens_of_another_form(self, units: Any, load: Callable[..., Vocabulary]) -> None:
        with pytest.raises(VocabularyError, match=r"^v\.json: units must have a kind"):
            load(json.dumps({**load(TRIO).to_dict(), "units": units}), "v.json")

    def test_they_may_take_ids_up_to_the_last_one(self, load: Callable[..., Vocabulary]) -> None:
        trio = load(TRIO)
        pairs = tuple((first, second) for first in range(128) for second in range(768))[: 65536 - 789]
        assert replace(trio, learned=LearnedTokens(LearnedKind.MERGE, pairs)).size == 65536
        with pytest.raises(VocabularyError, match="'trio' has 65537 ids"):
            replace(trio, learned=LearnedTokens(LearnedKind.MERGE, (*pairs, (700, 700))))
