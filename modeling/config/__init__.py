"""Typed configuration of a model, of its training and of a run, and the presets that come with the package.

- `ModelConfig`, `SparsityConfig`: the transformer's shape and its attention pattern.
- `TrainingConfig`, `MixupSchedule`: how a model is trained.
- `CriticConfig`, `JointCritic`, `ArchiveConfig`, `Sampler`: how a critic is trained, and on which generations.
- `DrawingConfig`: how pieces are drawn from a model where a request says nothing; `Rank`, `AskedRank`: how they are
  chosen; `Weights`: how precisely they are computed.
- `ParentModel`, `Leaks`, `shape_difference`: the model that a run begins with, and the held-out pieces it knows.
- `RunConfig`, `read_run_config`: one training run, as `run.json` holds it.
- `Preset`, `load_preset`, `preset_names`, `choose_preset`, `with_settings`: models with the training that suits
  them, by name.

Every class is a `StrictModel`: immutable, and unknown keys are errors.
"""

from modeling.config.base import StrictModel
from modeling.config.critic import ArchiveConfig, CriticConfig, JointCritic, Sampler
from modeling.config.drawing import DRAWING_FILE, PLAIN, AskedRank, DrawingConfig, Rank, Weights
from modeling.config.model import (
    MODEL_CONFIG,
    MODEL_WEIGHTS,
    STRUCTURE,
    HeaderIds,
    ModelConfig,
    SparsityConfig,
    StructureName,
)
from modeling.config.parent import Leaks, ParentModel, SplitLeaks, shape_difference
from modeling.config.preset import (
    Preset,
    PresetError,
    choose_preset,
    lifts_limit,
    load_preset,
    preset_names,
    with_settings,
)
from modeling.config.run import RUN_FORMAT, RunConfig, RunFormatError, read_run_config
from modeling.config.training import MixupSchedule, TrainingConfig

__all__ = [
    "DRAWING_FILE",
    "MODEL_CONFIG",
    "MODEL_WEIGHTS",
    "PLAIN",
    "RUN_FORMAT",
    "STRUCTURE",
    "ArchiveConfig",
    "AskedRank",
    "CriticConfig",
    "DrawingConfig",
    "HeaderIds",
    "JointCritic",
    "Leaks",
    "MixupSchedule",
    "ModelConfig",
    "ParentModel",
    "Preset",
    "PresetError",
    "Rank",
    "RunConfig",
    "RunFormatError",
    "Sampler",
    "SparsityConfig",
    "SplitLeaks",
    "StrictModel",
    "StructureName",
    "TrainingConfig",
    "Weights",
    "choose_preset",
    "lifts_limit",
    "load_preset",
    "preset_names",
    "read_run_config",
    "shape_difference",
    "with_settings",
]
