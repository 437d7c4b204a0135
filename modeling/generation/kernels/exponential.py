"""The exponential function and its relatives in 32 bits, in a form that compilers turn into vector instructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tokenization.compiled import compiled, compiled_arithmetic

LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
"""ln 2 in two parts, of which the first has few bits: its products with small integers are exact."""
LOWEST, HIGHEST = np.float32(-87.0), np.float32(88.0)
"""Arguments beyond these are taken for these, so that results are normal numbers."""
ONE, HALF = np.float32(1), np.float32(0.5)
BIAS = np.int32(127)
"""Of the exponent of a 32-bit float, which begins at bit 23."""
MANTISSA = np.int32(23)


def _bitcast(_typing: Any, bits: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


float_of_bits: Any = intrinsic(_bitcast)
"""(bits): the 32-bit float with the bits of a 32-bit integer."""


@compiled
def exponential(x: np.float32) -> np.float32:
    """Return e^x to within 2 units in the last place, for x between −87 and 88 (Cephes' `expf`)."""
    x = min(max(x, LOWEST), HIGHEST)
    power = np.floor(x * LOG2_E + HALF)
    r = x - power * LN2_HIGH
    r = r - power * LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * (r * r) + r + ONE
    result: np.float32 = p * float_of_bits(np.int32(np.int32(power) + BIAS) << MANTISSA)
    return result


@compiled_arithmetic
def gelu(x: np.float32) -> np.float32:
    """Return x · Φ(x), Φ to within 2e-7 (Abramowitz and Stegun, 7.1.26)."""
    z = abs(x) * np.float32(0.7071067811865476)
    t = ONE / (ONE + np.float32(0.3275911) * z)
    p = np.float32(1.061405429)
    p = p * t + np.float32(-1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t + np.float32(-0.284496736)
    p = p * t + np.float32(0.254829592)
    tail = HALF * p * t * exponential(-z * z)
    return x * (ONE - tail if x > 0 else tail)


@compiled_arithmetic
def silu(x: np.float32) -> np.float32:
    """Return x / (1 + e^−x)."""
    return x / (ONE + exponential(-x))
