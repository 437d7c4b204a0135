"""The service behind the application: the model that is served, and the jobs of what is asked of it."""

from __future__ import annotations

import logging
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from infra.digests import canonical_digest
from infra.errors import UserError
from registry.composer import Composer
from registry.piece import Piece
from registry.prompts import Prompt
from registry.requests import PieceRequest
from registry.serving.answers import CandidateAnswer, PieceAnswer
from registry.serving.bodies import ComposeBody, ContinueBody, ScoreBody
from registry.serving.jobs import Job, Told
from registry.serving.kept import KeptAnswers
from registry.serving.listening import note_rows
from registry.serving.metrics import Metrics
from registry.serving.scheduler import Scheduler, Unavailable
from registry.serving.scoring import score
from registry.serving.served import ServedModel
from registry.serving.settings import Limits, ServingSettings
from registry.tree import beginning_of, nodes_of, way_on

if TYPE_CHECKING:
    from modeling.generation import Request, Turns

LOG = logging.getLogger(__name__)
LINK = "/v1/pieces/"


@dataclass(frozen=True)
class Asked:
    """A request to a model, checked."""

    model: ServedModel
    request: PieceRequest
    prompt: Prompt | None
    ahead: int | None
    parent: str | None
    """Digest of the node that it goes on from."""
    notices: list[str]
    """What the request implies."""

    @property
    def digest(self) -> str:
        """Of the request to this model; of a whole piece that of the piece."""
        digest = self.request.digest(self.model.composer.identity.digest, self.prompt)
        if self.ahead is None and self.parent is None:
            return digest
        return canonical_digest({"piece": digest, "ahead": self.ahead, "parent": self.parent})


class Service:
    """What the application answers from."""

    def __init__(self, settings: ServingSettings, folder: Path) -> None:
        """`folder`: where answers are kept."""
        self.settings = settings
        self.metrics = Metrics()
        self.scheduler = Scheduler(settings.limits, self.metrics)
        self.kept = KeptAnswers(folder, settings.kept)
        self._model: ServedModel | None = None
        self._has_failed = False

    def serve(self, model: ServedModel) -> None:
        """Answer further requests by a model; those that are there go on with theirs."""
        if self._model is not None:
            self.metrics.swaps.inc()
        self._model = model
        self.metrics.version.set(int(model.composer.identity.version or 0))

    def note_failure(self) -> None:
        """Take note that a version could not be had; the former one, where there is one, is served on."""
        self.metrics.failed_looks.inc()
        self._has_failed = True

    @property
    def model(self) -> ServedModel:
        """The model that is served. Raises Unavailable while there is none."""
        if self.state == "failed":
            raise Unavailable("the model could not be loaded, and the server's log says why", retry_after=30)
        if self._model is None:
            raise Unavailable("the model is being loaded", retry_after=2)
        return self._model

    @property
    def state(self) -> Literal["ready", "loading", "failed"]:
        """Whether there is a model to serve; `failed` if the first one could not be loaded, until it can."""
        if self._model is not None:
            return "ready"
        return "failed" if self._has_failed else "loading"

    @property
    def version(self) -> str | None:
        """The version that is served; None while the first one is loaded, and for files of no registry."""
        return None if self._model is None else self._model.composer.identity.version

    def close(self) -> bool:
        """Cut short what still runs; return False if a thread goes on that cannot be ended."""
        return self.scheduler.close()

    def compose(self, body: ComposeBody) -> tuple[Asked, Job[bytes]]:
        """Return the job of a piece. Raises UserError for a request that cannot be answered."""
        request, given = body.request()
        model = self.model
        prompt = model.composer.find_prompt(request) if given is None else given
        return self._piece(model, request, prompt, body.ahead, None, body.stream)

    def go_on(self, body: ContinueBody) -> tuple[Asked, Job[bytes]]:
        """Return the job of a piece that goes on from a candidate. Raises UserError."""
        from modeling.generation import tokens_before

        model, node = self.model, body.node
        composer, vocabulary = model.composer, model.composer.encoding.vocabulary
        if node.model != composer.identity.digest:
            raise UserError(
                f"the node is of the model {node.model[:12]!r}, and {composer.identity.digest[:12]} is served: compose "
                "anew with its tokens as prompt"
            )
        at = body.at
        if body.at_seconds is not None:
            at = tokens_before(composer.encoding, np.asarray(vocabulary.from_text(node.tokens)), body.at_seconds)
        request, prompt = way_on(composer, node, at, body.changes.given())
        return self._piece(model, request, prompt, body.ahead, node.digest, body.stream)

    def score(self, body: ScoreBody) -> Job[bytes]:
        """Return the job of a judgement. Raises UserError for what is no music."""
        composer, limits = self.model.composer, self.settings.limits
        piece = Prompt.of_text(body.piece, "piece")
        tokens = piece.tokens(composer.encoding, None, None, None)
        if body.style is not None:
            tokens[0] = composer.encoding.vocabulary.style_id(body.style)
        if len(tokens) > limits.tokens:
            raise UserError(f"the piece has {len(tokens):,} tokens; this server takes {limits.tokens:,} at most")

        def work(_: Job[bytes]) -> Turns[bytes]:
            found: bytes = yield lambda: score(composer, tokens).model_dump_json().encode()
            return found

        return Job(0, self.model, work)

    def _piece(
        self,
        model: ServedModel,
        request: PieceRequest,
        prompt: Prompt | None,
        ahead: int | None,
        parent: str | None,
        listens: bool,
    ) -> tuple[Asked, Job[bytes]]:
        from modeling.generation import Watch, rows_at_most

        composer = model.composer
        _check_size(request, self.settings.limits)
        asked = Asked(model, request, prompt, ahead, parent, composer.check(request, prompt))
        prepared = composer.prepare(request, prompt)
        rows = rows_at_most(composer.encoding.vocabulary, prepared)
        _check_prepared(prepared, rows, self.settings.limits)
        model.executor_of(prepared.executor)  # made here, not in the decoder's turn
        stop = None if ahead is None else beginning_of(composer, request, prompt) + ahead

        def work(job: Job[bytes]) -> Turns[bytes]:
            def begin(given: np.ndarray) -> None:
                job.given = given

            def progress(done: int, total: int) -> None:
                job.progress = done, total

            watch = Watch(
                progress,
                begin,
                (lambda numbers, step: job.told.append(Told(numbers, step))) if listens else None,
                lambda: self.scheduler.is_over(job),
                self.scheduler.is_in_haste,
            )
            pieces = yield from composer.composing(request, prompt, watch, stop, model.executor_of)
            answer: bytes = yield lambda: self._answer(asked, pieces, job.cut)
            return answer

        return asked, Job(rows, model, work)

    def answer_of(self, model: ServedModel, piece: Piece) -> bytes:
        """Return the answer to the request of a piece that was composed before, and keep it."""
        return self._answer(Asked(model, piece.request, piece.prompt, None, None, []), [piece], None)

    def _answer(self, asked: Asked, pieces: list[Piece], cut: str | None) -> bytes:
        """Return the answer as JSON, and keep it if it is complete."""
        digest = asked.digest
        composer = asked.model.composer
        nodes = nodes_of(composer, asked.request, asked.prompt, pieces, asked.parent)
        answer = PieceAnswer(
            digest=digest,
            link=None if cut or not self.settings.kept else LINK + digest,
            complete=cut is None,
            message=None if cut is None else f"{cut}; this is what was composed",
            notices=asked.notices,
            model=composer.identity,
            request=asked.request.content(asked.prompt),
            candidates=[
                CandidateAnswer(
                    number=piece.candidate,
                    name=piece.name,
                    score=piece.score,
                    likelihood=piece.likelihood,
                    seam=piece.seam,
                    curve=piece.score_curve,
                    seconds=round(piece.seconds, 4),
                    tokens=len(piece.tokens),
                    has_ended=node.has_ended,
                    instruments=_groups(composer, piece),
                    unheard=[*piece.unheard],
                    notes=note_rows(piece.notes, composer.encoding.vocabulary),
                    midi=b64encode(piece.midi).decode(),
                    node=node,
                )
                for piece, node in zip(pieces, nodes)
            ],
        )
        content = answer.model_dump_json().encode()
        if answer.link is not None:
            try:
                self.kept.put(digest, content)
            except OSError as error:
                LOG.warning("the answer %s cannot be kept: %s", digest, error)
                return answer.model_copy(update={"link": None}).model_dump_json().encode()
        return content


def _groups(composer: Composer, piece: Piece) -> list[str]:
    vocabulary = composer.encoding.vocabulary
    return [*vocabulary.groups_of_mask(int(piece.tokens[1]) - vocabulary.instrumentation_base)]


def _check_size(request: PieceRequest, limits: Limits) -> None:
    """Raise UserError for a request of more than the server takes on."""
    if request.best_of > limits.candidates:
        raise UserError(f"best_of = {request.best_of}: this server composes {limits.candidates} candidates at most")
    if request.time is not None and request.time > limits.seconds:
        raise UserError(f"the piece would last {request.time:g} s; on this server it has {limits.seconds:g} s at most")


def _check_prepared(prepared: Request, rows: int, limits: Limits) -> None:
    tokens = max(prepared.length, 0 if prepared.prompt is None else len(prepared.prompt))
    if tokens > limits.tokens:
        raise UserError(f"the piece would have {tokens:,} tokens; on this server it has {limits.tokens:,} at most")
    if rows > limits.rows:
        raise UserError(
            f"its candidates take {rows} rows of the decoder, {limits.rows} of which this server has: ask for fewer "
            "candidates (best_of), or for fewer styles or no guidance"
        )
