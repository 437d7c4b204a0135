"""Autoregressive generation: prefill, then decode one token at a time, sampled among those that the grammar allows.

Pieces may be of any length, under any layout. When the context is full, the window moves on as in training: the header,
then the latest half of the music, with the piece's own time, part and countdown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from modeling.generation.decoder import Decoder
from modeling.generation.pieces import GrowingPieces
from modeling.generation.sampling import SamplingConfig, sample
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import Grammar
from tokenization.encodings.structure import COUNTDOWN
from tokenization.vocabulary import Tokens

Progress = Callable[[int, int], None]
"""Called with the tokens done and the tokens in all."""


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
    """Continue each prompt to a piece.

    `prompts`: headers, possibly with music, without `end`, shape (pieces, n). `lengths`: planned tokens of each piece,
    prompt included; a piece may end up to COUNTDOWN tokens earlier, and then has its `end`. `stop`: tokens after which
    generation stops, whatever the planned length. Raises ValueError for a prompt that fills the context or the length,
    or whose instrumentation has no instruments.
    """
    longest = min(max(lengths), stop or max(lengths))
    _check_prompts(prompts, model.config.context, min(longest, *lengths))
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    planned = np.array(lengths, np.int64)
    playable = encoding.vocabulary.instruments_of(prompts[:, 1])
    # In the data `end` comes when the countdown has run out; a piece may end while it runs.
    ending = Ending.within(planned - COUNTDOWN, planned)
    grammar = Grammar(encoding, playable, ending, sampling.longest_note)
    pieces = GrowingPieces(encoding, planned, longest)
    for column in prompts.T:
        pieces.append(column.astype(np.int64))
        grammar.advance(column.astype(np.int64))

    decoder = Decoder(model, encoding.vocabulary, len(pieces), sampling.guidance)
    while pieces.filled < longest and not grammar.finished.all():
        if decoder.needs_prefill:
            logits = decoder.prefill(pieces.window(model.config.context))
        else:
            logits = decoder.decode_step(pieces.latest())
        allowed = torch.from_numpy(grammar.allowed()).to(device)
        tokens = sample(logits, allowed, sampling, generator).cpu().numpy()
        grammar.advance(tokens)
        pieces.append(tokens)
        grammar.finished |= pieces.filled >= planned
        if on_progress is not None:
            on_progress(pieces.filled, longest)
    return pieces.tokens()


def _check_prompts(prompts: NDArray[np.uint16], context: int, shortest: int) -> None:
    """Raise ValueError for prompts without a whole header or without room for a token."""
    size = prompts.shape[1]
    if not HEADER <= size < min(context, shortest):
        raise ValueError(
            f"a prompt has at least {HEADER} tokens and fewer than the context ({context}) and the length "
            f"({shortest}); this one has {size}"
        )
