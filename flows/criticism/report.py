"""The report of a critic: how well it tells real music from what is none, on families that it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import UserError
from infra.files import write_atomically
from infra.settings import one_line
from modeling.criticism import Estimate

REPORT_FILE = "report.json"
REPORT_FORMAT: Final = 5
"""5: aspects; 4: tokens heard count from the end of the prompt, and intervals are over families."""
Kind = Literal["generated", "prefix", "place", "sampler", "damage", "cue", "aspect"]
TITLES: dict[Kind, str] = {
    "generated": "Generations of the archive's samplers together",
    "prefix": "Generations as the model is drawn from by default, by the tokens heard behind the prompt",
    "place": "The same, by the third of the piece that the window begins in",
    "sampler": "Generations by temperature and top-p",
    "damage": "Damaged real pieces",
    "cue": "Real pieces changed in what should not count",
    "aspect": "Real windows by aspect, beside ones with its fault, transposed, or composed",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CriticFigure(_Strict):
    """Real windows against others of one kind: the probability that the real one scores higher."""

    kind: Kind
    name: str
    auc: float
    low: float
    """The interval holds 95 % of drawings of the families with replacement."""
    high: float
    windows: int
    """Windows that are not real, or changed."""
    is_learned: bool = False
    """True if the critic has learned from windows of this kind, of other pieces."""


def figure_of(kind: Kind, name: str, estimate: Estimate, windows: int, is_learned: bool = False) -> CriticFigure:
    """Return the figure of an AUC."""
    return CriticFigure(
        kind=kind,
        name=name,
        auc=estimate.value,
        low=estimate.low,
        high=estimate.high,
        windows=windows,
        is_learned=is_learned,
    )


class Reliability(_Strict):
    """The held-out windows of a range of scores."""

    score: float
    """Mean."""
    real: float
    """Share that is real."""
    windows: int


class CriticReport(_Strict):
    """A trained critic in numbers."""

    format: Literal[5] = REPORT_FORMAT
    run_id: str
    folder: str
    auc: float
    """On generations as the model is drawn from by default beside held-out pieces: 0.5 is chance, 1 is perfect."""
    calibration_error: float
    """Expected calibration error: the mean distance of scores from the share that is real, over the held-out windows of
    both halves of the families, each under a calibration by the other half."""
    calibration_floor: float
    """What that error would be on average, on as many windows, if every score held."""
    noise_below: float
    """Share of pairs of noise and an ordinary generation of which the noise scores lower."""
    ordinary_below: float
    """Share of pairs of an ordinary generation and a real window of which the generation scores lower."""
    rounds: int
    train_windows: int
    held_out_windows: int
    figures: list[CriticFigure]
    reliability: list[Reliability]
    aspect_errors: dict[str, float]
    """Expected calibration errors of the aspects, as that of the scores."""
    began_with: Literal["parent", "new"] = "new"
    """The critic of the run's parent, or a new one."""
    reused: bool = False
    """True if the critic had been trained before this call."""

    def figure(self, kind: Kind, name: str) -> CriticFigure:
        """Return a figure. Raises KeyError for one that was not measured."""
        for each in self.figures:
            if (each.kind, each.name) == (kind, name):
                return each
        raise KeyError(f"{kind} {name}")

    def metrics(self) -> dict[str, float]:
        """Return the figures by name, as MLflow takes them."""
        by_figure = {f"critic_auc_{each.kind}/{each.name}": each.auc for each in self.figures}
        return {
            "critic_auc": self.auc,
            "critic_calibration_error": self.calibration_error,
            "critic_calibration_floor": self.calibration_floor,
            "critic_noise_below": self.noise_below,
            "critic_ordinary_below": self.ordinary_below,
            **{f"critic_calibration_error_{name}": error for name, error in self.aspect_errors.items()},
            **{_plain(name): value for name, value in by_figure.items()},
        }

    def markdown(self) -> str:
        """Return the report as a page."""
        lines = [
            f"# Critic of run {self.run_id}",
            "",
            f"AUC {self.auc:.3f} and calibration error {self.calibration_error:.3f} (if all scores held, about "
            f"{self.calibration_floor:.3f}) on {self.held_out_windows:,} held-out windows; trained on "
            f"{self.train_windows:,} generations in {self.rounds} rounds"
            f"{', beginning with the critic of the parent' if self.began_with == 'parent' else ''}. Of pairs of "
            f"noise and an ordinary generation the noise scores lower in {self.noise_below:.1%}.",
        ]
        for kind, title in TITLES.items():
            rows = [each for each in self.figures if each.kind == kind]
            if rows:
                lines += ["", f"## {title}", "", "| | AUC | 95 % | windows |", "|---|---|---|---|"]
                lines += [f"| {r.name} | {r.auc:.3f} | {r.low:.3f}–{r.high:.3f} | {r.windows:,} |" for r in rows]
        if self.aspect_errors:
            errors = (f"{name} {error:.3f}" for name, error in self.aspect_errors.items())
            lines += ["", f"Calibration error of the aspects: {', '.join(errors)}."]
        lines += ["", "## Scores and shares that are real", "", "| mean score | real | windows |", "|---|---|---|"]
        lines += [f"| {r.score:.2f} | {r.real:.2f} | {r.windows:,} |" for r in self.reliability]
        return "\n".join(lines) + "\n"


def write_report(report: CriticReport, folder: Path) -> None:
    """Write the report of a critic beside its weights."""
    write_atomically(folder / REPORT_FILE, (report.model_dump_json(indent=1) + "\n").encode())


def read_report(folder: Path) -> CriticReport:
    """Read the report of a critic that was trained before. Raises UserError for one of another format."""
    file = folder / REPORT_FILE
    try:
        report = CriticReport.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(
            f"{file} is not of format {REPORT_FORMAT}, which this version of musenet reads ({one_line(error)}): remove "
            f"{folder} and train the critic again"
        ) from error
    return report.model_copy(update={"folder": str(folder), "reused": True})


def _plain(name: str) -> str:
    """Return a name that MLflow takes for a metric."""
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "_" for letter in name)
