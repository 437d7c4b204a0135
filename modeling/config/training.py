"""The configuration of training: optimiser, schedule, regularisation, evaluation and checkpoints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from modeling.config.base import StrictModel
from modeling.config.critic import JointCritic
from tokenization.augmentation import AugmentationSchedule


class MixupSchedule(StrictModel):
    """Mixup: pairs of windows are interpolated, position by position, in all embeddings and in the loss, with one
    coefficient a window (Zhang et al., 2018; MuseNet, 2019, mixes token embeddings)."""

    rate: float = Field(0.0, ge=0, le=1)
    """Fraction of windows that are mixed, before annealing."""
    alpha: float = Field(0.2, gt=0)
    """The partner's coefficient is the smaller of λ and 1 − λ, λ drawn from Beta(alpha, alpha)."""
    anneal_from: float = Field(0.5, ge=0, le=1)
    """Progress of training from which on the rate decreases, to 0 at the end."""


class TrainingConfig(StrictModel):
    """Length and method of training."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    """Windows per step over all ranks."""
    micro_batch_size: int = Field(ge=1)
    """Windows that one rank computes at once; gradients are accumulated over the rest of its batch."""
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(20, ge=0)
    schedule: Literal["cosine", "wsd"] = "cosine"
    """Decay of the learning rate after the warm-up: along a cosine, or constant and then linear over the last `decay`
    of the steps (Hägele et al., 2024, "warm-up, stable, decay")."""
    decay: float = Field(0.2, gt=0, le=1)
    """`wsd`: fraction of the steps in which the learning rate decays."""
    final_learning_rate: float = Field(0.1, ge=0, le=1)
    """Fraction of the learning rate at which the schedule ends."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """`muon`: orthogonalised momentum for the matrices inside the blocks (Jordan et al., 2024), AdamW for the rest."""
    muon_learning_rate: float = Field(0.02, gt=0)
    """Learning rate of the matrices that Muon trains; `learning_rate` is that of the rest."""
    weight_decay: float = Field(0.1, ge=0)
    gradient_clipping: float = Field(1.0, gt=0)
    """Largest global norm of the gradients; Muon's updates have a norm of their own."""
    style_balance: float = Field(0.0, ge=0, le=1)
    """How far small styles are read more often than their tokens are many: shares of the styles in proportion to
    `tokens ** (1 - style_balance)`; 0: as they are, 1: equal."""
    style_dropout: float = Field(0.1, ge=0, le=1)
    """Fraction of windows whose style token is replaced by `no_style`, as classifier-free guidance needs it."""
    instrument_dropout: float = Field(0.1, ge=0, le=1)
    """Fraction of windows whose instrumentation token is replaced likewise, drawn independently."""
    augmentation: AugmentationSchedule = AugmentationSchedule()
    """Augmentation of windows as they are read, on top of the dataset's stored variants."""
    mixup: MixupSchedule = MixupSchedule()
    critic: JointCritic | None = None
    """A critic that is trained with the network, on its own past generations; None: none. Any of its
    settings, such as `training.critic.every=4`, switches it on."""
    pack: bool = False
    """True to pack several short pieces into a row, without attention across pieces; otherwise the row behind a
    piece's end is padding."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto`: bf16 if the device multiplies it natively, else fp32."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile; `auto`: on a GPU."""
    zero_stage: int = Field(1, ge=1, le=3)
    """State that DeepSpeed shards among ranks: 1 optimiser state, 2 gradients too, 3 weights too."""
    offload: bool = False
    """True to keep the optimiser's state, and with ZeRO-3 the weights, in CPU memory."""
    max_minutes: float | None = Field(None, gt=0)
    """Minutes of training after which a run stops early, with a checkpoint."""
    evaluate_every: int = Field(100, ge=1)
    """Steps between evaluations on the validation split."""
    evaluation_windows: int = Field(64, ge=1)
    """Windows of the validation split that an evaluation reads, always the same ones."""
    samples: int = Field(0, ge=0)
    """Pieces to compose at each evaluation, which MLflow shows with their piano rolls."""
    tensorboard: bool = False
    """True to write the run's metrics for TensorBoard, too."""
    patience: int | None = Field(None, ge=1)
    """Evaluations without improvement after which a run stops early."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between checkpoints."""
    checkpoint_minutes: float | None = Field(15.0, gt=0)
    """Age of the last checkpoint, in minutes, at which another one is saved in any case."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints that are kept; the weights of the best evaluation are kept separately."""
    parent: str | None = None
    """The model whose weights training begins with, with a fresh optimiser: an alias or version number, `run:ID`, or
    the path of an exported file or of a run's folder, as `musenet train --from` takes it. None: weights are drawn by
    the seed. A run's identity depends on these weights, not on the name by which they were found."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _mixup_has_partners(self) -> TrainingConfig:
        if self.mixup.rate > 0 and self.micro_batch_size < 2:
            raise ValueError("mixup mixes windows of a micro-batch: micro_batch_size must be at least 2")
        return self
