"""A pass of some tokens through the network, as one compiled call.

Each token has a slot of the cache and a position there: tokens of different pieces at once (a decode step), or
consecutive ones of one piece (prefill), which is the same arithmetic. A token's result depends on its own slot alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.kernels.attention import KeyValues, Room, attend
from modeling.generation.kernels.exponential import gelu, silu
from modeling.generation.kernels.matrix import Floats, Matrix, Shorts, aligned, multiply, new_shorts
from modeling.generation.kernels.network import Heads, Melody, Network, Norms, Tables
from modeling.network.embeddings import BEATS, COUNT_MASK, MOST_VOICES
from modeling.network.melody import INTERVALS, REACH
from modeling.network.norms import EPSILON
from tokenization.compiled import compiled_arithmetic
from tokenization.encodings import texture
from tokenization.encodings.echo import ECHO_BITS
from tokenization.encodings.texture import AGES, CLASSES, COUNT_BITS, ECHO, LATEST, RECENT_BITS, WORD
from tokenization.vocabulary import PITCHES

EPS = np.float32(EPSILON)
TOKEN, TIME, CHORD, PART, COUNTDOWN, TEXTURE = range(6)
"""Rows of the fields of a token; from TEXTURE on those of `tokenization.encodings.texture`."""
FIELDS = TEXTURE + texture.FIELDS
STYLE, INSTRUMENTATION = FIELDS, FIELDS + 1
"""Rows behind the fields: rows of tables, the same for all tokens of a piece."""
ALL_BEATS = np.int64(BEATS)
RECENT_MASK = (1 << RECENT_BITS) - 1
SAME_MASK = (1 << ECHO_BITS) - 1

Integers = NDArray[np.int64]


class Buffers(NamedTuple):
    """Working memory for some tokens; the columns that pad a row are zero."""

    residual: Floats
    """The residual stream, shape (tokens, columns)."""
    normed: Floats
    """The same shape."""
    qkv: Floats
    wide: Floats
    """Outputs of the first matrix of the feed-forward."""
    hidden: Floats
    """Inputs of its second one."""
    narrow: Floats
    """Outputs of the matrices that add to the residual stream."""
    shorts: Shorts
    """Inputs of matrices of 8 bits."""
    room: Room


def new_buffers(network: Network, tokens: int, positions: int) -> Buffers:
    """Return working memory for up to `tokens` tokens at once, and `positions` in the cache."""
    columns = network.norms.weight.shape[1]
    outputs = [matrix.bias.shape[1] for matrix in (network.qkv, network.up, network.down)]
    qkv, wide, narrow = (np.zeros((tokens, size), np.float32) for size in outputs)
    residual, normed = (np.zeros((tokens, columns), np.float32) for _ in range(2))
    most = int(np.diff(network.patterns.first_range).max())
    room = Room(np.zeros(positions, np.float32), np.zeros((most, 2), np.int64))
    hidden = np.zeros((tokens, aligned(network.d_ff)), np.float32)
    shorts = new_shorts(tokens, max(columns, hidden.shape[1]))
    return Buffers(residual, normed, qkv, wide, hidden, narrow, shorts, room)


@compiled_arithmetic
def forward(
    network: Network,
    cache: KeyValues,
    fields: Integers,
    slots: Integers,
    positions: Integers,
    buffers: Buffers,
    first: int,
    logits: Floats,
) -> None:
    """Append tokens to the cache; write the logits after the tokens from `first` on, shape (tokens − first, outputs).

    `fields`: ids, structure features, texture and labels, shape (FIELDS + 2, tokens). `slots`, `positions`: shape
    (tokens,).
    """
    tokens = len(slots)
    d_model, d_ff = network.d_model, network.d_ff
    residual, normed, qkv, wide, hidden, narrow, shorts, room = buffers
    columns = residual.shape[1]
    layers, heads = network.patterns.of_head.shape
    for token in range(tokens):
        _embed(network.tables, fields[:, token], positions[token], residual[token])
    for layer in range(layers):
        _normalise(network.norms, 2 * layer, residual, d_model, 0, tokens, normed)
        multiply(network.qkv, layer, normed, tokens, shorts, qkv)
        _finish(network.qkv, layer, qkv, tokens)
        for token in range(tokens):
            _store(network.heads, cache, layer, heads, slots[token], positions[token], qkv[token])
        for token in range(tokens):
            attend(network.patterns, cache, layer, slots[token], positions[token], qkv[token], room, normed[token])
        multiply(network.out, layer, normed, tokens, shorts, narrow)
        _finish(network.out, layer, narrow, tokens)
        for token in range(tokens):
            for c in range(columns):
                residual[token, c] += narrow[token, c]
        _normalise(network.norms, 2 * layer + 1, residual, d_model, 0, tokens, normed)
        multiply(network.up, layer, normed, tokens, shorts, wide)
        _finish(network.up, layer, wide, tokens)
        for token in range(tokens):
            if network.gated:
                for c in range(d_ff):
                    hidden[token, c] = silu(wide[token, c]) * wide[token, d_ff + c]
            else:
                for c in range(d_ff):
                    hidden[token, c] = gelu(wide[token, c])
        multiply(network.down, layer, hidden, tokens, shorts, narrow)
        _finish(network.down, layer, narrow, tokens)
        for token in range(tokens):
            for c in range(columns):
                residual[token, c] += narrow[token, c]
    _normalise(network.norms, 2 * layers, residual, d_model, first, tokens, normed)
    multiply(network.output, 0, normed, tokens - first, shorts, logits)
    _finish(network.output, 0, logits, tokens - first)
    if len(network.melody.bias):
        for token in range(first, tokens):
            _add_melody(network.melody, fields[TEXTURE:, token], normed[token - first], logits[token - first])


@compiled_arithmetic
def _embed(tables: Tables, field: Integers, position: int, out: NDArray[np.float32]) -> None:
    """Write the sum of a token's embeddings."""
    token, time, chord, part, countdown = field[TOKEN], field[TIME], field[CHORD], field[PART], field[COUNTDOWN]
    for c in range(len(out)):
        out[c] = tables.token[token, c]
    if len(tables.position):
        for c in range(len(out)):
            out[c] += tables.position[position, c]
    periods = len(tables.frequency)
    if len(tables.time):
        for period in range(periods):
            angle = np.float32(time) * tables.frequency[period]
            sine, cosine = np.sin(angle), np.cos(angle)
            for c in range(len(out)):
                out[c] += sine * tables.time[period, c] + cosine * tables.time[periods + period, c]
    if len(tables.chord):
        for c in range(len(out)):
            out[c] += tables.chord[chord, c]
    if len(tables.part):
        for c in range(len(out)):
            out[c] += tables.part[part, c]
    if len(tables.countdown):
        for c in range(len(out)):
            out[c] += tables.countdown[countdown, c]
    if len(tables.beat):
        ticks_per_beat = len(tables.beat)
        beat, tick = time // ticks_per_beat % ALL_BEATS, time % ticks_per_beat
        for c in range(len(out)):
            out[c] += tables.beat[tick, c] + tables.bar[beat, c]
    if len(tables.sounding):
        voices = 0
        for row in range(2 * AGES):
            word = field[TEXTURE + row]
            for bit in range(WORD):
                if word >> bit & 1:
                    voices += 1
                    for c in range(len(out)):
                        out[c] += tables.sounding[row * WORD + bit, c]
        voices = min(voices, MOST_VOICES)
        for c in range(len(out)):
            out[c] += tables.voices[voices, c]
    if len(tables.harmony):
        for row in range(2):
            word = field[TEXTURE + 2 * AGES + row]
            for pitch_class in range(CLASSES):
                count = np.float32(word >> (COUNT_BITS * pitch_class) & COUNT_MASK)
                for c in range(len(out)):
                    out[c] += count * tables.harmony[row * CLASSES + pitch_class, c]
    if len(tables.same):
        word = field[TEXTURE + ECHO]
        same, following = word & SAME_MASK, word >> ECHO_BITS
        for c in range(len(out)):
            out[c] += tables.same[same, c]
        if same:
            for c in range(len(out)):
                out[c] += tables.echo[following, c]
    if len(tables.style):
        for c in range(len(out)):
            out[c] += tables.style[field[STYLE], c]
    if len(tables.instrumentation):
        for c in range(len(out)):
            out[c] += tables.instrumentation[field[INSTRUMENTATION], c]


@compiled_arithmetic
def _add_melody(melody: Melody, heard: Integers, state: NDArray[np.float32], logits: NDArray[np.float32]) -> None:
    """Add what intervals from the last notes and from the pitch classes heard are worth to the logits of all notes.

    `heard`: the texture.
    """
    outputs = len(melody.bias)
    values, pitches = melody.bias.copy(), np.zeros(PITCHES, np.float32)
    for row in range(outputs):
        for c in range(len(state)):
            values[row] += melody.weight[row, c] * state[c]
    of_classes = outputs - 2 * CLASSES
    for note in range(of_classes // INTERVALS):
        latest = (heard[LATEST] >> (RECENT_BITS * note) & RECENT_MASK) - 1
        if latest >= 0:
            for pitch in range(max(latest - REACH, 0), min(latest + REACH + 1, PITCHES)):
                pitches[pitch] += values[note * INTERVALS + pitch - latest + REACH]
    for row in range(2):
        for pitch_class in range(CLASSES):
            count = heard[2 * AGES + row] >> (COUNT_BITS * pitch_class) & COUNT_MASK
            weight = np.log1p(np.float32(count))
            for pitch in range(PITCHES):
                step = (pitch - pitch_class + CLASSES) % CLASSES
                pitches[pitch] += weight * values[of_classes + row * CLASSES + step]
    for row in range(len(melody.gain)):
        for pitch in range(PITCHES):
            logits[row * PITCHES + pitch] += melody.gain[row] * pitches[pitch]


@compiled_arithmetic
def _normalise(norms: Norms, index: int, x: Floats, size: int, first: int, stop: int, out: Floats) -> None:
    """Normalise rows `first` to `stop` of x, and write them from the first row of `out` on."""
    weight, bias = norms.weight, norms.bias
    for row in range(first, stop):
        mean = np.float32(0)
        if norms.centred:
            for c in range(size):
                mean += x[row, c]
            mean /= np.float32(size)
        square = np.float32(0)
        for c in range(size):
            square += (x[row, c] - mean) * (x[row, c] - mean)
        scale = np.float32(1) / np.sqrt(square / np.float32(size) + EPS)
        for c in range(size):
            out[row - first, c] = (x[row, c] - mean) * scale * weight[index, c] + bias[index, c]


@compiled_arithmetic
def _finish(matrix: Matrix, layer: int, y: Floats, rows: int) -> None:
    """Scale products and add the bias."""
    scale, bias = matrix.scale, matrix.bias
    for row in range(rows):
        for c in range(bias.shape[1]):
            y[row, c] = y[row, c] * scale[layer, c] + bias[layer, c]


@compiled_arithmetic
def _store(
    heads: Heads, cache: KeyValues, layer: int, count: int, slot: int, position: int, qkv: NDArray[np.float32]
) -> None:
    """Normalise and rotate the queries in `qkv` and the keys behind them; copy keys and values to the cache."""
    keys, values = cache.keys, cache.values
    shared, size = keys.shape[2], keys.shape[4]
    half = size // 2
    for head in range(count + shared):
        at = head * size
        if len(heads.q_norm):
            weight = heads.q_norm if head < count else heads.k_norm
            square = np.float32(0)
            for d in range(size):
                square += qkv[at + d] * qkv[at + d]
            scale = np.float32(1) / np.sqrt(square / np.float32(size) + EPS)
            for d in range(size):
                qkv[at + d] *= scale * weight[layer, d]
        if len(heads.cosine):
            for d in range(half):
                left, right = qkv[at + d], qkv[at + half + d]
                cosine, sine = heads.cosine[position, d], heads.sine[position, d]
                qkv[at + d] = left * cosine - right * sine
                qkv[at + half + d] = right * cosine + left * sine
    for head in range(shared):
        at = (count + head) * size
        for d in range(size):
            keys[layer, slot, head, position, d] = qkv[at + d]
            values[layer, slot, head, position, d] = qkv[at + shared * size + d]
