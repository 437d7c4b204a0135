"""The report of two models compared: a typed value, whose JSON form is the file `against-….json`.

FORMAT numbers its schema; files of another format are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.evaluation.report import ALL, CriticFigures, Estimate
from flows.evaluation.settings import EvaluationSettings
from infra.errors import RunError
from infra.settings import one_line

FORMAT: Final = 1
FILES = "against-*.json"
"""Names of these reports in the folder of an evaluation."""
DISTANCE = "distance"
"""The median over the measures of the distance from real pieces, as a multiple of the floor."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Difference(_Strict):
    """A figure of both models, the lower the better, and their difference with its interval."""

    figure: str
    """`nats_per_note`, `nats_per_token`, `bits_per_second`, `distance`, or the name of a measure."""
    title: str
    unit: str
    group: str
    """ALL, or a style."""
    families: int
    """Held-out families that it is of, and that are resampled."""
    model: float
    against: float
    difference: Estimate
    """Of the model to the other one: below 0 it is better."""
    verdict: Literal["better", "worse", "no difference"]
    """Of the model; no difference where the interval holds 0."""


class ModelFigures(_Strict):
    """What is compared without an interval."""

    name: str
    """`musenet 3`."""
    digest: str
    """SHA-256 of the model's files."""
    trained_on: str
    critic: CriticFigures | None
    tokens_per_second: float | None


class PairedReport(_Strict):
    """Two models on the same held-out families, headers and seeds."""

    format: Literal[1] = FORMAT
    model: ModelFigures
    against: ModelFigures
    dataset: str
    """`name@digest` of the version whose held-out pieces both were measured on."""
    settings: EvaluationSettings
    differences: list[Difference]
    """First of likelihoods, then of composed pieces; of ALL before those of a style."""
    notices: list[str]
    """What the figures leave out, a line each."""

    @property
    def overall(self) -> list[Difference]:
        """The differences of ALL."""
        return [each for each in self.differences if each.group == ALL]

    def of(self, figure: str, group: str = ALL) -> Difference | None:
        """Return the difference of a figure, None where it was not measured."""
        return next((each for each in self.differences if (each.figure, each.group) == (figure, group)), None)

    def by_style(self, figure: str) -> list[Difference]:
        """Return the differences of a figure in each style."""
        return [each for each in self.differences if each.figure == figure and each.group != ALL]


def read_paired_report(file: Path) -> PairedReport:
    """Read a report. Raises RunError for a file that is none, or of another format."""
    try:
        return PairedReport.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise RunError(f"{file} is no comparison of this release ({one_line(error)}); compare again") from error
