"""Commands on tokens: MIDI to tokens and back, and a line for every mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tokenization.midi import read_midi

Command = Callable[..., Result]
Mistake = Callable[[Result], str]

C_MAJOR = "bach piano start tempo120 piano:v72:C4 wait:48 piano:v0:C4 piano:v72:E4 wait:48 piano:v0:E4 end"


class TestEncodeAndDecode:
    def test_text_ids_file_and_standard_input_are_the_same_music(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "tokens.txt").write_text(C_MAJOR + "\n")
        outputs = []
        for number, tokens in enumerate((C_MAJOR, tmp_path / "tokens.txt", "-")):
            out = tmp_path / f"{number}.mid"
            result = command("decode", tokens, out, stdin=C_MAJOR if tokens == "-" else None)
            assert (result.exit_code, result.stdout) == (0, "")
            assert result.stderr == f"{out}: 2 notes, 1.0 s\n"
            outputs.append(out.read_bytes())
        assert outputs[0] == outputs[1] == outputs[2]
        notes = read_midi(outputs[0])
        assert (notes.pitch.tolist(), notes.onset.tolist()) == ([60, 64], [0.0, 0.5])
        encoded = command("encode", tmp_path / "0.mid", "--style", "bach", "--ids").stdout.split()
        style, instrumentation, begin, _tempo, *music = map(int, encoded)
        assert (style, instrumentation, begin) == (4226, 4162, 4096)
        assert music == [7 * 128 + 60, 3967 + 48, 60, 7 * 128 + 64, 3967 + 48, 64, 4097]

    def test_a_file_encodes_to_text_that_decodes_to_it(self, command: Command, tmp_path: Path) -> None:
        assert command("decode", C_MAJOR, tmp_path / "first.mid").exit_code == 0
        text = command("encode", tmp_path / "first.mid", "--style", "Bach").stdout
        assert text == C_MAJOR + "\n"
        ids = command("encode", tmp_path / "first.mid", "--ids").stdout
        assert command("decode", ids, tmp_path / "second.mid").exit_code == 0
        assert (tmp_path / "second.mid").read_bytes() == (tmp_path / "first.mid").read_bytes()

    def test_with_the_vocabulary_of_a_dataset(self, command: Command, studio, tmp_path: Path, song) -> None:
        vocabulary = studio[1].folder / "vocabulary.json"
        (tmp_path / "1.mid").write_bytes(song(1))
        text = command("encode", tmp_path / "1.mid", "--style", "jazz", "--vocabulary", vocabulary).stdout
        assert text.startswith("jazz piano start tempo120 ")
        assert command("decode", text, tmp_path / "2.mid", "--vocabulary", vocabulary).exit_code == 0

    @pytest.mark.parametrize("time", ["seconds", "beats"])
    @pytest.mark.parametrize("encoding", ["combined", "chordwise", "note", "onset", "combined_bpe", "onset_bpe"])
    def test_every_encoding(self, encoding: str, time: str, command: Command, tmp_path: Path) -> None:
        options = ("--encoding", encoding, "--time", time)
        assert command("decode", C_MAJOR, tmp_path / "first.mid").exit_code == 0
        done = command("encode", tmp_path / "first.mid", "--style", "bach", *options)
        between = {"note": "length:48 wait:48", "onset": "wait:48", "onset_bpe": "wait:48"}
        words = f"piano:v72:C4 {between.get(encoding, 'wait:48 piano:v0:C4')} piano:v72:E4"
        assert done.stdout.startswith(f"bach piano start tempo120 {words}")
        learns = encoding in ("chordwise", "combined_bpe", "onset_bpe")
        assert done.stderr.startswith(f"{encoding} has learned nothing without --dataset") == learns
        assert command("decode", done.stdout, tmp_path / "second.mid", *options).exit_code == 0
        notes = read_midi((tmp_path / "second.mid").read_bytes())
        assert (notes.pitch.tolist(), notes.onset.tolist()) == ([60, 64], [0.0, 0.5])

    def test_with_the_encoding_of_a_dataset(
        self, mistake: Mistake, command: Command, studio, tmp_path: Path, song
    ) -> None:
        lake, dataset, _ = studio
        (tmp_path / "1.mid").write_bytes(song(1))
        given = ("--dataset", dataset.name, "--lake", lake.address)
        text = command("encode", tmp_path / "1.mid", "--style", "bach", *given).stdout
        assert dataset.vocabulary.from_text(text)[0] == dataset.vocabulary.style_id("bach")
        assert command("decode", text, tmp_path / "2.mid", *given).exit_code == 0
        wrong = command("encode", tmp_path / "1.mid", *given, "--time", "beats")
        assert mistake(wrong) == "--dataset sets encoding, time and vocabulary; give either it or them"
        assert "no dataset 'nowhere'" in mistake(command("encode", tmp_path / "1.mid", "--dataset", "nowhere"))

    def test_an_unknown_encoding(self, mistake: Mistake, command: Command, midi_fixtures: Path) -> None:
        done = command("encode", midi_fixtures / "ok_type0.mid", "--encoding", "morse")
        assert mistake(done).startswith("no encoding 'morse'; there are: combined, chordwise, note,")

    def test_the_sustain_pedal(self, command: Command, midi_fixtures: Path) -> None:
        dry, held = (
            command("encode", midi_fixtures / "pedal_sustain.mid", *options).stdout for options in ((), ("--sustain",))
        )
        assert dry != held

    @pytest.mark.parametrize(
        ("tick", "onset"), [("1/96", 0.5), ("1/100", 0.48), ("9.23ms", 0.44304), ("0.0096", 0.4608), ("10 ms", 0.48)]
    )
    def test_by_the_clock_of_another_client(self, tick: str, onset: float, command: Command, tmp_path: Path) -> None:
        assert command("decode", C_MAJOR, tmp_path / "out.mid", "--tick", tick).exit_code == 0
        assert read_midi((tmp_path / "out.mid").read_bytes()).onset == pytest.approx([0.0, onset], abs=0.003)

    @pytest.mark.parametrize("tick", ["", "fast", "1/0", "-1", "1e3", "1/96/2", "9.23 m"])
    def test_a_tick_that_is_no_time(self, tick: str, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        found = mistake(command("decode", C_MAJOR, tmp_path / "out.mid", "--tick", tick))
        assert found == f"{tick!r} is no time; give a fraction of a second (1/96), seconds (0.0096) or 9.23ms"

    def test_a_tick_of_no_time_or_where_time_is_in_beats(
        self, mistake: Mistake, command: Command, tmp_path: Path
    ) -> None:
        decode = ("decode", C_MAJOR, tmp_path / "out.mid", "--tick")
        assert mistake(command(*decode, "0")).startswith("a tick of 0 s is no time")
        assert mistake(command(*decode, "1/100", "--time", "beats")).startswith("a tick in seconds says nothing")

    def test_notes_of_one_pitch_may_be_stacked(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        tokens = "start piano:v72:C4 wait:48 piano:v72:C4 wait:48 piano:v0:C4 wait:48 piano:v0:C4 end"
        lengths = []
        for options in ((), ("--stacked",)):
            assert command("decode", tokens, tmp_path / "out.mid", *options).exit_code == 0
            lengths.append(read_midi((tmp_path / "out.mid").read_bytes()).duration.tolist())
        assert lengths == [pytest.approx([0.5, 0.5], abs=0.003), pytest.approx([1.0, 1.0], abs=0.003)]
        onset = command("decode", tokens, tmp_path / "out.mid", "--stacked", "--encoding", "onset")
        assert mistake(onset) == "the encoding 'onset' has no note-offs, so that notes cannot be stacked"

    def test_a_bad_token_is_named_with_its_position(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        text = "bach piano start tempo120 piano:v72:H4"
        assert "token 4: 'piano:v72:H4' is not known; nearest: 'piano:v72:" in mistake(
            command("decode", text, tmp_path / "out.mid")
        )
        assert "token 1: id 99999 is outside 0–" in mistake(command("decode", "4096 99999", tmp_path / "out.mid"))
        assert not (tmp_path / "out.mid").exists()

    def test_tokens_without_a_note_write_nothing(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        assert mistake(command("decode", "start wait:5 end", tmp_path / "out.mid")) == (
            "the tokens contain no note; nothing was written"
        )
        assert not (tmp_path / "out.mid").exists()

    def test_files_that_are_no_music(
        self, mistake: Mistake, command: Command, midi_fixtures: Path, tmp_path: Path
    ) -> None:
        assert mistake(command("encode", midi_fixtures / "html_404.mid")).startswith("not_midi: ")
        assert mistake(command("encode", midi_fixtures / "only_header.mid")).startswith("no_notes: ")
        assert mistake(command("encode", tmp_path / "nowhere.mid")).endswith(
            "cannot be read: No such file or directory"
        )

    def test_a_vocabulary_file_that_is_none(
        self, mistake: Mistake, command: Command, midi_fixtures: Path, tmp_path: Path
    ) -> None:
        encode = ("encode", midi_fixtures / "ok_type0.mid", "--vocabulary")
        for name, text, problem in (
            ("broken.json", "{", "is not valid JSON: "),
            ("other.json", "{}", ": name: "),
            ("list.json", "[]", "is not a vocabulary"),
            ("broken.toml", "=", "is not valid TOML: "),
        ):
            (tmp_path / name).write_text(text)
            found = mistake(command(*encode, tmp_path / name))
            assert name in found
            assert problem in found
        for name in ("nowhere.json", "nowhere.toml"):
            assert mistake(command(*encode, tmp_path / name)).endswith("cannot be read: No such file or directory")

    def test_a_token_file_may_have_spaces_in_its_name(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "my song.txt").write_text(C_MAJOR)
        assert command("decode", tmp_path / "my song.txt", tmp_path / "out.mid").exit_code == 0

    def test_tokens_longer_than_any_file_name(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        assert command("decode", "4096 " * 3000 + "956 4000", tmp_path / "out.mid").exit_code == 0
        assert mistake(command("decode", "a" * 300, tmp_path / "out.mid"))

    def test_a_place_that_cannot_be_written(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        assert mistake(command("decode", C_MAJOR, tmp_path)).endswith("cannot be written: Is a directory")

    def test_an_unknown_vocabulary_or_style(
        self, mistake: Mistake, command: Command, studio, midi_fixtures: Path
    ) -> None:
        file = midi_fixtures / "ok_type0.mid"
        assert mistake(command("encode", file, "--vocabulary", "abc")) == (
            "no vocabulary 'abc'; there are: general_midi, musenet, or name a .toml or .json file"
        )
        vocabulary = studio[1].folder / "vocabulary.json"
        assert mistake(command("encode", file, "--style", "polka", "--vocabulary", vocabulary)) == (
            "no style 'polka'; there are: bach, jazz"
        )
