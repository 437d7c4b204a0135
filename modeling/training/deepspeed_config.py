"""DeepSpeed's configuration: the files of `infra/deepspeed/`, checked strictly, and a run's own settings.

DeepSpeed silently accepts unknown keys. The keys that have an effect are listed here, and any other is an error. Names
and meanings are DeepSpeed's (https://www.deepspeed.ai/docs/config-json).
"""

from __future__ import annotations

import json
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from infra.errors import UserError
from infra.settings import one_line
from modeling.config import StrictModel, TrainingConfig

NEVER = 10**9
"""Steps between DeepSpeed's own progress lines, which training events replace."""
Elements = Annotated[int, Field(ge=1)]
"""A size in tensor elements, not bytes."""


class SettingsError(UserError, ValueError):
    """DeepSpeed settings that are unreadable, unknown or do not fit the run, in one line."""


class Offload(StrictModel):
    """The memory for state that is moved off the device."""

    device: Literal["cpu"]
    pin_memory: bool = False
    """Page-locked memory, from which copies to a GPU are faster."""


class ZeroSettings(StrictModel):
    """The partitioning of training state among the ranks (Rajbhandari et al., 2020, "ZeRO").

    DeepSpeed's `round_robin_gradients` is left out on purpose: with it whole weights cannot be gathered by name.
    """

    stage: Literal[1, 2, 3]
    """1: optimiser state, 2: gradients too, 3: weights too. Not 0: with bf16 its first update is mis-scaled."""
    overlap_comm: bool | None = None
    """Reduce gradients during the backward pass, at the cost of a second bucket."""
    reduce_scatter: bool | None = None
    """Send each rank only the gradients of its partition."""
    contiguous_gradients: bool | None = None
    reduce_bucket_size: Elements | None = None
    """Gradients reduced at once; a buffer of this size is kept."""
    allgather_bucket_size: Elements | None = None
    """Stages 1 and 2: weights gathered at once after a step."""
    stage3_prefetch_bucket_size: Elements | None = None
    """Weights gathered ahead of their use."""
    stage3_param_persistence_threshold: Annotated[int, Field(ge=0)] | None = None
    """Weights up to this size are not partitioned."""
    stage3_max_live_parameters: Elements | None = None
    """Most gathered weights that a rank holds."""
    stage3_max_reuse_distance: Annotated[int, Field(ge=0)] | None = None
    """Keep a gathered weight that is used again within this many elements."""
    sub_group_size: Elements | None = None
    """Stage 3: weights updated at once."""
    offload_optimizer: Offload | None = None
    offload_param: Offload | None = None
    """Stage 3 only."""

    @model_validator(mode="after")
    def _keys_fit_the_stage(self) -> ZeroSettings:
        third = [name for name in type(self).model_fields if name.startswith("stage3_")]
        useless = ["allgather_bucket_size"] if self.stage == 3 else [*third, "sub_group_size", "offload_param"]
        for name in useless:
            if getattr(self, name) is not None:
                raise ValueError(f"{name} has no effect in stage {self.stage}")
        return self


class DeepSpeedSettings(StrictModel):
    """The content of a file of `infra/deepspeed/`; all else follows from the run's settings."""

    zero_optimization: ZeroSettings
    communication_data_type: Literal["fp32", "bf16"] | None = None
    """The type in which gradients are reduced; None: the weights' type."""

    @property
    def offloads(self) -> bool:
        return self.zero_optimization.offload_optimizer is not None


def load_settings(stage: int, offload: bool, source: Path | None = None) -> DeepSpeedSettings:
    """Read the package's settings for a ZeRO stage, or those of the file `source`.

    Raises SettingsError if the file cannot be read, has a key that is unknown or has no effect, or is for another
    stage.
    """
    name = f"zero{stage}_offload.json" if offload else f"zero{stage}.json"
    file: Traversable = source or resources.files("infra") / "deepspeed" / name
    try:
        settings = DeepSpeedSettings.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}); it holds the DeepSpeed settings") from error
    except ValidationError as error:
        raise SettingsError(f"{file}: {one_line(error, DeepSpeedSettings)}") from error
    except ValueError as error:
        raise SettingsError(f"{file}: not a JSON file: {error}") from error
    found = settings.zero_optimization.stage
    if found != stage or settings.offloads != offload:
        raise SettingsError(
            f"{file}: is for zero_stage={found} and offload={str(settings.offloads).lower()}, the run has "
            f"zero_stage={stage} and offload={str(offload).lower()}"
        )
    return settings


def build_deepspeed_config(
    settings: DeepSpeedSettings, training: TrainingConfig, world_size: int, bf16: bool
) -> dict[str, Any]:
    """Return the argument of `deepspeed.initialize(config=…)`: the settings with a run's batches, clipping and
    precision.

    The batch size is a multiple of micro-batch size and world size: `RunConfig` checks it.
    """
    content = settings.model_dump(exclude_none=True)
    accumulated = training.batch_size // (training.micro_batch_size * world_size)
    muon = training.optimiser == "muon"
    if muon:
        content["zero_optimization"]["reduce_scatter"] = False  # Muon needs whole gradients
    if bf16 and accumulated > 1:
        content["data_types"] = {"grad_accum_dtype": "fp32"}  # bf16 sums lose small terms
    return {
        **content,
        "train_batch_size": training.batch_size,
        "train_micro_batch_size_per_gpu": training.micro_batch_size,
        "gradient_accumulation_steps": accumulated,
        # DeepSpeed clips Muon's updates after they are orthogonalised, which would shrink them with the model's size.
        "gradient_clipping": 0.0 if muon else training.gradient_clipping,
        "bf16": {"enabled": bf16},
        "zero_allow_untested_optimizer": True,
        # AdamW is torch's own: DeepSpeed's takes over a minute to compile at its first use.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": NEVER,
    }
