"""The configuration of the inner critic: its head, its training, and the generations that it learns from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from modeling.config.base import StrictModel
from modeling.config.drawing import DrawingConfig

NOISE = 1e9
"""Temperature at which all tokens that the grammar allows are equally likely."""


class Sampler(DrawingConfig):
    """A way to draw generations for the archive."""

    top_p: float = Field(1.0, gt=0, le=1)
    share: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Weight among the samplers."""

    @property
    def name(self) -> str:
        """Its settings in words, those without effect left out."""
        words = f"temperature {self.temperature:g}, top-p {self.top_p:g}"
        if self.pitch_temperature != 1:
            words += f", pitch temperature {self.pitch_temperature:g}"
        if self.time_temperature != 1:
            words += f", time temperature {self.time_temperature:g}"
        if self.tonality:
            words += f", tonality {self.tonality:g}"
        if self.repetition:
            words += f", repetition {self.repetition:g} beyond {self.repeats}"
        if self.stay:
            words += f", stay {self.stay:g} beyond {self.stay_seconds:g} s"
        return f"{words}, recall {self.recall:g} by {self.section_bars} bars" if self.recall else words


SAMPLERS = (
    Sampler(temperature=1.0, top_p=0.95, share=4),
    Sampler(temperature=1.0, top_p=1.0, share=2),
    Sampler(temperature=0.9, top_p=0.98, share=2),
    Sampler(temperature=1.0, top_p=0.99, time_temperature=0.6, tonality=0.5, share=2),
    Sampler(temperature=1.2, top_p=0.98, share=1),
    Sampler(temperature=0.5, top_p=1.0, share=1),
    Sampler(temperature=2.0, top_p=1.0, share=1),
    Sampler(temperature=NOISE, top_p=1.0, share=2),
)
"""Those of ordinary samples most often, and some that nobody asks for, so that the critic knows them too."""


class ArchiveConfig(StrictModel):
    """The generations that a critic learns from: each is a window of a piece of the data, composed anew.

    Header, planned length and place are those of the real window, so that the music alone differs.
    """

    samplers: tuple[Sampler, ...] = Field(SAMPLERS, min_length=1)
    """By which batches of generations are drawn one after the other, in proportion to their shares."""
    anywhere: float = Field(0.6, ge=0, le=1)
    """Share of the windows that begin anywhere in their piece, behind real music; the rest begins with it."""
    prompted: float = Field(0.4, ge=0, le=1)
    """Share of the windows of which the first quarter is real."""
    batch: int = Field(8, ge=1)
    """Generations that are made at once, with one sampler, place and length of prompt."""
    most: int = Field(4096, ge=1)
    """Generations that an archive keeps; of more, older ones are thinned."""


class CriticConfig(StrictModel):
    """Shape and training of a critic."""

    window: int = Field(256, ge=16)
    """Tokens of a window, its header included; at most the model's context."""
    lesson: int | None = Field(None, ge=16)
    """Tokens of the windows that it learns from, at most `window`; None: as many. Shorter ones are cheaper."""
    hidden: int = Field(64, ge=4, multiple_of=4)
    """Units of the head's hidden layer."""
    trunk: Literal["frozen", "tuned"] = "tuned"
    """`tuned`: the critic trains a copy of the whole network, which hears more and doubles the model's files.
    `frozen`: the head alone, on the network's own states."""
    hears: Literal["states", "surprise", "both"] = "both"
    """What the head hears: the trunk's states; how unlikely the model finds each token, and how sure it was; or both.
    `surprise` needs the fewest windows and tells good generations best; of damaged pieces states say more."""
    orders: int = Field(1, ge=0)
    """Other orders of a window's bars that the model hears beside its own, for a head that hears surprise: music is
    foreseen better in its own. Each takes as long as the window itself; 0: none."""
    steps: int = Field(200, ge=1)
    """Optimiser steps."""
    batch: int = Field(16, ge=2, multiple_of=2)
    """Windows in a step, half of them real."""
    repeats: int = Field(1, ge=1)
    """Steps in which the head of a frozen trunk hears each batch, which the trunk computes once; 1 for a tuned one."""
    damaged: float = Field(0.5, ge=0, le=1)
    """Share of damaged real pieces among the windows that are not real; the rest are generations."""
    pairs: float = Field(0.0, ge=0)
    """Weight of the loss of ranking each real window above the one beside it that is not real, in addition to the loss
    of telling each one's label."""
    learning_rate: float = Field(3e-3, gt=0)
    """Of the head."""
    trunk_learning_rate: float = Field(5e-4, gt=0)
    """Of a tuned trunk."""
    weight_decay: float = Field(0.1, ge=0)

    @model_validator(mode="after")
    def _tuned_for_states(self) -> Self:
        if self.hears == "surprise" and self.trunk == "tuned":
            raise ValueError("hears = surprise needs trunk = frozen: it is the network's own, whatever a trunk hears")
        return self

    @model_validator(mode="after")
    def _repeats_of_frozen(self) -> Self:
        if self.repeats > 1 and self.trunk != "frozen":
            raise ValueError(f"repeats = {self.repeats} needs trunk = frozen: a tuned trunk hears every window anew")
        return self

    @property
    def lesson_window(self) -> int:
        """Tokens of the windows that it learns from."""
        return self.window if self.lesson is None else min(self.lesson, self.window)


class JointCritic(StrictModel):
    """Training of a critic together with its network, on the network's own past generations."""

    weight: float = Field(0.05, ge=0)
    """Of the critic's loss beside that of language, both means over positions in nats."""
    every: int = Field(4, ge=1)
    """Steps from one that the critic takes part in to the next."""
    rows: int = Field(8, ge=2, multiple_of=2)
    """Windows of the critic in such a step over all ranks, half of them real."""
    hidden: int = Field(64, ge=4, multiple_of=4)
    """Units of the head's hidden layer."""
    damaged: float = Field(0.5, ge=0, le=1)
    """Share of damaged real pieces among the windows that are not real."""
    share: float = Field(0.1, gt=0, lt=1)
    """Share of the time of training that generation for the archive takes."""
    fill_every: int = Field(50, ge=1)
    """Steps from one filling of the archive to the next, from the weights of that step."""
    window: int = Field(256, ge=16)
    """Tokens of a generation, its header included; at most the context."""
    archive: ArchiveConfig = ArchiveConfig()
