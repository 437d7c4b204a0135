"""Questions to versions: the outcome of a file, what changed, which pieces are alike, what a run would do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.ingestion.parameters import IngestParameters
from flows.ingestion.queries import Family, difference, dry_run, families_of, outcomes_of
from flows.ingestion.queries.families import Member
from flows.ingestion.sources import Collection
from infra.errors import UserError
from infra.lake import Lake
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import SCHEMA, write_manifest


def files(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['collection']}/{row['path']}" for row in rows]


class TestOutcomesOf:
    @pytest.fixture
    def ask(self, catalogue: Any) -> Any:
        return lambda path: outcomes_of([catalogue.after], str(path))

    @pytest.mark.parametrize("path", ["songs/bach/copy.mid", "bach/copy.mid", "copy.mid", "/data/songs/bach/copy.mid"])
    def test_a_path_as_far_as_it_is_known(self, ask: Any, path: str, catalogue: Any) -> None:
        (row,) = ask(path)
        assert row["version"] == str(catalogue.after)
        assert (row["path"], row["status"], row["reason"]) == ("bach/copy.mid", "duplicate", "same_bytes")
        assert row["detail"] == "songs/bach/1.mid"
        assert row["members"] == ["songs/bach/1.mid", "songs/bach/copy.mid", "songs/bach/higher.mid"]
        assert row["linked_file"] == "songs/bach/1.mid"
        assert row.keys() == {"version", *SCHEMA, "linked_file", "members"}

    def test_a_file_on_disk(self, ask: Any, catalogue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        assert files(ask(catalogue.folder / "bach" / "copy.mid")) == ["songs/bach/copy.mid"]
        monkeypatch.chdir(catalogue.folder / "jazz")
        assert files(ask("3.mid")) == files(ask("../jazz/3.mid")) == files(ask("./3.mid")) == ["songs/jazz/3.mid"]

    def test_a_file_that_was_moved_is_known_by_its_bytes(self, ask: Any, catalogue: Any, tmp_path: Path) -> None:
        shutil.copy(catalogue.folder / "bach" / "copy.mid", tmp_path / "unheard of.mid")
        assert files(ask(tmp_path / "unheard of.mid")) == ["songs/bach/1.mid", "songs/bach/copy.mid"]

    def test_bytes_count_more_than_a_name(self, ask: Any, catalogue: Any, tmp_path: Path) -> None:
        """A file that lies directly in a collection has the end of many paths."""
        shutil.copy(catalogue.folder / "jazz" / "3.mid", tmp_path / "broken.mid")
        assert files(ask(tmp_path / "broken.mid")) == ["songs/jazz/3.mid"]

    def test_a_file_that_was_changed_is_known_by_its_name(self, ask: Any, tmp_path: Path) -> None:
        (tmp_path / "bach").mkdir()
        (tmp_path / "bach" / "2.mid").write_bytes(b"edited since")
        assert files(ask(tmp_path / "bach" / "2.mid")) == ["songs/bach/2.mid"]

    def test_the_beginning_of_a_digest(self, ask: Any, catalogue: Any) -> None:
        sha256 = catalogue.after.manifest.filter(pl.col("path") == "jazz/3.mid")["sha256"].item()
        assert files(ask(sha256)) == files(ask(sha256[:8])) == ["songs/jazz/3.mid"]

    def test_a_quarantined_file_has_no_family(self, ask: Any) -> None:
        (row,) = ask("broken.mid")
        assert (row["status"], row["reason"], row["members"]) == ("quarantined", "not_midi", [])

    def test_in_several_versions(self, catalogue: Any) -> None:
        rows = outcomes_of([catalogue.before, catalogue.after], "short.mid")
        assert [(row["version"], row["status"]) for row in rows] == [
            (str(catalogue.before), "accepted"),
            (str(catalogue.after), "quarantined"),
        ]
        assert len(outcomes_of([catalogue.before, catalogue.after], "gone.mid")) == 1

    @pytest.mark.parametrize("path", ["nowhere.mid", "bach", "ach/1.mid", "0000000", "00000000", "*.mid", "bach/1.mi"])
    def test_what_no_version_knows(self, ask: Any, path: str, catalogue: Any) -> None:
        with pytest.raises(UserError) as error:
            ask(path)
        assert str(error.value) == (
            f"{path} is in no manifest (looked in: {catalogue.after}); was its folder ingested, or left out?"
        )

    def test_without_any_version(self) -> None:
        with pytest.raises(UserError, match="looked in: no dataset yet"):
            outcomes_of([], "1.mid")


class TestDifference:
    def test_names_every_change_once(self, catalogue: Any) -> None:
        found = difference(catalogue.before, catalogue.after)
        assert (found.added, found.removed) == (["songs/jazz/new.mid"], ["songs/jazz/gone.mid"])
        assert found.changed == ["songs/jazz/other.mid"]
        assert found.outcomes == [
            {"file": "songs/jazz/short.mid", "before": "accepted", "after": "quarantined: too_short"}
        ]
        (moved,) = [change for change in found.splits if change["after"] is None]
        assert moved["file"] == "songs/jazz/short.mid"
        assert found.splits == [moved]
        assert found.styles == [
            {"file": f"songs/jazz/{name}.mid", "before": "jazz", "after": "swing"} for name in ("3", "short")
        ]
        assert found.settings.keys() == {"limits.min_notes", "vocabulary.digest"}
        assert found.settings["limits.min_notes"] == (16, 19)

    def test_the_other_way_round(self, catalogue: Any) -> None:
        found = difference(catalogue.after, catalogue.before)
        assert (found.added, found.removed) == (["songs/jazz/gone.mid"], ["songs/jazz/new.mid"])
        assert found.settings["limits.min_notes"] == (19, 16)

    def test_of_a_version_to_itself_is_nothing(self, catalogue: Any) -> None:
        found = difference(catalogue.after, catalogue.after)
        assert not any(vars(found).values())


def manifest_of(like: DatasetVersion, folder: Path, rows: list[dict[str, Any]]) -> DatasetVersion:
    """A version with that manifest."""
    given = [{**dict.fromkeys(SCHEMA), "collection": "songs", **row} for row in rows]
    write_manifest(folder / "manifest.parquet", pl.DataFrame(given, schema=SCHEMA))
    return DatasetVersion(folder, like.description)


class TestFamilies:
    def test_with_the_outcome_of_each_member_and_what_links_it(self, catalogue: Any) -> None:
        (family,) = families_of(catalogue.after)
        assert family.best == "songs/bach/1.mid"
        copy, higher = family.members
        assert copy == Member("songs/bach/copy.mid", "same_bytes", "duplicate", "songs/bach/1.mid", None, None)
        assert (higher.file, higher.outcome) == ("songs/bach/higher.mid", "near_duplicate")
        assert (higher.relation, higher.linked) == ("duplicate", "songs/bach/1.mid")
        assert higher.similarity == pytest.approx(1, abs=0.05)
        assert higher.evidence is not None
        assert higher.evidence > 10
        assert family.weakest == pytest.approx(higher.evidence * (higher.similarity or 0))

    def test_the_largest_first_then_by_name(self, catalogue: Any, tmp_path: Path) -> None:
        def member(family: str, path: str, reason: str | None = "same_bytes") -> dict[str, Any]:
            status = "duplicate" if reason else "accepted"
            link = {"linked": family, "relation": "duplicate"} if reason else {}
            return {"path": path, "family": family, "sha256": family, "status": status, "reason": reason, **link}

        rows = [member(f, f"{f}0", None) for f in "dabc"] + [member("b", "b1"), member("c", "c1"), member("c", "c2")]
        rows += [member("a", "a1"), {"path": "bad", "status": "quarantined", "reason": "no_notes"}]
        found = families_of(manifest_of(catalogue.after, tmp_path, rows))
        assert [(family.best, len(family.members), family.weakest) for family in found] == [
            ("songs/c0", 2, None),
            ("songs/a0", 1, None),
            ("songs/b0", 1, None),
        ]

    def test_several_of_a_family_may_be_accepted_and_linked_one_by_one(self, catalogue: Any, tmp_path: Path) -> None:
        performance = {"linked": "11", "relation": "related", "similarity": 0.5, "evidence": 8.0}
        part = {"linked": "22", "relation": "related", "similarity": 1.0, "evidence": 3.5}
        edit = {
            "reason": "near_duplicate",
            "linked": "11",
            "relation": "duplicate",
            "similarity": 0.75,
            "evidence": 60.0,
        }
        rows: list[dict[str, Any]] = [
            {"path": "performance", "sha256": "22", "status": "accepted", **performance},
            {"path": "best", "sha256": "11", "status": "accepted"},
            {"path": "edit", "sha256": "33", "status": "duplicate", **edit},
            {"path": "part", "sha256": "44", "status": "accepted", **part},
        ]
        (family,) = families_of(manifest_of(catalogue.after, tmp_path, [{**row, "family": "11"} for row in rows]))
        assert family == Family(
            "songs/best",
            [
                Member("songs/performance", "accepted", "related", "songs/best", 0.5, 8.0),
                Member("songs/edit", "near_duplicate", "duplicate", "songs/best", 0.75, 60.0),
                Member("songs/part", "accepted", "related", "songs/performance", 1.0, 3.5),
            ],
        )
        assert family.weakest == 3.5

    def test_there_may_be_none(self, catalogue: Any, tmp_path: Path) -> None:
        assert families_of(manifest_of(catalogue.after, tmp_path, [])) == []


def everything(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


class TestPlan:
    def parameters(self, lake: Lake, folder: Path, **settings: Any) -> IngestParameters:
        collection = {"name": "songs", "location": folder, "licence": "CC0", **settings.pop("collection", {})}
        collections = [Collection.model_validate(collection)]
        return IngestParameters(collections=collections, name="mine", lake=lake.address, workers=1, **settings)

    def test_of_a_first_run(self, catalogue: Any, tmp_path: Path) -> None:
        found = dry_run(self.parameters(Lake(tmp_path / "lake"), catalogue.folder), lambda *_: None)
        (summary,) = found.collections
        size = sum(path.stat().st_size for path in catalogue.folder.rglob("*.mid"))
        assert (summary["collection"], summary["files"], summary["bytes"]) == ("songs", 9, size)
        assert summary["styles"] == {"bach": 4, "jazz": 4, "songs": 1}
        assert summary["ignored"] == {".jpg": 1}
        assert (found.files, found.unparsed, found.unreadable, found.version) == (9, 8, [], None)
        assert not (tmp_path / "lake").exists(), "something was done"

    def test_of_another_run(self, catalogue: Any) -> None:
        before = everything(catalogue.lake.root)
        found = dry_run(self.parameters(catalogue.lake, catalogue.folder), lambda *_: None)
        assert (found.unparsed, found.version) == (0, None), "the rules have changed since"
        rules = {"synonyms": {"jazz": "swing"}}
        same = self.parameters(catalogue.lake, catalogue.folder, collection=rules, limits={"min_notes": 19})
        assert dry_run(same, lambda *_: None).version == str(catalogue.after)
        assert everything(catalogue.lake.root) == before

    def test_names_what_cannot_be_read(self, tmp_path: Path, song: Any) -> None:
        (tmp_path / "songs").mkdir()
        (tmp_path / "songs" / "1.mid").write_bytes(song(1))
        (tmp_path / "songs" / "bad.zip").write_bytes(b"no archive")
        found = dry_run(self.parameters(Lake(tmp_path / "lake"), tmp_path / "songs"), lambda *_: None)
        ((name, why),) = found.unreadable
        assert name == "songs/bad.zip"
        assert why
        assert (found.files, found.unparsed) == (2, 1)
