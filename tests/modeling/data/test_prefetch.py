"""Prefetching: the same items in the same order, made ahead, and what goes wrong is said."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from modeling.data import Loader, Prefetcher, Split


def test_items_come_in_order_however_long_each_takes() -> None:
    def make(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    with Prefetcher(make, first=5, stop=25, depth=6, workers=3) as items:
        assert list(items) == list(range(5, 25))


def test_no_more_are_made_than_are_held() -> None:
    made: list[int] = []
    with Prefetcher(lambda number: made.append(number), depth=3, workers=2) as items:
        for taken in range(1, 5):
            next(items)
            assert len(made) <= taken + 3
    assert len(made) <= 4 + 3


def test_the_next_item_is_made_while_one_is_used() -> None:
    second = threading.Event()
    with Prefetcher(lambda number: second.set() if number == 1 else None, depth=2) as items:
        next(items)
        assert second.wait(5)


def test_an_error_is_raised_where_its_item_is_asked_for() -> None:
    def make(number: int) -> int:
        if number == 2:
            raise ValueError("number 2 is broken")
        return number

    with Prefetcher(make, depth=4) as items:
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(ValueError, match="number 2 is broken"):
            next(items)


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    with Prefetcher(lambda number: number, depth=8, workers=2) as items:
        next(items)
    assert threading.active_count() == before


def test_batches_are_those_of_the_loader(split: Split) -> None:
    loader, again = (Loader(split, 32, 4, seed=1, style_dropout=0.5, pack=True) for _ in range(2))
    last = 3 * loader.batches_per_epoch
    with Prefetcher(loader.batch, 1, last, depth=5, workers=3) as batches:
        for number, (batch, targets) in enumerate(batches, 1):
            expected, same_targets = again.batch(number)
            assert torch.equal(batch.tokens, expected.tokens)
            assert torch.equal(batch.time, expected.time)
            assert torch.equal(targets, same_targets)
