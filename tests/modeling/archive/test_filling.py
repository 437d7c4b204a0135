"""Filling: generations under the headers and at the places of real pieces, the same for the same weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from modeling.archive import THIRDS, Filler, Generation, filling, long_pieces, third_of
from modeling.config import ArchiveConfig, DrawingConfig, Sampler
from modeling.data import Split
from modeling.generation import new_executor
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Time
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

WINDOW = 40
LONG = 150
"""Tokens in which a phrase is heard several times."""
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


def test_any_few_batches_have_some_of_all_samplers_places_and_prompts(filler: Filler) -> None:
    """As a set that is held out: two generations at a time, eight times in each third."""
    small = replace(filler, config=ArchiveConfig(batch=2))
    executor = new_executor(filler.model)
    made = [each for number in range(24) for each in small.batch(executor, 7, number, third=number // 8)]
    places = Counter((_third(each), each.prompt > HEADER + each.start) for each in made)
    assert set(places) == {(third, prompted) for third in range(THIRDS) for prompted in (False, True)}
    assert min(places.values()) >= 3
    assert all(14 <= places[third, False] + places[third, True] <= 18 for third in range(THIRDS))
    assert len({each.start for each in made}) > 10
    samplers = Counter((each.temperature, each.top_p, each.tonality) for each in made)
    assert len(samplers) >= len(CONFIG.samplers) - 1
    assert max(samplers.values()) <= 16


def test_families_have_their_turns(filler: Filler) -> None:
    """Of eleven long pieces, each a family, every batch has others until all have been there."""
    executor = new_executor(filler.model)
    long = [filler.split.piece_ids[index] for index in long_pieces(filler.split, WINDOW)]
    batches = [[each.piece_id for each in filler.batch(executor, 0, number, third=0)] for number in range(2)]
    assert all(len(set(batch)) == 5 for batch in batches)
    assert not set(batches[0]) & set(batches[1])
    assert set(batches[0] + batches[1]) <= set(long)


def test_one_family_with_many_pieces_does_not_fill_a_batch(filler: Filler) -> None:
    one = {piece_id: "all" if number % 2 else piece_id for number, piece_id in enumerate(filler.split.piece_ids)}
    made = replace(filler, families=one).batch(new_executor(filler.model), 0, 0, third=0)
    assert Counter(each.family for each in made)["all"] <= 1


def test_no_window_begins_deeper_than_what_is_fed_before_it(filler: Filler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "DEEPEST", 10)
    made = [each for number in range(8) for each in filler.batch(new_executor(filler.model), 0, number, count=2)]
    assert 0 < max(each.start for each in made) <= 10


@pytest.mark.parametrize("setting", sorted(DrawingConfig.model_fields))
def test_every_setting_of_a_sampler_is_used_and_kept(setting: str, filler: Filler) -> None:
    """A generation says how it was drawn, and is another one than without."""
    filler, executor = replace(filler, window=LONG), new_executor(filler.model)
    if setting in ("recall", "section_bars", "returns", "style_returns"):
        content = filler.split.encoding.vocabulary.to_dict() | {"ticks_per_beat": 6}  # many bars in few tokens
        in_beats = Combined(Vocabulary.from_dict(content), Time.BEATS)
        filler = replace(filler, split=replace(filler.split, encoding=in_beats))
    value = {
        "temperature": 0.2,
        "top_p": 0.3,
        "pitch_temperature": 0.1,
        "tonality": 8.0,
        "time_temperature": 0.1,
        "repetition": 20.0,
        "repeats": 0,
        "stay": 20.0,
        "stay_seconds": 0.1,
        "recall": 20.0,
        "section_bars": 1,
        "returns": 1.0,
        "style_returns": dict.fromkeys(filler.split.vocabulary.styles, 1.0),
    }[setting]
    looping = {"temperature": 1e-5}  # one pitch again and again
    others = {
        "repetition": {**looping, "repeats": 0},
        "repeats": {**looping, "repetition": 20.0},
        "stay": {**looping, "stay_seconds": 0.1},
        "stay_seconds": {**looping, "stay": 20.0},
        "recall": {"section_bars": 1},
        "section_bars": {"recall": 20.0},
        "returns": {"recall": 20.0, "section_bars": 1},
        "style_returns": {"recall": 20.0, "section_bars": 1},
    }.get(setting, {})
    plain, changed = (
        filler.batch(executor, 1, 0, Sampler(**settings), 4, third=0)
        for settings in (others, {**others, setting: value})
    )
    if setting == "style_returns":
        assert [each.returns for each in changed] == [0.4 if each.style is None else 1.0 for each in changed]
    else:
        assert [getattr(each, setting) for each in changed] == [value] * 4
    assert [each.tokens.tolist() for each in plain] != [each.tokens.tolist() for each in changed]


def test_where_no_piece_is_long_enough_it_is_said_so(filler: Filler) -> None:
    with pytest.raises(ValueError, match="no piece has more than 5000 tokens"):
        replace(filler, window=5000).batch(new_executor(filler.model), 0, 0)


def _third(made: Generation) -> int:
    return int(third_of(np.array(made.start), np.array(made.length), WINDOW))
