"""Typed configuration of a model, of its training and of a run, and the presets that come with the package.

- `ModelConfig`, `SparsityConfig`: the transformer's shape and its attention pattern.
- `TrainingConfig`, `MixupSchedule`: how a model is trained.
- `CriticConfig`, `JointCritic`, `ArchiveConfig`, `Sampler`: how a critic is trained, and on which generations.
- `DrawingConfig`: how pieces are drawn from a model where a request says nothing.
- `RunConfig`, `read_run_config`: one training run, as `run.json` holds it.
- `Preset`, `load_preset`, `preset_names`, `with_settings`: models with the training that suits them, by name.

Every class is a `StrictModel`: immutable, and unknown keys are errors.
"""

from modeling.config.base import StrictModel
from modeling.config.critic import ArchiveConfig, CriticConfig, JointCritic, Sampler
from modeling.config.drawing import DRAWING_FILE, PLAIN, DrawingConfig
from modeling.config.model import STRUCTURE, HeaderIds, ModelConfig, SparsityConfig, StructureName
from modeling.config.preset import Preset, PresetError, load_preset, preset_names, with_settings
from modeling.config.run import RUN_FORMAT, RunConfig, RunFormatError, read_run_config
from modeling.config.training import MixupSchedule, TrainingConfig

__all__ = [
    "DRAWING_FILE",
    "PLAIN",
    "RUN_FORMAT",
    "STRUCTURE",
    "ArchiveConfig",
    "CriticConfig",
    "DrawingConfig",
    "HeaderIds",
    "JointCritic",
    "MixupSchedule",
    "ModelConfig",
    "Preset",
    "PresetError",
    "RunConfig",
    "RunFormatError",
    "Sampler",
    "SparsityConfig",
    "StrictModel",
    "StructureName",
    "TrainingConfig",
    "load_preset",
    "preset_names",
    "read_run_config",
    "with_settings",
]
