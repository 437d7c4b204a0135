"""The words of an index: the codes of times are those of their definition, also where no logarithm is taken."""

from __future__ import annotations

import numpy as np

from tokenization.originality.words import PITCH_SHIFT, SHORTEST, STEPS, TIME_MASK, to_onsets, to_words


def test_codes_are_rounded_logarithms_of_the_times_between_onsets() -> None:
    random = np.random.default_rng(0)
    borders = SHORTEST * 2 ** ((np.arange(500) + 0.5) / STEPS)  # where one code ends
    gaps = np.concatenate([[0, SHORTEST / 9, SHORTEST, 2 * SHORTEST], np.exp(random.uniform(-9, 5, 5000)), borders])
    onset = np.cumsum(random.permutation(gaps))
    times = np.diff(onset)
    steps = np.floor(np.log2(np.maximum(times, SHORTEST) / SHORTEST) * STEPS + 0.5)
    codes = np.where(times > 0, np.minimum(steps + 1, TIME_MASK), 0)
    words = to_words(np.full(len(onset), 60, np.uint8), onset)
    assert words.tolist() == [60 << PITCH_SHIFT, *(60 << PITCH_SHIFT | codes.astype(int)).tolist()]


def test_onsets_come_back_within_a_hundredth_of_the_time_between_them() -> None:
    onset = np.cumsum(np.random.default_rng(1).uniform(0.01, 9.0, 200))
    times = np.diff(to_onsets(to_words(np.full(200, 60, np.uint8), onset), onset[0]))
    assert np.allclose(times, np.diff(onset), rtol=0.01, atol=0)
