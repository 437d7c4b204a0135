"""Products with matrices of 8 bits: exact integers, whatever the processor has instructions for."""

from __future__ import annotations

import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from modeling.generation.kernels import tiles
from modeling.generation.kernels.matrix import LARGEST, LARGEST_SHORT, multiply, new_shorts, pack


def product(weights: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product of x, shape (rows, inputs), with a matrix rounded to 8 bits, by the kernel."""
    matrix = pack(weights[None], None, quantise=True)
    out = np.zeros((len(x), matrix.bias.shape[1]), np.float32)
    multiply(matrix, 0, x, len(x), new_shorts(len(x), x.shape[1]), out)
    return (out * matrix.scale[0])[:, : len(weights)]


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(("outputs", "inputs"), [(8, 16), (11, 40), (3, 8)])
def test_integers_give_exact_products(rows: int, outputs: int, inputs: int) -> None:
    random = np.random.default_rng(rows)
    weights = random.integers(-LARGEST, LARGEST + 1, (outputs, inputs)).astype(np.float32)
    x = random.integers(-LARGEST_SHORT, LARGEST_SHORT + 1, (rows, inputs)).astype(np.float32)
    weights[:, 0], x[:, 0] = LARGEST, LARGEST_SHORT  # so that both scales are 1
    assert product(weights, x) == pytest.approx(x.astype(np.float64) @ weights.T, rel=1e-6, abs=1e3)


def test_activations_lose_less_than_weights() -> None:
    random = np.random.default_rng(0)
    weights, x = (random.normal(size=shape).astype(np.float32) for shape in ((16, 64), (3, 64)))
    scale = np.abs(weights).max(1, keepdims=True) / LARGEST
    rounded = np.rint(weights / scale) * scale
    assert np.abs(product(weights, x) - x @ rounded.T).max() < 0.02 * np.abs(x @ rounded.T - x @ weights.T).max()


@pytest.mark.parametrize("inputs", [512, 8192])
def test_sums_of_the_greatest_values_stay_within_their_bits(inputs: int) -> None:
    assert product(np.ones((8, inputs), np.float32), np.full((2, inputs), 3, np.float32)) == pytest.approx(3 * inputs)


def test_rows_of_zeros_give_zeros() -> None:
    assert not product(np.ones((8, 16), np.float32), np.zeros((2, 16), np.float32)).any()


@pytest.mark.skipif(not tiles.HAS_PAIRS, reason="the processor has no instruction for it")
def test_with_and_without_the_processors_instruction_sums_are_equal() -> None:
    random = np.random.default_rng(0)
    sums = random.integers(-(2**20), 2**20, 8).astype(np.int32)
    weights = random.integers(-128, 128, 16).astype(np.int8)
    columns = random.integers(-(2**15), 2**15, 16).astype(np.int16)
    expected = sums + (weights.astype(np.int32) * columns).reshape(8, 2).sum(1)
    for native in (True, False):
        assert paired(native)(sums, weights, columns).tolist() == expected.tolist()


def paired(native: bool):  # type: ignore[no-untyped-def]
    """`tiles.paired` as a function of arrays."""

    def typed(_typing, sums, weights, columns):  # type: ignore[no-untyped-def]
        def generate(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            kinds = (
                ir.VectorType(ir.IntType(bits), lanes).as_pointer() for bits, lanes in ((32, 8), (8, 16), (16, 16))
            )
            places = [builder.inttoptr(address, kind) for address, kind in zip(arguments, kinds)]
            values = [builder.load(place, align=1) for place in places]
            builder.store(tiles.paired(builder, *values, native=native), places[0], align=1)
            return ir.Constant(ir.IntType(64), 0)

        return types.int64(*[types.int64] * 3), generate

    add = intrinsic(typed)

    @njit
    def run(sums, weights, columns):  # type: ignore[no-untyped-def]
        out = sums.copy()
        add(out.ctypes.data, weights.ctypes.data, columns.ctypes.data)
        return out

    return run
