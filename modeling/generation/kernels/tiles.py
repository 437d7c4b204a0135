"""Dot products of a few rows of weights with one or two rows of activations, in vector registers.

numba has no vector types, so these loops are generated as LLVM code. Every product of a row of weights and a row of
activations is summed in the same order, whichever tile computes it: in LANES partial sums, each a chain over the steps,
which are then added in pairs. So a row's result does not depend on the rows that are computed beside it.

Weights are packed in panels of PANEL rows: for each step of LANES columns, LANES weights of each of the panel's rows.
Weights of 8 bits meet activations of 16 bits, in steps of SHORT_LANES columns; their partial sums are exact integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

LANES = 8
"""Columns in a step; two registers of 128 bits, one of 256."""
SHORT_LANES = 16
"""The same for weights of 8 bits."""
PANEL = 8
"""Rows of weights that are stored together."""
FUSE = f"llvm.fmuladd.v{LANES}f32"
"""a · b + c, without rounding between where the processor can."""
PAIRS = "llvm.x86.avx2.pmadd.wd"
"""The products of 16-bit integers, added in pairs."""
HAS_PAIRS = bool(binding.get_host_cpu_features().get("avx2")) and not (config.CPU_NAME or config.CPU_FEATURES)

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)
_SHORTS = ir.VectorType(ir.IntType(16), SHORT_LANES)
_BYTES = ir.VectorType(ir.IntType(8), SHORT_LANES)
_INDEX = ir.IntType(64)

Product = Callable[[Any, Any, Any, Any], Any]
"""(builder, sums, weights, activations): the sums with the products added."""


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


def _fused(builder: Any, sums: Any, weights: Any, columns: Any) -> Any:
    fuse = _declared(builder, FUSE, _FLOATS, [_FLOATS] * 3)
    return builder.call(fuse, [weights, columns, sums])


def paired(builder: Any, sums: Any, weights: Any, columns: Any, native: bool = HAS_PAIRS) -> Any:
    """Return sums of integers with the products of 8-bit weights and 16-bit activations added, two to each lane.

    `native`: in one instruction of the processor.
    """
    wide = builder.sext(weights, _SHORTS)
    if native:
        return builder.add(sums, builder.call(_declared(builder, PAIRS, _INTEGERS, [_SHORTS] * 2), [wide, columns]))
    for first in (0, 1):
        every_other = ir.Constant(_INTEGERS, list(range(first, SHORT_LANES, 2)))
        left, right = (builder.sext(builder.shuffle_vector(x, x, every_other), _INTEGERS) for x in (wide, columns))
        sums = builder.add(sums, builder.mul(left, right))
    return sums


def _declared(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def _accumulate(
    builder: Any, weights: Any, inputs: list[Any], steps: Any, rows: int, kinds: tuple[Any, Any, Any], product: Product
) -> list[list[Any]]:
    """Emit the loop over steps; return the partial sums of each input with each of the first `rows` weights' rows.

    `weights` and `inputs` are addresses; `kinds`: the vectors of weights, activations and sums.
    """
    of_weights, of_columns, of_sums = kinds
    lanes = of_columns.count
    zero = ir.Constant(of_sums, [0] * LANES)
    # Vectors on the stack become registers.
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(rows)] for _ in inputs]
    width, column = (
        kind.element.width // 8 if hasattr(kind.element, "width") else 4 for kind in (of_weights, of_columns)
    )

    def load(address: Any, offset: Any, kind: Any, align: int) -> Any:
        pointer = builder.inttoptr(builder.add(address, offset), kind.as_pointer())
        return builder.load(pointer, align=align)

    with cgutils.for_range(builder, steps, intp=_INDEX) as loop:
        at = builder.mul(loop.index, ir.Constant(_INDEX, lanes * column))
        columns = [load(x, at, of_columns, column) for x in inputs]
        base = builder.mul(loop.index, ir.Constant(_INDEX, lanes * PANEL * width))
        for row in range(rows):
            place = builder.add(base, ir.Constant(_INDEX, row * lanes * width))
            weight = load(weights, place, of_weights, width)
            for total, each in zip(sums, columns):
                builder.store(product(builder, builder.load(total[row]), weight, each), total[row])
    return [[builder.load(one) for one in total] for total in sums]


def _store(builder: Any, vector: Any, address: Any) -> None:
    builder.store(vector, builder.inttoptr(address, vector.type.as_pointer()), align=4)


def _scaled(builder: Any, sums: list[Any], scale: Any) -> list[Any]:
    """Return partial sums of integers as floats in units of `scale`."""
    lane = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), scale, ir.Constant(ir.IntType(32), 0))
    scales = _shuffled(builder, lane, lane, [0] * LANES)
    return [builder.fmul(builder.sitofp(each, _FLOATS), scales) for each in sums]


FULL = (_FLOATS, _FLOATS, _FLOATS)
SMALL = (_BYTES, _SHORTS, _INTEGERS)


def _one_input(_typing: Any, weights: Any, x: Any, steps: Any, y: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        weights, x, steps, y = arguments
        (sums,) = _accumulate(builder, weights, [x], steps, PANEL, FULL, _fused)
        _store(builder, _sum_each(builder, sums), y)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(*[types.int64] * 4), generate


def _two_inputs(_typing: Any, weights: Any, x: Any, x_next: Any, steps: Any, y: Any, y_next: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        weights, x, x_next, steps, y, y_next = arguments
        first, second = _accumulate(builder, weights, [x, x_next], steps, PANEL // 2, FULL, _fused)
        _store_halves(builder, _sum_each(builder, [*first, *second]), y, y_next)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(*[types.int64] * 6), generate


def _one_short_input(_typing: Any, weights: Any, x: Any, scale: Any, steps: Any, y: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        weights, x, scale, steps, y = arguments
        (sums,) = _accumulate(builder, weights, [x], steps, PANEL, SMALL, paired)
        _store(builder, _sum_each(builder, _scaled(builder, sums, scale)), y)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(types.int64, types.int64, types.float32, types.int64, types.int64), generate


def _two_short_inputs(
    _typing: Any, weights: Any, x: Any, x_next: Any, scale: Any, scale_next: Any, steps: Any, y: Any, y_next: Any
) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        weights, x, x_next, scale, scale_next, steps, y, y_next = arguments
        first, second = _accumulate(builder, weights, [x, x_next], steps, PANEL // 2, SMALL, paired)
        floats = [*_scaled(builder, first, scale), *_scaled(builder, second, scale_next)]
        _store_halves(builder, _sum_each(builder, floats), y, y_next)
        return ir.Constant(ir.IntType(64), 0)

    address, number = types.int64, types.float32
    return types.int64(address, address, address, number, number, types.int64, address, address), generate


def _store_halves(builder: Any, sums: Any, y: Any, y_next: Any) -> None:
    for part, address in ((range(PANEL // 2), y), (range(PANEL // 2, PANEL), y_next)):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), PANEL // 2), list(part))
        _store(builder, builder.shuffle_vector(sums, sums, mask), address)


panel_by_one: Any = intrinsic(_one_input)
"""(weights, x, steps, y): write the PANEL products of a panel with x to y. All are addresses but `steps`."""
half_panel_by_two: Any = intrinsic(_two_inputs)
"""(weights, x, x_next, steps, y, y_next): write the products of half a panel with two rows."""
small_panel_by_one: Any = intrinsic(_one_short_input)
"""(weights, x, scale, steps, y): the same of a panel of 8-bit weights with an x of 16 bits in units of `scale`."""
half_small_panel_by_two: Any = intrinsic(_two_short_inputs)
"""(weights, x, x_next, scale, scale_next, steps, y, y_next): the same of half a panel with two rows."""
