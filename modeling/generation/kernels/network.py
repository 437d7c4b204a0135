"""The network's weights as compiled code reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from modeling.config import ModelConfig
from modeling.generation.kernels.matrix import Floats, Matrix, aligned, pack
from modeling.generation.kernels.patterns import Patterns, layout_patterns
from modeling.network.block import Block, feed_forward_size
from modeling.network.embeddings import TIME_PERIODS, StyleTable, wave_frequencies
from modeling.network.rotary import rotation
from modeling.network.transformer import MuseNet


class Tables(NamedTuple):
    """Embeddings, shape (ids, columns); a table that the model does not have has no rows."""

    token: Floats
    position: Floats
    chord: Floats
    part: Floats
    countdown: Floats
    style: Floats
    instrumentation: Floats
    """By the bit mask of the groups."""
    beat: Floats
    bar: Floats
    sounding: Floats
    """By age and pitch."""
    voices: Floats
    """By the number of pitches that sound."""
    harmony: Floats
    """By pitch class, for a single note of the last few and of the last many."""
    echo: Floats
    """By token that followed before."""
    same: Floats
    """By the number of tokens that were the same then."""
    time: Floats
    """The projection of time waves, shape (2 · periods, columns)."""
    frequency: Floats
    """Radians a tick of each wave, shape (periods,)."""


class Heads(NamedTuple):
    """What queries and keys go through before they meet; empty where the model does without."""

    q_norm: Floats
    """Shape (layers, d_head)."""
    k_norm: Floats
    cosine: Floats
    """Of the rotation of each position, shape (context, d_head / 2)."""
    sine: Floats


class Norms(NamedTuple):
    """The norms of the residual stream: two a layer, and the last one."""

    weight: Floats
    """Shape (2 · layers + 1, columns)."""
    bias: Floats
    centred: bool
    """True for LayerNorm, which subtracts the mean; False for RMSNorm."""


class Melody(NamedTuple):
    """The melody head: without rows where the model has none."""

    weight: Floats
    """By note and interval, then by interval from pitch classes, shape (outputs, columns)."""
    bias: Floats
    """Shape (outputs,)."""
    gain: Floats
    """By row of notes, shape (rows,)."""


class Network(NamedTuple):
    """All weights. Columns are d_model, padded with zeros to whole steps of the tiles."""

    d_model: int
    tables: Tables
    norms: Norms
    heads: Heads
    patterns: Patterns
    qkv: Matrix
    out: Matrix
    up: Matrix
    down: Matrix
    d_ff: int
    gated: bool
    """True for a feed-forward of gate and value (SwiGLU), which come one after the other from `up`."""
    output: Matrix
    melody: Melody


@torch.no_grad()
def pack_network(model: MuseNet, quantise: bool) -> Network:
    """Copy a model's weights from its 32-bit parameters; with `quantise`, matrices are rounded to 8 bits."""
    config = model.config
    blocks = [block for block in model.blocks if isinstance(block, Block)]

    def matrix(modules: Sequence[nn.Module]) -> Matrix:
        return pack(_stacked(modules, "weight"), _stacked(modules, "bias"), quantise)

    table = _array(model.output_table())[None]
    return Network(
        config.d_model,
        _tables(model),
        _norms(model, blocks),
        _heads(config, blocks),
        layout_patterns([block.attention.layout for block in blocks], config.heads, config.context),
        matrix([block.attention.qkv_proj for block in blocks]),
        matrix([block.attention.out_proj for block in blocks]),
        matrix([block.feed_forward.up_proj for block in blocks]),
        matrix([block.feed_forward.down_proj for block in blocks]),
        feed_forward_size(config),
        config.feed_forward == "swiglu",
        pack(table, None, quantise),
        _melody(model),
    )


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().float().numpy()
    return array


def _stacked(modules: Sequence[nn.Module], name: str) -> Floats:
    return np.stack([_array(module.get_parameter(name)) for module in modules])


def _padded(array: Floats, columns: int) -> Floats:
    """Return an array with zeros behind its last axis, up to the columns of the network."""
    out = np.zeros((*array.shape[:-1], columns), np.float32)
    out[..., : array.shape[-1]] = array
    return out


def _tables(model: MuseNet) -> Tables:
    embeddings, columns = model.embeddings, aligned(model.config.d_model)

    time = nothing = np.empty((0, columns), np.float32)
    sounding, harmony, echo = embeddings.sounding, embeddings.harmony, embeddings.echo

    def table(module: nn.Embedding | StyleTable | None) -> Floats:
        return nothing if module is None else _padded(_array(module.weight), columns)

    if embeddings.time is not None:
        time = _padded(_array(embeddings.time.weight).T / np.float32(TIME_PERIODS), columns)
    groups = embeddings.instrumentation
    sets = (
        None if groups is None else groups(torch.arange(1 << groups.header.groups) + groups.header.instrumentation_base)
    )
    return Tables(
        token=_padded(_array(embeddings.token()), columns),
        position=table(embeddings.position),
        chord=table(embeddings.chord),
        part=table(embeddings.part),
        countdown=table(embeddings.countdown),
        style=table(embeddings.style),
        instrumentation=nothing if sets is None else _padded(_array(sets), columns),
        beat=table(embeddings.beat),
        bar=table(embeddings.bar),
        sounding=nothing if sounding is None else _padded(_array(sounding.weight), columns),
        voices=nothing if sounding is None else _padded(_array(sounding.voices), columns),
        harmony=nothing if harmony is None else _padded(_array(harmony.by_count()), columns),
        echo=nothing if echo is None else _padded(_array(echo.projection(embeddings.token())), columns),
        same=nothing if echo is None else _padded(_array(echo.same), columns),
        time=time,
        frequency=_array(wave_frequencies()),
    )


def _melody(model: MuseNet) -> Melody:
    head, columns = model.melody, aligned(model.config.d_model)
    if head is None:
        return Melody(np.empty((0, columns), np.float32), np.empty(0, np.float32), np.empty(0, np.float32))
    return Melody(_padded(_array(head.weight), columns), _array(head.bias), _array(head.gain))


def _norms(model: MuseNet, blocks: Sequence[Block]) -> Norms:
    modules = [norm for block in blocks for norm in (block.attention_norm, block.feed_forward_norm)] + [model.norm]
    columns, centred = aligned(model.config.d_model), model.config.norm == "layer"
    weight = _padded(_stacked(modules, "weight"), columns)
    bias = _padded(_stacked(modules, "bias"), columns) if centred else np.zeros_like(weight)
    return Norms(weight, bias, centred)


def _heads(config: ModelConfig, blocks: Sequence[Block]) -> Heads:
    nothing = np.empty((0, config.d_head), np.float32)
    q_norm = k_norm = nothing
    if config.qk_norm:
        q_norm, k_norm = (
            np.stack([_array(block.attention.get_parameter(f"{name}.weight")) for block in blocks])
            for name in ("q_norm", "k_norm")
        )
    if config.positions != "rotary":
        return Heads(q_norm, k_norm, nothing, nothing)
    turned = rotation(torch.arange(config.context), config.d_head, torch.float32)
    return Heads(q_norm, k_norm, _array(turned.cosine), _array(turned.sine))
