"""The training of a critic: generate counterparts of real pieces, fit the head, measure it on held-out pieces."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from flows.criticism.archive import RealFakePairs, choose_pieces, generate_counterparts, read_pairs, write_pairs
from flows.parameters import LakeAddress
from flows.progress import Stage
from flows.training.runs import Run
from infra.digests import canonical_digest
from infra.errors import UserError
from infra.files import publish_folder, staging_folder
from infra.lake import Lake
from infra.wording import counted
from modeling.criticism import CriticConfig, LabelledStates, fit_critic, label_states, save_critic
from modeling.data import Split, load_split
from modeling.network.transformer import MuseNet
from modeling.network.weights import load_model
from tokenization.dataset import DatasetVersion
from tokenization.dataset.shards import TokenFormat

REPORT_FILE = "report.json"
REPORT_FORMAT = 2
"""2: the keys `train_pairs` and `held_out_pairs`; format 1 was not numbered."""
MIN_PIECES = 4
"""Fewest pieces of a split that a critic is trained or measured on."""


class CriticParameters(BaseModel):
    """The model whose critic to train, and the size of the training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str = "latest"
    """Id of a finished training run (a prefix is enough), or `latest`."""
    train_pieces: int = Field(96, ge=8)
    """Pieces of the training split that get a generated counterpart."""
    held_out_pieces: int = Field(48, ge=MIN_PIECES)
    """Pieces of the validation and test splits that get one, to measure on."""
    critic: CriticConfig = CriticConfig()
    seed: int = Field(0, ge=0)
    lake: LakeAddress


@dataclass(frozen=True)
class CriticReport:
    """A trained critic in numbers."""

    run_id: str
    folder: str
    auc: float
    """On held-out pieces: 0.5 is chance, 1 is perfect."""
    train_auc: float
    train_pairs: int
    held_out_pairs: int
    reused: bool
    """True if the critic had been trained before this call."""


def critic_folder(run: Run, parameters: CriticParameters) -> Path:
    """Return the folder of the critic of a run and these settings."""
    key = canonical_digest(parameters.model_dump(exclude={"run", "lake"}, mode="json"))[:12]
    return run.folder.critics / key


def write_report(report: CriticReport, folder: Path) -> None:
    """Write the report of a critic beside its weights."""
    text = json.dumps({"format": REPORT_FORMAT, **asdict(report)}, indent=1) + "\n"
    (folder / REPORT_FILE).write_text(text, encoding="utf-8")


def read_report(folder: Path) -> CriticReport:
    """Read the report of a critic that was trained before. Raises UserError for one of another format."""
    content = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    found = content.pop("format", 1)
    if found != REPORT_FORMAT:
        raise UserError(
            f"{folder / REPORT_FILE} has format {found}, this version of musenet reads format {REPORT_FORMAT}: remove "
            f"{folder} and train the critic again"
        )
    return CriticReport(**{**content, "folder": str(folder), "reused": True})


def concatenate(first: Split, second: Split) -> Split:
    """Return the pieces of two splits of one dataset version as one split."""
    return Split(
        [*first.pieces, *second.pieces],
        [*first.piece_ids, *second.piece_ids],
        [*first.styles, *second.styles],
        first.encoding,
    )


class CriticTraining:
    """The training of the critic of one run."""

    def __init__(self, lake: Lake, run: Run, dataset: DatasetVersion, parameters: CriticParameters) -> None:
        self.run = run
        self.parameters = parameters
        window = min(parameters.critic.window, run.config.model.context)
        self.critic = parameters.critic.model_copy(update={"window": window})
        self.folder = critic_folder(run, parameters)
        self.archive = lake.archive / run.run_id / self.folder.name
        self.token_format = TokenFormat.of(dataset.encoding)
        self.train = load_split(dataset.path, "train")
        self.held_out = concatenate(load_split(dataset.path, "validation"), load_split(dataset.path, "test"))
        self.model: MuseNet = load_model(run.folder.model)

    def generate(self, bar: Stage) -> tuple[RealFakePairs, RealFakePairs]:
        """Return real pieces with generated counterparts, of the training split and of the held-out ones.

        Counterparts are archived, and taken from the archive where it has them. Raises UserError when a split has too
        few pieces longer than the critic's window.
        """
        size, seed = self.critic.window, self.parameters.seed
        wanted = []
        for name, split, count in (
            ("train", self.train, self.parameters.train_pieces),
            ("held_out", self.held_out, self.parameters.held_out_pieces),
        ):
            chosen = choose_pieces(split, count, size, seed)
            if len(chosen) < MIN_PIECES:
                raise UserError(
                    f"the dataset has {counted(len(chosen), name.replace('_', '-') + ' piece')} of more than {size} "
                    f"tokens; the "
                    f"critic needs {MIN_PIECES}: ingest more, or lower critic.window"
                )
            wanted.append((self.archive / f"{name}.parquet", split, chosen))
        total = sum(len(chosen) for _, _, chosen in wanted)
        bar.update(0, total)
        for path, split, chosen in wanted:
            if not path.exists():
                generated = generate_counterparts(self.model, split, chosen, size, seed, bar.advance)
                write_pairs(path, split, chosen, generated, self.token_format)
        bar.update(total, note=counted(total, "piece"))
        train, held_out = (read_pairs(path, split, self.token_format) for path, split, _ in wanted)
        return train, held_out

    def fit(self, train: RealFakePairs, held_out: RealFakePairs, bar: Stage) -> CriticReport:
        """Fit the critic's head, measure it on the held-out pairs, and publish head and report."""
        config = self.critic
        result = fit_critic(config, self._labelled(train), self._labelled(held_out), self.parameters.seed, bar.step)
        report = CriticReport(
            run_id=self.run.run_id,
            folder=str(self.folder),
            auc=result.auc,
            train_auc=result.train_auc,
            train_pairs=len(train),
            held_out_pairs=len(held_out),
            reused=False,
        )
        with staging_folder(self.folder.parent) as staged:
            save_critic(result.head, config, staged)
            write_report(report, staged)
            publish_folder(staged, self.folder)
        bar.update(config.epochs, note=f"held-out AUC {report.auc:.3f}")
        return report

    def _labelled(self, pairs: RealFakePairs) -> LabelledStates:
        encoding, window = self.train.encoding, self.critic.window
        return label_states(self.model, encoding, pairs.real, pairs.generated, pairs.lengths, window)
