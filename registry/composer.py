"""A registered model version that composes: requests are checked first, the network is loaded at the first piece.

from registry import load

piece = load("champion").compose(style="bach", instruments=["piano"], seconds=30)
piece.save("piece.mid")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from infra.errors import UserError
from infra.lake import Lake
from modeling.config import Rank
from registry.identity import ModelIdentity
from registry.piece import Piece
from registry.prompts import Prompt
from registry.requests import DEFAULT_LENGTH, SHORTEST, PieceRequest, RequestOptions, request_for_model
from registry.spans import parse_span
from registry.version_files import VersionFiles
from tokenization.dataset import DatasetVersion, find_version
from tokenization.dataset.shard_index import ORIGINALITY
from tokenization.encodings import HEADER
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from modeling.generation import Executor, ExecutorConfig, Infill, Request, Turns, Watch
    from registry.openings import Opening
    from tokenization.originality import Originality, OriginalityIndex

Progress = Callable[[int, int], None]
"""Called with the tokens done and the tokens in all."""


class Composer(VersionFiles):
    """A model version, ready to compose."""

    def __init__(self, files: Path, identity: ModelIdentity, device: str = "cpu", lake: Lake | None = None) -> None:
        """Use the bundle in the folder `files`; nothing is read yet.

        `device`: where the network will run. `lake`: where its dataset lies, whose pieces are openings.
        """
        super().__init__(files, identity, device)
        self.lake = lake

    def rank_of(self, request: PieceRequest) -> Rank:
        """Return by what the candidates of a request are ranked. Raises WeightsError."""
        from modeling.generation import resolve_rank

        return resolve_rank(request.rank, self.critic_auc)

    def unranked_because(self, request: PieceRequest) -> str | None:
        """Return why the candidates of a request are not ranked; None if they are, or were not to be."""
        if request.rank != "auto" or request.best_of == 1 or self.rank_of(request) != "none":
            return None
        auc = self.critic_auc
        if auc is None:
            return "the model has no critic that was measured: the first candidate is taken"
        return (
            f"the model's critic was not found to beat chance (AUC {auc.value:.2f}, 95 % interval {auc.low:.2f} to "
            f"{auc.high:.2f}): the first candidate is taken"
        )

    def candidates_for_best(self, request: PieceRequest) -> int:
        """Return the candidates that are generated to find the best: where nothing ranks them, the first is."""
        is_first = self.rank_of(request) == "none" and not request.is_infill  # which is ranked by its seam
        return 1 if is_first else request.best_of

    @cached_property
    def dataset(self) -> DatasetVersion:
        """The dataset version that the model was trained on. Raises UserError where it is not in the lake."""
        what = f"openings and originality need the pieces of {self.identity.dataset}, which"
        if self.lake is None:
            raise UserError(f"{what} are in the model's lake: this one was loaded without its lake")
        try:
            return find_version(self.lake, self.identity.dataset).local(self.lake)
        except UserError as error:
            raise UserError(f"{what} are not in {self.lake.root}: {error}") from error

    @cached_property
    def _training_pieces(self) -> OriginalityIndex:
        from tokenization.originality import OriginalityIndex

        return OriginalityIndex.open(self.dataset.path / ORIGINALITY)

    def originality(self, piece: Piece) -> Originality:
        """Look for spans of a piece in the training pieces of the model, in any key and at any tempo.

        Raises UserError where the dataset is not in the lake, IndexFileError where it has no index.
        """
        return self.find_copies(piece.notes)

    def find_copies(self, notes: Notes) -> Originality:
        """Look for spans of music that the model's encoding has decoded. Raises as `originality`."""
        return self._training_pieces.check(notes)

    def find_opening(self, request: PieceRequest) -> Opening | None:
        """Return the piece of the dataset that a request begins like, None where it names none. Raises UserError."""
        if request.opening is None:
            return None
        from registry.openings import find_opening

        return find_opening(self.dataset, request.opening)

    def find_prompt(self, request: PieceRequest) -> Prompt | None:
        """Read the file or the piece of the dataset that a request begins like. Raises UserError."""
        opening = self.find_opening(request)
        if opening is None:
            return Prompt.of(request)
        from registry.openings import read_opening

        return read_opening(self.dataset, opening)

    def check(self, request: PieceRequest, prompt: Prompt | None) -> list[str]:
        """Check a request without loading the network; return what it implies, a line for each point.

        Raises UserError for an unknown style or instrument, for a length in seconds that the model cannot plan, and for
        a prompt that leaves no room.
        """
        vocabulary = self.encoding.vocabulary
        asked = vocabulary.group_mask(request.instruments)
        begins = self.prepare(request, prompt).prompt
        if begins is None:
            return []
        found = int(begins[1]) - vocabulary.instrumentation_base
        if not (asked and found & ~asked):
            return []
        played, wanted = ", ".join(vocabulary.groups_of_mask(found)), ", ".join(request.instruments)
        which = "only" if request.require else "mostly"
        return [f"the prompt plays {played}; its notes stay, and {which} {wanted} will follow"]

    def length_of(self, request: PieceRequest, prompt: Prompt | None) -> int:
        """Return the tokens of the piece that a request asks for, with a length in time a first estimate of them.

        Raises UserError.
        """
        return self._length(request, self._tokens(request, prompt))

    def _length(self, request: PieceRequest, begins: Tokens | None) -> int:
        if request.time is not None:
            style = next(iter(request.styles), None)
            return max(SHORTEST, HEADER + self.pace.tokens(style, request.time))
        if request.length is not None:
            return request.length
        return DEFAULT_LENGTH if begins is None else DEFAULT_LENGTH + len(begins)

    def _tokens(self, request: PieceRequest, prompt: Prompt | None) -> Tokens | None:
        return None if prompt is None else prompt.tokens(self.encoding, *request.prompt_part)

    def prepare(self, request: PieceRequest, prompt: Prompt | None) -> Request:
        """Return the request for the network, checked. Raises UserError."""
        from modeling.generation import Frame, check_rank, prompt_tokens

        check_rank(self.has_critic, request.rank, request.best_of)
        for style in request.styles:
            self.encoding.vocabulary.style_id(style)
        begins = self._tokens(request, prompt)
        infill = self._infill(request, prompt, begins) if request.is_infill else None
        prepared = request_for_model(request, self.drawing, self._length(request, begins), begins, infill)
        given = prompt_tokens(self.encoding, prepared)
        if infill is not None:
            Frame(self.encoding, given, infill, request.longest_note)
        return prepared

    def _infill(self, request: PieceRequest, prompt: Prompt | None, given: Tokens | None) -> Infill:
        from modeling.generation import Infill

        if prompt is None or given is None:
            raise UserError("infill, replace and add change a given piece: name one as prompt or opening")
        begin, end = 0.0, float("inf")
        if request.infill is not None:
            music = self.encoding.decode(given)
            first = float(music.onset.min(initial=np.inf))
            span = parse_span(request.infill).seconds(music if prompt.is_text else prompt.notes)
            begin, end = (first + at if at else 0.0 for at in span)
        # Who is only added takes nothing away.
        replaced = request.replace or (() if request.add else None)
        return Infill(begin, end, replaced, request.add)

    def answer(self, request: PieceRequest, prompt: Prompt | None = None, on_progress: Progress | None = None) -> Piece:
        """Compose the piece of a request: the best candidate. Raises UserError and WeightsError."""
        return self.candidates(request, prompt, on_progress, best_of=self.candidates_for_best(request))[0]

    def candidates(
        self,
        request: PieceRequest,
        prompt: Prompt | None = None,
        on_progress: Progress | None = None,
        stop: int | None = None,
        best_of: int | None = None,
    ) -> list[Piece]:
        """Compose all candidates of a request, the best first. Raises UserError and WeightsError.

        `stop`: tokens after which they stop, whatever their planned length, to be continued. `best_of`: only so many.
        """
        from modeling.generation import Watch, at_a_stretch

        return at_a_stretch(self.composing(request, prompt, Watch(on_progress), stop, best_of=best_of))

    def composing(
        self,
        request: PieceRequest,
        prompt: Prompt | None,
        watch: Watch,
        stop: int | None = None,
        executor_of: Callable[[ExecutorConfig], Executor] | None = None,
        best_of: int | None = None,
    ) -> Turns[list[Piece]]:
        """Compose the candidates of a request in turn with others: see `modeling.generation.composing`.

        `executor_of`: the executor of a configuration; None: the bundle's own. Raises UserError and WeightsError.
        """
        from modeling.generation import composing

        prepared = replace(self.prepare(request, prompt), stop=stop, best_of=best_of or request.best_of)
        bundle = self.bundle
        executor = (executor_of or bundle.executor)(prepared.executor)
        found = yield from composing(bundle, prepared, executor, watch)
        device = str(next(bundle.model.parameters()).device)
        about = request, prompt, self.identity, self.encoding
        return [
            Piece(
                *about,
                np.asarray(each.tokens),
                each.score,
                each.index,
                device,
                each.seam,
                each.likelihood,
                each.curve,
                request.drawing(self.drawing),
                each.rank,
            )
            for each in found
        ]

    def compose(self, **options: Unpack[RequestOptions]) -> Piece:
        """Compose a piece; the options are the fields of `registry.requests.PieceRequest`, all with defaults.

        Raises UserError for options that are unknown, out of range or not the model's.
        """
        request = PieceRequest.of(options)
        return self.answer(request, self.find_prompt(request))
