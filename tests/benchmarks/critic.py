"""The proof of the inner critic: what it tells from real music, and what choosing by it does to a model's pieces.

    python tests/benchmarks/critic.py --lake DIR --dataset NAME [--preset small] [--minutes 60]
    python tests/benchmarks/critic.py --lake DIR --run RUN --unseen RUN
                                      [--rounds 2] [--try 'NAME: KEY=VALUE KEY=VALUE'] [--headers 64] [--candidates 16]
                                      [--length 512] [--json FILE]

Of two runs the first has the critic, and the second is the checkpoint that the critic never sees. Unless they are
named, they are trained: the first for the minutes, the other for a tenth of them and from another seed. Every `--try`
is a critic by other settings (of `CriticParameters`) from the same generations; without one, that of the defaults and
of `--set`. What has been generated is used again, and so is a critic of the run that `musenet critic` has trained by
the same settings.

Printed are, for each try, the critic's figures; best-of-N for N = 2, 4, …: pieces chosen under the headers of held-out
ones by the critic's score or odds, by the highest and the lowest likelihood, and by chance, with the share of the
measures of `musenet evaluate` by which the choice is nearer to held-out pieces; and a table of all tries. Bars are
those of the project: see BARS. Takes from minutes to hours.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from critic_choice import CRITIC, ODDS, Choice, Pool, compare, make_pool, spread_of_real
from ingest import _servers
from recipes import _musenet, _set
from report import Bar, circumstances, show_bars, table, write_json

from flows.criticism.critic_training import CriticTraining, critic_folder, joined
from flows.criticism.measuring import Measuring
from flows.criticism.parameters import CriticParameters
from flows.criticism.report import CriticFigure, CriticReport, read_report
from flows.progress import Stage, stage
from flows.training.runs import Run, find_run
from infra.lake import Lake
from infra.settings import apply
from modeling.archive import Archive
from modeling.config import Sampler
from modeling.criticism import Critic, judge, load_critic
from modeling.generation import mean_log_likelihoods
from modeling.network.weights import load_model
from tokenization.dataset import find_version
from tokenization.encodings import Time
from tokenization.measures import Collected, collect, measure

RANKS = (CRITIC, ODDS, "highest likelihood", "lowest likelihood")
OTHERS = RANKS[2:]
SIXTEEN = 16
"""Candidates of which the bars ask for the best."""
BARS = {
    "AUC at the whole window on an unseen checkpoint": 0.85,
    "calibration error, limit over": 1.0,
    "AUC against noise": 0.95,
    "AUC against permuted pitches": 0.75,
    "AUC against shuffled bars, by the aspect of order": 0.8,
    "AUC against an exchanged instrument, by that of instruments": 0.8,
    "AUC against a generated middle": 0.8,
    "AUC against jittered onsets": 0.8,
    "noise below ordinary generations": 0.95,
    "AUC of what should not count, limit over": 1.0,
    "measures nearer than chance": 0.7,
    "measures nearer than the highest likelihood": 0.5,
    "measures nearer than the lowest likelihood": 0.5,
    "spread of the chosen": 0.95,
}
WORST_CALIBRATION = 0.05
WORST_CUE = 0.55


@dataclass(frozen=True)
class Tried:
    """A critic in figures."""

    name: str
    seconds: float
    """Of fitting; 0 where it had been fitted before."""
    report: CriticReport
    unseen: list[CriticFigure]
    choices: dict[str, Choice]
    """By ranking and number of candidates."""
    against: dict[str, Choice]
    """The critic's choice against that of each other ranking, of sixteen."""
    real_spread: float
    """Spread of held-out pieces as a multiple of chance's."""

    @property
    def by_critic(self) -> Choice:
        return next(each for name, each in reversed(self.choices.items()) if name == f"critic, best of {SIXTEEN}")

    @property
    def worst_cue(self) -> float:
        """The AUC farthest from one half of what should not count, on whichever side, as one above it."""
        return 0.5 + max(abs(each.auc - 0.5) for each in self.report.figures if each.kind == "cue")

    def bars(self) -> list[Bar]:
        report = self.report
        values = (
            self.unseen[-1].auc,
            WORST_CALIBRATION / max(report.calibration_error, 1e-9),
            report.figure("sampler", "temperature 1e+09, top-p 1").auc,
            report.figure("damage", "pitches permuted").auc,
            report.figure("aspect", "order: bars shuffled").auc,
            report.figure("aspect", "instruments: instrument swapped").auc,
            report.figure("damage", "generated middle").auc,
            report.figure("damage", "onsets jittered").auc,
            report.noise_below,
            WORST_CUE / self.worst_cue,
            self.by_critic.nearer,
            *(self.against[rank].nearer for rank in OTHERS),
            self.by_critic.spread,
        )
        return [Bar(name, value, limit) for (name, limit), value in zip(BARS.items(), values, strict=True)]


class Proof:
    """The generations and the pool that all tries share."""

    def __init__(self, lake: Lake, run: Run, other: Run, options: argparse.Namespace, bar: Stage) -> None:
        given = {"lake": lake.address, "rounds": options.rounds}
        self.base = apply(CriticParameters, given, changes(options.set), fixed=set(given))
        version = find_version(lake, run.dataset).local(lake)
        self.training = CriticTraining(lake, run, version, self.base)
        self.generations = self.training.generate(bar)
        self.unseen = replace(
            self.training.generations,
            archive=Archive(
                self.training.generations.archive.folder / "unseen",
                other.run_id,
                self.training.generations.archive.token_format,
            ),
            model=load_model(other.folder.model),
        ).held_out(
            "unseen", self.training.test, self.base.held_out_pieces // 2, bar, Sampler(**other.drawing.model_dump())
        )
        split = joined(self.training.calibration, self.training.test)
        pool = make_pool(
            self.training.generations.archive,
            self.training.model,
            split,
            self.training.families,
            self.training.ordinary,
            options.headers,
            options.candidates,
            options.length,
            seed=2,
        )
        self.shape = (len(pool) // options.candidates, options.candidates)
        self.pieces, self.lengths = [each.tokens for each in pool], [each.length for each in pool]
        self.likelihoods = np.array(
            mean_log_likelihoods(self.training.model, split.encoding, self.pieces, self.lengths)
        ).reshape(self.shape)
        in_beats = split.encoding.time is Time.BEATS
        measured = [measure(split.encoding.decode(tokens), in_beats=in_beats) for tokens in self.pieces]
        self.measures = [measured[first : first + options.candidates] for first in range(0, len(pool), self.shape[1])]
        index = {piece_id: number for number, piece_id in enumerate(split.piece_ids)}
        real = [split.pieces[index[each.piece_id]][: options.length] for each in pool[:: options.candidates]]
        self.held_out: Collected = collect(
            [measure(split.encoding.decode(np.asarray(tokens)), in_beats=in_beats) for tokens in real]
        )

    def attempt(self, name: str, settings: Sequence[str], bar: Stage) -> Tried:
        """Fit a critic by other settings, and measure it."""
        training = self.training
        training.parameters = apply(CriticParameters, self.base.model_dump(mode="json"), changes(settings))
        window = min(training.parameters.critic.window, training.config.window)
        training.config = training.parameters.critic.model_copy(update={"window": window})
        folder = critic_folder(training.run, training.parameters)
        begun = time.process_time()
        if folder.exists():
            critic, report, seconds = load_critic(folder, training.model), read_report(folder), 0.0
        else:
            critic, windows = training.fit(self.generations, bar)
            seconds = time.process_time() - begun
            critic, report = training.measure(critic, windows, bar)
        pool = Pool(self.measures, self._merits(critic))
        counts = [2**power for power in range(1, int(np.log2(self.shape[1])))]
        return Tried(
            name=name,
            seconds=seconds,
            report=report,
            unseen=Measuring(critic, training.test, self.unseen, training.parameters.seed).prefixes(),
            choices={
                f"{rank}, best of {count}": compare(pool, self.held_out, rank, None, count)
                for count in counts
                for rank in RANKS
            },
            real_spread=spread_of_real(pool, self.held_out),
            against={rank: compare(pool, self.held_out, "critic", rank, SIXTEEN) for rank in OTHERS},
        )

    def _merits(self, critic: Critic) -> dict[str, Any]:
        judged = judge(critic, self.training.test.encoding, self.pieces, self.lengths)
        scores = np.array([each.logits.mean() for each in judged]).reshape(self.shape)
        return dict(zip(RANKS, (scores, self.likelihoods, -self.likelihoods), strict=True))


def changes(settings: Sequence[str]) -> dict[str, str]:
    """Return `KEY=VALUE` as values by dotted key."""
    return dict(setting.split("=", 1) for setting in settings)


def show(tried: Tried) -> None:
    """Print all figures of a try."""
    print(f"\n## {tried.name} ({tried.seconds:.0f} s of processor time to fit)\n")
    figures = [
        *tried.report.figures,
        *(each.model_copy(update={"name": f"unseen, {each.name}"}) for each in tried.unseen),
    ]
    rows = [[f.kind, f.name, f"{f.auc:.3f}", f"{f.low:.3f}–{f.high:.3f}", str(f.windows)] for f in figures]
    print(table(("kind", "name", "AUC", "95 %", "windows"), rows))
    rows = [
        [name, f"{c.nearer:.2f}", f"{c.low:.2f}–{c.high:.2f}", f"{c.distance:.2f}", f"{c.spread:.3f}"]
        for name, c in tried.choices.items()
    ]
    print(table(("choice", "measures nearer than chance", "95 %", "× distance of chance", "× spread"), rows))
    print(f"spread of held-out pieces: {tried.real_spread:.3f} times that of chance")
    show_bars(tried.bars())
    sys.stdout.flush()


def overview(tries: Sequence[Tried]) -> str:
    """Return the table of all tries."""
    heads = (
        "try",
        "unseen",
        "own",
        "ECE",
        "by chance",
        "noise",
        "bars",
        "pitches",
        "cues",
        "chance",
        "likely",
        "unlikely",
        "distance",
        "spread",
    )
    rows = []
    for each in tries:
        report = each.report
        values = [
            each.unseen[-1].auc,
            report.auc,
            report.calibration_error,
            report.calibration_floor,
            report.figure("sampler", "temperature 1e+09, top-p 1").auc,
            report.figure("aspect", "order: bars shuffled").auc,
            report.figure("damage", "pitches permuted").auc,
            each.worst_cue,
            each.by_critic.nearer,
            *(each.against[rank].nearer for rank in OTHERS),
            each.by_critic.distance,
            each.by_critic.spread,
        ]
        rows.append([each.name, *(f"{value:.3f}" for value in values)])
    return table(heads, rows)


def train(options: argparse.Namespace, minutes: float, seed: int) -> str:
    """Train a run in the lake for some minutes, and return its id."""
    settings: dict[str, Any] = {"training.max_minutes": minutes, "training.steps": 10**6, "training.seed": seed}
    settings |= {"training.schedule": "wsd", "training.evaluate_every": 200}
    words = ("train", "--dataset", options.dataset, "--preset", options.preset, "--lake", str(options.lake))
    return str(_musenet(*words, *_set(settings))["run_id"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--run", help="with the critic; trained where none is named")
    parser.add_argument("--unseen", help="whose generations the critic never sees; trained where none is named")
    parser.add_argument("--dataset", help="to train on")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all tries, generations too")
    parser.add_argument("--try", dest="tries", action="append", default=[], metavar="NAME: KEY=VALUE …")
    parser.add_argument("--headers", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=64, help="of which half are chosen from at most")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.candidates < 2 * SIXTEEN:
        parser.error(f"--candidates must be at least {2 * SIXTEEN}")
    if not (options.run and options.unseen):
        if not options.dataset:
            parser.error("give --run and --unseen, or --dataset to train both on")
        with _servers(options.lake):
            options.run = options.run or train(options, options.minutes, 0)
            options.unseen = options.unseen or train(options, options.minutes / 10, 1)
    lake = Lake.at(str(options.lake))
    tries = []
    with stage("critic") as bar:
        proof = Proof(lake, find_run(lake, options.run), find_run(lake, options.unseen), options, bar)
        for each in options.tries or ["as by default:"]:
            name, _, settings = each.partition(":")
            tries.append(proof.attempt(name, settings.split(), bar))
            show(tries[-1])
    print(f"\n{overview(tries)}")
    bars = tries[-1].bars()
    if options.json:
        results = {"command": sys.argv, "tries": [asdict(each) for each in tries]}
        write_json(
            options.json, circumstances(torch.device("cpu")), json.loads(json.dumps(results, default=_plain)), bars
        )
    return show_bars(bars)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json")


if __name__ == "__main__":
    sys.exit(main())
