"""Bin packing: best-fit decreasing, fast enough for a dataset."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.data.packing import best_fit

QUICK = settings(max_examples=25, deadline=None)


class TestBestFit:
    @QUICK
    @given(sizes=st.lists(st.integers(1, 64), max_size=80), capacity=st.integers(64, 130))
    def test_each_goes_where_least_capacity_is_enough(self, sizes: list[int], capacity: int) -> None:
        sizes = sorted(sizes, reverse=True)
        left: list[int] = []
        for size, row in zip(sizes, best_fit(np.array(sizes, np.int64), capacity).tolist()):
            fitting = [other for other in left if other >= size]
            if fitting:
                assert left[row] == min(fitting)
            else:
                assert row == len(left)
                left.append(capacity)
            left[row] -= size

    def test_it_is_quick(self) -> None:
        sizes = np.sort(np.random.default_rng(0).integers(1, 4096, 200_000))[::-1]
        rows = best_fit(sizes, 4096)
        assert sizes.sum() / 4096 / (rows.max() + 1) > 0.99
