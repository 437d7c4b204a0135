"""Filling: generations under the headers and at the places of real pieces, the same for the same weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from modeling.archive import Filler
from modeling.config import ArchiveConfig, Sampler
from modeling.data import Split
from modeling.generation import new_executor
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

WINDOW = 40
CONFIG = ArchiveConfig(batch=5)


@pytest.fixture
def filler(make_model: Callable[..., MuseNet], split: Split) -> Filler:
    families = {piece_id: f"family of {piece_id}" for piece_id in split.piece_ids}
    return Filler(make_model(context=64), split, families, CONFIG, WINDOW, seed=3)


def test_generations_have_header_place_and_length_of_their_real_pieces(filler: Filler, split: Split) -> None:
    executor = new_executor(filler.model)
    pieces = dict(zip(split.piece_ids, split.pieces))
    starts, prompts = set(), set()
    for number in range(6):
        for made in filler.batch(executor, 100, number):
            real = pieces[made.piece_id]
            assert made.tokens[: made.prompt].tolist() == real[: made.prompt].tolist()
            assert made.length == len(real) > made.start + WINDOW
            assert made.prompt in (HEADER + made.start, HEADER + made.start + (WINDOW - HEADER) // 4)
            assert made.prompt < len(made.tokens) <= made.start + WINDOW
            assert made.family == f"family of {made.piece_id}"
            starts.add(made.start)
            prompts.add(made.prompt - made.start)
    assert len(starts) > 2
    assert 0 in starts
    assert len(prompts) == 2


def test_a_batch_is_a_function_of_step_and_number(filler: Filler) -> None:
    executor = new_executor(filler.model)
    first, again, other = (
        [made.tokens.tolist() for made in filler.batch(executor, step, 1)] for step in (100, 100, 200)
    )
    assert first == again
    assert first != other


def test_a_sampler_may_be_given(filler: Filler) -> None:
    noise = Sampler(temperature=1e9)
    made = filler.batch(new_executor(filler.model), 1, 0, noise, 3)
    assert [(each.temperature, each.top_p) for each in made] == [(1e9, 1.0)] * 3
    assert len({tuple(each.tokens) for each in made}) == 3


def test_all_samplers_are_drawn(filler: Filler) -> None:
    executor = new_executor(filler.model)
    drawn = {made.temperature for number in range(40) for made in filler.batch(executor, 1, number, count=1)}
    assert {1.0, 0.9, 1e9} <= drawn
    assert np.isfinite(list(drawn)).all()
