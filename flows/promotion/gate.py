"""The gate: rules by which a version may take the place of another, as data. `gate.toml` beside it has the default."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from infra.errors import unknown_name
from infra.toml_files import read_toml
from tokenization.measures import MEASURES

GATE_FILE = "gate.toml"
"""File of rules in a lake, used where it is there."""
SHIPPED: Final = Path(__file__).with_name(GATE_FILE)
"""The rules where no others are given."""


class Strict(BaseModel):
    """Base of rules and verdicts: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NatsRule(Strict):
    """Nats per note, the lower the better: on the same test pieces by `musenet evaluate --against`, else the loss on
    validation pieces, which is comparable on one dataset version only."""

    most_worse: float = Field(0.0, allow_inf_nan=False)
    """Nats by which it may be higher; below 0: by which it must be lower."""
    must_improve: bool = False
    """True if it must be lower beyond chance: the whole interval of the difference below 0."""
    required: bool = True
    """True if what cannot be compared does not pass."""


class StylesRule(Strict):
    """Nats per note of each style by itself, from `musenet evaluate --against`; styles of few families tell nothing."""

    most_worse: float = Field(0.05, ge=0, allow_inf_nan=False)
    """Nats by which any may be higher."""
    required: bool = False


class DistanceRule(Strict):
    """Distance of composed pieces from held-out ones as a multiple of the floor, median over the measures: from
    `musenet evaluate --against`, else from reports on both with one dataset version and the same settings."""

    most_worse: float = Field(0.1, allow_inf_nan=False)
    """Share of the champion's by which it may be higher: 0.1 is a tenth."""
    must_improve: bool = False
    required: bool = False


class MeasureRule(Strict):
    """Distance by one measure, from `musenet evaluate --against`."""

    most_worse: float = Field(allow_inf_nan=False)
    """Multiples of the floor by which it may be higher."""
    must_improve: bool = False
    required: bool = False


class Gate(Strict):
    """The rules, as a `gate.toml` has them: a table for each."""

    nats_per_note: NatsRule = NatsRule()
    styles: StylesRule = StylesRule()
    distance: DistanceRule = DistanceRule()
    measures: dict[str, MeasureRule] = {}
    """By the name of the measure."""

    @field_validator("measures")
    @classmethod
    def _are_known(cls, measures: dict[str, MeasureRule]) -> dict[str, MeasureRule]:
        known = [measure.name for measure in MEASURES]
        for name in measures:
            if name not in known:
                raise ValueError(str(unknown_name("measure", name, known)))
        return measures

    @classmethod
    def read(cls, file: Path) -> Gate:
        """Read the rules from a TOML file. Raises UserError."""
        return read_toml(file, cls)
