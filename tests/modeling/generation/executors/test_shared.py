"""The shared executor: batches that join, go on and leave in the same passes have the logits that each has alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from modeling.generation.executors import ExecutorConfig, SharedExecutor, new_executor
from modeling.generation.executors.compiled import CompiledExecutor
from modeling.generation.executors.shared import PREFILLED, SharedState
from modeling.generation.kernels.forward import FIELDS
from modeling.network.transformer import MuseNet
from tokenization.vocabulary import Vocabulary

CONTEXT = 64


@pytest.fixture(scope="module")
def compiled(make_model: Callable[..., MuseNet]) -> CompiledExecutor:
    executor = new_executor(make_model(mode="dense", positions="rotary"), ExecutorConfig(executor="compiled"))
    assert isinstance(executor, CompiledExecutor)
    return executor


@pytest.fixture
def shared(compiled: CompiledExecutor) -> SharedExecutor:
    return SharedExecutor(compiled, slots=6, capacity=CONTEXT)


@pytest.fixture(scope="module")
def fields(vocabulary: Vocabulary) -> np.ndarray:
    """Random tokens, shape (FIELDS, 5, CONTEXT)."""
    fields = np.zeros((FIELDS, 5, CONTEXT), np.int64)
    fields[0] = np.random.default_rng(0).integers(0, vocabulary.size, (5, CONTEXT))
    return fields


class Alone:
    """The logits of rows that are decoded by themselves."""

    def __init__(self, compiled: CompiledExecutor, fields: np.ndarray) -> None:
        self.compiled, self.fields = compiled, fields

    def after(self, rows: list[int], positions: int) -> np.ndarray:
        return self.compiled.prefill(self.fields[:, rows, :positions], CONTEXT).logits


def test_batches_join_and_leave_at_any_token(
    shared: SharedExecutor, compiled: CompiledExecutor, fields: np.ndarray
) -> None:
    alone = Alone(compiled, fields)
    first = shared.prefill(fields[:, :2, :5], CONTEXT)
    assert not first.is_ready
    assert shared.run() == 10
    assert np.array_equal(first.logits, alone.after([0, 1], 5))
    second = shared.prefill(fields[:, 2:5, :9], CONTEXT)
    first.decode_step(fields[:, :2, 5])
    assert shared.run() == 3 * 9 + 2, "both in one pass"
    assert np.array_equal(first.logits, alone.after([0, 1], 6))
    assert np.array_equal(second.logits, alone.after([2, 3, 4], 9))
    first.keep(np.array([1]))
    assert len(shared.free) == 2, "a row that ended leaves its slot to others"
    first.decode_step(fields[:, [1], 6])
    shared.run()
    second.release()
    assert len(shared.free) == 5
    third = shared.prefill(fields[:, :3, :4], CONTEXT)
    first.decode_step(fields[:, [1], 7])
    shared.run()
    assert np.array_equal(first.logits, alone.after([1], 8))
    assert np.array_equal(third.logits, alone.after([0, 1, 2], 4))


def test_a_long_prompt_does_not_hold_up_the_others(
    shared: SharedExecutor, compiled: CompiledExecutor, fields: np.ndarray
) -> None:
    decoding = shared.prefill(fields[:, :1, :4], CONTEXT)
    shared.run()
    long = shared.prefill(fields[:, 1:5, :40], CONTEXT)
    passes = 0
    while not long.is_ready:
        assert decoding.is_ready
        decoding.decode_step(fields[:, :1, 4 + passes])
        assert shared.run() <= PREFILLED + 1
        passes += 1
    assert passes == 3, "of 160 tokens at most 64 a pass"
    alone = Alone(compiled, fields)
    assert np.array_equal(long.logits, alone.after([1, 2, 3, 4], 40))
    assert np.array_equal(decoding.logits, alone.after([0], 7))


@pytest.mark.parametrize("before", [True, False])
def test_rows_are_kept_and_copied_before_and_after_their_prefill(
    before: bool, shared: SharedExecutor, compiled: CompiledExecutor, fields: np.ndarray
) -> None:
    """Candidates of one prompt are copies of its row."""
    state: SharedState = shared.prefill(fields[:, :2, :5], CONTEXT)
    if before:
        state.keep(np.array([1, 0, 1]))
        state.keep(np.array([0, 0, 2]))
    shared.run()
    if not before:
        state.keep(np.array([1, 1, 1]))
    assert len(shared.free) == 3
    state.decode_step(fields[:, [1, 2, 3], 5])
    shared.run()
    own = np.stack([np.concatenate([fields[:, 1, :5], fields[:, row, 5:6]], axis=1) for row in (1, 2, 3)], axis=1)
    assert np.array_equal(state.logits, compiled.prefill(own, CONTEXT).logits)


def test_what_is_released_while_it_waits_is_computed_no_more(shared: SharedExecutor, fields: np.ndarray) -> None:
    shared.prefill(fields[:, :2, :5], CONTEXT).release()
    assert shared.run() == 0
    assert sorted(shared.free) == [0, 1, 2, 3, 4, 5]


def test_more_rows_than_slots_are_refused(shared: SharedExecutor, fields: np.ndarray) -> None:
    shared.prefill(fields[:, :4, :5], CONTEXT)
    with pytest.raises(ValueError, match="3 rows find no room: 2 slots are free"):
        shared.prefill(fields[:, :3, :5], CONTEXT)
    with pytest.raises(ValueError, match="64 positions"):
        shared.prefill(fields[:, :1, :5], CONTEXT + 1)
