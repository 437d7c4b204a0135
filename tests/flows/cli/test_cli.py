"""The command: quick help, round trips, and for every mistake one line that lists what exists.

Most commands run in this process, on its Prefect server; `demo/test_demo.py` runs the installed command.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import musenet
from infra.lake import Lake
from tokenization.midi import read_midi

MUSENET = Path(sys.executable).with_name("musenet")
Command = Callable[..., Result]

C_MAJOR = "bach piano start tempo120 piano:v72:C4 wait:48 piano:v0:C4 piano:v72:E4 wait:48 piano:v0:E4 end"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `musenet …`; words may be paths. A lake of its own unless `lake` says otherwise."""

    def run(*words: object, lake: Path | None = None, stdin: str | None = None) -> Result:
        environment = {"MUSENET_LAKE": str(lake or tmp_path / "lake")}
        return CliRunner(env=environment).invoke(musenet, [str(word) for word in words], input=stdin)

    return run


def mistake(result: Result) -> str:
    """The one line of an error that a user can mend."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    *before, line = result.stderr.splitlines()
    assert all(other.startswith("✓") for other in before), result.stderr
    assert line.startswith("musenet: ")
    return line.removeprefix("musenet: ")


class TestHelp:
    @pytest.mark.parametrize("name", [None, *musenet.commands])
    def test_every_command_explains_itself(self, command: Command, name: str | None) -> None:
        result = command(*([name] if name else []), "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ")
        assert "." in result.stdout.split("\n\n")[1], "no sentence says what it does"

    def test_comes_at_once(self) -> None:
        """The best of five: a busy machine makes any one of them slow."""
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run([MUSENET, "train", "--help"], check=True, capture_output=True)
            seconds.append(time.perf_counter() - begun)
        assert min(seconds) < 0.5

    def test_imports_nothing_heavy(self) -> None:
        script = "import sys, flows.cli; print(sorted({m.split('.')[0] for m in sys.modules}))"
        output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
        for module in ("torch", "deepspeed", "prefect", "mlflow", "numpy", "polars", "pydantic", "matplotlib"):
            assert repr(module) not in output


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
    @pytest.mark.parametrize("encoding", ["combined", "chordwise", "onset", "combined_bpe", "onset_bpe"])
    def test_every_encoding(self, encoding: str, time: str, command: Command, tmp_path: Path) -> None:
        options = ("--encoding", encoding, "--time", time)
        assert command("decode", C_MAJOR, tmp_path / "first.mid").exit_code == 0
        done = command("encode", tmp_path / "first.mid", "--style", "bach", *options)
        lengths = "" if encoding.startswith("onset") else "piano:v0:C4 "
        assert done.stdout.startswith(f"bach piano start tempo120 piano:v72:C4 wait:48 {lengths}piano:v72:E4")
        learns = encoding in ("chordwise", "combined_bpe", "onset_bpe")
        assert done.stderr.startswith(f"{encoding} has learned nothing without --dataset") == learns
        assert command("decode", done.stdout, tmp_path / "second.mid", *options).exit_code == 0
        notes = read_midi((tmp_path / "second.mid").read_bytes())
        assert (notes.pitch.tolist(), notes.onset.tolist()) == ([60, 64], [0.0, 0.5])

    def test_with_the_encoding_of_a_dataset(self, command: Command, studio, tmp_path: Path, song) -> None:
        lake, dataset, _ = studio
        (tmp_path / "1.mid").write_bytes(song(1))
        given = ("--dataset", dataset.name, "--lake", lake.address)
        text = command("encode", tmp_path / "1.mid", "--style", "bach", *given).stdout
        assert dataset.vocabulary.from_text(text)[0] == dataset.vocabulary.style_id("bach")
        assert command("decode", text, tmp_path / "2.mid", *given).exit_code == 0
        wrong = command("encode", tmp_path / "1.mid", *given, "--time", "beats")
        assert mistake(wrong) == "--dataset sets encoding, time and vocabulary; give either it or them"
        assert "no dataset 'nowhere'" in mistake(command("encode", tmp_path / "1.mid", "--dataset", "nowhere"))

    def test_an_unknown_encoding(self, command: Command, midi_fixtures: Path) -> None:
        done = command("encode", midi_fixtures / "ok_type0.mid", "--encoding", "morse")
        assert mistake(done).startswith("no encoding 'morse'; there are: combined, chordwise, onset,")

    def test_the_sustain_pedal(self, command: Command, midi_fixtures: Path) -> None:
        dry, held = (
            command("encode", midi_fixtures / "pedal_sustain.mid", *options).stdout for options in ((), ("--sustain",))
        )
        assert dry != held

    def test_a_bad_token_is_named_with_its_position(self, command: Command, tmp_path: Path) -> None:
        text = "bach piano start tempo120 piano:v72:H4"
        assert "token 4: 'piano:v72:H4' is not known; nearest: 'piano:v72:" in mistake(
            command("decode", text, tmp_path / "out.mid")
        )
        assert "token 1: id 99999 is outside 0–" in mistake(command("decode", "4096 99999", tmp_path / "out.mid"))
        assert not (tmp_path / "out.mid").exists()

    def test_tokens_without_a_note_write_nothing(self, command: Command, tmp_path: Path) -> None:
        assert mistake(command("decode", "start wait:5 end", tmp_path / "out.mid")) == (
            "the tokens contain no note; nothing was written"
        )
        assert not (tmp_path / "out.mid").exists()

    def test_files_that_are_no_music(self, command: Command, midi_fixtures: Path, tmp_path: Path) -> None:
        assert mistake(command("encode", midi_fixtures / "html_404.mid")).startswith("not_midi: ")
        assert mistake(command("encode", midi_fixtures / "only_header.mid")).startswith("no_notes: ")
        assert mistake(command("encode", tmp_path / "nowhere.mid")).endswith(
            "cannot be read: No such file or directory"
        )

    def test_a_vocabulary_file_that_is_none(self, command: Command, midi_fixtures: Path, tmp_path: Path) -> None:
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

    def test_tokens_longer_than_any_file_name(self, command: Command, tmp_path: Path) -> None:
        assert command("decode", "4096 " * 3000 + "956 4000", tmp_path / "out.mid").exit_code == 0
        assert mistake(command("decode", "a" * 300, tmp_path / "out.mid"))

    def test_a_place_that_cannot_be_written(self, command: Command, tmp_path: Path) -> None:
        assert mistake(command("decode", C_MAJOR, tmp_path)).endswith("cannot be written: Is a directory")

    def test_an_unknown_vocabulary_or_style(self, command: Command, studio, midi_fixtures: Path) -> None:
        file = midi_fixtures / "ok_type0.mid"
        assert mistake(command("encode", file, "--vocabulary", "abc")) == (
            "no vocabulary 'abc'; there are: general_midi, musenet, or name a .toml or .json file"
        )
        vocabulary = studio[1].folder / "vocabulary.json"
        assert mistake(command("encode", file, "--style", "polka", "--vocabulary", vocabulary)) == (
            "no style 'polka'; this vocabulary has: bach, jazz"
        )


class TestLists:
    @pytest.mark.parametrize(
        ("name", "line"),
        [("datasets", "no dataset yet; "), ("runs", "no run yet; "), ("models", "no model yet; ")],
    )
    def test_of_an_empty_lake(self, command: Command, name: str, line: str) -> None:
        result = command(name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(line)
        assert json.loads(command(name, "--json").stdout) == []

    def test_of_a_lake_with_something_in_it(self, command: Command, studio) -> None:
        lake, dataset, run = studio
        assert command("datasets", lake=lake.root).stdout.startswith(f"{dataset}  2")
        (about,) = json.loads(command("datasets", "--json", lake=lake.root).stdout)
        assert about["digest"] == dataset.digest
        expected = {"run_id": run.run_id, "preset": "tiny", "dataset": run.dataset, "finished": True}
        (listed,) = json.loads(command("runs", run.run_id[:6], "--json", "--lake", lake.root).stdout)
        assert expected.items() <= listed.items()
        assert command("runs", run.run_id, lake=lake.root).stdout.startswith(
            f"{run.run_id}  tiny  {run.dataset}  step 4"
        )
        assert mistake(command("runs", "nope", lake=lake.root)).startswith("no run 'nope'; there are: ")

    def test_of_servers_that_do_not_run(self, command: Command) -> None:
        result = command("status", "--json")
        assert result.exit_code == 1
        assert [(s["name"], s["running"]) for s in json.loads(result.stdout)] == [("prefect", False), ("mlflow", False)]


@pytest.mark.usefixtures("prefect_api")
class TestMistakes:
    """One line on standard error that lists what exists, status 2, no traceback."""

    def test_ingest(self, command: Command, tmp_path: Path) -> None:
        for more in ((), ("--dry-run",)):
            assert "/nowhere does not exist" in mistake(command("ingest", "/nowhere", "--name", "x", *more))
            assert "no MIDI file" in mistake(command("ingest", tmp_path, "--name", "x", *more))
            assert mistake(command("ingest", tmp_path, "--name", "My Set", *more)).startswith(
                "name = 'My Set': String should match"
            )
            assert mistake(command("ingest", tmp_path, *more)) == "the dataset has no name; give one with --name"
            assert "nowhere.toml cannot be read" in mistake(command("ingest", "nowhere.toml", *more))
            assert "a collections.toml states them" in mistake(command("ingest", "x.toml", "--style", "bach", *more))

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            (
                "augmentation.changes.strech=1",
                "no setting 'augmentation.changes.strech'; nearest: 'augmentation.changes.stretch'",
            ),
            ("limits.min_note=3", "no setting 'limits.min_note'; nearest: 'limits.min_notes'"),
            ("limit.min_notes=3", "no setting 'limit.min_notes'; nearest: 'limits.min_notes'"),
            ("limits=3", "no setting 'limits'; nearest: 'limits."),
            ("limits.min_notes=few", "limits.min_notes = 'few': Input should be a valid integer"),
            ("splits.test=0.7", "splits.test = '0.7': Input should be less than 0.5"),
            ("name.x=1", "no setting 'name.x'; nearest: 'name'"),
            ("limits.refused_repairs=[tru", "limits.refused_repairs = [tru: neither a value nor JSON"),
            ('limits.refused_repairs=["none"]', "limits.refused_repairs.0 = 'none': Input should be 'wrapper', "),
            ("tokens.encoding=morse", "tokens.encoding = 'morse': no encoding 'morse'; there are: combined, "),
            ("tokens.units=7", "tokens: the encoding 'combined' learns no units; these do: chordwise, "),
            ("tokens.vocabulary=none", "no vocabulary 'none'; there are: general_midi, musenet, "),
            ("tokens.vocabulary=none.toml", "the vocabulary none.toml cannot be read: No such file"),
        ],
    )
    def test_a_setting_of_ingestion(self, command: Command, tmp_path: Path, setting: str, words: str) -> None:
        assert mistake(command("ingest", tmp_path, "--name", "x", "--set", setting)).startswith(words)
        assert not (tmp_path / "lake").exists(), "a server was started for it"

    def test_an_unknown_dataset(self, command: Command, studio) -> None:
        assert "no dataset 'lakh'; there is none yet; make one with `musenet ingest PATH --name NAME`" in mistake(
            command("train", "--dataset", "lakh")
        )
        lake = studio[0].root
        assert mistake(command("train", "--dataset", "lakh", lake=lake)) == "no dataset 'lakh'; there are: songs"
        assert mistake(command("train", "--dataset", "/data/midi", lake=lake)).endswith("; there are: songs")

    def test_an_unknown_preset_or_setting(self, command: Command, studio) -> None:
        train = ("train", "--dataset", "songs")
        lake = studio[0].root
        assert mistake(command(*train, "--preset", "huge", lake=lake)) == (
            "no preset 'huge'; there are: tiny, small, base, musenet"
        )
        assert mistake(command(*train, "--set", "training.step=4", lake=lake)) == (
            "no setting 'training.step'; nearest: 'training.steps'"
        )
        assert mistake(command(*train, "--set", "training.steps=many", lake=lake)).startswith(
            "training.steps = 'many': "
        )

    def test_settings_that_do_not_fit_each_other(self, command: Command, studio) -> None:
        sizes = ("--set", "training.batch_size=3", "--set", "training.micro_batch_size=2")
        assert mistake(command("train", "--dataset", "songs", *sizes, lake=studio[0].root)) == (
            "batch_size 3 is not a multiple of micro_batch_size × ranks = 2"
        )

    def test_a_run_file(self, command: Command, studio, tmp_path: Path) -> None:
        file, lake = tmp_path / "run.toml", studio[0].root
        train = ("train", "--config", file)
        assert mistake(command(*train, lake=lake)) == f"run file {file} cannot be read: No such file or directory"
        file.write_text("[training]\nstep = 4\n")
        named = ("--dataset", "songs")
        assert mistake(command(*train, *named, lake=lake)) == (
            f"{file}: no setting 'training.step'; nearest: 'training.steps'"
        )
        file.write_text('hostfile = "hosts"\n')
        assert mistake(command(*train, lake=lake)) == f"no dataset is named; give --dataset NAME, or dataset in {file}"
        assert mistake(command(*train, *named, lake=lake)).startswith(f"hostfile {tmp_path / 'hosts'} cannot be read: ")

    def test_a_setting_without_a_value(self, command: Command) -> None:
        result = command("train", "--dataset", "songs", "--set", "training.steps")
        assert result.exit_code == 2
        assert "'training.steps' is not KEY=VALUE" in result.stderr

    def test_an_unknown_run(self, command: Command, studio) -> None:
        lake, _, run = studio
        for name in ("critic", "register"):
            assert mistake(command(name, "--run", "nope", lake=lake.root)) == (
                f"no finished run 'nope'; there are: {run.run_id}"
            )
            assert "there is none yet; train one with" in mistake(command(name))

    def test_an_unknown_model(self, command: Command) -> None:
        assert "no model 'champion': none is registered yet" in mistake(command("sample"))

    def test_numbers_out_of_range(self, command: Command) -> None:
        for option, value in (("--count", "0"), ("--top-p", "1.5"), ("--temperature", "0"), ("--length", "5")):
            result = command("sample", option, value)
            assert result.exit_code == 2
            assert option in result.stderr
            assert "Traceback" not in result.output


@pytest.mark.usefixtures("prefect_api")
class TestIngest:
    def test_reports_as_text_and_as_json(self, command: Command, tmp_path: Path, song) -> None:
        (tmp_path / "bach").mkdir()
        (tmp_path / "bach" / "1.mid").write_bytes(song(1))
        (tmp_path / "bach" / "2.mid").write_bytes(b"broken")
        ingest = ("ingest", tmp_path / "bach", "--name", "mine", "--licence", "CC0", "--workers", "1")
        first, *fates, card = command(*ingest).stdout.splitlines()
        assert first.startswith("dataset mine@")
        assert [line.split() for line in fates] == [["1", "accepted"], ["1", "quarantined:", "not_midi"]]
        assert Path(card.removeprefix("  card: ")).read_text().startswith("<!doctype html>")
        result = command(*ingest, "--json")
        report = json.loads(result.stdout)
        assert (report["reused"], report["styles"], report["licences"]) == (True, {"bach": 1}, ["CC0"])
        assert Path(report["folder"]) == Lake(tmp_path / "lake").datasets / "mine" / report["digest"]
        assert "nothing changed" in result.stderr

    def test_the_encoding_is_chosen_by_name_and_stamped(self, command: Command, tmp_path: Path, song) -> None:
        (tmp_path / "bach").mkdir()
        for seed in range(5):
            (tmp_path / "bach" / f"{seed}.mid").write_bytes(song(seed, notes=40))
        chosen = ("--encoding", "onset_bpe", "--time", "beats", "--vocabulary", "general_midi", "--units", "30")
        ingest = ("ingest", tmp_path / "bach", "--name", "mine", "--workers", "1", *chosen)
        report = json.loads(command(*ingest, "--sustain", "--json").stdout)
        assert report["encoding"] == {"name": "onset_bpe", "version": 2, "time": "beats"}
        assert report["vocabulary"]["name"] == "general_midi"
        assert report["settings"]["tokens"] == {
            "encoding": "onset_bpe",
            "time": "beats",
            "vocabulary": "general_midi",
            "units": 30,
            "sustain": True,
        }
        text = command("encode", tmp_path / "bach" / "1.mid", "--dataset", "mine").stdout
        assert "+wait:" in text, "merges that were learned"
        assert command("decode", text, tmp_path / "back.mid", "--dataset", "mine").exit_code == 0

    def test_a_toml_of_collections_one_of_them_an_archive(self, command: Command, tmp_path: Path, song) -> None:
        with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
            for seed in range(4):
                archive.writestr(f"{'bach' if seed % 2 else 'jazz'}/{seed}.mid", song(seed))
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "5.mid").write_bytes(song(5))
        (tmp_path / "classics.toml").write_text(
            "[[collection]]\nname = 'old'\nlocation = 'songs.zip'\nlicence = 'CC-BY'\n"
            "[[collection]]\nname = 'new'\nlocation = 'more'\n[[collection.styles]]\nlabel = 'Pop'\n"
        )
        options = ("--workers", "1", "--copies", "2", "--seed", "7", "--set", "splits.validation=0", "--json")
        report = json.loads(command("ingest", tmp_path / "classics.toml", *options, "--set", "splits.test=0").stdout)
        assert (report["name"], report["files"], report["reused"]) == ("classics", 5, False)
        assert report["styles"] == {"bach": 2, "jazz": 2, "pop": 1}
        assert report["licences"] == ["CC-BY", "not stated"]
        assert report["variants"] == {"train": 15, "validation": 0, "test": 0}
        assert report["settings"]["augmentation"]["seed"] == 7
        again = json.loads(command("ingest", tmp_path / "songs.zip", "--name", "zipped", "--json").stdout)
        assert (again["files"], again["pieces"]["train"] + again["pieces"]["test"]) == (4, 4)
        (row,) = json.loads(command("why", "bach/1.mid", "--dataset", "classics", "--json").stdout)
        assert (row["collection"], row["style"], row["licence"]) == ("old", "bach", "CC-BY")


class TestDryRun:
    def test_says_what_would_be_done_and_does_nothing(self, command: Command, tmp_path: Path, catalogue) -> None:
        words = ("ingest", catalogue.folder, "--name", "mine", "--dry-run")
        result = command(*words)
        size = sum(path.stat().st_size for path in catalogue.folder.rglob("*.mid")) / 1e6
        assert (result.exit_code, result.stdout.splitlines()) == (
            0,
            [
                f"songs: 9 files, {size:.1f} MB",
                "  styles: bach 4, jazz 4, songs 1",
                "  left out: 1 .jpg",
                "8 of 9 files would be read, and a new version published",
            ],
        )
        report = json.loads(command(*words, "--json").stdout)
        assert (report["files"], report["unparsed"], report["version"]) == (9, 8, None)
        assert report["collections"][0]["styles"] == {"bach": 4, "jazz": 4, "songs": 1}
        assert not (tmp_path / "lake").exists()

    def test_says_when_nothing_changed(self, command: Command, tmp_path: Path, catalogue) -> None:
        (tmp_path / "mine.toml").write_text(
            f"[[collection]]\nname = 'songs'\nlocation = '{catalogue.folder}'\nlicence = 'CC0'\n"
            "[synonyms]\njazz = 'swing'\n"
        )
        words = ("ingest", tmp_path / "mine.toml", "--dry-run", "--set", "limits.min_notes=19")
        before = sorted(catalogue.lake.root.rglob("*"))
        assert command(*words, lake=catalogue.lake.root).stdout.splitlines()[-1] == (
            f"nothing changed: {catalogue.after} would be reused"
        )
        assert sorted(catalogue.lake.root.rglob("*")) == before

    def test_names_files_that_cannot_be_read(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "songs").mkdir()
        (tmp_path / "songs" / "bad.zip").write_bytes(b"no archive")
        (tmp_path / "songs" / "1.mid").write_bytes(b"MThd")
        result = command("ingest", tmp_path / "songs", "--name", "mine", "--dry-run")
        assert "cannot be read: songs/bad.zip: " in result.stdout
        assert "1 of 2 files would be read" in result.stdout


class TestDatasets:
    @pytest.fixture
    def ask(self, command: Command, catalogue) -> Command:
        return lambda *words: command(*words, lake=catalogue.lake.root)

    def test_are_listed_oldest_first(self, ask: Command, catalogue) -> None:
        lines = ask("datasets").stdout.splitlines()
        assert [line.split()[0] for line in lines] == [str(catalogue.before), str(catalogue.after)]
        assert "5 pieces, " in lines[1]
        about = json.loads(ask("datasets", "--json").stdout)
        assert [version["digest"] for version in about] == [catalogue.before.digest, catalogue.after.digest]

    def test_show(self, ask: Command, catalogue) -> None:
        text = ask("datasets", "show", "mine").stdout
        assert text.startswith("# Dataset mine\n")
        assert f"`{catalogue.after.digest}`" in text
        assert "| swing | " in text
        earlier = json.loads(ask("datasets", "show", f"mine@{catalogue.before.digest[:10]}", "--json").stdout)
        assert earlier == {
            **catalogue.before.description.model_dump(mode="json"),
            "folder": str(catalogue.before.folder),
        }

    def test_diff(self, ask: Command, catalogue) -> None:
        words = ("datasets", "diff", catalogue.before, "mine")
        lines = ask(*words).stdout.splitlines()
        assert lines[0] == f"{catalogue.before} → {catalogue.after}"
        for line in (
            "  limits.min_notes: 16 → 19",
            "1 files added",
            "  + songs/jazz/new.mid",
            "1 files removed",
            "  - songs/jazz/gone.mid",
            "1 files changed",
            "  ~ songs/jazz/other.mid",
            "1 outcomes changed",
            "    songs/jazz/short.mid: accepted → quarantined: too_short",
            "2 styles changed",
            "    songs/jazz/3.mid: jazz → swing",
        ):
            assert line in lines
        report = json.loads(ask(*words, "--json").stdout)
        assert report["added"] == ["songs/jazz/new.mid"]
        assert report["settings"]["limits.min_notes"] == [16, 19]
        assert ask("datasets", "diff", "mine", "mine").stdout.splitlines()[1:] == ["  no difference"]

    def test_why(self, ask: Command, catalogue) -> None:
        copy = catalogue.folder / "bach" / "copy.mid"
        lines = ask("why", copy).stdout.splitlines()
        assert lines[0] == f"{catalogue.after}: songs/bach/copy.mid is duplicate (same_bytes: songs/bach/1.mid)"
        facts = dict(line.split(maxsplit=1) for line in lines[1:])
        assert facts["family"] == "3 files: songs/bach/1.mid, songs/bach/copy.mid, songs/bach/higher.mid"
        assert (facts["style"], facts["music"]) == ("bach", "40 notes, 10 s")
        assert ask("why", "songs/bach/copy.mid").stdout.splitlines() == lines
        both = json.loads(ask("why", facts["sha256"][:12], "--json").stdout)
        assert [row["path"] for row in both] == ["bach/1.mid", "bach/copy.mid"]
        assert ask("why", "broken.mid").stdout.splitlines()[0].endswith("is quarantined (not_midi: no MThd header)")
        assert "to the kept piece" in ask("why", "higher.mid").stdout
        gone = ask("why", "gone.mid", "--dataset", catalogue.before).stdout
        assert gone.startswith(f"{catalogue.before}: songs/jazz/gone.mid is accepted")

    def test_families(self, ask: Command) -> None:
        first, kept, *members = ask("families", "mine").stdout.splitlines()
        assert first == "1 families of several files, 2 files besides the best of each"
        assert kept == "songs/bach/1.mid"
        assert members[0].split() == ["songs/bach/copy.mid", "(same_bytes)"]
        assert members[1].split()[1:] == ["songs/bach/higher.mid", "(near_duplicate)"]
        assert 0.9 < float(members[1].split()[0]) <= 1
        (family,) = json.loads(ask("families", "mine", "--json").stdout)
        assert (family["kept"], len(family["members"])) == ("songs/bach/1.mid", 2)

    def test_a_wrong_name_lists_those_that_exist(self, ask: Command, catalogue) -> None:
        for words in (
            ("datasets", "show", "lakh"),
            ("datasets", "diff", "lakh", "mine"),
            ("datasets", "diff", "mine", "lakh"),
            ("families", "lakh"),
            ("why", "1.mid", "--dataset", "lakh"),
        ):
            assert mistake(ask(*words)) == "no dataset 'lakh'; there are: mine"
        listed = ", ".join(version.digest[:12] for version in (catalogue.before, catalogue.after))
        assert mistake(ask("families", "mine@zzz")) == f"no version of dataset mine 'zzz'; there are: {listed}"
        assert mistake(ask("why", "gone.mid")).startswith(f"gone.mid is in no manifest (looked in: {catalogue.after})")
