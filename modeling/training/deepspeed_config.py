"""DeepSpeed's settings: the files of `infra/deepspeed/`, checked strictly, and what a run adds to them.

DeepSpeed takes a key that it does not know without a word. Here the keys that have an effect are listed, and any
other one is an error. Names and meanings are DeepSpeed's (https://www.deepspeed.ai/docs/config-json).
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
"""Steps between DeepSpeed's own progress lines; our reports replace them."""
Elements = Annotated[int, Field(ge=1)]
"""Numbers of a tensor, not bytes."""


class SettingsError(UserError, ValueError):
    """DeepSpeed settings that are unreadable, unknown or do not fit the run; the message is one line."""


class Offload(StrictModel):
    """Where something is kept that the device need not hold."""

    device: Literal["cpu"]
    pin_memory: bool = False
    """Lock it in memory, which makes copies to a GPU faster."""


class ZeroSettings(StrictModel):
    """What is divided among the ranks, and how it is gathered (Rajbhandari et al., 2020, "ZeRO").

    DeepSpeed's `round_robin_gradients` is left out on purpose: with it the whole weights cannot be gathered by name.
    """

    stage: Literal[1, 2, 3]
    """1: the optimiser's state, 2: gradients too, 3: weights too. Not 0: with bf16 its first update is mis-scaled."""
    overlap_comm: bool | None = None
    """Reduce gradients during the backward pass; takes a second bucket."""
    reduce_scatter: bool | None = None
    """Send each rank only the gradients that it keeps."""
    contiguous_gradients: bool | None = None
    reduce_bucket_size: Elements | None = None
    """Gradients that are reduced at once; a buffer of this size is kept."""
    allgather_bucket_size: Elements | None = None
    """Stages 1 and 2: weights that are gathered at once after a step."""
    stage3_prefetch_bucket_size: Elements | None = None
    """Weights that are gathered ahead of their use."""
    stage3_param_persistence_threshold: Annotated[int, Field(ge=0)] | None = None
    """Weights up to this size stay whole on every rank."""
    stage3_max_live_parameters: Elements | None = None
    """Gathered weights that a rank holds at most."""
    stage3_max_reuse_distance: Annotated[int, Field(ge=0)] | None = None
    """Keep a gathered weight that is used again within so many others."""
    sub_group_size: Elements | None = None
    """Stage 3: weights that are updated at once."""
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
    """What a file of `infra/deepspeed/` says; the run's own settings decide the rest."""

    zero_optimization: ZeroSettings
    communication_data_type: Literal["fp32", "bf16"] | None = None
    """How gradients travel between ranks; the weights' type unless set."""

    @property
    def offloads(self) -> bool:
        return self.zero_optimization.offload_optimizer is not None


def load_settings(stage: int, offload: bool, source: Path | None = None) -> DeepSpeedSettings:
    """The settings that come with the package for a ZeRO stage, or those of the file `source`.

    Raises SettingsError if the file cannot be read, has a key that is unknown or without effect, or is for another
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


def complete(settings: DeepSpeedSettings, training: TrainingConfig, ranks: int, bf16: bool) -> dict[str, Any]:
    """All that `deepspeed.initialize(config=…)` takes: the settings with this run's batches, clipping and precision.

    The batch divides among the ranks: `RunConfig` has seen to it.
    """
    content = settings.model_dump(exclude_none=True)
    accumulated = training.batch_size // (training.micro_batch_size * ranks)
    muon = training.optimiser == "muon"
    if muon:
        content["zero_optimization"]["reduce_scatter"] = False  # Muon needs whole gradients
    if bf16 and accumulated > 1:
        content["data_types"] = {"grad_accum_dtype": "fp32"}  # a sum in 8 bits loses what is small
    return {
        **content,
        "train_batch_size": training.batch_size,
        "train_micro_batch_size_per_gpu": training.micro_batch_size,
        "gradient_accumulation_steps": accumulated,
        # DeepSpeed clips Muon's updates, after they have been orthogonalised: they would shrink with the model's size.
        "gradient_clipping": 0.0 if muon else training.gradient_clipping,
        "bf16": {"enabled": bf16},
        "zero_allow_untested_optimizer": True,
        # AdamW is torch's own: DeepSpeed's is compiled for over a minute at its first use.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": NEVER,
    }
