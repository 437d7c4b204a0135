"""Commands on dataset versions: list, show, compare, trace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from click.testing import Result

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


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
            "1 file added",
            "  + songs/jazz/new.mid",
            "1 file removed",
            "  - songs/jazz/gone.mid",
            "1 file changed",
            "  ~ songs/jazz/other.mid",
            "1 outcome changed",
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
        higher = ask("why", "higher.mid").stdout.splitlines()
        (link,) = [line for line in higher if line.split()[0] == "linked"]
        assert re.search(r"duplicate to songs/bach/1\.mid, similarity \d\.\d\d, evidence \d+\.\d$", link)
        gone = ask("why", "gone.mid", "--dataset", catalogue.before).stdout
        assert gone.startswith(f"{catalogue.before}: songs/jazz/gone.mid is accepted")

    def test_families(self, ask: Command) -> None:
        first, best, *members = ask("families", "mine").stdout.splitlines()
        assert first == "1 family of several files, 2 files besides the best"
        assert best == "songs/bach/1.mid"
        assert members[0] == "  songs/bach/copy.mid  (same_bytes; duplicate)"
        pattern = (
            r"  songs/bach/higher\.mid  \(near_duplicate; duplicate, similarity (0\.9\d|1\.00), evidence \d+\.\d\)"
        )
        assert re.fullmatch(pattern, members[1])
        (family,) = json.loads(ask("families", "mine", "--json").stdout)
        assert (family["best"], len(family["members"])) == ("songs/bach/1.mid", 2)
        assert family["members"][1]["linked"] == "songs/bach/1.mid"

    def test_families_with_the_weakest_links_first(self, ask: Command, catalogue) -> None:
        """Those without a measured link are left out."""
        assert ask("families", "mine", "--weak").stdout == ask("families", "mine").stdout
        links = [family["members"][1] for family in json.loads(ask("families", "mine", "--weak", "--json").stdout)]
        assert all(link["evidence"] for link in links)

    def test_a_wrong_name_lists_those_that_exist(self, mistake: Mistake, ask: Command, catalogue) -> None:
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
