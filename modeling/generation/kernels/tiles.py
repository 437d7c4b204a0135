"""Dot products of a few rows of weights with one or two rows of activations, in vector registers.

numba has no vector types, so these loops are generated as LLVM code. Every product of a row of weights and a row of
activations is summed in the same order, whichever tile computes it: in LANES partial sums, each a chain over the steps,
which are then added in pairs. So a row's result does not depend on the rows that are computed beside it.

Weights are packed in panels of PANEL rows: for each step of LANES columns, LANES weights of each of the panel's rows.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
"""Columns in a step; two registers of 128 bits, one of 256."""
PANEL = 8
"""Rows of weights that are stored together."""
FUSE = f"llvm.fmuladd.v{LANES}f32"
"""a · b + c, without rounding between where the processor can."""

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)
_INDEX = ir.IntType(64)


def _shuffled(builder: Any, left: Any, right: Any, lanes: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)
    return builder.shuffle_vector(left, right, mask)


def _sum_each(builder: Any, vectors: list[Any]) -> Any:
    """Return a vector with the sum of each of LANES vectors, by adding neighbours three times."""
    pairings = (
        ([0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
        ([0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
        ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
    )
    for even, odd in pairings:
        pairs = list(zip(vectors[::2], vectors[1::2]))
        vectors = [builder.fadd(_shuffled(builder, a, b, even), _shuffled(builder, a, b, odd)) for a, b in pairs]
    return vectors[0]


def _zeros(builder: Any) -> Any:
    """Return the address of a vector of zeros on the stack, which becomes a register."""
    zero = ir.Constant(_FLOATS, [0.0] * LANES)
    return cgutils.alloca_once_value(builder, zero)  # type: ignore[no-untyped-call]


def _accumulate(
    builder: Any, weights: Any, inputs: list[Any], steps: Any, rows: int, quantised: bool
) -> list[list[Any]]:
    """Emit the loop over steps; return the partial sums of each input with each of the first `rows` weights' rows.

    `weights` and `inputs` are addresses.
    """
    fuse = builder.module.globals.get(FUSE) or ir.Function(
        builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), FUSE
    )
    sums = [[_zeros(builder) for _ in range(rows)] for _ in inputs]
    width = 1 if quantised else 4  # bytes of a weight

    def load(address: Any, offset: Any, kind: Any, align: int) -> Any:
        pointer = builder.inttoptr(builder.add(address, offset), kind.as_pointer())
        return builder.load(pointer, align=align)

    with cgutils.for_range(builder, steps, intp=_INDEX) as loop:
        at = builder.mul(loop.index, ir.Constant(_INDEX, LANES * 4))
        columns = [load(x, at, _FLOATS, 4) for x in inputs]
        base = builder.mul(loop.index, ir.Constant(_INDEX, LANES * PANEL * width))
        for row in range(rows):
            place = builder.add(base, ir.Constant(_INDEX, row * LANES * width))
            if quantised:
                small = load(weights, place, _BYTES, 1)
                weight = builder.sitofp(builder.sext(small, _INTEGERS), _FLOATS)
            else:
                weight = load(weights, place, _FLOATS, 4)
            for total, column in zip(sums, columns):
                builder.store(builder.call(fuse, [weight, column, builder.load(total[row])]), total[row])
    return [[builder.load(one) for one in total] for total in sums]


def _store(builder: Any, vector: Any, address: Any) -> None:
    builder.store(vector, builder.inttoptr(address, vector.type.as_pointer()), align=4)


def _one_input(quantised: bool) -> Any:
    def typed(_typing: Any, weights: Any, x: Any, steps: Any, y: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            weights, x, steps, y = arguments
            (sums,) = _accumulate(builder, weights, [x], steps, PANEL, quantised)
            _store(builder, _sum_each(builder, sums), y)
            return ir.Constant(ir.IntType(64), 0)

        return types.int64(types.int64, types.int64, types.int64, types.int64), generate

    return typed


def _two_inputs(quantised: bool) -> Any:
    def typed(_typing: Any, weights: Any, x: Any, x_next: Any, steps: Any, y: Any, y_next: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            weights, x, x_next, steps, y, y_next = arguments
            first, second = _accumulate(builder, weights, [x, x_next], steps, PANEL // 2, quantised)
            sums = _sum_each(builder, [*first, *second])
            for part, address in ((range(PANEL // 2), y), (range(PANEL // 2, PANEL), y_next)):
                mask = ir.Constant(ir.VectorType(ir.IntType(32), PANEL // 2), list(part))
                _store(builder, builder.shuffle_vector(sums, sums, mask), address)
            return ir.Constant(ir.IntType(64), 0)

        return types.int64(*[types.int64] * 6), generate

    return typed


panel_by_one: Any = intrinsic(_one_input(quantised=False))
"""(weights, x, steps, y): write the PANEL products of a panel with x to y. All are addresses but `steps`."""
small_panel_by_one: Any = intrinsic(_one_input(quantised=True))
"""The same of a panel of 8-bit weights."""
half_panel_by_two: Any = intrinsic(_two_inputs(quantised=False))
"""(weights, x, x_next, steps, y, y_next): write the products of half a panel with two rows."""
half_small_panel_by_two: Any = intrinsic(_two_inputs(quantised=True))
"""The same of half a panel of 8-bit weights."""
