"""A round of criticism: generate twins, archive them, learn to tell them from the data, measure on held-out pieces."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from flows.criticism.archive import Twins, choose_pieces, generate_twins, keep, recall
from flows.parameters import LakeAddress
from flows.progress import Stage
from flows.training.runs import Run
from infra.errors import UserError
from infra.files import publish_folder, staging_folder
from infra.lake import Lake
from modeling.data.batches import Split, load_split
from modeling.network.critic import CriticConfig, train_critic, window_states
from modeling.network.transformer import MuseNet
from modeling.network.weights import load_model, save_critic
from tokenization.dataset.shards import Stamp
from tokenization.dataset.version import DatasetVersion, canonical_digest

REPORT_FILE = "report.json"
LEAST_HELD_OUT = 4


class CriticParameters(BaseModel):
    """Which model's critic to train, and on how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str = "latest"
    """Id of a finished training run (a prefix is enough), or `latest`."""
    train_pieces: int = Field(96, ge=8)
    """Pieces of the training split that get a generated twin."""
    held_out_pieces: int = Field(48, ge=LEAST_HELD_OUT)
    """The same of the validation and test splits, to measure on."""
    critic: CriticConfig = CriticConfig()
    seed: int = Field(0, ge=0)
    lake: LakeAddress


@dataclass(frozen=True)
class CriticReport:
    """A trained critic in numbers."""

    run_id: str
    folder: str
    auc: float
    """On held-out pieces: 0.5 is guessing, 1 is always right."""
    train_auc: float
    train_twins: int
    held_out_twins: int
    reused: bool


def critic_folder(run: Run, parameters: CriticParameters) -> Path:
    """Where the critic of a run and these settings lies."""
    key = canonical_digest(parameters.model_dump(exclude={"run", "lake"}, mode="json"))[:12]
    return run.folder.critics / key


def read_report(folder: Path) -> CriticReport:
    """The report of a critic that was trained before."""
    content = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    return CriticReport(**{**content, "folder": str(folder), "reused": True})


def joined(first: Split, second: Split) -> Split:
    """The pieces of two splits of one dataset version."""
    return Split(
        [*first.pieces, *second.pieces],
        [*first.piece_ids, *second.piece_ids],
        [*first.styles, *second.styles],
        first.encoding,
    )


class Round:
    """One round for one model."""

    def __init__(self, lake: Lake, run: Run, dataset: DatasetVersion, parameters: CriticParameters) -> None:
        self.run = run
        self.parameters = parameters
        # The trunk hears no more than its context.
        window = min(parameters.critic.window, run.config.model.context)
        self.critic = parameters.critic.model_copy(update={"window": window})
        self.folder = critic_folder(run, parameters)
        self.archive = lake.archive / run.run_id / self.folder.name
        self.stamp = Stamp.of(dataset.encoding)
        self.train = load_split(dataset.path, "train")
        self.held_out = joined(load_split(dataset.path, "validation"), load_split(dataset.path, "test"))
        self.model: MuseNet = load_model(run.folder.model)

    def generate(self, bar: Stage) -> tuple[Twins, Twins]:
        """Twins for pieces of the training split and of the held-out ones, archived; archived ones are reused.

        Raises UserError when too few pieces are held out to measure on.
        """
        size, seed = self.critic.window, self.parameters.seed
        wanted = []
        for name, split, count in (
            ("train", self.train, self.parameters.train_pieces),
            ("held_out", self.held_out, self.parameters.held_out_pieces),
        ):
            chosen = choose_pieces(split, count, size, seed)
            if len(chosen) < LEAST_HELD_OUT:
                raise UserError(
                    f"the dataset has {len(chosen)} {name.replace('_', '-')} pieces of more than {size} tokens; the "
                    f"critic needs {LEAST_HELD_OUT}: ingest more, or lower critic.window"
                )
            wanted.append((self.archive / f"{name}.parquet", split, chosen))
        total = sum(len(chosen) for _, _, chosen in wanted)
        bar.update(0, total)
        for path, split, chosen in wanted:
            if not path.exists():
                generated = generate_twins(self.model, split, chosen, size, seed, bar.advance)
                keep(path, split, chosen, generated, self.stamp)
        bar.update(total, note=f"{total} twins")
        train, held_out = (recall(path, split, self.stamp) for path, split, _ in wanted)
        return train, held_out

    def learn(self, train: Twins, held_out: Twins, bar: Stage) -> CriticReport:
        """Train the critic's head, measure it, publish both."""
        config = self.critic
        judged = train_critic(config, self._labelled(train), self._labelled(held_out), self.parameters.seed, bar.step)
        report = CriticReport(
            run_id=self.run.run_id,
            folder=str(self.folder),
            auc=judged.auc,
            train_auc=judged.train_auc,
            train_twins=len(train.real),
            held_out_twins=len(held_out.real),
            reused=False,
        )
        with staging_folder(self.folder.parent) as staged:
            save_critic(judged.head, config, self.run.config.model.d_model, staged)
            (staged / REPORT_FILE).write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
            publish_folder(staged, self.folder)
        bar.update(config.epochs, note=f"held-out AUC {report.auc:.3f}")
        return report

    def _labelled(self, twins: Twins) -> tuple[Tensor, Tensor, Tensor]:
        """States, heard positions and labels (1: real) of real pieces and their twins."""
        size = self.critic.window
        pieces = twins.real + twins.generated
        states, heard = window_states(self.model, self.train.encoding, pieces, twins.lengths * 2, size)
        real = torch.arange(len(pieces)) < len(twins.real)
        return states, heard, real
