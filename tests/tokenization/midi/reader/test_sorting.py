"""Sorting pairs: the lexicographic order, whatever was in order before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi.reader.sorting import RUN, sort_pairs

PAIRS = st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 3)), max_size=6 * RUN)


@given(runs=st.lists(PAIRS, max_size=4), are_sorted=st.booleans())
def test_pairs_are_in_lexicographic_order(runs: list[list[tuple[int, int]]], are_sorted: bool) -> None:
    pairs = [pair for run in runs for pair in (sorted(run) if are_sorted else run)]
    firsts = np.array([first for first, _ in pairs], np.int64)
    seconds = np.array([second for _, second in pairs], np.int64)
    sort_pairs(firsts, seconds)
    assert list(zip(firsts.tolist(), seconds.tolist())) == sorted(pairs)
