"""Generation: sample pieces with a key-value cache, any length, any layout.

When the context is full, the window moves on as in training: header, then the latest half of the music, with
the piece's own time, part and countdown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import linear

from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.grammar import Grammar
from tokenization.encodings.structure import COUNTDOWN, FIELDS, Features, Stepper
from tokenization.vocabulary import Tokens, Vocabulary

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is drawn."""

    temperature: float = 1.0
    top_p: float = 0.95
    """Nucleus: the most probable tokens that together have this probability (Holtzman et al., 2020)."""
    longest_note: float = 8.0
    """Seconds, in beats at 120 a minute, after which a note has to end before time goes on."""
    guidance: float = 1.0
    """Above 1, style and instrumentation are followed more closely than in the data: logits go so many times the way
    from what the model says without them to what it says with them (Ho and Salimans, 2022, "Classifier-free diffusion
    guidance"), at twice the work."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 1 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be at least 1 and finite, not {self.guidance}")


@torch.inference_mode()
def generate(
    model: MuseNet,
    encoding: Encoding,
    prompts: NDArray[np.uint16],
    lengths: Sequence[int],
    sampling: SamplingConfig,
    seed: int,
    stop: int | None = None,
    on_progress: Progress | None = None,
) -> list[Tokens]:
    """Continuations of prompts, one each.

    `prompts`: header and possibly music, without `end`, shape (count, n). `lengths`: the tokens that each piece
    shall have, prompt included; it may end up to COUNTDOWN tokens earlier, and then has its `end`. `stop`: go no
    further than so many tokens, whatever the piece's length. Raises ValueError for a prompt that fills the context
    or the length, or whose instrumentation has no instruments.
    """
    given = prompts.shape[1]
    longest = min(max(lengths), stop or max(lengths))
    shortest = min(longest, *lengths)
    if not HEADER <= given < min(model.config.context, shortest):
        raise ValueError(
            f"a prompt has at least {HEADER} tokens and fewer than the context ({model.config.context}) and the "
            f"length ({shortest}); this one has {given}"
        )
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    planned = np.array(lengths, np.int64)
    playable = encoding.vocabulary.instruments_of(prompts[:, 1])
    # In the data `end` comes when the countdown has run out; a piece may end while it runs.
    grammar = Grammar(encoding, playable, planned - COUNTDOWN, sampling.longest_note)
    pieces = _Pieces(encoding, planned, longest)
    for column in prompts.T:
        pieces.append(column.astype(np.int64))
        grammar.advance(column.astype(np.int64))

    predictor = _Predictor(model, encoding.vocabulary, pieces, sampling.guidance)
    while pieces.filled < longest and not grammar.finished.all():
        logits = predictor.next_logits()
        allowed = torch.from_numpy(grammar.allowed()).to(device)
        chosen = draw(logits, allowed, sampling, generator).cpu().numpy()
        grammar.advance(chosen)
        pieces.append(chosen)
        grammar.finished |= pieces.filled >= planned
        if on_progress is not None:
            on_progress(pieces.filled, longest)
    return pieces.finished()


def draw(logits: Tensor, allowed: Tensor, sampling: SamplingConfig, generator: torch.Generator) -> Tensor:
    """One id per row from logits of shape (batch, vocabulary), among the allowed ones, shape (batch,)."""
    scores = logits.float().masked_fill(~allowed, -torch.inf) / sampling.temperature
    probability, order = scores.softmax(-1).sort(descending=True)
    behind = probability.cumsum(-1) - probability
    probability = probability.masked_fill(behind >= sampling.top_p, 0.0)
    pick = torch.multinomial(probability, 1, generator=generator)
    return order.gather(-1, pick)[:, 0]


class _Predictor:
    """The logits of each piece's next token; keeps keys and values from call to call.

    With guidance every piece has a second row, whose header tells neither style nor instrumentation.
    """

    def __init__(self, model: MuseNet, vocabulary: Vocabulary, pieces: _Pieces, guidance: float) -> None:
        self.model = model
        self.pieces = pieces
        self.guidance = guidance
        self.untold = torch.tensor([vocabulary.no_style, vocabulary.no_instrumentation])
        self.copies = 1 if guidance == 1 else 2
        self.cache = model.new_cache(self.copies * len(pieces.lengths))
        self.table = model.output_table()
        self.held = 0

    def next_logits(self) -> Tensor:
        """Shape (count, vocabulary)."""
        context = self.model.config.context
        is_first = self.held in (0, context)
        batch = self.pieces.window(context) if is_first else self.pieces.latest()
        if self.copies == 2:
            batch = Batch(*(x.repeat(2, 1) for x in batch if x is not None))
            if is_first:
                batch.tokens[len(self.pieces.lengths) :, : len(self.untold)] = self.untold
        batch = batch.to(self.table.device)
        states = self.model.states(batch, self.cache, first=0 if is_first else self.held)[:, -1]
        self.held = batch.tokens.shape[1] if is_first else self.held + 1
        logits = linear(states, self.table)
        if self.copies == 1:
            return logits
        told, untold = logits.float().chunk(2)
        return untold + self.guidance * (told - untold)


class _Pieces:
    """The tokens and features of a batch of growing pieces."""

    def __init__(self, encoding: Encoding, lengths: NDArray[np.int64], longest: int) -> None:
        self.end = encoding.vocabulary.end
        self.lengths = lengths
        self.stepper = Stepper(lengths, encoding.effects)
        self.rows: NDArray[np.int64] = np.zeros((FIELDS, len(lengths), longest), np.int64)
        self.filled = 0

    def append(self, tokens: NDArray[np.int64]) -> None:
        step: Features = self.stepper.step(tokens)
        self.rows[:, :, self.filled] = tokens, step.time, step.chord, step.part, step.countdown
        self.filled += 1

    def latest(self) -> Batch:
        """The last token, shape (count, 1)."""
        return Batch(*torch.from_numpy(self.rows[:, :, self.filled - 1 : self.filled]))

    def window(self, context: int) -> Batch:
        """All so far or, once that would fill the context, the header and the latest half of a context."""
        recent = self.filled if self.filled < context else context // 2
        where = np.r_[0 : min(HEADER, self.filled), max(HEADER, self.filled - recent) : self.filled]
        return Batch(*torch.from_numpy(self.rows[:, :, where]))

    def finished(self) -> list[Tokens]:
        out = []
        for row, length in zip(self.rows[0, :, : self.filled], self.lengths):
            ends = np.flatnonzero(row == self.end)
            out.append(row[: ends[0] + 1 if len(ends) else length].astype(np.uint16))
        return out
