"""The ingest command: its reports, its dry run, and a line for every mistake."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from infra.lake import Lake

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


@pytest.mark.usefixtures("prefect_api", "shared_workers")
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
        assert (report["reused"], report["styles"], report["licences"]) == (True, {"bach": 1}, {"CC0-1.0": 1})
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
        assert report["licences"] == {"CC-BY": 4, "not stated": 1}
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
                "  licences: not stated 9",
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

    def test_counts_files_whose_licence_is_not_allowed(self, command: Command, catalogue) -> None:
        ingest = ("ingest", catalogue.folder, "--name", "mine", "--dry-run", "--licence", "CC BY-NC 4.0")
        lines = command(*ingest, "--set", "licences.allow=PD,CC-BY-*").stdout.splitlines()
        assert lines[2:4] == ["  licences: CC-BY-NC-4.0 9", "  licence not allowed: 9 of 9 files"]
        assert lines[-1] == "0 of 9 files would be read, and a new version published"

    def test_counts_labels_of_no_file(self, command: Command, tmp_path: Path, catalogue) -> None:
        labels = tmp_path / "labels.csv"
        labels.write_text("path,style\njazz/3.mid,swing\nnowhere.mid,jazz\n")
        (tmp_path / "mine.toml").write_text(
            f"[[collection]]\nname = 'songs'\nlocation = '{catalogue.folder}'\nstyles = [{{ labels = '{labels}' }}]\n"
        )
        lines = command("ingest", tmp_path / "mine.toml", "--dry-run").stdout.splitlines()
        assert f"  {labels}: 1 label for no file, that is for 'nowhere.mid'" in lines

    def test_names_files_that_cannot_be_read(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "songs").mkdir()
        (tmp_path / "songs" / "bad.zip").write_bytes(b"no archive")
        (tmp_path / "songs" / "1.mid").write_bytes(b"MThd")
        result = command("ingest", tmp_path / "songs", "--name", "mine", "--dry-run")
        assert "cannot be read: songs/bad.zip: " in result.stdout
        assert "1 of 2 files would be read" in result.stdout


@pytest.mark.usefixtures("prefect_api")
class TestMistakes:
    """One line on standard error that lists what exists, status 2, no traceback."""

    def test_ingest(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
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
    def test_a_setting_of_ingestion(
        self, mistake: Mistake, command: Command, tmp_path: Path, setting: str, words: str
    ) -> None:
        assert mistake(command("ingest", tmp_path, "--name", "x", "--set", setting)).startswith(words)
        assert not (tmp_path / "lake").exists(), "a server was started for it"


@pytest.mark.usefixtures("prefect_api", "shared_workers")
class TestRulesForPublishing:
    def test_stand_in_the_toml_and_an_option_wins(self, command: Command, tmp_path: Path, song) -> None:
        (tmp_path / "bach").mkdir()
        (tmp_path / "bach" / "1.mid").write_bytes(song(1))
        toml = tmp_path / "few.toml"
        toml.write_text("[[collection]]\nname = 'bach'\nlocation = 'bach'\n[gates]\nmin_pieces = 3\nmin_hours = 2\n")
        result = command("ingest", toml, "--workers", "1", "--set", "gates.min_pieces=5", "--json")
        assert result.exit_code == 1
        line = result.stderr.splitlines()[-1]
        assert line.startswith(
            "musenet: few is not published, 2 rules are broken: min_pieces: 1 piece, 4 pieces below "
        )
        report = json.loads(result.stdout)
        assert (report["published"], {gate["rule"]: gate["outcome"] for gate in report["gates"]}) == (
            False,
            {"min_pieces": "broken", "min_hours": "broken"},
        )
        accept = ("--accept", "min_pieces", "--accept", "min_hours")
        published = command("ingest", toml, "--workers", "1", *accept)
        assert published.exit_code == 0
        assert "accepted: min_pieces: 1 piece, 2 pieces below the limit of 3 pieces" in published.stdout

    def test_mistakes_in_them(self, mistake: Mistake, command: Command, tmp_path: Path) -> None:
        ingest = ("ingest", tmp_path, "--name", "x", "--dry-run")
        assert "there is no such rule; nearest: 'min_pieces'" in mistake(command(*ingest, "--accept", "min_piece"))
        toml = tmp_path / "x.toml"
        for table, fault in (
            ("[gates]\nmin_piece = 3", "[gates] no setting 'min_piece'; nearest: 'min_pieces'"),
            ("[gates]\nmin_accepted_share = 80", "[gates] min_accepted_share = 80: Input should be less than or equal"),
            (
                "[licences]\nallow = ['CC_BY-*']",
                "[licences] allow.0 = 'CC_BY-*': no SPDX licence is a version of 'CC_BY",
            ),
            ("[licences]\nalow = ['PD']", "[licences] no setting 'alow'; nearest: 'allow'"),
            ("[[gates]]\nmin_pieces = 3", "gates is a table; write [gates]"),
            ("[gate]\nmin_pieces = 3", "there is no key 'gate'; nearest: 'gates'"),
        ):
            toml.write_text(f"[[collection]]\nname = 'bach'\nlocation = 'bach'\n{table}\n")
            assert f"{toml}: {fault}" in mistake(command("ingest", toml, "--dry-run"))
        one, two = tmp_path / "one.toml", tmp_path / "two.toml"
        for number, path in enumerate((one, two)):
            path.write_text(f"[[collection]]\nname = '{number}'\nlocation = 'bach'\n[gates]\nmin_pieces = 3\n")
        assert mistake(command("ingest", one, two, "--name", "x", "--dry-run")) == (
            f"both {one} and {two} have a table [gates]; keep it in one of them"
        )
