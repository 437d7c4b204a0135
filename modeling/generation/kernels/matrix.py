"""Matrices packed for the tiles, and their products with a few rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.kernels.exponential import float_of_bits
from modeling.generation.kernels.tiles import (
    LANES,
    PANEL,
    SHORT_LANES,
    half_panel_by_two,
    half_small_panel_by_two,
    panel_by_one,
    small_panel_by_one,
)
from tokenization.compiled import compiled_arithmetic

LARGEST = 127
"""Of an 8-bit weight."""
LARGEST_SHORT, LARGEST_SUM = 2**15 - 1, 2**31 - 1
SHORT_BYTES = 2
MAGNITUDE = np.int32(2**31 - 1)
"""The bits of a 32-bit float but for its sign."""
FLOAT_BYTES = 4

Floats = NDArray[np.float32]


class Shorts(NamedTuple):
    """Activations in 16 bits, for matrices of 8 bits."""

    values: NDArray[np.int16]
    """Shape (rows, inputs, padded to whole steps)."""
    scale: Floats
    """What to multiply the values of a row by, shape (rows,)."""


class Matrix(NamedTuple):
    """The same linear map of every layer, y = W x + b; in 32 bits, or in 8 bits with a scale for each output."""

    full: Floats
    """Shape (layers, panels, steps, PANEL, LANES), or empty."""
    small: NDArray[np.int8]
    """The same in 8 bits, with steps of SHORT_LANES, or empty."""
    scale: Floats
    """What to multiply the product with 8-bit weights by, shape (layers, outputs)."""
    bias: Floats
    """Shape (layers, outputs)."""


def aligned(size: int, multiple: int = LANES) -> int:
    """Return a size rounded up to a multiple."""
    return -(-size // multiple) * multiple


def pack(weights: Floats, biases: Floats | None, quantise: bool) -> Matrix:
    """Pack weights of shape (layers, outputs, inputs) and biases of shape (layers, outputs).

    Outputs and inputs are padded with zeros to whole panels and steps. With `quantise`, a row is rounded to integers of
    up to LARGEST times its scale.
    """
    layers, outputs, inputs = weights.shape
    lanes = SHORT_LANES if quantise else LANES
    padded = np.zeros((layers, aligned(outputs, PANEL), aligned(inputs, lanes)), np.float32)
    padded[:, :outputs, :inputs] = weights
    bias = np.zeros(padded.shape[:2], np.float32)
    if biases is not None:
        bias[:, :outputs] = biases
    scale = np.ones(bias.shape, np.float32)
    if quantise:
        greatest = np.abs(padded).max(2)
        scale = np.where(greatest > 0, greatest / np.float32(LARGEST), np.float32(1))
        padded = np.rint(padded / scale[..., None])
    panels = padded.reshape(layers, -1, PANEL, padded.shape[2] // lanes, lanes).transpose(0, 1, 3, 2, 4)
    if quantise:
        return Matrix(np.empty((0, 0, 0, PANEL, LANES), np.float32), np.ascontiguousarray(panels, np.int8), scale, bias)
    return Matrix(np.ascontiguousarray(panels), np.empty((0, 0, 0, PANEL, SHORT_LANES), np.int8), scale, bias)


def new_shorts(rows: int, inputs: int) -> Shorts:
    """Return room for activations of up to so many rows and inputs."""
    return Shorts(np.zeros((rows, aligned(inputs, SHORT_LANES)), np.int16), np.zeros(rows, np.float32))


@compiled_arithmetic
def multiply(matrix: Matrix, layer: int, x: Floats, rows: int, shorts: Shorts, y: Floats) -> None:
    """Write W x, without scale and bias, for the first `rows` rows of x, shape (rows, inputs), to y.

    `shorts`: room for x, used with 8-bit weights.
    """
    if len(matrix.small):
        _multiply_small(matrix.small, layer, x, rows, shorts, y)
    else:
        _multiply_full(matrix.full, layer, x, rows, y)


@compiled_arithmetic
def _multiply_full(full: Floats, layer: int, x: Floats, rows: int, y: Floats) -> None:
    panels, steps = full.shape[1], full.shape[2]
    half_bytes = PANEL // 2 * LANES * FLOAT_BYTES
    weights = full.ctypes.data + layer * panels * steps * 2 * half_bytes
    x_row, y_row = x.shape[1] * FLOAT_BYTES, y.shape[1] * FLOAT_BYTES
    for panel in range(panels):
        x_at, y_at = x.ctypes.data, y.ctypes.data + panel * PANEL * FLOAT_BYTES
        for _ in range(rows // 2):
            y_half = y_at + PANEL // 2 * FLOAT_BYTES
            half_panel_by_two(weights, x_at, x_at + x_row, steps, y_at, y_at + y_row)
            half_panel_by_two(weights + half_bytes, x_at, x_at + x_row, steps, y_half, y_half + y_row)
            x_at += 2 * x_row
            y_at += 2 * y_row
        if rows % 2:
            panel_by_one(weights, x_at, steps, y_at)
        weights += steps * 2 * half_bytes


@compiled_arithmetic
def _multiply_small(small: NDArray[np.int8], layer: int, x: Floats, rows: int, shorts: Shorts, y: Floats) -> None:
    panels, steps = small.shape[1], small.shape[2]
    # Each of LANES sums takes two products a step, and stays within 32 bits.
    largest = min(LARGEST_SHORT, LARGEST_SUM // (2 * steps * LARGEST))
    for row in range(rows):
        _round_to_shorts(x[row], steps * SHORT_LANES, largest, shorts, row)
    half_bytes = PANEL // 2 * SHORT_LANES
    weights = small.ctypes.data + layer * panels * steps * 2 * half_bytes
    x_row, y_row = shorts.values.shape[1] * SHORT_BYTES, y.shape[1] * FLOAT_BYTES
    scale = shorts.scale
    for panel in range(panels):
        x_at, y_at = shorts.values.ctypes.data, y.ctypes.data + panel * PANEL * FLOAT_BYTES
        for pair in range(rows // 2):
            y_half, one, two = y_at + PANEL // 2 * FLOAT_BYTES, scale[2 * pair], scale[2 * pair + 1]
            half_small_panel_by_two(weights, x_at, x_at + x_row, one, two, steps, y_at, y_at + y_row)
            half_small_panel_by_two(weights + half_bytes, x_at, x_at + x_row, one, two, steps, y_half, y_half + y_row)
            x_at += 2 * x_row
            y_at += 2 * y_row
        if rows % 2:
            small_panel_by_one(weights, x_at, scale[rows - 1], steps, y_at)
        weights += steps * 2 * half_bytes


@compiled_arithmetic
def _round_to_shorts(x: NDArray[np.float32], size: int, largest: int, shorts: Shorts, row: int) -> None:
    """Write x, padded with zeros to `size` values, as integers of up to `largest` times its scale."""
    bits = x.view(np.int32)
    greatest = np.int32(0)
    for c in range(len(x)):
        greatest = max(greatest, bits[c] & MAGNITUDE)  # ordered as the floats are
    most = float_of_bits(greatest)
    values = shorts.values[row]
    inverse = np.float32(largest) / most if most > 0 else np.float32(0)
    for c in range(len(x)):
        values[c] = np.int16(np.int32(np.rint(x[c] * inverse)))
    values[len(x) : size] = 0
    shorts.scale[row] = most / np.float32(largest)
