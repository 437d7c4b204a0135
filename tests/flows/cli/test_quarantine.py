"""The quarantine command: the list, the export and the preview, and a line for every mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


class TestQuarantine:
    def test_lists_files_with_what_their_bytes_are(self, command: Command, catalogue) -> None:
        lines = command("quarantine", "mine", lake=catalogue.lake.root).stdout.splitlines()
        assert lines[:3] == [f"{catalogue.after}: 2 files quarantined", "         1  not_midi", "         1  too_short"]
        assert lines[4:9] == [
            "not_midi: what would let them in is a MIDI file in its place",
            "  songs/broken.mid  8 bytes",
            lines[6],
            "    6e 6f 20 6d 75 73 69 63  no music",
            "    no MThd header, so no chunk to follow",
        ]
        report = json.loads(command("quarantine", "mine", "--json", lake=catalogue.lake.root).stdout)
        assert report["reasons"] == {"not_midi": 1, "too_short": 1}
        assert [file["bytes"]["size"] == file["size"] for file in report["files"]] == [True, True]

    def test_counts_alone(self, command: Command, catalogue) -> None:
        chosen = ("--reason", "too_short", "--limit", "0")
        lines = command("quarantine", "mine", *chosen, lake=catalogue.lake.root).stdout.splitlines()
        assert lines == [f"{catalogue.after}: 1 file quarantined", "         1  too_short"]
        nothing = command("quarantine", "mine", "--reason", "truncated", lake=catalogue.lake.root).stdout
        assert nothing == f"{catalogue.after}: no file is quarantined for that reason\n"

    def test_exports_to_a_new_folder(self, command: Command, catalogue, tmp_path: Path) -> None:
        target = tmp_path / "review"
        result = command("quarantine", "mine", "--export", target, lake=catalogue.lake.root)
        assert result.stdout.startswith(f"{target}: 2 files, ")
        assert (target / "index.csv").is_file()

    def test_previews_other_limits(self, command: Command, catalogue) -> None:
        lines = command("quarantine", "mine", "--set", "limits.min_notes=8", lake=catalogue.lake.root).stdout
        assert lines.splitlines() == [
            f"{catalogue.after}: the outcome of 1 file would change",
            "         1  too_short → not quarantined",
            "    songs/jazz/short.mid: too_short → not quarantined",
        ]

    def test_mistakes(self, command: Command, mistake: Mistake, catalogue, tmp_path: Path) -> None:
        def told(*words: object) -> str:
            return mistake(command("quarantine", *words, lake=catalogue.lake.root))

        assert told("lakh").startswith("no dataset 'lakh'; there are: mine")
        assert told("mine", "--reason", "ugly").startswith("no reason 'ugly'; there are: not_midi")
        assert "nearest: 'limits.min_notes'" in told("mine", "--set", "limits.min_note=8")
        assert "leave out --export and --reason" in told("mine", "--set", "limits.min_notes=8", "--export", tmp_path)
        assert "is not empty; name a new folder" in told("mine", "--export", catalogue.folder)
