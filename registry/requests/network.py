"""A request in the terms of the network's side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeling.config import DrawingConfig
from modeling.controls import Controls, parse_blend
from registry.requests.piece_request import PieceRequest
from tokenization.midi.notes import DEFAULT_TEMPO
from tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from modeling.generation import Infill, Request


def request_for_model(
    request: PieceRequest, own: DrawingConfig, length: int, prompt: Tokens | None, infill: Infill | None = None
) -> Request:
    """Return the request in the network's terms, for a piece of `length` tokens that begins with those of `prompt`, or
    of which `infill` is composed anew. `own`: how the model is drawn from where the request says nothing."""
    from modeling.generation import ExecutorConfig, Request, SamplingConfig
    from modeling.generation.direction import Direction, controls_of

    drawing = request.drawing(own)
    wishes = {name: getattr(request, name) for name in Controls.model_fields}
    controls = controls_of(drawing, **wishes)
    blend = None if request.blend is None else parse_blend(request.blend)
    return Request(
        style=request.style,
        instruments=request.instruments,
        length=length,
        best_of=request.best_of,
        rank=request.rank,
        prune=request.prune,
        seed=request.seed,
        tempo=DEFAULT_TEMPO if request.tempo is None else request.tempo,
        sampling=SamplingConfig(
            temperature=drawing.temperature,
            top_p=drawing.top_p,
            longest_note=request.longest_note,
            guidance=request.guidance,
            top_k=request.top_k,
            min_p=request.min_p,
            typical=request.typical,
        ),
        prompt=prompt,
        first=request.candidate,
        infill=infill,
        direction=Direction(
            request.time, blend, controls, not request.require, request.instruments, drawing.style_returns
        ),
        executor=ExecutorConfig(weights=request.weights),
    )
