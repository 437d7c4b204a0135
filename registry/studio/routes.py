"""The routes that the page needs besides those of composing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from infra.errors import MusenetError, message_of
from registry.openings import list_openings
from registry.prompts import Prompt
from registry.serving.answers import ErrorAnswer, PieceAnswer
from registry.serving.service import Service
from registry.studio.answers import (
    CopyAnswer,
    OriginalityAnswer,
    SampleAnswer,
    SamplesAnswer,
    SoundfontAnswer,
    SoundfontInfo,
)
from registry.studio.samples import find_sample, list_samples
from registry.studio.soundfonts import find_soundfont

SOUNDFONT = "audio/x-soundfont"
Name = Annotated[str, fastapi.Path(pattern=r"^[\w .+-]{1,200}$", description="Of a sample.")]


class OriginalityBody(BaseModel):
    """A piece to look for in the training pieces."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    piece: str = Field(description="A MIDI file in base64, or tokens in their text form.")


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer} for status in statuses}


def studio(service: Service) -> APIRouter:
    """Return the routes that answer from a service."""
    router = APIRouter(prefix="/v1", responses=_errors(401))

    def prepared() -> Path | None:
        composer = service.model.composer
        return None if composer.lake is None else composer.lake.prepared / composer.identity.digest

    @router.get("/samples", responses=_errors(503))
    def samples() -> SamplesAnswer:
        """List the samples that were composed beforehand, with the model that is served."""
        folder = prepared()
        found = [] if folder is None else list_samples(folder)
        return SamplesAnswer(
            samples=[
                SampleAnswer(
                    name=each.name,
                    style=each.about.request.style,
                    seconds=each.about.seconds,
                    notes=each.about.notes,
                )
                for each in found
            ]
        )

    @router.get("/samples/{name}", response_model=PieceAnswer, responses=_errors(404, 503))
    def sample(name: Name) -> Response:
        """Return a sample as if it had been composed now."""
        model = service.model
        folder = prepared()
        piece = None if folder is None else find_sample(folder, name, model.composer)
        if piece is None:
            raise HTTPException(404, f"there is no sample {name!r} of the model that is served")
        return Response(service.answer_of(model, piece), media_type="application/json")

    @router.post("/originality", responses=_errors(413, 422, 503))
    def originality(body: OriginalityBody) -> OriginalityAnswer:
        """Look for the longest span of a piece that stands in the training pieces of the model."""
        composer = service.model.composer
        prompt = Prompt.of_text(body.piece, "piece")
        notes = composer.encoding.decode(prompt.tokens(composer.encoding, None, None, None))
        try:
            found = composer.find_copies(notes)
            copies = [] if found.copy is None else [found.copy]
            names = {each.piece: each.name for each in list_openings(composer.dataset)} if copies else {}
        except MusenetError as error:
            return OriginalityAnswer(unknown=message_of(error), copied_notes=0, copies=[])
        return OriginalityAnswer(
            unknown=None,
            copied_notes=found.copied_notes,
            copies=[
                CopyAnswer(
                    begin=copy.at,
                    end=round(copy.at + copy.seconds, 3),
                    notes=copy.notes,
                    piece=names.get(copy.piece, copy.piece[:12]),
                )
                for copy in copies
            ],
        )

    @router.get("/soundfont")
    def soundfont() -> SoundfontAnswer:
        """Describe the soundfont that is installed here."""
        found = find_soundfont()
        if found is None:
            return SoundfontAnswer(soundfont=None)
        size = found.path.stat().st_size
        return SoundfontAnswer(soundfont=SoundfontInfo(name=found.path.name, licence=found.licence, bytes=size))

    @router.get(
        "/soundfont/file",
        response_class=FileResponse,
        responses={200: {"content": {SOUNDFONT: {"schema": {"type": "string", "format": "binary"}}}}, **_errors(404)},
    )
    def soundfont_file() -> FileResponse:
        """Return the soundfont."""
        found = find_soundfont()
        if found is None:
            raise HTTPException(404, "no soundfont is installed: name a file by $MUSENET_SOUNDFONT")
        return FileResponse(found.path, media_type=SOUNDFONT)

    return router
