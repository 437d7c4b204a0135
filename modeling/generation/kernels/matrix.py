"""Matrices packed for the tiles, and their products with a few rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.kernels.tiles import (
    LANES,
    PANEL,
    half_panel_by_two,
    half_small_panel_by_two,
    panel_by_one,
    small_panel_by_one,
)
from tokenization.compiled import compiled_arithmetic

LARGEST = 127
"""Of an 8-bit weight."""
FLOAT_BYTES = 4

Floats = NDArray[np.float32]


class Matrix(NamedTuple):
    """The same linear map of every layer, y = W x + b; in 32 bits, or in 8 bits with a scale for each output."""

    full: Floats
    """Shape (layers, panels, steps, PANEL, LANES), or empty."""
    small: NDArray[np.int8]
    """The same in 8 bits, or empty."""
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
    padded = np.zeros((layers, aligned(outputs, PANEL), aligned(inputs)), np.float32)
    padded[:, :outputs, :inputs] = weights
    bias = np.zeros(padded.shape[:2], np.float32)
    if biases is not None:
        bias[:, :outputs] = biases
    scale = np.ones(bias.shape, np.float32)
    if quantise:
        greatest = np.abs(padded).max(2)
        scale = np.where(greatest > 0, greatest / np.float32(LARGEST), np.float32(1))
        padded = np.rint(padded / scale[..., None])
    panels = padded.reshape(layers, -1, PANEL, padded.shape[2] // LANES, LANES).transpose(0, 1, 3, 2, 4)
    empty = (0, 0, 0, PANEL, LANES)
    if quantise:
        return Matrix(np.empty(empty, np.float32), np.ascontiguousarray(panels, np.int8), scale, bias)
    return Matrix(np.ascontiguousarray(panels), np.empty(empty, np.int8), scale, bias)


@compiled_arithmetic
def multiply(matrix: Matrix, layer: int, x: Floats, rows: int, y: Floats) -> None:
    """Write W x, without scale and bias, for the first `rows` rows of x, shape (rows, inputs), to y."""
    quantised = len(matrix.small) > 0
    shape = matrix.small.shape if quantised else matrix.full.shape
    weights = matrix.small.ctypes.data if quantised else matrix.full.ctypes.data
    width = 1 if quantised else FLOAT_BYTES
    panels, steps = shape[1], shape[2]
    half_bytes = PANEL // 2 * LANES * width
    panel_bytes = steps * PANEL * LANES * width
    weights += layer * panels * panel_bytes
    x_row, y_row = x.shape[1] * FLOAT_BYTES, y.shape[1] * FLOAT_BYTES
    for panel in range(panels):
        x_at, y_at = x.ctypes.data, y.ctypes.data + panel * PANEL * FLOAT_BYTES
        for _ in range(rows // 2):
            y_half = y_at + PANEL // 2 * FLOAT_BYTES
            if quantised:
                half_small_panel_by_two(weights, x_at, x_at + x_row, steps, y_at, y_at + y_row)
                half_small_panel_by_two(weights + half_bytes, x_at, x_at + x_row, steps, y_half, y_half + y_row)
            else:
                half_panel_by_two(weights, x_at, x_at + x_row, steps, y_at, y_at + y_row)
                half_panel_by_two(weights + half_bytes, x_at, x_at + x_row, steps, y_half, y_half + y_row)
            x_at += 2 * x_row
            y_at += 2 * y_row
        if rows % 2:
            if quantised:
                small_panel_by_one(weights, x_at, steps, y_at)
            else:
                panel_by_one(weights, x_at, steps, y_at)
        weights += panel_bytes
