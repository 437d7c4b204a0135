"""The refused files of a version: listed, read again, exported, and decided on again without reading a file."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.export import export_quarantined
from flows.ingestion.queries import quarantined, redecide
from flows.ingestion.queries.originals import safe_name
from infra.errors import UserError
from infra.lake import Lake
from tokenization.dataset import DatasetVersion


@dataclass(frozen=True)
class Refused:
    """A version of a folder and an archive in it, and the files as they are now."""

    lake: Lake
    folder: Path
    version: DatasetVersion


@pytest.fixture
def refused(tmp_path: Path, song: Callable[..., bytes], steps: Any) -> Refused:
    """Two pieces of 40 notes, one of 10, and five files without music: one in an archive, two of the same bytes."""
    folder, lake = tmp_path / "songs", Lake(tmp_path / "lake")
    folder.mkdir()
    for seed in range(2):
        (folder / f"{seed}.mid").write_bytes(song(seed, notes=40))
    (folder / "short.mid").write_bytes(song(9, notes=10))
    for name, data in {"page.mid": b"<html>", "again.mid": b"<html>", "junk.mid": b"junk", "gone.mid": b"gone"}.items():
        (folder / name).write_bytes(data)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("../../etc/deep.mid", b"no music")
    return Refused(lake, folder, steps(lake, "songs", folder).version)


def test_files_are_listed_by_reason_the_most_frequent_first(refused: Refused) -> None:
    files = quarantined(refused.version)
    assert files["reason"].to_list() == ["not_midi"] * 5 + ["too_short"]
    assert files["path"].to_list()[:2] == ["again.mid", "gone.mid"]
    assert quarantined(refused.version, "too_short")["path"].to_list() == ["short.mid"]
    assert quarantined(refused.version, "truncated").is_empty()


def test_an_unknown_reason_is_a_mistake(refused: Refused) -> None:
    with pytest.raises(UserError, match="no reason 'same_bytes'; there are: not_midi"):
        quarantined(refused.version, "same_bytes")


class TestExport:
    def test_copies_what_was_ingested_and_reports_the_rest(self, refused: Refused, tmp_path: Path) -> None:
        (refused.folder / "junk.mid").write_bytes(b"changed")
        (refused.folder / "gone.mid").unlink()
        target = tmp_path / "review"
        done = export_quarantined(refused.version, quarantined(refused.version), refused.lake, target, lambda *_: None)
        with (target / "index.csv").open(encoding="utf-8") as file:
            rows = {row["path"]: row for row in csv.DictReader(file)}
        assert {path: row["outcome"] for path, row in rows.items()} == {
            "again.mid": "copied",
            "page.mid": "copied",
            "short.mid": "copied",
            "more.zip/../../etc/deep.mid": "copied",
            "junk.mid": "it has other bytes now than when it was ingested",
            "gone.mid": f"it is no longer in {refused.folder}",
        }
        assert done.rows == 4
        for row in rows.values():
            copied = row["outcome"] == "copied"
            assert copied == bool(row["copy"])
            assert not copied or (target / row["copy"]).stat().st_size == int(row["size"])
        assert {path.parent.name for path in target.rglob("*.mid")} == {"not_midi", "too_short"}
        assert json.loads((target / "index.json").read_text())[0]["path"] == "again.mid"

    def test_never_overwrites(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("mine")
        with pytest.raises(UserError, match="is not empty; name a new folder"):
            export_quarantined(
                refused.version, quarantined(refused.version), refused.lake, tmp_path / "full", lambda *_: None
            )

    @pytest.mark.parametrize(
        ("path", "name"),
        [("a/../b c.mid", "b c.mid"), ("a/<x>|y.mid", "_x__y.mid"), ("a/", "_"), ("é" * 100, "é" * 80)],
    )
    def test_names_are_safe(self, path: str, name: str) -> None:
        assert safe_name(path) == name


class TestDecidingAgain:
    def test_tells_what_other_limits_would_change(self, refused: Refused) -> None:
        found = redecide(refused.version, {"limits.min_notes": "8"})
        assert found.counts == {"too_short → not quarantined": 1}
        assert found.files == [{"file": "songs/short.mid", "before": "too_short", "after": "not quarantined"}]
        strict = redecide(refused.version, {"limits.min_notes": "41", "limits.max_seconds": "2"})
        assert strict.counts == {"not quarantined → too_short": 2}

    def test_is_what_an_ingestion_decides_and_that_reads_no_file(self, refused: Refused, steps: Any) -> None:
        told = redecide(refused.version, {"limits.min_notes": "8"})
        done = steps(refused.lake, "songs", refused.folder, limits={"min_notes": 8})
        assert done.parsed.files == 0
        after = dict(done.manifest.select("path", "status").iter_rows())
        assert [after[row["file"].removeprefix("songs/")] for row in told.files] == ["accepted"]

    def test_of_a_licence_tells_what_would_be_read(self, refused: Refused, steps: Any) -> None:
        closed = redecide(refused.version, {"licences.allow": "PD"})
        assert closed.counts == {"not_midi → licence": 5, "not quarantined → licence": 2, "too_short → licence": 1}
        version = steps(refused.lake, "none", refused.folder, licences={"allow": ["PD"]}, accept=["min_pieces"]).version
        assert redecide(version, {"licences.allow": "CC0"}).counts == {"licence → to be read": 8}

    def test_knows_no_other_setting(self, refused: Refused) -> None:
        with pytest.raises(UserError, match=r"no setting 'limits\.min_note'; nearest: 'limits\.min_notes'"):
            redecide(refused.version, {"limits.min_note": "8"})
