"""The report of an evaluation: a typed value, whose JSON form is the file `report.json`.

FORMAT numbers its schema; files of another format are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.evaluation.settings import EvaluationSettings
from infra.errors import RunError
from infra.settings import one_line

FORMAT: Final = 2
"""2: likelihoods, critic and speed."""
REPORT_FILE = "report.json"
ALL = "all"
"""Name of the group that averages over the others."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Strict):
    """A number with the interval in which it would lie for 95 % of other drawings of the pieces."""

    value: float
    low: float
    high: float


class MeasureReport(_Strict):
    """One measure of a group: `tokenization.measures.MEASURES` defines it."""

    measure: str
    unit: str
    """Of the distances; empty where they have none."""
    distance: Estimate
    """Of the samples to held-out pieces."""
    floor: Estimate
    """Of real pieces to each other: the mean and 95 % of random splits into sets as large."""
    multiple: float | None
    """The distance as a multiple of the floor; None where real pieces are all alike."""
    references: dict[str, float]
    """Distances of the references, `ngram` and `noise`, to held-out pieces."""

    @property
    def is_above_floor(self) -> bool:
        """True if of 40 random splits of real pieces not one is as far apart: a permutation test at 2.5 %."""
        return self.distance.value > self.floor.high


class FigureReport(_Strict):
    """One figure of a group: `tokenization.measures.FIGURES` defines it."""

    figure: str
    title: str
    unit: str
    samples: Estimate
    held_out: Estimate | None
    references: dict[str, float]
    """Of other real pieces (`real`), of the n-gram and of noise."""


class GroupReport(_Strict):
    """The pieces of one style, of several small ones together, or the average over all groups."""

    group: str
    samples: int
    held_out: int
    real: int
    """Other real pieces, which the floor is taken of."""
    measures: list[MeasureReport]
    figures: list[FigureReport]
    multiple: float | None
    """Median over the measures of the distance as a multiple of the floor."""

    def measure(self, name: str) -> MeasureReport | None:
        """Return a measure, None where the group has none."""
        return next((each for each in self.measures if each.measure == name), None)

    def figure(self, name: str) -> FigureReport | None:
        """Return a figure, None where the group has none."""
        return next((each for each in self.figures if each.figure == name), None)


class LikelihoodReport(_Strict):
    """How well a model foresees the held-out pieces of one style, or all of them, whole and one of each family."""

    group: str
    families: int
    nats_per_note: Estimate
    """Comparable between encodings."""
    nats_per_token: Estimate
    bits_per_second: Estimate


class CriticFigures(_Strict):
    """The critic of a version, on held-out pieces of its own dataset."""

    auc: float
    """0.5 is chance; it rises with the critic's skill and with the model's faults."""
    calibration_error: float


class EvaluationReport(_Strict):
    """An evaluation of a model's pieces, or of those in a folder."""

    format: Literal[2] = FORMAT
    source: str
    """`musenet 3` or the path of a folder."""
    source_digest: str
    """SHA-256 of the model's files, or of the folder's MIDI files."""
    dataset: str
    """`name@digest` of the version whose pieces are the real ones."""
    settings: EvaluationSettings
    groups: list[GroupReport]
    """That of ALL first, then each group."""
    likelihoods: list[LikelihoodReport] = []
    """That of ALL first, then each style; empty for a folder."""
    likelihoods_all: list[LikelihoodReport] = []
    """The same with the test pieces that a model knows, where those above are without; empty where none does."""
    critic: CriticFigures | None = None
    """None for a folder and for a version without a critic."""
    tokens_per_second: float | None = None
    """As the pieces were composed, in batches; None for a folder."""
    notices: list[str]
    """What the figures leave out, a line each."""

    @property
    def overall(self) -> GroupReport:
        """The average over all groups."""
        return self.groups[0]

    @property
    def likelihood(self) -> LikelihoodReport | None:
        """The likelihood of all held-out pieces together."""
        return self.likelihoods[0] if self.likelihoods else None

    def tags(self) -> dict[str, str]:
        """Return the figures that a model version is tagged with."""
        tags = {"evaluated_on": self.dataset}
        if self.overall.multiple is not None:
            tags["distance"] = f"{self.overall.multiple:.2f}"
        if self.likelihood is not None:
            for name in ("nats_per_note", "bits_per_second"):
                found: Estimate = getattr(self.likelihood, name)
                tags[f"test_{name}"] = f"{found.value:.4f}"
                tags[f"test_{name}_interval"] = f"{found.low:.4f} to {found.high:.4f}"
        if self.likelihoods_all:
            tags["test_nats_per_note_all"] = f"{self.likelihoods_all[0].nats_per_note.value:.4f}"
        return tags


def read_report(file: Path) -> EvaluationReport:
    """Read a report. Raises RunError for a file that is none, or of another format."""
    try:
        return EvaluationReport.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise RunError(f"{file} is no report of this release ({one_line(error)}); evaluate again") from error
