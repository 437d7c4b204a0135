"""The parent of a run: the model whose weights it begins with, found, opened, and kept in the run's folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.lineage import Place, file_place, model_place, run_place
from flows.starter_model.shipped import STARTER, STARTER_FILE
from flows.training.runs import Run, find_run, read_run
from flows.warm_start.heard import identities_of, read_identities
from flows.warm_start.leaks import find_leaks
from infra.errors import MusenetError, UserError, message_of
from infra.files import link, publish_folder, staging_folder
from infra.lake import Lake
from modeling.config import Leaks, ModelConfig, ParentModel
from modeling.criticism import CRITIC_CONFIG, CRITIC_WEIGHTS
from modeling.network.weights import read_config
from modeling.training.run_folder import RunFolder
from registry.identity import FILES, LINEAGE_FILE, PARENT_FILES, weights_digest
from registry.loading import find_registered
from registry.models import MODEL_NAME, UnknownModel
from registry.pulling import pull
from registry.transfer import ABOUT, opened_export
from tokenization.dataset import TRAIN, DatasetVersion, find_version, read_encoding, write_encoding
from tokenization.encodings import Encoding
from tokenization.identities import IDENTITIES_FILE, Identities

OF_RUN = "run:"
"""Begins a reference to a training run, which may be one that is not registered."""
LEAST_DIGITS = 6
"""Of a run's id without OF_RUN in front."""


@dataclass(frozen=True)
class Parent:
    """A model that a run may begin with."""

    model: ParentModel
    folder: Path
    """Its files, until the block ends that it was opened for: `model.json`, `model.safetensors`, `vocabulary.json`,
    `encoding.json`, the identities of what it was trained on, and its critic where it has one."""
    config: ModelConfig
    encoding: Encoding
    place: Place
    """In the lineage of the run."""

    def adopt(self, run: Run, dataset: DatasetVersion) -> Leaks:
        """Put the files into a run's folder, with the held-out pieces of its dataset that are no longer clean.

        What is there already, from an earlier attempt, is kept. Raises ShardError and IdentitiesError.
        """
        known = Leaks.read(run.folder.parent)
        if known is not None:
            return known
        leaks = find_leaks(read_identities(self.folder), dataset)
        with staging_folder(run.folder.path) as staged:
            _copy(self.folder, staged)
            leaks.write(staged)
            with contextlib.suppress(FileExistsError):  # another process was first
                publish_folder(staged, run.folder.parent)
        return leaks


@contextmanager
def open_parent(lake: Lake, reference: str) -> Iterator[Parent]:
    """Find a model by alias or version number, by `run:ID` or a run's id, or by the path of an exported file or of a
    folder with a run, a version or an exported file's content. `starter` without such an alias is the shipped model.

    Raises UserError for what is no model, and RegistryError, ChangedFile and WeightsError for one that cannot be read.
    """
    with staging_folder(lake.cache) as folder:
        model, place = _gather(lake, reference, folder)
        try:
            encoding = read_encoding(folder)
        except (OSError, ValueError) as error:
            raise UserError(f"{model.name} has no vocabulary and encoding: {message_of(error)}") from error
        config = read_config(folder)
        model = model.model_copy(update={"weights": weights_digest(folder)})
        yield Parent(model, folder, config, encoding, place)


def _gather(lake: Lake, reference: str, folder: Path) -> tuple[ParentModel, Place]:
    """Put a model's files into a folder; return what it is, its digest left empty."""
    path = Path(reference).expanduser()
    if reference.startswith(OF_RUN):
        return _from_run(lake, find_run(lake, reference.removeprefix(OF_RUN)), folder)
    if path.is_file() or (path / ABOUT).is_file():
        return _from_export(lake, path, folder)
    if RunFolder(path).config.is_file():
        return _from_run_folder(lake, path, folder)
    for bundle in (path, path / FILES):
        if (bundle / LINEAGE_FILE).is_file():
            return _from_bundle(path, bundle, folder)
    try:
        registry, found = find_registered(reference, lake)
    except UnknownModel as error:
        if len(reference) >= LEAST_DIGITS and not reference.isdecimal():
            with contextlib.suppress(UserError):
                return _from_run(lake, find_run(lake, reference), folder)
        if reference == STARTER:
            return _from_export(lake, STARTER_FILE, folder)
        raise UserError(f"{error}; nor is it a run or an exported file") from error
    _copy(pull(registry, found), folder)
    tags = found.tags
    _know(lake, folder, found.dataset)
    model = ParentModel(
        weights="",
        name=f"version {found.version}",
        version=found.version,
        run=tags.get("run"),
        dataset=found.dataset or None,
        preset=tags.get("preset"),
    )
    return model, model_place(lake, MODEL_NAME, found.version)


def _from_run(lake: Lake, run: Run, folder: Path) -> tuple[ParentModel, Place]:
    dataset = find_version(lake, run.dataset).local(lake)
    _copy(run.folder.model, folder)
    write_encoding(folder, dataset.encoding)
    identities_of(run, dataset).write(folder / IDENTITIES_FILE)
    model = ParentModel(weights="", name=f"run {run.run_id}", run=run.run_id, dataset=run.dataset, preset=run.preset)
    return model, run_place(lake, run.run_id)


def _from_run_folder(lake: Lake, path: Path, folder: Path) -> tuple[ParentModel, Place]:
    own = RunFolder(path.absolute())
    if not own.has_model:
        raise UserError(f"{path} has no trained model yet")
    home = own.path.parents[1]
    return _from_run(lake if home == lake.root else Lake(home), read_run(own), folder)


def _from_export(lake: Lake, path: Path, folder: Path) -> tuple[ParentModel, Place]:
    with opened_export(path, lake.cache) as found:
        _copy(found.bundle, folder)
        about = found.about
    _know(lake, folder, about.dataset)
    run, preset = about.tags.get("run"), about.tags.get("preset")
    return ParentModel(weights="", name=path.name, run=run, dataset=about.dataset, preset=preset), file_place(path)


def _from_bundle(path: Path, bundle: Path, folder: Path) -> tuple[ParentModel, Place]:
    """Take the files that `musenet models pull` wrote."""
    try:
        lineage = json.loads((bundle / LINEAGE_FILE).read_text(encoding="utf-8"))
        dataset = f"{lineage['dataset']}@{lineage['digest']}"
        run, preset = str(lineage["run"]), lineage.get("preset")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{bundle / LINEAGE_FILE} cannot be read: {message_of(error)}") from error
    _copy(bundle, folder)
    return ParentModel(weights="", name=path.name, run=run, dataset=dataset, preset=preset), file_place(path)


def _know(lake: Lake, folder: Path, dataset: str) -> None:
    """Add the identities of a model that was registered before versions carried them, if its dataset is in the lake."""
    file = folder / IDENTITIES_FILE
    if not file.exists():
        with contextlib.suppress(MusenetError):
            Identities.of(find_version(lake, dataset).local(lake), TRAIN).write(file)


def _copy(bundle: Path, folder: Path) -> None:
    """Give those of a model's files that a child needs a second name."""
    for name in (*PARENT_FILES, IDENTITIES_FILE, CRITIC_CONFIG, CRITIC_WEIGHTS):
        if (bundle / name).exists():
            link(str(bundle / name), str(folder / name))
