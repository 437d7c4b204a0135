"""The preset of a run that begins with another model, and what its dataset and shape must have in common with that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.training.config_file import DEFAULT_PRESET
from flows.warm_start.parent import Parent
from infra.errors import UserError
from infra.wording import counted
from modeling.config import Preset, choose_preset, load_preset, preset_names, shape_difference
from modeling.config.parent import as_shape
from tokenization.dataset import DatasetVersion
from tokenization.dataset.encoding_files import EncodingInfo
from tokenization.vocabulary import missing

WARM_UP = 20
"""A warm start's share of steps in which the learning rate rises is at most one of so many, unless it is set."""
GENTLER = 16
"""A warm start's learning rates are the preset's divided by this, unless they are set: at those by which the parent
began, some dozen steps make it forget more than it learns."""
LISTED = 3
REMEDY = "ingest it with that model's tokens, `musenet ingest … --for MODEL`"


def warm_preset(parent: Parent, name: str | None, settings: Mapping[str, Any]) -> Preset:
    """Return the preset of a run that begins with a model, with settings changed.

    `name`: a preset; None: the parent's, in the parent's own shape. Raises PresetError and SettingError, and UserError
    for a shape that the parent's weights do not fit.
    """
    preset = load_preset(name or (parent.model.preset if parent.model.preset in preset_names() else DEFAULT_PRESET))
    if name is None:
        preset = preset.model_copy(update={"model": as_shape(parent.config, preset.model)})
    preset = choose_preset(preset, settings)
    difference = shape_difference(parent.config, preset.model)
    if difference:
        raise UserError(
            f"the weights of {parent.model.name} do not fit: {difference}; name no preset to take its shape"
        )
    training = preset.training
    warm = {
        "warmup_steps": min(training.warmup_steps, max(training.steps // WARM_UP, 1)),
        "learning_rate": training.learning_rate / GENTLER,
        "muon_learning_rate": training.muon_learning_rate / GENTLER,
    }
    changes = {name: value for name, value in warm.items() if f"training.{name}" not in settings}
    return preset.model_copy(update={"training": training.model_copy(update=changes)})


def check_tokens(parent: Parent, dataset: DatasetVersion) -> None:
    """Check that a model's tokens mean the same in a dataset. Raises UserError, which says what differs."""
    ours, theirs = dataset.encoding, parent.encoding
    before, after = EncodingInfo.of(theirs), EncodingInfo.of(ours)
    of_model, of_dataset = f"{parent.model.name} has", f"{dataset} has"
    if before != after:
        raise UserError(
            f"{of_model} the encoding {before.name} {before.version} in {before.time}, {of_dataset} {after.name} "
            f"{after.version} in {after.time}: {REMEDY}"
        )
    for name in ("ticks_per_second", "ticks_per_beat"):
        old, new = getattr(theirs.vocabulary, name), getattr(ours.vocabulary, name)
        if old != new:
            raise UserError(f"{of_model} {name.replace('_', ' ')} {old}, {of_dataset} {new}")
    lacking = missing(theirs.vocabulary, ours.vocabulary)
    if lacking:
        named = ", ".join(lacking[:LISTED]) + (", …" if len(lacking) > LISTED else "")
        raise UserError(
            f"{of_dataset} no token for {counted(len(lacking), 'token')} of {parent.model.name} ({named}): {REMEDY}"
        )
