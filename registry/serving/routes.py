"""The routes of the application under `/v1`."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from infra.errors import UserError, message_of
from registry.openings import list_openings
from registry.serving.answers import (
    ErrorAnswer,
    ModelsAnswer,
    OpeningAnswer,
    OpeningsAnswer,
    PieceAnswer,
    ScoreAnswer,
    StylesAnswer,
)
from registry.serving.bodies import ComposeBody, ContinueBody, InfillBody, ScoreBody
from registry.serving.jobs import Job
from registry.serving.service import Asked, Service
from registry.serving.streams import answer_of, events_of

JSON, EVENTS, AUDIO = "application/json", "text/event-stream", "audio/midi"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Digest = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Of a request.")]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer} for status in statuses}


PIECE: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PieceAnswer,
        "description": "The piece; with `stream` events: queued, begun, notes, progress, ranking, finished, failed.",
        "content": {EVENTS: {"schema": {"type": "string"}}},
    },
    **_errors(413, 422, 429, 503),
}


def v1(service: Service) -> APIRouter:
    """Return the routes that answer from a service."""
    router = APIRouter(prefix="/v1", responses=_errors(401))

    async def answered(request: Request, streams: bool, make: Callable[[], tuple[Asked, Job[bytes]]]) -> Response:
        asked, job = await run_in_threadpool(make)
        service.scheduler.submit(job)
        if streams:
            events = events_of(asked, job, service.scheduler)
            return StreamingResponse(events, media_type=EVENTS, headers=STREAM_HEADERS)
        return Response(await answer_of(job, service.scheduler, request), media_type=JSON)

    @router.post("/compose", response_model=PieceAnswer, responses=PIECE)
    async def compose(body: ComposeBody, request: Request) -> Response:
        """Compose a piece: its candidates, the best first."""
        return await answered(request, body.stream, lambda: service.compose(body))

    @router.post("/continue", response_model=PieceAnswer, responses=PIECE)
    async def go_on(body: ContinueBody, request: Request) -> Response:
        """Go on from a candidate, from its end or from an earlier place, as it would have or otherwise."""
        return await answered(request, body.stream, lambda: service.go_on(body))

    @router.post("/infill", response_model=PieceAnswer, responses=PIECE)
    async def infill(body: InfillBody, request: Request) -> Response:
        """Compose a part of a given piece anew; the rest stays note for note."""
        return await answered(request, body.stream, lambda: service.compose(body))

    @router.post("/score", response_model=ScoreAnswer, responses=_errors(413, 422, 429, 503))
    async def score(body: ScoreBody, request: Request) -> Response:
        """Judge a piece: the critic's score along it, and how likely the model finds it."""
        job = await run_in_threadpool(lambda: service.score(body))
        service.scheduler.submit(job)
        return Response(await answer_of(job, service.scheduler, request), media_type=JSON)

    @router.get("/models", responses=_errors(503))
    def models() -> ModelsAnswer:
        """Describe the model that is served."""
        return ModelsAnswer(models=[service.model.about])

    @router.get("/styles", responses=_errors(503))
    def styles() -> StylesAnswer:
        """Return the styles of the model on a map."""
        return service.model.styles

    @router.get("/openings", responses=_errors(404, 422, 503))
    def openings(
        style: Annotated[str | None, Query(description="Of this style only.")] = None,
        search: Annotated[str, Query(description="Part of the name.")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> OpeningsAnswer:
        """List pieces of the model's dataset, to begin like."""
        try:
            dataset = service.model.composer.dataset
        except UserError as error:
            raise HTTPException(404, message_of(error)) from error
        found = [
            each
            for each in list_openings(dataset)
            if search.lower() in each.name.lower() and (style is None or each.style == style)
        ]
        shown = [
            OpeningAnswer(
                name=each.name,
                style=each.style,
                split=each.split,
                notes=each.notes,
                seconds=each.seconds,
                is_trained_on=each.is_trained_on,
            )
            for each in found[offset : offset + limit]
        ]
        return OpeningsAnswer(total=len(found), openings=shown)

    def kept(digest: str) -> bytes:
        answer = service.kept.get(digest)
        if answer is None:
            raise HTTPException(404, f"no answer {digest} is kept; compose it anew")
        return answer

    @router.get("/pieces/{digest}", response_model=PieceAnswer, responses=_errors(404, 422))
    def piece(digest: Digest) -> Response:
        """Return an earlier answer again, byte for byte."""
        return Response(kept(digest), media_type=JSON)

    @router.get(
        "/pieces/{digest}/midi",
        response_class=Response,
        responses={200: {"content": {AUDIO: {"schema": {"type": "string", "format": "binary"}}}}, **_errors(404, 422)},
    )
    def midi(
        digest: Digest,
        candidate: Annotated[int | None, Query(ge=0, description="Its number; none: the best.")] = None,
    ) -> Response:
        """Return the MIDI file of a candidate of an earlier answer."""
        answer = PieceAnswer.model_validate_json(kept(digest))
        chosen = [each for each in answer.candidates if candidate in (None, each.number)]
        if not chosen:
            raise HTTPException(404, f"the answer has no candidate {candidate}")
        headers = {"Content-Disposition": f'attachment; filename="{chosen[0].name}.mid"'}
        return Response(b64decode(chosen[0].midi), media_type=AUDIO, headers=headers)

    return router
