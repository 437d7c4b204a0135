"""The stages of ingestion together: every file has its outcome, and no file is parsed twice."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import polars as pl
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from flows.engines import Engine, EngineName, JobError, open_engine
from flows.ingestion import card
from flows.ingestion.context import IngestContext
from flows.ingestion.dedup import Limits
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.gates import GateError
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.parsing import ParseLimits
from flows.ingestion.parsing.store import COLUMNS, Store
from flows.ingestion.pipeline import (
    ParsedFiles,
    build_on_newest,
    check_again,
    choose_encoding,
    deduplicate,
    input_key,
    parse_new,
    publish_version,
    reusable_version,
    scan_collections,
    unparsed_files,
)
from flows.ingestion.publishing import EncodingChoice, ParentChanged, Published, VersionSpec
from flows.ingestion.publishing.version_spec import CONTENT, dataset_digest
from flows.ingestion.sources import Collection, Inventory
from flows.ingestion.workers import worker_settings
from infra.lake import Lake
from infra.object_store import folders_in
from tokenization.dataset import DatasetVersion
from tokenization.dataset.contract import ManifestError
from tokenization.dataset.manifest import Reason
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

HALVES = SplitShares(validation=0.25, test=0.25)


def silent(*_: object) -> None:
    """Progress that nobody watches."""


def parameters_of(lake: Lake, *folders: Path, **settings: Any) -> IngestParameters:
    collections = [Collection(name=folder.name, location=str(folder), licence="CC0") for folder in folders]
    given = {"collections": collections, "name": "songs", "lake": lake.address, "workers": 1, **settings}
    return IngestParameters.model_validate(given)


def context_of(lake: Lake, *folders: Path, **settings: Any) -> IngestContext:
    return IngestContext.resolve(parameters_of(lake, *folders, **settings))


def build(context: IngestContext, inventory: Inventory, parsed: ParsedFiles, engine: Engine) -> Published:
    """The stages from deduplication to publishing."""
    manifest = deduplicate(context, inventory, parsed)
    encoding = choose_encoding(context, manifest, parsed, silent)
    return publish_version(context, inventory, manifest, parsed, encoding, engine, silent)


def outcomes(manifest: pl.DataFrame) -> dict[str, str]:
    return dict(manifest.select("path", pl.coalesce("reason", "status")).iter_rows())


def splits(manifest: pl.DataFrame) -> dict[str, str]:
    return dict(manifest.select("path", "split").iter_rows())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def retitled(data: bytes, title: str, reverse_tracks: bool = False) -> bytes:
    """The same music in other bytes: another title and, if asked for, the tracks in another order."""
    midi = mido.MidiFile(file=io.BytesIO(data))
    first, *others = midi.tracks
    first.insert(0, mido.MetaMessage("track_name", name=title))
    midi.tracks = [first, *(reversed(others) if reverse_tracks else others)]
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def transposed(data: bytes, semitones: int) -> bytes:
    """A near-duplicate."""
    midi = mido.MidiFile(file=io.BytesIO(data))
    for track in midi.tracks:
        for number, message in enumerate(track):
            if message.type in ("note_on", "note_off"):
                track[number] = message.copy(note=message.note + semitones)
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def songs(tmp_path: Path, song: Any) -> Path:
    """A folder of its own with 40 different songs of two styles."""
    for seed in range(40):
        add(tmp_path / "songs", f"{'bach' if seed % 2 else 'jazz'}/{seed:02}.mid", song(seed))
    return tmp_path / "songs"


def add(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, song: Any, midi_fixtures: Path) -> Path:
    """Good, broken, empty and equal files, in the order of their names."""
    folder = tmp_path_factory.mktemp("home") / "mixed"
    files = {
        "a/good.mid": song(1),
        "a/other.mid": song(2),
        "b/copy_of_good.mid": song(1),
        "b/empty.mid": b"",
        "b/page.mid": (midi_fixtures / "html_404.mid").read_bytes(),
        "b/second_page.mid": (midi_fixtures / "html_404.mid").read_bytes(),
        "b/short.mid": song(3, notes=15),
        "b/silent.mid": (midi_fixtures / "only_header.mid").read_bytes(),
        "c/good_retitled.mid": retitled(song(1), "Another title"),
        "c/good_retitled_copy.mid": retitled(song(1), "Another title"),
        "c/higher.mid": transposed(song(2), 3),
    }
    for path, data in files.items():
        add(folder, path, data)
    return folder


@pytest.fixture(scope="module")
def manifest(mixed: Path, tmp_path_factory: pytest.TempPathFactory, steps: Any) -> pl.DataFrame:
    """The outcomes of the mixed files."""
    manifest: pl.DataFrame = steps(Lake(tmp_path_factory.mktemp("lake")), "songs", mixed).manifest
    return manifest


class TestMixedFiles:
    def test_every_file_has_its_fate(self, manifest: pl.DataFrame) -> None:
        assert outcomes(manifest) == {
            "a/good.mid": "accepted",
            "a/other.mid": "accepted",
            "b/copy_of_good.mid": "same_bytes",
            "b/empty.mid": "not_midi",
            "b/page.mid": "not_midi",
            "b/second_page.mid": "not_midi",
            "b/short.mid": "too_short",
            "b/silent.mid": "no_notes",
            "c/good_retitled.mid": "same_notes",
            "c/good_retitled_copy.mid": "same_bytes",
            "c/higher.mid": "near_duplicate",
        }

    def test_an_accepted_file_is_its_own_family_with_facts(self, manifest: pl.DataFrame) -> None:
        good = manifest.row(0, named=True)
        assert good["family"] == good["sha256"]
        assert (good["notes"], good["seconds"], good["tempo"]) == (20, 4.95, 120.0)
        assert (good["programs"], good["drums"], good["repairs"]) == ([0], False, [])
        assert (good["licence"], good["collection"], good["style"], good["detail"]) == ("CC0-1.0", "mixed", "a", None)
        assert good["size"] > 100

    def test_duplicates_name_the_kept_one_and_follow_its_family_and_split(self, manifest: pl.DataFrame) -> None:
        rows = {row["path"]: row for row in manifest.to_dicts()}
        for path, kept in {
            "b/copy_of_good.mid": "a/good.mid",
            "c/good_retitled.mid": "a/good.mid",
            "c/good_retitled_copy.mid": "a/good.mid",
            "c/higher.mid": "a/other.mid",
        }.items():
            assert (path, rows[path]["detail"]) == (path, f"mixed/{kept}")
            for column in ("family", "split"):
                assert rows[path][column] == rows[kept][column]
        higher = rows["c/higher.mid"]
        assert (higher["linked"], higher["relation"]) == (rows["a/other.mid"]["sha256"], "duplicate")
        assert higher["similarity"] > 0.9
        assert higher["evidence"] > 5
        assert rows["b/copy_of_good.mid"]["linked"] == rows["a/good.mid"]["sha256"]


def test_the_digest_is_the_same_in_every_release(songs: Path, steps: Any, lake: Lake) -> None:
    """A change of these digests makes all published datasets look outdated: it must be intended."""
    version = steps(lake, "songs", songs).version
    assert version.digest == "07bfbf5a28daa6a3ff5c2928d2d8e0a5"
    assert version.description.input_key == "081006cb969f7f1d0828eda1ad76fa4c"
    shard = "5c2b6999b1f8089d369d8293812974259b420e28e973c8368763473a8fa8a9e2"
    assert version.shards("test") == {"test/00000.parquet": shard}
    copies = steps(lake, "copies", songs, augmentation={"copies": 1}).version
    assert copies.digest == "5f8d9e7129caed21ad611ee50c60118c"


class TestEqualMusic:
    @pytest.fixture
    def fate_of(self, tmp_path: Path, steps: Any) -> Callable[[bytes, bytes], dict[str, str]]:
        def fate_of(first: bytes, second: bytes) -> dict[str, str]:
            add(tmp_path / "pair", "1.mid", first)
            add(tmp_path / "pair", "2.mid", second)
            return outcomes(steps(Lake(tmp_path / "lake"), "pair", tmp_path / "pair").manifest)

        return fate_of

    def test_with_tracks_in_another_order(self, fate_of: Any) -> None:
        rows = [(i / 4, 0.2, 60 + i % 12, 80, i % 3 * 40, False) for i in range(24)]
        data = write_midi(Notes.from_columns(*zip(*rows)))
        other = retitled(data, "reversed", reverse_tracks=True)
        assert data != other
        assert fate_of(data, other) == {"1.mid": "accepted", "2.mid": "same_notes"}

    def test_one_more_note_is_a_version_of_it_and_the_longer_one_is_kept(self, fate_of: Any, song: Any) -> None:
        notes = read_midi(song(1, notes=60))
        longer = Notes.from_columns(
            [*notes.onset, 20.0], [*notes.duration, 1.0], [*notes.pitch, 60], [80] * 61, [0] * 61, [False] * 61
        )
        assert fate_of(song(1, notes=60), write_midi(longer)) == {"1.mid": "near_duplicate", "2.mid": "accepted"}

    def test_of_two_collections_the_first_named_keeps_it(
        self, tmp_path: Path, song: Any, steps: Any, lake: Lake
    ) -> None:
        for name in ("first", "second"):
            add(tmp_path / name, "song.mid", song(1))
        done = steps(lake, "songs", tmp_path / "second", tmp_path / "first")
        assert done.manifest.select("collection", "status", "style").rows() == [
            ("second", "accepted", "second"),
            ("first", "duplicate", "first"),
        ]
        assert done.version.vocabulary.styles == ("second",)


def test_every_fixture_has_a_fate(midi_fixtures: Path, steps: Any, lake: Lake) -> None:
    """Eighty odd files, most of them broken in one way: each is named, none ends the ingestion."""
    manifest = steps(lake, "fixtures", midi_fixtures, limits=Limits(min_notes=1, max_notes_per_second=50_000)).manifest
    suffixes = (".mid", ".midi", ".kar", ".rmi")
    on_disk = {
        str(p.relative_to(midi_fixtures))
        for p in midi_fixtures.rglob("*")
        if p.is_file() and (p.suffix.lower() in suffixes or p.read_bytes()[:4] == b"MThd")
    }
    in_archive = {path for path in manifest["path"] if path.startswith("zip_with_traversal.zip/")}
    assert set(manifest["path"]) == on_disk | in_archive
    assert len(manifest) == manifest["path"].n_unique()
    assert len(in_archive) > 0
    assert manifest["sha256"].null_count() == 0
    assert manifest.select((pl.col("reason").is_null() == (pl.col("status") == "accepted")).all()).item()
    assert manifest.filter(pl.col("reason").is_in(["parser_crashed", "timed_out", "unreadable_file"])).is_empty()
    assert len(manifest.filter(pl.col("status") == "quarantined")) > 10
    disguises = manifest.filter(pl.col("path").str.starts_with("dup_"))
    assert len(disguises) == 5
    assert disguises.select("family", "split").n_unique() == 1


def test_a_file_name_that_is_not_utf_8_is_ingested(tmp_path: Path, song: Any, steps: Any, lake: Lake) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / os.fsdecode(b"caf\xe9.mid")).write_bytes(song(1))
    assert outcomes(steps(lake, "songs", tmp_path / "songs").manifest) == {"caf\\xe9.mid": "accepted"}


def test_a_collection_without_any_music_is_a_version_that_says_why(tmp_path: Path, steps: Any, lake: Lake) -> None:
    add(tmp_path / "songs", "1.mid", b"no music")
    add(tmp_path / "songs", "2.mid", b"none either")
    done = steps(lake, "songs", tmp_path / "songs", accept=["min_pieces"])
    assert outcomes(done.manifest) == {"1.mid": "not_midi", "2.mid": "not_midi"}
    assert done.published.shards == 0
    assert sum(done.version.description.pieces.values()) == 0


class TestASecondRun:
    def test_over_a_grown_collection_reads_only_what_is_new(
        self, songs: Path, song: Any, steps: Any, lake: Lake
    ) -> None:
        first = steps(lake, "songs", songs)
        assert (first.parsed.files, first.parsed.refused) == (40, 0)
        before = contents(first.version.path)
        add(songs, "jazz/new.mid", song(100))
        add(songs, "jazz/bad.mid", b"bad")
        add(songs, "jazz/bad_again.mid", b"bad")
        second = steps(lake, "songs", songs)
        assert (second.parsed.files, second.parsed.refused) == (2, 1)
        assert len(second.parsed.facts) == 42
        assert len(second.manifest) == 43
        assert second.version.digest != first.version.digest
        assert second.version.description.parent == first.version.digest
        assert contents(first.version.path) == before, "an old version was edited"
        assert steps(lake, "songs", songs).parsed.files == 0

    def test_goes_by_content_not_by_date_or_name(self, songs: Path, song: Any, steps: Any, lake: Lake) -> None:
        first = steps(lake, "songs", songs)
        for path in songs.rglob("*.mid"):
            os.utime(path, (0, 0))
        touched = steps(lake, "songs", songs)
        assert (touched.parsed.files, touched.version.digest) == (0, first.version.digest)
        (songs / "bach" / "01.mid").rename(songs / "bach" / "renamed.mid")
        shutil.move(songs / "jazz", songs / "swing")
        renamed = steps(lake, "songs", songs)
        assert renamed.parsed.files == 0
        assert renamed.version.digest != first.version.digest
        date = (songs / "bach" / "03.mid").stat()
        (songs / "bach" / "03.mid").write_bytes(song(200))
        os.utime(songs / "bach" / "03.mid", ns=(date.st_atime_ns, date.st_mtime_ns))
        assert steps(lake, "songs", songs).parsed.files == 1

    def test_of_another_dataset_reads_nothing_that_the_lake_knows(self, songs: Path, steps: Any, lake: Lake) -> None:
        steps(lake, "songs", songs)
        assert steps(lake, "others", songs / "bach").parsed.files == 0

    def test_with_another_order_of_partitions_reads_nothing(self, songs: Path, steps: Any, lake: Lake) -> None:
        steps(lake, "songs", songs)
        assert steps(lake, "songs", songs, partition_files=16).parsed.files == 0

    def test_after_a_file_was_removed(self, songs: Path, steps: Any, lake: Lake) -> None:
        first = steps(lake, "songs", songs)
        (songs / "bach" / "01.mid").unlink()
        second = steps(lake, "songs", songs)
        assert (second.parsed.files, len(second.parsed.facts)) == (0, 39)
        assert set(outcomes(first.manifest)) - set(outcomes(second.manifest)) == {"bach/01.mid"}
        assert first.version.manifest.height == 40

    def test_heals_a_store_that_was_damaged(self, songs: Path, steps: Any, lake: Lake) -> None:
        first = steps(lake, "songs", songs, partition_files=16)
        parts = Store(lake.pieces).parts()
        assert 1 < len(parts) < first.manifest["partition"].n_unique(), "small partitions are read together"
        lost = len(Store(lake.pieces).facts(parts[:1]))
        (lake.pieces / Store(lake.pieces).folder.name / parts[0]).write_bytes(b"damage")
        again = steps(lake, "songs", songs, partition_files=16)
        assert again.parsed.files == lost
        assert again.version.digest == first.version.digest

    def test_heals_damage_that_only_encoding_finds(self, songs: Path, steps: Any, lake: Lake) -> None:
        steps(lake, "songs", songs)
        (part,) = Store(lake.pieces).parts()
        path = Store(lake.pieces).folder / part
        column = pq.ParquetFile(path).metadata.row_group(0).column(list(COLUMNS).index("score"))
        data = bytearray(path.read_bytes())
        data[column.data_page_offset + column.total_compressed_size // 2] ^= 0x10
        path.write_bytes(data)
        with pytest.raises(JobError):
            steps(lake, "others", songs)
        healed = steps(lake, "others", songs)
        assert healed.parsed.files == 40
        assert healed.version.description.outcomes == {"accepted": 40}


class TestTransientRefusals:
    @pytest.mark.parametrize("reason", [Reason.UNREADABLE_FILE, Reason.PARSER_CRASHED, Reason.TIMED_OUT])
    def test_are_tried_again(self, songs: Path, steps: Any, lake: Lake, reason: Reason) -> None:
        sha256 = steps(Lake(lake.root / "other"), "songs", songs / "bach").manifest["sha256"][0]
        row = {**dict.fromkeys(COLUMNS), "sha256": sha256, "refusal": str(reason), "repairs": []}
        Store(lake.pieces).write({name: [value] for name, value in row.items()})
        first = steps(lake, "songs", songs / "bach")
        assert first.parsed.files == 20
        assert first.version.description.outcomes == {"accepted": 20}
        assert steps(lake, "songs", songs / "bach").parsed.files == 0

    def test_of_a_file_that_changed_while_it_was_ingested(
        self, songs: Path, song: Any, engine: Engine, lake: Lake
    ) -> None:
        context = context_of(lake, songs)
        inventory = scan_collections(context, silent)
        add(songs, "bach/01.mid", song(500))
        version = build(context, inventory, parse_new(context, inventory, engine, silent), engine).version
        assert version.description.outcomes == {"accepted": 39, "quarantined: unreadable_file": 1}
        add(songs, "bach/01.mid", song(1))
        context = context.renewed()
        assert input_key(context, scan_collections(context, silent)) == version.description.input_key
        assert reusable_version(context, inventory) is None, "the file would never be tried again"
        again = parse_new(context, inventory, engine, silent)
        assert (again.files, again.refused) == (1, 0)
        healed = build(context, inventory, again, engine).version
        assert healed.description.outcomes == {"accepted": 40}
        assert reusable_version(context.renewed(), inventory) == healed

    def test_lasting_ones_are_not(self, songs: Path, steps: Any, lake: Lake) -> None:
        add(songs, "page.mid", b"<html>")
        steps(lake, "songs", songs)
        assert steps(lake, "songs", songs).parsed.files == 0


def test_what_was_held_out_is_never_trained_on(songs: Path, song: Any, steps: Any, lake: Lake) -> None:
    """Files come in rounds; among them versions of earlier ones, better ones too, and one that links two families."""
    version = steps(lake, "songs", songs, splits=HALVES)
    held_out = {path for path, split in splits(version.manifest).items() if split != "train"}
    assert 15 <= len(held_out) <= 25
    for number in range(3):
        for seed in range(20):
            add(songs, f"bach/round{number}_{seed}.mid", song(1000 + 100 * number + seed))
        for path in sorted(held_out)[number : number + 4]:
            add(songs, f"{path[:-4]}_higher{number}.mid", transposed((songs / path).read_bytes(), number + 1))
        before = splits(version.manifest)
        version = steps(lake, "songs", songs, splits=HALVES)
        after = splits(version.manifest)
        assert {path: after[path] for path in before} == before, "a new file moved an old one"
        for path, split in after.items():
            if "_higher" in path:
                assert split == after[f"{path.split('_higher')[0]}.mid"]
        held_out = {path for path, split in after.items() if split != "train"}
    train, test = (next(p for p in sorted(before) if before[p] == split) for split in ("train", "test"))
    one, other = read_midi((songs / train).read_bytes()), read_midi((songs / test).read_bytes())
    medley = Notes.from_columns(
        [*one.onset, *(other.onset + 6)],
        [*one.duration, *other.duration],
        [*one.pitch, *other.pitch],
        [80] * 40,
        [0] * 40,
        [False] * 40,
    )
    add(songs, "bach/medley.mid", write_midi(medley))
    linked = steps(lake, "songs", songs, splits=HALVES)
    rows = {row["path"]: row for row in linked.manifest.to_dicts()}
    assert rows[train]["family"] == rows[test]["family"] == rows["bach/medley.mid"]["sha256"]
    assert rows[train]["split"] == rows[test]["split"] == "test"


def test_another_seed_of_the_splits_is_another_draw(songs: Path, steps: Any, lake: Lake) -> None:
    first = steps(lake, "songs", songs, splits=HALVES)
    other = steps(lake, "songs", songs, splits=SplitShares(validation=0.25, test=0.25, seed=1))
    assert splits(first.manifest) != splits(other.manifest)
    assert splits(steps(Lake(lake.root / "new"), "songs", songs, splits=HALVES).manifest) == splits(first.manifest)


@pytest.mark.slow
def test_results_are_the_same_for_any_number_of_workers_lake_and_dates(
    mixed: Path, songs: Path, tmp_path: Path, steps: Any
) -> None:
    settings: dict[str, Any] = {"partition_files": 16, "augmentation": {"copies": 1}}
    first = steps(Lake(tmp_path / "two"), "songs", mixed, songs, **settings)
    for path in songs.rglob("*.mid"):
        os.utime(path, (10**9, 10**9))
    context = context_of(Lake(tmp_path / "one"), mixed, songs, **{**settings, "workers": 1})
    with open_engine(EngineName.LOCAL, 1, worker_settings(ParseLimits()), None) as engine:
        inventory = scan_collections(context, silent)
        version = build(context, inventory, parse_new(context, inventory, engine, silent), engine).version
    assert version.manifest.equals(first.manifest)
    assert version.digest == first.version.digest
    shards = {name: data for name, data in contents(version.path).items() if name.count("/")}
    assert shards == {name: data for name, data in contents(first.version.path).items() if name.count("/")}
    assert len(shards) > 3


class TestInputKey:
    def key(self, *folders: Path, **settings: Any) -> str:
        lake = settings.pop("lake", Lake(Path(tempfile.mkdtemp())))
        context = context_of(lake, *folders, **settings)
        return input_key(context, scan_collections(context, silent))

    def test_equal_files_and_settings_have_an_equal_key(self, mixed: Path, tmp_path: Path) -> None:
        key = self.key(mixed)
        assert self.key(mixed, workers=2, lake=Lake(tmp_path), name="another") == key
        shutil.copytree(mixed, tmp_path / "mixed")
        assert self.key(tmp_path / "mixed") == key
        assert self.key(mixed / "a", mixed / "b") != key

    def test_another_byte_style_licence_or_encoding_is_another_key(self, mixed: Path, tmp_path: Path) -> None:
        home = tmp_path / "mixed"
        shutil.copytree(mixed, home)
        keys = {self.key(home), self.key(home, tokens={"vocabulary": "musenet", "encoding": "combined"})}
        assert len(keys) == 1
        base: dict[str, Any] = {"name": "mixed", "location": str(home), "licence": "CC0"}
        for change in ({"licence": "CC-BY"}, {"styles": [{"label": "bach"}]}, {"exclude": ["c"]}):
            keys.add(self.key(collections=[Collection.model_validate({**base, **change})]))
        (home / "a" / "good.mid").write_bytes((home / "a" / "good.mid").read_bytes() + b"\0")
        keys.add(self.key(home))
        assert len(keys) == 5


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


WORDS = {"combined": "onset", "seconds": "beats", "musenet": "general_midi", "duplicates": "relatives"}
LISTS: dict[str, list[Any]] = {
    "duplicates.keep": ["notes"],
    **{f"duplicates.{key}": [["songs/a.mid", "songs/b.mid"]] for key in ("same", "related", "different")},
}
"""Other values of lists that do not hold the name of a repair."""


def changed(value: Any) -> Any:
    """Another value in the range of any setting."""
    if isinstance(value, str):
        return WORDS[value]
    if isinstance(value, bool):
        return not value
    if value is None:
        return ["CC0"]
    if isinstance(value, list):
        return ["truncated"]
    return value + 1 if isinstance(value, int) else value / 2 or 0.4


SETTINGS = leaves(
    IngestParameters(collections=[Collection(name="x", location="x")], name="x", lake="x").content_settings()
)


class TestContentSettings:
    def test_are_all_that_a_version_depends_on(self) -> None:
        fields = IngestParameters.model_fields.keys()
        inputs = {"collections", "name"}  # the digest has them in other ways
        no_content = {"engine", "workers", "cluster", "lake", "reading", "gates", "accept"}
        chosen = {name.split(".")[0] for name in SETTINGS}
        assert fields == inputs | no_content | (chosen - {"max_bytes"})
        assert not {"seconds_per_file", "worker_bytes"} & chosen

    @pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"tokens.units"}))
    def test_any_other_value_is_another_digest(self, name: str, songs: Path, steps: Any, lake: Lake) -> None:
        inventory = scan_collections(context_of(lake, songs), silent)
        manifest = pl.DataFrame(schema=dict.fromkeys(CONTENT, pl.String))

        def digests(**settings: Any) -> tuple[str, str]:
            context = context_of(lake, songs, **settings)
            parameters, tokens = context.parameters, context.parameters.tokens
            choice = EncodingChoice.of(tokens.base_encoding(), tokens.sustain, parameters.augmentation)
            spec = VersionSpec(lake, "songs", choice, True, parameters.content_settings(), "", {}, (), (), ())
            return input_key(context, inventory), dataset_digest(manifest, spec)

        path = ["reading", name] if name == "max_bytes" else name.split(".")
        settings: Any = LISTS[name] if name in LISTS else changed(SETTINGS[name])
        for step in reversed(path):
            settings = {step: settings}
        assert not set(digests(**settings)) & set(digests())
        assert digests() == digests(workers=3, cluster="x")

    def test_more_units_are_another_version(self, songs: Path, lake: Lake) -> None:
        keys = set()
        for units in (None, 100, 200):
            context = context_of(lake, songs, tokens={"encoding": "onset_bpe", "units": units})
            keys.add(input_key(context, scan_collections(context, silent)))
        assert len(keys) == 3


class TestParameters:
    @pytest.mark.parametrize("name", ["", "My Set", "../up", "a/b", "-x", "Ä"])
    def test_a_dataset_has_a_plain_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValidationError, match="name"):
            parameters_of(Lake(tmp_path), tmp_path, name=name)

    @pytest.mark.parametrize(
        "settings",
        [{"limit": {}}, {"limits": {"min_note": 3}}, {"limits": 3}, {"augmentation": {"changes": {"speed": 1}}}],
    )
    def test_a_misspelt_setting_is_no_default(self, tmp_path: Path, settings: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            parameters_of(Lake(tmp_path), tmp_path, **settings)

    def test_there_is_a_schema_for_prefects_form(self) -> None:
        assert {"collections", "name", "limits", "splits"} <= IngestParameters.model_json_schema()["properties"].keys()

    def test_nothing_to_ingest_is_a_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="collections"):
            parameters_of(Lake(tmp_path))


def test_the_files_that_a_run_would_parse(songs: Path, song: Any, steps: Any, lake: Lake) -> None:
    context = context_of(lake, songs)
    known, lacking = unparsed_files(context, scan_collections(context, silent))
    assert (len(known), len(lacking)) == (0, 40)
    steps(lake, "songs", songs / "bach")
    add(songs, "jazz/twice.mid", song(0))
    known, lacking = unparsed_files(context, scan_collections(context, silent))
    assert (len(known), len(lacking)) == (20, 20)
    assert set(lacking["path"]) == {f"jazz/{seed:02}.mid" for seed in range(0, 40, 2)}


def test_a_manifest_that_breaks_its_contract_is_not_published(
    songs: Path, steps: Any, lake: Lake, engine: Engine
) -> None:
    context = context_of(lake, songs)
    inventory = scan_collections(context, silent)
    parsed = parse_new(context, inventory, engine, silent)
    manifest = deduplicate(context, inventory, parsed)
    encoding = choose_encoding(context, manifest, parsed, silent)
    without = manifest.with_columns(pl.when(pl.int_range(pl.len()) != 7).then("split").alias("split"))
    with pytest.raises(ManifestError, match=r"column status: an accepted file has .*; broken in 1 of .* first songs/"):
        publish_version(context, inventory, without, parsed, encoding, engine, silent)
    assert not list(folders_in(lake.datasets))


class TestLicences:
    """The folders of `home` are collections of their own, each under another licence."""

    @pytest.fixture
    def collections(self, tmp_path: Path, song: Any) -> list[Collection]:
        licences = {"free": "Public Domain", "open": "CC BY 4.0", "closed": "not stated"}
        for seed, folder in enumerate(licences):
            add(tmp_path / folder, "1.mid", song(seed))
        add(tmp_path / "closed", "page.mid", b"no music")
        return [Collection(name=name, location=str(tmp_path / name), licence=text) for name, text in licences.items()]

    def test_are_counted_by_their_names(self, collections: Any, steps: Any, lake: Lake) -> None:
        version = steps(lake, "songs", *collections).version
        assert version.licences == version.description.licences == {"CC-BY-4.0": 1, "PD": 1, "not stated": 1}
        stated = dict(version.manifest.select("licence", "stated_licence").iter_rows())
        assert stated == {"CC-BY-4.0": "CC BY 4.0", "PD": "Public Domain", "not stated": None}

    def test_that_are_not_allowed_are_quarantined_unread(self, collections: Any, steps: Any, lake: Lake) -> None:
        done = steps(lake, "songs", *collections, licences={"allow": ["PD", "CC-BY-*"]})
        closed = done.manifest.filter(collection="closed")
        assert closed["reason"].to_list() == ["licence", "licence"], "a page, too: nobody has looked"
        assert closed["detail"][0] == "its licence is not stated; allowed are: PD, CC-BY-*"
        assert done.parsed.files == 2
        assert done.version.licences == {"CC-BY-4.0": 1, "PD": 1}

    def test_under_another_policy_read_only_what_it_adds(self, collections: Any, steps: Any, lake: Lake) -> None:
        settings = {"splits": {"validation": 0, "test": 0}, "gates": {"max_hours_drop": 1}}
        narrow, wide, again = (
            steps(lake, "songs", *collections, licences={"allow": allow}, **settings)
            for allow in (["PD"], ["PD", "CC-BY-*"], ["PD"])
        )
        assert (narrow.parsed.files, wide.parsed.files, again.parsed.files) == (1, 1, 0)
        of_files = [done.manifest.drop("partition") for done in (again, narrow)]
        assert of_files[0].equals(of_files[1]), "the store knows more by now"

    def test_of_the_same_bytes_the_allowed_file_is_used(
        self, collections: Any, song: Any, steps: Any, lake: Lake
    ) -> None:
        add(Path(collections[2].location), "1.mid", song(0))
        done = steps(lake, "songs", collections[2], collections[0], licences={"allow": ["PD"]})
        assert done.manifest.filter(status="accepted")["collection"].to_list() == ["free"]


class TestRulesForPublishing:
    @pytest.fixture
    def three(self, tmp_path: Path, song: Any) -> Path:
        for seed in range(3):
            add(tmp_path / "three", f"{seed}.mid", song(seed))
        return tmp_path / "three"

    def test_are_checked_before_anything_is_encoded(self, three: Path, steps: Any, lake: Lake) -> None:
        with pytest.raises(GateError, match="min_pieces: 3 pieces, 1 piece below the limit of 4 pieces"):
            steps(lake, "songs", three, gates={"min_pieces": 4})
        assert not list(folders_in(lake.datasets)), "something was published"

    def test_do_not_change_the_digest(self, three: Path, steps: Any, lake: Lake) -> None:
        plain = steps(lake, "songs", three).version
        again = steps(Lake(lake.root / "other"), "songs", three, gates={"min_pieces": 4}, accept=["min_pieces"]).version
        assert again.digest == plain.digest
        found = [(result.rule, result.value, result.limit, result.outcome) for result in again.description.gates]
        assert found == [("min_pieces", 3, 4, "accepted")]

    def test_compare_with_the_version_before(self, three: Path, steps: Any, lake: Lake) -> None:
        steps(lake, "songs", three)
        for name in ("0.mid", "1.mid"):
            (three / name).unlink()
        with pytest.raises(GateError, match=r"max_pieces_drop: 66\.67 %, .* \(3 → 1 pieces since songs@"):
            steps(lake, "songs", three)
        less = steps(lake, "songs", three, accept=["max_pieces_drop", "max_hours_drop"]).version
        assert [result.outcome for result in less.description.gates] == ["passed", "accepted", "accepted"]

    def test_hold_for_a_version_that_exists(self, three: Path, song: Any, steps: Any, lake: Lake) -> None:
        small = steps(lake, "songs", three).version
        for seed in range(10, 20):
            add(three, f"{seed}.mid", song(seed))
        steps(lake, "songs", three)
        with pytest.raises(GateError, match=r"max_pieces_drop: 76\.92 %, .* \(13 → 3 pieces"):
            check_again(context_of(lake, three), small)
        check_again(context_of(lake, three, accept=["max_pieces_drop", "max_hours_drop"]), small)

    def test_that_were_accepted_stay_so_while_nothing_changes(self, three: Path, steps: Any, lake: Lake) -> None:
        gates = {"min_pieces": 4}
        version = steps(lake, "songs", three, gates=gates, accept=["min_pieces"]).version
        check_again(context_of(lake, three, gates=gates), version)
        with pytest.raises(GateError, match="a rule is broken: min_hours"):
            check_again(context_of(lake, three, gates={**gates, "min_hours": 1}), version)


class TestConcurrentIngestions:
    """Another ingestion of the dataset publishes while this one is between deduplication and publishing."""

    @pytest.fixture
    def inventory_of(self, engine: Engine) -> Callable[[IngestContext], tuple[Inventory, ParsedFiles]]:
        def inventory_of(context: IngestContext) -> tuple[Inventory, ParsedFiles]:
            inventory = scan_collections(context, silent)
            return inventory, parse_new(context, inventory, engine, silent)

        return inventory_of

    def test_what_the_other_version_holds_out_is_never_trained_on(
        self, songs: Path, steps: Any, engine: Engine, lake: Lake, inventory_of: Any
    ) -> None:
        """The other one has only songs that this one would train on, and holds out half of them."""
        context = context_of(lake, songs, splits=HALVES)
        inventory, parsed = inventory_of(context)
        others: list[DatasetVersion] = []
        alone: list[pl.DataFrame] = []

        def racing(context: IngestContext) -> Published:
            manifest = deduplicate(context, inventory, parsed)
            encoding = choose_encoding(context, manifest, parsed, silent)
            if not others:
                alone.append(manifest)
                for name in manifest.filter(split="train")["path"]:
                    add(songs.parent / "few", name, (songs / name).read_bytes())
                others.append(steps(lake, "songs", songs.parent / "few", splits=HALVES).version)
            return publish_version(context, inventory, manifest, parsed, encoding, engine, silent)

        changes: list[ParentChanged] = []
        version = build_on_newest(context, racing, changes.append).version
        assert [str(change).split(" was ")[0] for change in changes] == [str(others[0])]
        assert version.description.parent == others[0].digest
        held_out = set(others[0].manifest.filter(pl.col("split") != "train")["family"])
        assert held_out & set(alone[0].filter(split="train")["family"]), "the race would have had no effect"
        assert not held_out & set(version.manifest.filter(split="train")["family"])
        assert version.description.created > others[0].description.created

    def test_nothing_is_published_on_an_outdated_parent(
        self, songs: Path, steps: Any, engine: Engine, lake: Lake, inventory_of: Any
    ) -> None:
        context = context_of(lake, songs)
        inventory, parsed = inventory_of(context)
        other = steps(lake, "songs", songs / "bach").version
        with pytest.raises(ParentChanged) as error:
            build(context, inventory, parsed, engine)
        assert str(error.value) == (
            f"{other} was published while a version of songs was being made; ingest again to build on it"
        )
        assert [path.name for path in (lake.root / "datasets" / "songs").iterdir()] == [other.digest]

    def test_the_comparison_that_counts_is_the_last_one(
        self, songs: Path, steps: Any, engine: Engine, lake: Lake, inventory_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other version appears when all files of this one are written."""
        context = context_of(lake, songs)
        inventory, parsed = inventory_of(context)
        write_card, others = card.write_card, []

        def slow(version: DatasetVersion, manifest: pl.DataFrame) -> None:
            write_card(version, manifest)
            if not others:
                others.append(None)
                others.append(steps(lake, "songs", songs / "bach").version)

        monkeypatch.setattr(card, "write_card", slow)
        with pytest.raises(ParentChanged):
            build(context, inventory, parsed, engine)
        assert [path.name for path in (lake.root / "datasets" / "songs").iterdir()] == [others[1].digest]

    def test_a_dataset_that_never_rests_fails_in_one_line(
        self, songs: Path, song: Any, steps: Any, engine: Engine, lake: Lake, inventory_of: Any
    ) -> None:
        context = context_of(lake, songs)
        inventory, parsed = inventory_of(context)
        attempts: list[IngestContext] = []

        def overtaken(context: IngestContext) -> Published:
            attempts.append(context)
            add(songs.parent / "more", f"{len(attempts)}.mid", song(900 + len(attempts)))
            steps(lake, "songs", songs.parent / "more")
            return build(context, inventory, parsed, engine)

        with pytest.raises(ParentChanged, match="ingest again"):
            build_on_newest(context, overtaken, silent)
        assert [len(attempt.versions) for attempt in attempts] == [0, 1, 2]

    def test_another_dataset_disturbs_nobody(
        self, songs: Path, steps: Any, engine: Engine, lake: Lake, inventory_of: Any
    ) -> None:
        context = context_of(lake, songs)
        inventory, parsed = inventory_of(context)
        steps(lake, "others", songs / "bach")
        assert build(context, inventory, parsed, engine).version.description.parent is None
