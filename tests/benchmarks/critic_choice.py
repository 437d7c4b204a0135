"""Choosing one of N candidates by a ranking: is the choice nearer to held-out pieces, and still as varied?

`make_pool` composes candidates under the headers of held-out pieces, `compare` chooses from them by one ranking and by
another, or by chance, and measures both as `musenet evaluate` does.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modeling.archive import Archive, Generation, direction_of
from modeling.config import Sampler
from modeling.data import Split
from modeling.generation import SamplingConfig, generate, new_executor
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER
from tokenization.measures import MEASURES, Collected, PieceMeasures, collect, resampled

DRAWS = 24
"""Times that the candidates to choose from are drawn from those of a header: a choice is the mean of so many."""
RESAMPLES = 100
CRITIC, ODDS = "critic", "critic's odds"
"""Of a critic the highest score is chosen, or one by the odds that it is real, which makes the chosen like real ones if
the odds hold (Azadi et al., "Discriminator rejection sampling", 2019)."""
Index = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Candidates under headers, with what they are ranked by; all of shape (headers, candidates)."""

    measures: Sequence[Sequence[PieceMeasures]]
    merits: Mapping[str, Values]
    """By the name of the ranking; the highest is chosen. That of CRITIC is a calibrated logit."""


@dataclass(frozen=True)
class Choice:
    """The pieces that one ranking chooses from N candidates, against those of another or of chance, in the mean over
    drawings of the candidates."""

    nearer: float
    """Share of the measures by which they are nearer to held-out pieces; equal ones count half."""
    low: float
    high: float
    """The interval holds 95 % of drawings of the headers."""
    distance: float
    """Median over the measures of their distance from held-out pieces, as a multiple of the others'."""
    spread: float
    """Median over the measures of the standard deviation, as a multiple of the others'."""


def chosen(pool: Pool, rank: str | None, drawn: Index, random: np.random.Generator) -> Index:
    """Return the candidate of each header that a ranking takes from those drawn, shape (headers, N); None: chance."""
    if rank is None:
        return np.asarray(drawn[:, 0])
    merits = np.take_along_axis(pool.merits[CRITIC if rank == ODDS else rank], drawn, axis=1)
    if rank == ODDS:  # the greatest of logits with Gumbel noise is drawn by the odds
        merits = merits + random.gumbel(size=merits.shape)
    return np.asarray(drawn[np.arange(len(drawn)), merits.argmax(axis=1)])


def taken(pool: Pool, index: Index) -> Collected:
    """Return the measures of one candidate of each header."""
    return collect([own[number] for own, number in zip(pool.measures, index.tolist())])


def distances(pieces: Collected, held_out: Collected, weights: Values) -> Values:
    """Return distances of pieces to held-out ones, shape (1 + resamples, measures); the first row is of all headers."""
    ones = np.ones((len(weights), len(held_out)))
    found = [resampled(each, pieces[each.name], held_out[each.name], weights, ones) for each in MEASURES]
    return np.stack([np.concatenate([[each.value], each.resamples]) for each in found], axis=1)


def spreads(pieces: Collected) -> Values:
    """Return the standard deviation of every measure over pieces, of all bins together."""
    values = [np.asarray(pieces[each.name], np.float64).reshape(len(pieces), -1) for each in MEASURES]
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of columns that are NaN throughout
        return np.array([np.sqrt(np.nansum(np.nanvar(each, axis=0))) for each in values])


def compare(pool: Pool, held_out: Collected, rank: str, against: str | None, count: int, seed: int = 0) -> Choice:
    """Compare what a ranking chooses of `count` candidates with what another does; None: with chance."""
    random = np.random.default_rng(seed)
    headers, candidates = len(pool.measures), len(pool.measures[0])
    weights = random.multinomial(headers, np.full(headers, 1 / headers), RESAMPLES).astype(np.float64)
    sides: tuple[list[Values], list[Values]] = [], []
    widths: tuple[list[Values], list[Values]] = [], []
    for _ in range(DRAWS):
        drawn = random.permuted(np.tile(np.arange(candidates), (headers, 1)), axis=1)[:, :count]
        for side, width, by in zip(sides, widths, (rank, against), strict=True):
            pieces = taken(pool, chosen(pool, by, drawn, random))
            side.append(distances(pieces, held_out, weights))
            width.append(spreads(pieces))
    mine, other = (np.mean(side, axis=0) for side in sides)
    own_width, width = (np.mean(each, axis=0) for each in widths)
    known = ~np.isnan(mine[0]) & ~np.isnan(other[0])
    nearer = ((mine < other) + 0.5 * (mine == other))[:, known].mean(axis=1)
    low, high = np.quantile(nearer[1:], (0.025, 0.975)).tolist()
    apart = known & (other[0] > 0)
    return Choice(
        nearer=float(nearer[0]),
        low=low,
        high=high,
        distance=float(np.median(mine[0, apart] / other[0, apart])),
        spread=float(np.median(own_width[width > 0] / width[width > 0])),
    )


def spread_of_real(pool: Pool, held_out: Collected, seed: int = 0) -> float:
    """Return the spread of held-out pieces as a multiple of that of chance."""
    random = np.random.default_rng(seed)
    draws = [random.integers(0, len(pool.measures[0]), len(pool.measures)) for _ in range(DRAWS)]
    width = np.mean([spreads(taken(pool, drawn)) for drawn in draws], axis=0)
    return float(np.median(spreads(held_out)[width > 0] / width[width > 0]))


def make_pool(
    archive: Archive,
    model: MuseNet,
    split: Split,
    families: Mapping[str, str],
    sampler: Sampler,
    headers: int,
    candidates: int,
    length: int,
    seed: int,
) -> list[Generation]:
    """Compose candidates under the headers of pieces of as many families, or read them from the archive."""
    name = f"pool{headers}x{candidates}x{length}"
    if not archive.has(name):
        order = np.random.default_rng(seed).permutation(np.flatnonzero(split.sizes > length)).tolist()
        of_family = {families[split.piece_ids[index]]: index for index in order}
        executor, found = new_executor(model), []
        for number, index in enumerate(list(of_family.values())[:headers]):
            real = np.asarray(split.pieces[index])
            made = generate(
                model,
                split.encoding,
                np.tile(real[:HEADER], (candidates, 1)),
                [len(real)] * candidates,
                SamplingConfig(temperature=sampler.temperature, top_p=sampler.top_p),
                seed + number,
                stop=length,
                direction=direction_of(sampler),
                executor=executor,
            )
            found += [_generation(split, families, index, sampler, seed + number, n, t) for n, t in enumerate(made)]
        archive.write(name, found)
    return archive.read(name)


def _generation(
    split: Split,
    families: Mapping[str, str],
    index: int,
    sampler: Sampler,
    seed: int,
    candidate: int,
    tokens: NDArray[np.uint16],
) -> Generation:
    piece_id = split.piece_ids[index]
    return Generation(
        piece_id=piece_id,
        family=families[piece_id],
        style=split.styles[index],
        instrumentation=split.vocabulary.names[int(tokens[1])],
        tokens=tokens,
        start=0,
        prompt=HEADER,
        length=int(split.sizes[index]),
        step=0,
        **sampler.model_dump(exclude={"share", "returns", "style_returns"}),
        returns=sampler.returns_of(split.styles[index]),
        seed=seed,
        candidate=candidate,
    )
