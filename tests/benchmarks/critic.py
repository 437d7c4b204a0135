"""The proof of the inner critic: what it tells from real music, and what choosing by it does to a model's pieces.

    python tests/benchmarks/critic.py --lake DIR --dataset NAME [--preset small] [--minutes 60] [--rounds 2]
                                      [--window 512] [--headers 48] [--candidates 64] [--length 512] [--json FILE]

In the lake a model is trained for the minutes, another one for a tenth of them and from another seed (the checkpoint
that the critic never sees), and the first one's critic; what is there is used again. Printed are the critic's figures,
the AUC on the other checkpoint's generations by the tokens heard, and best-of-N for N = 1, 2, 4, …: pieces chosen under
the headers of held-out ones by the critic, by the highest and the lowest likelihood, and by chance, with the measures
of `musenet evaluate` by which each is nearer to held-out pieces, and the spread of what is chosen.

Bars are those of the project: see BARS. Takes hours; the servers of the lake are started for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ingest import _servers
from numpy.typing import NDArray
from recipes import _musenet, _set
from report import Bar, circumstances, show_bars, table, write_json

from flows.criticism.critic_training import ORDINARY
from flows.criticism.measuring import Measuring
from flows.training.runs import Run, find_run
from infra.lake import Lake
from modeling.archive import Filler, family_by_piece
from modeling.config import ArchiveConfig
from modeling.criticism import Critic, judge, load_critic
from modeling.data import Split, load_split
from modeling.generation import SamplingConfig, generate, mean_log_likelihoods, new_executor
from modeling.network.weights import load_model
from tokenization.dataset import DatasetVersion, find_version
from tokenization.encodings import HEADER
from tokenization.measures import MEASURES, Collected, PieceMeasures, collect, measure, resampled
from tokenization.vocabulary import Tokens

CHANCE_DRAWS = 16
RESAMPLES = 200
RANKS = ("critic", "highest likelihood", "lowest likelihood")
BARS = {
    "AUC at the whole window on an unseen checkpoint": 0.85,
    "calibration error, limit over": 1.0,
    "AUC against noise": 0.95,
    "AUC against shuffled bars": 0.75,
    "AUC against permuted pitches": 0.75,
    "noise below ordinary generations": 0.95,
    "measures nearer than chance, best of 16": 0.7,
    "measures nearer than the highest likelihood": 0.5,
    "measures nearer than the lowest likelihood": 0.5,
    "spread of the chosen": 0.95,
}
WORST_CALIBRATION = 0.05
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Candidates under headers, with what they are ranked by; all of shape (headers, candidates)."""

    measures: Sequence[Sequence[PieceMeasures]]
    merits: Mapping[str, NDArray[np.float64]]
    """By the name of the ranking; the highest is chosen."""


@dataclass(frozen=True)
class Choice:
    """The pieces that one ranking chooses from N candidates, against those of chance."""

    nearer: float
    """Share of the measures by which they are nearer to held-out pieces; equal ones count half."""
    low: float
    high: float
    """The interval holds 95 % of drawings of the headers."""
    spread: float
    """Median over the measures of the standard deviation, as a multiple of chance's."""


def chosen(pool: Pool, rank: str, count: int) -> Index:
    """The candidate of each header that a ranking takes from the first `count`."""
    return np.asarray(np.argmax(pool.merits[rank][:, :count], axis=1))


def taken(pool: Pool, index: Index) -> Collected:
    return collect([own[number] for own, number in zip(pool.measures, index.tolist())])


def distances(pieces: Collected, held_out: Collected, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of pieces to held-out ones, shape (1 + resamples, measures); the first row is of all headers once."""
    ones = np.ones((len(weights), len(held_out)))
    found = [resampled(each, pieces[each.name], held_out[each.name], weights, ones) for each in MEASURES]
    return np.stack([np.concatenate([[each.value], each.resamples]) for each in found], axis=1)


def spreads(pieces: Collected) -> NDArray[np.float64]:
    """The standard deviation of every measure over pieces, of all bins together."""
    values = [np.asarray(pieces[each.name], np.float64).reshape(len(pieces), -1) for each in MEASURES]
    return np.array([np.sqrt(np.nansum(np.nanvar(each, axis=0))) for each in values])


def compare(pool: Pool, held_out: Collected, rank: str, against: str | None, count: int, seed: int = 0) -> Choice:
    """Compare what a ranking chooses with what another does; None: with chance."""
    random = np.random.default_rng(seed)
    headers = len(pool.measures)
    weights = random.multinomial(headers, np.full(headers, 1 / headers), RESAMPLES).astype(np.float64)
    own = taken(pool, chosen(pool, rank, count))
    if against is not None:
        others = [taken(pool, chosen(pool, against, count))]
    else:
        others = [taken(pool, random.integers(0, count, headers)) for _ in range(CHANCE_DRAWS)]
    other = np.mean([distances(each, held_out, weights) for each in others], axis=0)
    mine = distances(own, held_out, weights)
    known = ~np.isnan(mine[0]) & ~np.isnan(other[0])
    nearer = ((mine < other) + 0.5 * (mine == other))[:, known].mean(axis=1)
    low, high = np.quantile(nearer[1:], (0.025, 0.975)).tolist()
    width = np.mean([spreads(each) for each in others], axis=0)
    relative = spreads(own)[width > 0] / width[width > 0]
    return Choice(float(nearer[0]), low, high, float(np.median(relative)))


def make_pool(
    run: Run, critic: Critic, test: Split, headers: int, candidates: int, length: int, seed: int
) -> tuple[Pool, Collected]:
    """Compose candidates under the headers of held-out pieces; return them with those pieces' measures."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(test.sizes > length))[:headers].tolist()
    executor, model, encoding = new_executor(critic_model := load_model(run.folder.model)), critic_model, test.encoding
    rows, merits = [], {rank: np.zeros((len(order), candidates)) for rank in RANKS}
    for number, index in enumerate(order):
        real = np.asarray(test.pieces[index])
        made: list[Tokens] = generate(
            model,
            encoding,
            np.tile(real[:HEADER], (candidates, 1)),
            [len(real)] * candidates,
            SamplingConfig(),
            seed + number,
            stop=length,
            executor=executor,
        )
        planned = [len(real)] * candidates
        merits["critic"][number] = [each.score for each in judge(critic, encoding, made, planned)]
        likelihoods = np.array(mean_log_likelihoods(model, encoding, made, planned))
        merits["highest likelihood"][number], merits["lowest likelihood"][number] = likelihoods, -likelihoods
        rows.append([measure(encoding.decode(tokens)) for tokens in made])
        print(f"{number + 1} of {len(order)} headers", file=sys.stderr, flush=True)
    held_out = collect([measure(encoding.decode(np.asarray(test.pieces[index])[:length])) for index in order])
    return Pool(rows, merits), held_out


def unseen(run: Run, critic: Critic, test: Split, families: dict[str, str], count: int, seed: int) -> Measuring:
    """The critic on generations of another run's weights."""
    other = load_model(run.folder.model)
    filler = Filler(other, test, families, ArchiveConfig(), critic.config.window, seed)
    executor, made = new_executor(other), []
    for number in range(-(-count // filler.config.batch)):
        made += filler.batch(executor, 0, number, ORDINARY)
    return Measuring(critic, test, made[:count], seed)


def train(options: argparse.Namespace, minutes: float, seed: int) -> str:
    settings: dict[str, Any] = {"training.max_minutes": minutes, "training.steps": 10**6, "training.seed": seed}
    settings |= {"training.schedule": "wsd", "training.evaluate_every": 200}
    words = ("train", "--dataset", options.dataset, "--preset", options.preset, "--lake", str(options.lake))
    return str(_musenet(*words, *_set(settings))["run_id"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--steps", type=int, default=1000, help="of the critic (default 1000)")
    parser.add_argument("--generations", type=int, default=512, help="of each round (default 512)")
    parser.add_argument("--headers", type=int, default=48)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lake = Lake.at(str(options.lake))
    with _servers(options.lake):
        first, second = train(options, options.minutes, 0), train(options, options.minutes / 10, 1)
        sizes = {"critic.window": options.window, "critic.steps": options.steps, "train_pieces": options.generations}
        words = ("critic", "--run", first, "--rounds", str(options.rounds), "--lake", str(options.lake))
        report = _musenet(*words, *_set({**sizes, "held_out_pieces": options.generations // 2}))
    run, other = find_run(lake, first), find_run(lake, second)
    version: DatasetVersion = find_version(lake, run.dataset).local(lake)
    test, families = load_split(version.path, "test"), family_by_piece(version.path, "test")
    critic = load_critic(Path(report["folder"]), load_model(run.folder.model))
    print(table(("kind", "name", "AUC", "95 %"), [_row(each) for each in report["figures"]]))
    elsewhere = unseen(other, critic, test, families, options.generations // 4, seed=1)
    prefixes = elsewhere.prefixes()
    print(table(("unseen checkpoint", "name", "AUC", "95 %"), [_row(each.model_dump()) for each in prefixes]))

    pool, held_out = make_pool(run, critic, test, options.headers, options.candidates, options.length, seed=2)
    rows, curves = [], {}
    for count in (2**power for power in range(1, int(np.log2(options.candidates)) + 1)):
        for rank in RANKS:
            found = compare(pool, held_out, rank, None, count)
            curves[f"{rank}, best of {count}"] = vars(found)
            interval = f"{found.low:.2f}–{found.high:.2f}"
            rows.append([str(count), rank, f"{found.nearer:.2f}", interval, f"{found.spread:.3f}"])
    print(table(("N", "ranking", "measures nearer than chance", "95 %", "spread"), rows))

    figure: Callable[[str, str], float] = lambda kind, name: next(  # noqa: E731
        each["auc"] for each in report["figures"] if (each["kind"], each["name"]) == (kind, name)
    )
    sixteen = min(16, options.candidates)
    by_critic = compare(pool, held_out, "critic", None, sixteen)
    values = (
        prefixes[-1].auc,
        WORST_CALIBRATION / max(report["calibration_error"], 1e-9),
        figure("sampler", "temperature 1e+09, top-p 1"),
        figure("damage", "bars shuffled"),
        figure("damage", "pitches permuted"),
        report["noise_below"],
        by_critic.nearer,
        compare(pool, held_out, "critic", "highest likelihood", sixteen).nearer,
        compare(pool, held_out, "critic", "lowest likelihood", sixteen).nearer,
        by_critic.spread,
    )
    bars = [Bar(name, value, limit) for (name, limit), value in zip(BARS.items(), values, strict=True)]
    if options.json:
        results = {"report": report, "curves": curves, "unseen": [each.model_dump() for each in prefixes]}
        write_json(options.json, circumstances(torch.device("cpu")), json.loads(json.dumps(results)), bars)
    return show_bars(bars)


def _row(figure: Mapping[str, Any]) -> list[str]:
    interval = f"{figure['low']:.3f}–{figure['high']:.3f}"
    return [figure["kind"], figure["name"], f"{figure['auc']:.3f}", interval]


if __name__ == "__main__":
    sys.exit(main())
