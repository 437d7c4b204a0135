"""The server: the application behind uvicorn, on an alias of a lake's registry, until a signal ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from infra.errors import UserError
from infra.lake import Lake
from registry.loading import find_registered
from registry.models import RegisteredModel, find_model
from registry.serving.app import create_app
from registry.serving.following import Follower
from registry.serving.guards import is_loopback
from registry.serving.served import ServedModel
from registry.serving.service import Service
from registry.serving.settings import ServingSettings
from registry.serving.warming import Warming
from registry.store import Registry

LAST_SECONDS = 1.0
"""For which connections may write their answers behind the draining."""


def serve(
    reference: str,
    lake: Lake,
    settings: ServingSettings,
    device: str,
    on_start: Callable[[str, str], None],
    on_busy_end: Callable[[], object],
) -> None:
    """Serve the model of an alias or version number until SIGINT or SIGTERM, which are raised again at the end.

    `on_start`: called with the address and the version that will be served. `on_busy_end`: called at the end if a
    thread goes on that cannot be ended, as where a long piece is ranked. Raises UserError for an unknown model, an
    address that cannot be listened on, and one that needs a token; RegistryError.
    """
    if settings.token is None and not is_loopback(settings.host):
        raise UserError(f"other machines reach {settings.host}: give a token that requests have to carry (--token)")
    registry, found = find_registered(reference, lake)
    listening = _listen(settings)
    service = Service(settings, lake.served)
    warming = Warming()
    follower = _follow(reference, registry, lake, service, device, warming)
    host, port, *_ = listening.getsockname()
    on_start(f"http://{f'[{host}]' if ':' in host else host}:{port}", found.version)
    config = uvicorn.Config(
        create_app(service),
        log_level="warning",
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=round(settings.drain_seconds + LAST_SECONDS),
    )
    follower.start()
    try:
        _Server(config, service).run([listening])
    finally:
        follower.close()
        warming.close()
        if not service.close():
            on_busy_end()


class _Server(uvicorn.Server):
    """A server that takes no more jobs on as soon as a signal comes."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain, then shut down."""
        self._service.scheduler.drain(self._service.settings.drain_seconds)
        super().handle_exit(sig, frame)


def _listen(settings: ServingSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UserError(f"{where} cannot be listened on: {error.strerror}; take another port (--port)") from error


def _follow(
    reference: str, registry: Registry, lake: Lake, service: Service, device: str, warming: Warming
) -> Follower:
    """Return the follower that serves the version of an alias."""

    def look() -> str:
        return find_model(registry, reference).version

    def take_over(version: str) -> None:
        model: RegisteredModel = find_model(registry, version)
        served = ServedModel.load(reference, registry, model, device, lake, service.settings.limits)
        service.serve(served)
        warming.start(served.composer.files)

    return Follower(look, take_over, service.note_failure, service.settings.poll_seconds)
