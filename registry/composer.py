"""A registered model version that composes: requests are checked first, the network is loaded at the first piece.

from registry import load

piece = load("champion").compose(style="bach", instruments=["piano"], seconds=30)
piece.save("piece.mid")
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from pydantic import ValidationError

from infra.errors import RunError, UserError
from infra.settings import one_line
from registry.identity import ModelIdentity
from registry.piece import Piece
from registry.requests import DEFAULT_LENGTH, SHORTEST, PieceRequest, Prompt, RequestOptions, request_for_model
from tokenization.dataset import read_encoding
from tokenization.dataset.pace import Pace
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from modeling.generation import ModelBundle

ENDLESS = 2**31
"""Length in tokens of a piece that has room for any prompt."""
Progress = Callable[[int, int], None]
"""Called with the tokens done and the tokens in all."""


class Composer:
    """A model version, ready to compose."""

    def __init__(self, files: Path, identity: ModelIdentity, device: str = "cpu") -> None:
        """Use the bundle in the folder `files`; nothing is read yet. `device`: where the network will run."""
        self.files = files
        self.identity = identity
        self.device = device

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that a request may name."""
        return self.encoding.vocabulary.styles

    @property
    def instruments(self) -> tuple[str, ...]:
        """Groups and instruments that a request may name."""
        vocabulary = self.encoding.vocabulary
        names = (*reversed(vocabulary.groups), *(instrument.name for instrument in vocabulary.instruments))
        return tuple(dict.fromkeys(names))

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the model's tokens. Raises RunError."""
        try:
            return read_encoding(self.files)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"no vocabulary and encoding can be read from {self.files}: {error}") from error

    @cached_property
    def pace(self) -> Pace:
        """Tokens a second by style. Raises UserError for a version that was registered without."""
        try:
            return Pace.read(self.files)
        except (OSError, ValueError) as error:
            raise UserError(
                f"version {self.identity.version} of the model does not say how many tokens a second takes: "
                "register its run again with `musenet register`, or give a length in tokens"
            ) from error

    @cached_property
    def bundle(self) -> ModelBundle:
        """Network and critic, loaded at the first use. Raises WeightsError."""
        from modeling.generation import ModelBundle

        return ModelBundle.load(self.files, self.device)

    def check(self, request: PieceRequest, prompt: Prompt | None) -> list[str]:
        """Check a request without loading the network; return what it implies, a line for each point.

        Raises UserError for an unknown style or instrument, for a length in seconds that the model cannot plan, and for
        a prompt that leaves no room.
        """
        vocabulary = self.encoding.vocabulary
        for style in request.styles:
            vocabulary.style_id(style)
        asked = vocabulary.group_mask(request.instruments)
        if prompt is None:
            self.length_of(request, None)
            return []
        found = int(self._prompt_tokens(request, prompt)[1]) - vocabulary.instrumentation_base
        if not (asked and found & ~asked):
            return []
        played, wanted = (", ".join(vocabulary.groups_of_mask(mask)) for mask in (found, asked))
        rest = "others may join them" if request.suggest else f"only {wanted} continue it"
        return [f"the prompt plays {played}; its notes stay, and {rest}"]

    def length_of(self, request: PieceRequest, prompt: Prompt | None) -> int:
        """Return the tokens of the piece that a request asks for, with a length in time a first estimate of them.

        Raises UserError.
        """
        if request.time is not None:
            style = next(iter(request.styles), None)
            return max(SHORTEST, HEADER + self.pace.tokens(style, request.time))
        if request.length is not None:
            return request.length
        return DEFAULT_LENGTH if prompt is None else DEFAULT_LENGTH + len(self._prompt_tokens(request, prompt))

    def _prompt_tokens(self, request: PieceRequest, prompt: Prompt) -> Tokens:
        """Return the prompt's own tokens, whatever instruments are asked for. Raises UserError if it leaves no room."""
        from modeling.generation import prompt_tokens

        alone = request.model_copy(update={"instruments": ()})
        length = request.length or ENDLESS
        return prompt_tokens(self.encoding, request_for_model(alone, length, prompt))

    def answer(self, request: PieceRequest, prompt: Prompt | None = None, on_progress: Progress | None = None) -> Piece:
        """Compose the piece of a request: the best candidate by the critic. Raises UserError and WeightsError."""
        self.check(request, prompt)
        from modeling.generation import compose

        bundle = self.bundle
        best = compose(bundle, request_for_model(request, self.length_of(request, prompt), prompt), on_progress)[0]
        device = str(next(bundle.model.parameters()).device)
        tokens = np.asarray(best.tokens)
        return Piece(request, prompt, self.identity, self.encoding, tokens, best.score, best.index, device)

    def compose(self, **options: Unpack[RequestOptions]) -> Piece:
        """Compose a piece; the options are the fields of `registry.requests.PieceRequest`, all with defaults.

        Raises UserError for options that are unknown, out of range or not the model's.
        """
        try:
            request = PieceRequest.model_validate(options)
        except ValidationError as error:
            raise UserError(one_line(error, PieceRequest)) from error
        return self.answer(request, Prompt.of(request))
