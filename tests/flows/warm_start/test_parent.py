"""The parent of a run: found under any of its names, fitting or refused, and remembered where the run's model goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from flows.ingestion.publishing import TokenSettings
from flows.registration.registration import RegisterParameters, register_run
from flows.starter_model.shipped import STARTER_FILE
from flows.training.flow import TrainParameters, train
from flows.training.runs import Run, list_runs, read_run
from flows.warm_start.fitting import check_tokens, warm_preset
from flows.warm_start.heard import read_identities
from flows.warm_start.parent import Parent, open_parent
from flows.warm_start.tokens import tokens_for
from infra.errors import UserError
from infra.lake import Lake
from modeling.config import Leaks, load_preset
from modeling.training.events import append_event
from modeling.training.run_folder import RunFolder
from registry.cards import card_of
from registry.models import find_model
from registry.pulling import pull, pull_version
from registry.store import Registry
from registry.transfer import export_version
from tokenization.dataset import TRAIN, DatasetVersion, EncodingInfo, write_vocabulary
from tokenization.encodings import Time, get_encoding
from tokenization.identities import IDENTITIES_FILE, Identities
from tokenization.vocabulary import Vocabulary

Ingester = Callable[..., DatasetVersion]

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class House:
    """A lake with the registered model of a finished run, and an exported file of it in 16 bits."""

    lake: Lake
    dataset: DatasetVersion
    run: Run
    exported: Path
    version: str = "1"

    @property
    def registry(self) -> Registry:
        return Registry.open(self.lake)


@pytest.fixture(scope="module")
def house(studio: tuple[Lake, DatasetVersion, Run], tmp_path_factory: pytest.TempPathFactory) -> House:
    lake, dataset, run = studio
    register_run(RegisterParameters(run=run.run_id, alias="champion", lake=lake.root))
    registry = Registry.open(lake)
    file = tmp_path_factory.mktemp("exported") / "starter.tar"
    export_version(registry, find_model(registry, "champion"), file, half=True)
    return House(lake, dataset, run, file)


def opened(house: House, reference: object) -> Parent:
    with open_parent(house.lake, str(reference)) as parent:
        assert (parent.folder / "model.safetensors").exists()
        identities = read_identities(parent.folder)
        assert identities.complete
        assert identities.table.equals(Identities.of(house.dataset, TRAIN).table)
        return parent


class TestFinding:
    def test_one_model_has_many_names(self, house: House, tmp_path: Path) -> None:
        pulled = tmp_path / "pulled"
        shutil.copytree(pull_version(house.registry, find_model(house.registry, "1")), pulled)
        names = {
            "champion": "version 1",
            "1": "version 1",
            f"run:{house.run.run_id[:5]}": f"run {house.run.run_id}",
            house.run.run_id[:8]: f"run {house.run.run_id}",
            str(house.run.folder.path): f"run {house.run.run_id}",
            str(pulled): "pulled",
        }
        found = {reference: opened(house, reference).model for reference in names}
        assert {reference: model.name for reference, model in found.items()} == names
        assert {model.run for model in found.values()} == {house.run.run_id}
        assert {model.dataset for model in found.values()} == {house.run.dataset}
        assert len({model.weights for model in found.values()}) == 1, "the same weights under any name"

    def test_an_exported_file_is_a_model_too(self, house: House, tmp_path: Path) -> None:
        shutil.unpack_archive(house.exported, tmp_path / "unpacked", filter="data")
        file, folder = opened(house, house.exported).model, opened(house, tmp_path / "unpacked").model
        assert (file.name, file.run) == ("starter.tar", house.run.run_id)
        assert file.weights == folder.weights != opened(house, "1").model.weights, "16 bits are other weights"

    @pytest.mark.parametrize("reference", ["nope", "run:nope", "0123456789ab"])
    def test_an_unknown_one_lists_those_that_exist(self, house: House, reference: str) -> None:
        with pytest.raises(UserError, match=rf"no (model|finished run) .*(champion, 1|{house.run.run_id})"):
            opened(house, reference)

    def test_what_is_no_model_is_refused_in_one_line(self, house: House, tmp_path: Path) -> None:
        (tmp_path / "text.tar").write_text("no tar")
        with pytest.raises(UserError, match=r"text\.tar is no exported version"):
            opened(house, tmp_path / "text.tar")
        (tmp_path / "run").mkdir()
        shutil.copyfile(house.run.folder.config, tmp_path / "run" / "run.json")
        with pytest.raises(UserError, match="has no trained model yet"):
            opened(house, tmp_path / "run")

    def test_the_starter_model_is_at_hand(self, house: House) -> None:
        with open_parent(house.lake, "starter") as parent:
            assert parent.model.name == STARTER_FILE.name
            assert (parent.encoding.name, parent.encoding.time) == ("note", Time.BEATS)

    def test_of_a_version_without_identities_they_are_found_in_its_dataset(self, house: House, tmp_path: Path) -> None:
        shutil.copytree(pull(house.registry, find_model(house.registry, "1")), tmp_path / "old")
        (tmp_path / "old" / IDENTITIES_FILE).unlink()
        with open_parent(house.lake, str(tmp_path / "old")) as parent:
            assert not read_identities(parent.folder).complete, "of a bare folder nothing is looked for"


class TestTokens:
    def test_a_dataset_for_a_model_has_its_tokens_and_may_have_further_styles(
        self, house: House, ingest: Ingester, song: Callable[[int], bytes], tmp_path: Path
    ) -> None:
        for seed in range(2):
            (tmp_path / "songs" / "polka").mkdir(parents=True, exist_ok=True)
            (tmp_path / "songs" / "polka" / f"{seed}.mid").write_bytes(song(seed))
        tokens = TokenSettings.model_validate(tokens_for(house.lake, "champion"))
        dataset = ingest(Lake(tmp_path / "lake"), "more", tmp_path / "songs", tokens=tokens)
        check_tokens(opened(house, "champion"), dataset)
        assert dataset.vocabulary.styles == (*house.dataset.vocabulary.styles, "polka")


class TestFitting:
    def test_without_a_preset_the_shape_is_the_parent_s(self, house: House) -> None:
        parent = opened(house, "champion")
        preset = warm_preset(parent, None, {"training.steps": 40, "model.dropout": 0.5})
        assert (preset.name, preset.model.layers, preset.model.d_model) == ("tiny", 1, 16)
        assert preset.model.dropout == 0.5
        assert preset.training.warmup_steps == 2, "a twentieth of the steps"
        assert warm_preset(parent, None, {"training.warmup_steps": 9}).training.warmup_steps == 9
        assert warm_preset(parent, None, {"training.steps": 1}).training.warmup_steps == 1

    def test_the_learning_rates_are_a_sixteenth_of_the_preset_s_unless_they_are_set(self, house: House) -> None:
        parent, tiny = opened(house, "champion"), load_preset("tiny").training
        gentle = warm_preset(parent, None, {}).training
        assert gentle.learning_rate == tiny.learning_rate / 16
        assert gentle.muon_learning_rate == tiny.muon_learning_rate / 16
        given = warm_preset(parent, None, {"training.learning_rate": 0.5}).training
        assert (given.learning_rate, given.muon_learning_rate) == (0.5, tiny.muon_learning_rate / 16)

    def test_another_shape_is_refused_with_what_differs(self, house: House) -> None:
        parent = opened(house, "champion")
        with pytest.raises(UserError, match=r"the weights of version 1 do not fit: model\.layers is 4, not 1, model\."):
            warm_preset(parent, "tiny", {})
        with pytest.raises(UserError, match=r"model\.d_model is 32, not 16; name no preset"):
            warm_preset(parent, None, {"model.d_model": 32})

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"encoding": "note"}, r"version 1 has the encoding combined \d+ in seconds, songs@\w+ has note"),
            ({"time": "beats"}, "ingest it with that model's tokens, `musenet ingest … --for MODEL`"),
            ({"vocabulary": "general_midi"}, r"has no token for [\d,]+ tokens of version 1 \(.*, …\): ingest it with"),
        ],
    )
    def test_other_tokens_are_refused_with_the_remedy(
        self, house: House, tmp_path: Path, changes: dict[str, str], words: str
    ) -> None:
        parent = opened(house, "champion")
        check_tokens(parent, house.dataset)
        vocabulary = Vocabulary.load(changes.get("vocabulary", "musenet"), ["bach", "jazz"])
        info = EncodingInfo.of(
            get_encoding(changes.get("encoding", "combined"), vocabulary, Time(changes.get("time", "seconds")))
        )
        write_vocabulary(tmp_path, info.over(vocabulary).vocabulary)
        about = house.dataset.description.model_copy(update={"encoding": info})
        with pytest.raises(UserError, match=words):
            check_tokens(parent, DatasetVersion(tmp_path, about))


def finish(run: Run, like: Run) -> None:
    """Leave a run as if it had been trained, with the model of another one."""
    start, end = like.history().start, like.history().finished
    assert start is not None and end is not None
    append_event(run.folder.metrics, start)
    append_event(run.folder.metrics, replace(end, nats_per_token_all=2.25, nats_per_note_all=7.0))
    shutil.copytree(like.folder.model, run.folder.model)


@pytest.mark.usefixtures("prefect_api")
class TestTheFlow:
    """With a job that has nothing left to do; `tests/modeling/training/test_trainer.py` trains."""

    @pytest.fixture
    def begin(self, house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
        """Prepares a run of the flow as far as its job, and finishes it by hand."""

        def run(reference: object, dataset: str = "songs", **settings: object) -> Run:
            def job(_lake: Lake, run: Run, _hosts: object, _on_event: object) -> None:
                finish(run, house.run)

            monkeypatch.setattr("flows.training.flow.launch", job)
            changes = {"training.parent": str(reference), "training.steps": 4, **settings}
            report = train(TrainParameters(dataset=dataset, settings=changes, retries=0, lake=house.lake.address))
            return read_run(RunFolder(Path(report.folder)))

        return run

    def test_a_run_is_named_by_its_parent_s_weights(self, house: House, begin: Callable[..., Run]) -> None:
        one, same, half = begin("champion"), begin(f"run:{house.run.run_id}"), begin(house.exported)
        assert one.run_id == same.run_id != house.run.run_id
        assert half.run_id != one.run_id
        assert one.config.parent is not None and one.config.parent.version == "1"
        assert one.config.training.parent == "champion"

    def test_the_run_keeps_all_that_it_needs_of_its_parent(self, house: House, begin: Callable[..., Run]) -> None:
        folder = begin("champion").folder.parent
        parent = pull(house.registry, find_model(house.registry, "1"))
        for name in ("model.json", "model.safetensors", "vocabulary.json", "encoding.json", IDENTITIES_FILE):
            assert (folder / name).read_bytes() == (parent / name).read_bytes()
        leaks = Leaks.read(folder)
        assert leaks is not None and leaks.line == "", "on the parent's own dataset all that is held out is clean"

    def test_leaks_are_told_in_all_places(
        self,
        house: House,
        begin: Callable[..., Run],
        ingest: Ingester,
        songs_folder: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        ingest(house.lake, "mine", songs_folder, splits={"validation": 0.4, "test": 0.2, "seed": 5})
        child = begin("champion", dataset="mine")
        leaks = Leaks.read(child.folder.parent)
        assert leaks is not None and leaks.validation.leaked
        assert leaks.line in " ".join(capsys.readouterr().err.split())

        made = register_run(RegisterParameters(run=child.run_id, alias="child", lake=house.lake.root))
        model = find_model(house.registry, made.version)
        assert model.tags["leaks"] == leaks.line
        assert model.tags["nats_per_note_all"] == "7.0000"
        assert (model.tags["parent"], model.tags["parent_run"]) == ("1", house.run.run_id)
        assert model.tags["parent_weights"] == find_model(house.registry, "1").tags["weights"]
        card = card_of(house.registry, model)
        assert "validation pieces, or relatives of them, are among what the parent was trained on" in card
        assert "with those that its parent knows it is 7.000" in card
        assert f"begun with the weights of version 1 (run {house.run.run_id} on {house.run.dataset})" in card
        bundle = pull(house.registry, model)
        assert json.loads((bundle / "lineage.json").read_text())["parent"]["run"] == house.run.run_id
        own, theirs = read_identities(bundle), Identities.of(house.dataset, TRAIN)
        assert {*theirs.table["sha256"]} < {*own.table["sha256"]}, "the next generation knows of all before it"

        logged = house.registry.client.get_run(model.run_id)
        assert logged.data.tags["parent_run"] == house.run.run_id
        assert logged.data.params["parent.version"] == "1"
        (begun_with,) = logged.inputs.model_inputs
        first = house.registry.client.get_model_version("musenet", "1")
        assert first.source == f"models:/{begun_with.model_id}"

    def test_a_parent_that_does_not_fit_makes_no_run(self, house: House, begin: Callable[..., Run]) -> None:
        before = len(list_runs(house.lake))
        with pytest.raises(UserError, match=r"do not fit: model\.layers is 2"):
            begin("champion", **{"model.layers": 2})
        assert len(list_runs(house.lake)) == before
        assert not list(house.lake.cache.glob(".staging-*"))


def test_a_child_of_16_bits_begins_with_them_in_32(house: House) -> None:
    weights = load_file(house.run.folder.model / "model.safetensors")
    with open_parent(house.lake, str(house.exported)) as parent:
        rounded = load_file(parent.folder / "model.safetensors")
    assert {tensor.dtype.itemsize for tensor in rounded.values()} == {2}
    assert rounded.keys() == weights.keys()
