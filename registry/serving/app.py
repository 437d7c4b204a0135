"""The application: routes, guards, errors in one sentence, and the page if it is built."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

import registry
from infra.errors import MusenetError, UserError, message_of
from infra.settings import sentence_of
from registry.requests import PieceRequest
from registry.serving.answers import ErrorAnswer, HealthAnswer, ReadyAnswer
from registry.serving.guards import Guards
from registry.serving.jobs import Cancelled
from registry.serving.routes import v1
from registry.serving.scheduler import Busy, Unavailable
from registry.serving.service import Service
from registry.serving.streams import DEFECT
from registry.studio.routes import studio

LOG = logging.getLogger(__name__)
PAGE = Path(registry.__path__[0]) / "studio" / "built"
"""The files of the page."""
ABOUT = "A model of music over HTTP: composing, going on, infilling and judging, with notes while they are made."
CLIENT_GONE = 499
"""Status that nobody reads."""


def create_app(service: Service, page: Path = PAGE) -> FastAPI:
    """Return the application that answers from a service; `page`: folder of the page, which may not be there."""
    needs_token = [] if service.settings.token is None else [Depends(HTTPBearer(auto_error=False))]
    app = FastAPI(title="musenet", version=version("musenet"), description=ABOUT, docs_url=None, redoc_url=None)
    app.add_middleware(Guards, settings=service.settings)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(MusenetError, _failed)
    app.add_exception_handler(Exception, _defect)
    app.include_router(v1(service), dependencies=needs_token)
    app.include_router(studio(service), dependencies=needs_token)

    @app.get("/healthz")
    def health() -> HealthAnswer:
        """Say that the process answers."""
        return HealthAnswer(status="ok")

    @app.get("/readyz", responses={503: {"model": ReadyAnswer}})
    def ready(response: Response) -> ReadyAnswer:
        """Say whether requests are taken."""
        scheduler = service.scheduler
        status = "draining" if scheduler.is_draining else service.state
        response.status_code = 200 if status == "ready" else 503
        return ReadyAnswer.model_validate(
            {
                "status": status,
                "version": service.version,
                "running": scheduler.running,
                "queued": scheduler.queued,
            }
        )

    @app.get("/metrics", response_class=PlainTextResponse, dependencies=needs_token)
    def metrics() -> Response:
        """Return figures for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    if page.is_dir():
        app.frontend("/", directory=page, fallback=None)
    return app


def _error(status: int, sentence: str, retry_after: int | None = None) -> JSONResponse:
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    sentence = sentence.encode(errors="replace").decode()  # what is cited may hold half a surrogate pair
    return JSONResponse(ErrorAnswer(error=sentence).model_dump(), status, headers)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    faults = [{**fault, "loc": fault["loc"][1:]} for fault in error.errors()]
    if faults[0]["type"] == "json_invalid":
        return _error(422, f"the body is no JSON: {faults[0]['ctx']['error']} at character {faults[0]['loc'][0]}")
    if not faults[0]["loc"] and faults[0]["type"] in ("missing", "model_attributes_type"):
        return _error(422, "send a JSON object as the body, with `Content-Type: application/json`")
    return _error(422, sentence_of(faults, PieceRequest))


async def _refused(_: Request, error: Any) -> JSONResponse:
    if error.status_code == 400:
        return _error(422, "the body is no JSON in UTF-8")
    headers = dict(error.headers or {})
    return JSONResponse(ErrorAnswer(error=str(error.detail)).model_dump(), error.status_code, headers)


async def _failed(_: Request, error: Any) -> JSONResponse:
    if isinstance(error, Cancelled):
        return _error(CLIENT_GONE, message_of(error))
    if isinstance(error, Busy):
        return _error(503 if isinstance(error, Unavailable) else 429, message_of(error), error.retry_after)
    if isinstance(error, UserError):
        return _error(422, message_of(error))
    LOG.error("a request failed: %s", message_of(error))
    return _error(503, message_of(error), retry_after=5)


async def _defect(_: Request, error: Any) -> JSONResponse:
    return _error(500, DEFECT)
