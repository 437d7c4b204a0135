"""A lake in an object store: the same versions as on a disk, written and read with few requests to a real server."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest
from click.testing import CliRunner

from flows.cli import musenet as cli
from flows.engines import Engine, EngineName, open_engine
from flows.ingestion import card
from flows.ingestion.context import IngestContext
from flows.ingestion.parsing import ParseLimits
from flows.ingestion.parsing.store import Store
from flows.ingestion.pipeline import (
    ParsedFiles,
    build_on_newest,
    choose_encoding,
    deduplicate,
    parse_new,
    publish_version,
    reusable_version,
    scan_collections,
    unparsed_files,
)
from flows.ingestion.publishing import ParentChanged, Published, publication
from flows.ingestion.queries import difference, families_of, outcomes_of
from flows.ingestion.workers import worker_settings
from flows.training.runs import prepare_run
from infra.errors import RunError, UserError
from infra.lake import LAKE_VARIABLE, LOCAL_VARIABLE, Lake
from modeling.config import load_preset
from tokenization.dataset import DatasetVersion, dataset_versions, find_version

pytestmark = pytest.mark.slow

MUSENET = Path(sys.executable).with_name("musenet")
REQUEST = re.compile(r"(GET|PUT|HEAD|POST|DELETE) /midi/?(\S*) HTTP")


@contextmanager
def requests() -> Iterator[list[str]]:
    """What the server was asked in the block, by any process: `PUT lake/…`."""
    seen: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = REQUEST.search(record.getMessage())
            if found:
                seen.append(f"{found[1]} {found[2]}")

    log, handler = logging.getLogger("werkzeug"), Handler()
    level, propagate = log.level, log.propagate
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield seen
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


def methods(seen: list[str], name: str) -> Counter[str]:
    """How often each method was used on names that `name`, a regular expression, fits."""
    return Counter(request.split()[0] for request in seen if re.search(name, request))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of this machine that lakes in the store have."""
    folder = tmp_path_factory.mktemp("local") / "lake"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(LOCAL_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def lake(s3_store: Any, local: Path) -> Lake:
    return Lake.at(f"s3://{s3_store.bucket}/lake")


@pytest.fixture(scope="module")
def workers(s3_store: Any) -> Iterator[Engine]:
    """Two worker processes that know where the store is."""
    with open_engine(EngineName.LOCAL, 2, worker_settings(ParseLimits()), None) as engine:
        yield engine


def objects(lake: Lake, folder: str = "") -> dict[str, str]:
    """Name and version of all objects below a folder of the lake."""
    store, root = fsspec.url_to_fs(f"{lake.address}/{folder}", use_listings_cache=False)
    return {name: info["ETag"] + str(info["LastModified"]) for name, info in store.find(root, detail=True).items()}


@dataclass(frozen=True)
class Story:
    """A collection that was ingested, grew, and was ingested again."""

    folder: Path
    """The grown one."""
    first: DatasetVersion
    second: DatasetVersion
    first_requests: list[str]
    second_requests: list[str]
    parsed: ParsedFiles
    """Of the second time."""
    published: Published
    before: dict[str, str]
    """Objects of the lake before the second time."""


@pytest.fixture(scope="module")
def story(
    lake: Lake, workers: Engine, mixed_songs: Path, song: Any, ingest_by: Any, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    folder = tmp_path_factory.mktemp("story") / "songs"
    shutil.copytree(mixed_songs, folder)
    with requests() as first_requests:
        _, first = ingest_by(workers, lake, folder)
    before = objects(lake)
    for seed in (98, 99):
        (folder / "jazz" / f"{seed}.mid").write_bytes(song(seed, notes=40))
    with requests() as second_requests:
        parsed, second = ingest_by(workers, lake, folder)
    return Story(folder, first.version, second.version, first_requests, second_requests, parsed, second, before)


def versions_of(folder: Any) -> dict[str, bytes]:
    """The shards of a version by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*/*.parquet"))}


class TestPublishing:
    def test_the_version_is_the_one_that_a_disk_would_have(
        self, story: Story, mixed_songs: Path, ingest_by: Any, workers: Engine, lake: Lake, tmp_path: Path
    ) -> None:
        _, on_disk = ingest_by(workers, Lake(tmp_path), mixed_songs)
        assert story.first.digest == on_disk.version.digest
        copy = story.first.local(lake)
        assert versions_of(copy.path) == versions_of(on_disk.version.path) != {}
        assert copy.description.shards == on_disk.version.description.shards
        assert copy.manifest.equals(on_disk.version.manifest)

    def test_a_second_time_finds_it(self, story: Story, lake: Lake, songs_in: Any) -> None:
        context = IngestContext.resolve(songs_in(lake, story.folder))
        known = reusable_version(context, scan_collections(context, lambda *_: None))
        assert known is not None and known.digest == story.second.digest

    def test_a_grown_collection_costs_what_is_new(self, story: Story) -> None:
        assert story.parsed.files == 2
        assert 0 < story.published.encoded < story.published.shards
        assert story.second.description.parent == story.first.digest
        shared = set(story.first.description.shards.values()) & set(story.second.description.shards.values())
        assert len(shared) >= story.published.shards - story.published.encoded

    def test_nothing_that_was_there_is_touched(self, story: Story, lake: Lake) -> None:
        after = objects(lake)
        assert {name: after.get(name) for name in story.before} == story.before

    def test_it_is_invisible_without_its_description(self, story: Story, lake: Lake) -> None:
        store, root = fsspec.url_to_fs(f"{lake.address}/datasets/torn")
        for name in ("manifest.parquet", "train/00000.parquet"):
            source = f"{lake.address}/datasets/songs/{story.first.digest}/{name}"
            store.copy(store._strip_protocol(source), f"{root}/{story.first.digest}/{name}")
        assert {version.name for version in dataset_versions(lake)} == {"songs"}

    def test_another_process_s_version_is_seen_at_once(self, story: Story, lake: Lake) -> None:
        before = dataset_versions(lake, "late")
        store, root = fsspec.url_to_fs(f"{lake.address}/datasets", skip_instance_cache=True)
        description = story.first.description.model_copy(update={"name": "late"}).to_json()
        store.pipe_file(f"{root}/late/{story.first.digest}/dataset.json", description.encode())
        assert (before, len(dataset_versions(lake, "late"))) == ([], 1)
        store.rm(f"{root}/late", recursive=True)

    def test_this_machine_keeps_copies_only(self, story: Story, lake: Lake, local: Path) -> None:
        story.first.local(lake)
        assert {path.name for path in local.iterdir()} == {"cache"}
        assert list(local.rglob(".staging-*")) == []

    def test_a_damaged_part_is_read_anew(self, story: Story, lake: Lake, songs_in: Any) -> None:
        other = Lake.at(f"{lake.address}-damaged")
        files, root = fsspec.url_to_fs(lake.address)
        files.copy(f"{root}/pieces", f"{root}-damaged/pieces", recursive=True)
        store = Store(other.pieces)
        whole = store.facts()
        part = store.parts()[0]
        (store.folder / part).write_bytes(b"PAR1 is no part PAR1")
        context = IngestContext.resolve(songs_in(other, story.folder))
        _, lacking = unparsed_files(context, scan_collections(context, lambda *_: None))
        assert len(lacking) == len(whole.filter(whole["part"] == part)) > 0
        assert part not in store.parts()

    def test_a_store_that_refuses_to_answer_costs_no_part(self, story: Story, lake: Lake, s3_store: Any) -> None:
        store = Store(lake.pieces)
        parts = store.parts()
        set_requests_without_credentials(s3_store.endpoint, 0)
        try:
            with pytest.raises(RunError, match=r"/pieces/.* cannot be used: Forbidden"):
                store.facts(parts)
        finally:
            set_requests_without_credentials(s3_store.endpoint, 10**9)
        assert store.parts() == parts


class TestConcurrentIngestions:
    """Another ingestion of the dataset publishes into the same store."""

    @pytest.fixture
    def lake(self, s3_store: Any, local: Path, request: pytest.FixtureRequest) -> Lake:
        return Lake.at(f"s3://{s3_store.bucket}/race-{abs(hash(request.node.name))}")

    def overtake(self, monkeypatch: pytest.MonkeyPatch, name: str, publish_other: Callable[[], object]) -> None:
        """Have the other ingestion publish once, just before this one calls a function of publishing."""
        module = card if name == "write_card" else publication  # publishing looks it up there when it calls it
        function, done = getattr(module, name), []

        def overtaken(*args: Any) -> Any:
            if not done:
                done.append(None)
                publish_other()
            return function(*args)

        monkeypatch.setattr(module, name, overtaken)

    @pytest.mark.parametrize("moment", ["write_card", "write_description"])
    def test_the_later_one_builds_on_the_other_and_trains_on_nothing_it_holds_out(
        self,
        moment: str,
        lake: Lake,
        workers: Engine,
        mixed_songs: Path,
        tmp_path: Path,
        ingest_by: Any,
        songs_in: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        context = IngestContext.resolve(songs_in(lake, mixed_songs))
        inventory = scan_collections(context, lambda *_: None)
        parsed = parse_new(context, inventory, workers, lambda *_: None)
        alone = deduplicate(context, inventory, parsed).filter(split="train")
        for name in alone["path"]:
            (tmp_path / "songs" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(mixed_songs / name, tmp_path / "songs" / name)
        others: list[DatasetVersion] = []
        self.overtake(
            monkeypatch, moment, lambda: others.append(ingest_by(workers, lake, tmp_path / "songs")[1].version)
        )

        def build(context: IngestContext) -> Published:
            manifest = deduplicate(context, inventory, parsed)
            encoding = choose_encoding(context, manifest, parsed, lambda *_: None)
            return publish_version(context, inventory, manifest, parsed, encoding, workers, lambda *_: None)

        changes: list[ParentChanged] = []
        version = build_on_newest(context, build, changes.append).version
        assert len(changes) == 1
        assert [known.digest for known in dataset_versions(lake)] == [others[0].digest, version.digest]
        assert version.description.parent == others[0].digest
        held_out = set(others[0].manifest.filter(others[0].manifest["split"] != "train")["family"])
        assert held_out & set(alone["family"]), "the race would have had no effect"
        assert not held_out & set(version.manifest.filter(split="train")["family"])


class TestRequests:
    def test_a_part_costs_three_and_a_shard_one(self, story: Story) -> None:
        parts = methods(story.first_requests, r"/pieces/.*\.parquet")
        assert parts == {"PUT": 2, "HEAD": 4, "GET": 4}, "written once, its facts and its notes read once"
        written = [path.split("/")[0] for path in story.first.description.shards]
        shards = methods(story.first_requests, r"/(validation|test)/\d+\.parquet")
        assert shards == {"PUT": written.count("validation") + written.count("test")}
        assert methods(story.first_requests, r"/train/\d+\.parquet")["PUT"] == written.count("train") == 3

    def test_a_shard_that_is_there_is_copied_within_the_store(self, story: Story) -> None:
        shards = methods(story.second_requests, rf"{story.first.digest}/(train|validation|test)/")
        assert shards == {"HEAD": story.published.shards - story.published.encoded}
        training = methods(story.second_requests, rf"{story.first.digest}/train/")
        assert methods(story.second_requests, rf"{story.first.digest}/originality/") == training

    def test_finding_versions_costs_two_for_each(self, story: Story, lake: Lake) -> None:
        with requests() as seen:
            assert len(dataset_versions(lake, "songs")) == 2
        assert len(seen) <= 2 + 2 * 2
        assert not any("train" in request for request in seen)


class TestALocalCopy:
    def test_is_made_once(self, story: Story, lake: Lake) -> None:
        story.second.local(lake)
        with requests() as seen:
            copy = story.second.local(lake)
        assert seen == []
        assert copy.path == lake.cache / "datasets" / "songs" / story.second.digest
        assert copy.local(lake) is copy

    def test_refuses_a_shard_that_was_changed(
        self, story: Story, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Lake(tmp_path, lake.remote)
        shard = story.second.folder / sorted(story.second.description.shards)[0]
        data = shard.read_bytes()
        shard.write_bytes(data[:-1] + b"x")
        try:
            with pytest.raises(UserError, match=f"{shard} differs from the published shard; delete .* and ingest"):
                story.second.local(other)
        finally:
            shard.write_bytes(data)
        assert list(other.cache.rglob("*.parquet")) == []
        assert story.second.local(other).manifest.equals(story.second.manifest)

    def test_training_runs_on_it(self, story: Story, lake: Lake) -> None:
        copy = find_version(lake, "songs").local(lake)
        run = prepare_run(lake, copy, load_preset("tiny"), ranks=1)
        assert Path(run.config.dataset).is_relative_to(lake.cache)
        shutil.rmtree(lake.runs)


class TestQuestions:
    def test_why_families_and_diff(self, story: Story, lake: Lake) -> None:
        newest = find_version(lake, "songs")
        assert newest.digest == story.second.digest
        (row,) = outcomes_of([newest], "jazz/99.mid")
        assert row["status"] == "accepted"
        families = {frozenset((family.best, family.members[0].file)) for family in families_of(newest)}
        assert families == {
            frozenset(("songs/bach/00.mid", "songs/copies/0.mid")),
            frozenset(("songs/jazz/01.mid", "songs/copies/1.mid")),
        }
        changes = difference(find_version(lake, f"songs@{story.first.digest[:8]}"), newest)
        assert changes.added == ["songs/jazz/98.mid", "songs/jazz/99.mid"]


def musenet(*words: object, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """The installed command, in a process of its own; an environment variable that is None is not set."""
    changed = {**os.environ, **environment}
    chosen = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run([MUSENET, *map(str, words)], env=chosen, capture_output=True, text=True, timeout=600)


class TestTheCommand:
    @pytest.mark.thorough  # `test_engines.py` shows that Dask does any job, the classes above all else
    def test_collection_and_lake_in_the_store_read_by_dask(
        self, s3_store: Any, mixed_songs: Path, story: Story, tmp_path: Path
    ) -> None:
        store, root = fsspec.url_to_fs(f"s3://{s3_store.bucket}/collections/songs")
        store.put(f"{mixed_songs}/", root, recursive=True)
        url = f"s3://{s3_store.bucket}/by-command"
        place = {LAKE_VARIABLE: url, LOCAL_VARIABLE: str(tmp_path / "lake")}
        command = ("ingest", f"s3://{s3_store.bucket}/collections/songs", "--name", "songs", "--licence", "CC0")
        done = musenet(*command, "--engine", "dask", "--workers", 2, "--set", "partition_files=16", "--json", **place)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["digest"], report["folder"]) == (
            story.first.digest,
            f"{url}/datasets/songs/{story.first.digest}",
        )
        assert all(line.startswith("✓") for line in done.stderr.splitlines()), done.stderr
        written = {path.name for path in (tmp_path / "lake").iterdir()}
        assert written <= {"cache", "locks", "prefect", "registry", "services"}, "nothing that is in the store"

    def test_datasets_are_listed_and_shown(self, story: Story, lake: Lake, local: Path) -> None:
        place = {LAKE_VARIABLE: lake.address, LOCAL_VARIABLE: str(local)}
        listed, shown = (CliRunner(env=place).invoke(cli, ["datasets", *words]) for words in ((), ("show", "songs")))
        assert f"songs@{story.second.digest[:12]}" in listed.stdout
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert lake.address in shown.stdout

    def refused(self, *words: object, **environment: str | None) -> str:
        done = musenet(*words, **environment)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        return line

    def test_a_missing_bucket(self, s3_store: Any) -> None:
        refused = CliRunner().invoke(cli, ["datasets", "--lake", "s3://nowhere/lake"])
        assert (refused.exit_code, refused.stderr.rstrip()) == (
            1,
            "musenet: s3://nowhere/lake/datasets cannot be used: there is no bucket 'nowhere'; create it first",
        )

    def test_no_credentials(self, lake: Lake) -> None:
        line = self.refused("datasets", "--lake", lake.address, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
        assert line.startswith(f"musenet: {lake.datasets} cannot be used: Unable to locate credentials")

    def test_wrong_credentials(self, s3_store: Any, lake: Lake, mixed_songs: Path) -> None:
        """Found out before a single file is hashed."""
        set_requests_without_credentials(s3_store.endpoint, 0)
        try:
            line = self.refused("ingest", mixed_songs, "--name", "songs", "--dry-run", "--lake", lake.address)
        finally:
            set_requests_without_credentials(s3_store.endpoint, 10**9)
        assert line.startswith(f"musenet: {lake.datasets} cannot be used: The AWS Access Key Id")


def set_requests_without_credentials(endpoint: str, count: int) -> None:
    """After so many requests the server looks at who asks; it knows nobody."""
    request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", str(count).encode(), method="POST")
    request.add_header("Content-Type", "text/plain")
    urllib.request.urlopen(request).close()
