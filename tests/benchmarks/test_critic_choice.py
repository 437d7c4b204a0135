"""Choosing by a ranking: a ranking that knows which pieces are like held-out ones is found out as one."""

from __future__ import annotations

import numpy as np
from critic_choice import CRITIC, ODDS, Pool, chosen, compare, spread_of_real, taken

from tokenization import damages
from tokenization.measures import collect, measure
from tokenization.midi.notes import Notes

HEADERS, CANDIDATES = 6, 4


def tune(seed: int) -> Notes:
    random = np.random.default_rng(seed)
    steps = np.cumsum(random.choice([-2, -1, 1, 2], 48))
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    pitch = 60 + scale[steps % 7] + 12 * (steps // 7).clip(-1, 1)
    return Notes.from_columns(np.arange(48) / 4, np.full(48, 0.2), pitch, [80] * 48, [0] * 48, [False] * 48)


def pool() -> Pool:
    """Under each header the last candidate is a tune like the held-out ones, the others are damaged."""
    random = np.random.default_rng(0)
    rows = [
        [
            *(measure(damages.wrong_notes(tune(10 * header + n), random)) for n in range(CANDIDATES - 1)),
            measure(tune(10 * header + 9)),
        ]
        for header in range(HEADERS)
    ]
    knows = np.tile(np.arange(CANDIDATES, dtype=np.float64), (HEADERS, 1))
    return Pool(rows, {"critic": knows, "lowest likelihood": -knows})


def test_the_best_of_the_candidates_drawn_is_taken() -> None:
    made, random = pool(), np.random.default_rng(0)
    drawn = np.tile([2, 0, 1], (HEADERS, 1))
    assert chosen(made, CRITIC, drawn, random).tolist() == [2] * HEADERS
    assert chosen(made, "lowest likelihood", drawn, random).tolist() == [0] * HEADERS
    assert chosen(made, None, drawn, random).tolist() == [2] * HEADERS, "the first of those drawn"
    assert len(taken(made, chosen(made, CRITIC, drawn, random))) == HEADERS


def test_by_the_odds_each_is_taken_in_proportion_to_them() -> None:
    made = Pool([], {CRITIC: np.tile(np.log([1.0, 3.0]), (4000, 1))})
    found = chosen(made, ODDS, np.tile([0, 1], (4000, 1)), np.random.default_rng(0))
    assert abs(found.mean() - 0.75) < 0.03


def test_a_ranking_that_knows_is_nearer_than_chance_and_than_one_that_errs() -> None:
    held_out = collect([measure(tune(1000 + number)) for number in range(12)])
    made = pool()
    good, bad = (compare(made, held_out, rank, None, CANDIDATES) for rank in ("critic", "lowest likelihood"))
    assert good.nearer > bad.nearer
    assert good.low <= good.nearer <= good.high
    assert compare(made, held_out, "critic", "lowest likelihood", CANDIDATES).nearer > 0.5
    assert good.spread > 0
    assert spread_of_real(made, held_out) > 0
