"""`musenet models`: versions listed, compared, promoted by the gate, rolled back, copied and deleted."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tarfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner, Result

from flows.cli import musenet
from flows.promotion.gate import SHIPPED
from infra.digests import file_sha256
from infra.lake import Lake
from modeling.generation import ModelBundle
from registry.identity import folder_digest
from registry.lineage import DatasetReference
from registry.models import find_model, list_models
from registry.publishing import register
from registry.pulling import pull, pull_version
from registry.runs import begin_run
from registry.store import Registry

if TYPE_CHECKING:
    from prefect.events import Event

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

LONG, SHORT = "1", "2"
"""Versions of a run of 500 steps and of one of 60."""


@dataclass(frozen=True)
class Shelf:
    """A lake with two versions, and the commands on it."""

    lake: Lake

    def __call__(self, *words: object) -> Result:
        logging.disable(logging.NOTSET)
        return CliRunner().invoke(musenet, ["models", *map(str, words), "--lake", str(self.lake.root)])

    def champion(self) -> str:
        return find_model(Registry.open(self.lake), "champion").version


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory,
    make_registry: Callable[[Lake], Registry],
    make_bundle: Callable[..., Path],
) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("shelf") / "lake")
    store = make_registry(lake)
    dataset = DatasetReference("songs", "ab" * 16, "/lake", {})
    for seed, (steps, nats) in enumerate(((500, 5.2), (60, 8.1))):
        run = begin_run(store, uuid.uuid4().hex, f"tiny-{steps}", {})
        tags = {"run": f"run{steps}", "preset": "tiny", "steps": str(steps), "nats_per_note": f"{nats:.4f}"}
        register(store, run, make_bundle(seed=seed), dataset, tags, f"A model of {steps} steps.")
    return lake


@pytest.fixture
def shelf(template: Lake, tmp_path: Path) -> Shelf:
    lake = Lake(tmp_path / "lake")
    shutil.copytree(template.root, lake.root)
    return Shelf(lake)


def test_they_are_listed_shown_and_compared(shelf: Shelf) -> None:
    assert shelf("promote", LONG).exit_code == 0
    assert [line.split("  ")[:3] for line in shelf().output.splitlines()] == [
        ["version 1", "champion", "5.2000 nats/note"],
        ["version 2", "-", "8.1000 nats/note"],
    ]
    assert shelf("list").output == shelf().output
    shown = shelf("show", "champion").output
    assert "A model of 500 steps." in shown and "champion: version 1 since " in shown
    compared = shelf("compare", SHORT).output
    assert re.search(r"^steps +60 +500$", compared, re.MULTILINE)
    assert "gate: nats_per_note: not passed, 8.1000 beside 5.2000 (at most 5.2000)" in compared


def test_a_worse_one_becomes_champion_by_force_only_and_a_rollback_takes_it_back(shelf: Shelf) -> None:
    shelf("promote", LONG)
    refused = shelf("promote", SHORT)
    assert refused.exit_code == 1
    assert "version 2 does not become champion in place of version 1: nats_per_note: not passed" in refused.output
    assert shelf.champion() == LONG
    forced = json.loads(shelf("promote", SHORT, "--force", "--json").output)
    assert (forced["forced"], forced["before"], shelf.champion()) == (True, LONG, SHORT)
    registry = Registry.open(shelf.lake)
    model = find_model(registry, SHORT)
    tag = json.loads(model.tags["gate"])
    assert (tag["outcome"], tag["against"], model.tags["gate.outcome"]) == ("forced", LONG, "forced")
    assert model.tags["gate.nats_per_note"] == "not passed, 8.1000 beside 5.2000 (at most 5.2000)"
    page = Path(registry.client.download_artifacts(model.run_id, forced["page"])).read_text()
    assert "<td>nats_per_note</td>" in page and "It did not pass and was promoted all the same." in page
    assert shelf("rollback").output == "version 1 is champion, not 2\n"
    assert shelf.champion() == LONG


def test_whoever_moves_champion_announces_it(
    shelf: Shelf, announced: Callable[[], list[Event]], make_registry: Callable[[Lake], Registry], tmp_path: Path
) -> None:
    there = Shelf(Lake(tmp_path / "other"))
    make_registry(there.lake)
    for words in (("promote", LONG), ("promote", SHORT), ("promote", SHORT, "--force"), ("rollback",)):
        shelf(*words)
    shelf("export", SHORT, tmp_path / "two.tar")
    there("import", tmp_path / "two.tar", "--alias", "champion")
    told = [event for event in announced() if event.event.startswith("musenet.model.")]
    assert [(event.event.rpartition(".")[2], event.payload["version"]) for event in told] == [
        ("promoted", LONG),
        ("refused", SHORT),
        ("promoted", SHORT),
        ("promoted", LONG),
        ("promoted", "1"),
    ]
    assert not any(event.payload["reused"] for event in told)
    assert [event.payload.get("forced") for event in told] == [False, None, True, False, False]
    assert [event.payload.get("rolled_back") for event in told] == [False, None, False, True, False]
    assert told[-1].payload["lake"] == there.lake.address


def test_the_lake_s_own_rules_are_asked(shelf: Shelf) -> None:
    shelf("promote", LONG)
    assert shelf("gate").output == SHIPPED.read_text()
    (shelf.lake.root / "gate.toml").write_text("[nats_per_note]\nmost_worse = 3\n")
    assert shelf("gate").output == "[nats_per_note]\nmost_worse = 3\n"
    assert shelf("promote", SHORT).exit_code == 0
    assert shelf.champion() == SHORT


def test_one_goes_to_another_lake_as_a_file(shelf: Shelf, make_registry: Callable[[Lake], Registry]) -> None:
    file, other = shelf.lake.root / "two.tar", Lake(shelf.lake.root.parent / "other")
    make_registry(other)
    assert shelf("export", SHORT, file).exit_code == 0
    there = Shelf(other)
    assert "version 1, run run60, dataset songs@" in there("import", file).output
    assert "version 1, run run60" in there("import", file).output, "it is there once"
    (model,) = list_models(Registry.open(other))
    assert model.identity.digest == find_model(Registry.open(shelf.lake), SHORT).identity.digest
    assert model.tags["nats_per_note"] == "8.1000"
    run = Registry.open(other).client.get_run(model.run_id)
    assert (run.info.status, run.data.tags["mlflow.source.name"]) == ("FINISHED", "musenet models import")

    data = file.read_bytes()
    with tarfile.open(file) as tar:
        weights = tar.getmember("bundle/model.safetensors")
    at = weights.offset_data + weights.size // 2
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    refused = there("import", file)
    assert refused.exit_code == 1 and "was changed after it was registered" in refused.output
    file.write_bytes(b"no version")
    assert there("import", file).exit_code == 2


def test_its_weights_are_rounded_where_that_is_asked_for(
    shelf: Shelf, make_registry: Callable[[Lake], Registry], tmp_path: Path
) -> None:
    whole, half, unpacked = tmp_path / "whole.tar", tmp_path / "half.tar", tmp_path / "unpacked"
    for file, option in ((whole, ()), (half, ("--half",))):
        assert shelf("export", SHORT, file, *option).exit_code == 0
    shutil.unpack_archive(half, unpacked, filter="data")
    assert {path.name for path in unpacked.iterdir()} == {"version.json", "card.md", "manifest.json", "bundle", "pages"}
    digests = json.loads((unpacked / "manifest.json").read_text())["files"]
    assert digests["bundle/model.safetensors"] == file_sha256(unpacked / "bundle" / "model.safetensors")
    with tarfile.open(whole) as tar:
        weights = tar.getmember("bundle/model.safetensors").size
    assert (unpacked / "bundle" / "model.safetensors").stat().st_size < 0.6 * weights

    other = Lake(tmp_path / "other")
    make_registry(other)
    assert "version 1, run run60" in Shelf(other)("import", unpacked).output
    (model,) = list_models(Registry.open(other))
    original = find_model(Registry.open(shelf.lake), SHORT)
    assert model.tags["precision"] == "float16"
    shown = Shelf(other)("show", "1").output
    assert "A model of 60 steps." in shown and f"rounded to 16 bits (float16) from those of version {SHORT}" in shown
    assert original.identity.digest in shown and model.identity.digest != original.identity.digest
    loaded = ModelBundle.load(pull(Registry.open(other), model))
    assert loaded.critic is not None
    for network in (loaded.model, loaded.critic.trunk, loaded.critic.head):
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}

    (unpacked / "bundle" / "pace.json").write_text("{}")
    refused = Shelf(other)("import", unpacked)
    assert refused.exit_code == 1 and "pace.json was changed after it was registered" in refused.output


def test_a_file_of_format_1_is_read(shelf: Shelf, make_registry: Callable[[Lake], Registry], tmp_path: Path) -> None:
    """Which held the version's whole folder, and its card in `version.json`."""
    registry = Registry.open(shelf.lake)
    model = find_model(registry, LONG)
    tags = {"format": 1, "version": LONG, "dataset": model.dataset, "tags": dict(model.tags), "card": "An old card."}
    (tmp_path / "version.json").write_text(json.dumps(tags))
    with tarfile.open(tmp_path / "old.tar", "w") as tar:
        tar.add(tmp_path / "version.json", "version.json")
        tar.add(pull_version(registry, model), "files")
    other = Lake(tmp_path / "other")
    make_registry(other)
    assert "version 1, run run500" in Shelf(other)("import", tmp_path / "old.tar").output
    assert find_model(Registry.open(other), "1").identity.digest == model.identity.digest
    assert "An old card." in Shelf(other)("show", "1").output


def test_one_is_copied_into_a_folder_and_deleted(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf("pull", SHORT, tmp_path / "two").exit_code == 0
    digest = find_model(Registry.open(shelf.lake), SHORT).identity.digest
    assert folder_digest(tmp_path / "two" / "artifacts" / "bundle") == digest
    assert "is there already" in shelf("pull", SHORT, tmp_path / "two").output

    shelf("promote", LONG)
    assert "version 1 is champion: give that to another version first" in shelf("delete", LONG, "--yes").output
    files = len(list(shelf.lake.registry_artifacts.rglob("model.safetensors")))
    assert "would be deleted" in shelf("delete", SHORT).output
    assert shelf("delete", SHORT, "--yes").exit_code == 0
    assert [model.version for model in list_models(Registry.open(shelf.lake))] == [LONG]
    assert len(list(shelf.lake.registry_artifacts.rglob("model.safetensors"))) == files - 1


def test_a_registry_may_be_named(shelf: Shelf, tmp_path: Path) -> None:
    other = Shelf(Lake(tmp_path / "other"))
    uri = f"sqlite:///{shelf.lake.registry_database}"
    assert other("list", "--registry", uri).output == shelf("list").output
    assert not other.lake.root.exists()
    refused = other("list", "--registry", "nonsense://x")
    assert refused.exit_code == 1 and "the registry in nonsense://x cannot be opened" in refused.output


def test_a_lake_without_models_says_so_and_stays_empty(tmp_path: Path) -> None:
    empty = Shelf(Lake(tmp_path / "empty"))
    assert "no model yet; `musenet register --run best`" in empty().output
    assert "has no registry" in empty("rollback").output
    assert list(tmp_path.iterdir()) == []
