"""A service with a very small model, and clients that ask its application without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from registry.composer import Composer
from registry.serving.app import create_app
from registry.serving.served import ServedModel
from registry.serving.service import Service
from registry.serving.settings import Limits, ServingSettings
from registry.serving.warming import FIRST

ADDRESS = "http://127.0.0.1"
MakeService = Callable[..., Service]
ClientOf = Callable[..., TestClient]


@pytest.fixture(scope="session")
def make_service(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeService]:
    """Makes a service that serves `composer`, with settings and with `limits` that differ from the defaults."""
    made: list[Service] = []
    composer.answer(FIRST)  # code is compiled before the time of requests counts

    def make(limits: dict[str, Any] | None = None, **settings: Any) -> Service:
        service = Service(ServingSettings(limits=Limits(**(limits or {})), **settings), tmp_path_factory.mktemp("kept"))
        service.serve(ServedModel("champion", composer, "# A card", service.settings.limits))
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture(scope="session")
def service(make_service: MakeService) -> Service:
    """A service with the default settings."""
    return make_service()


@pytest.fixture(scope="session")
def client_of() -> ClientOf:
    """Returns a client of a service's application."""

    def client(service: Service, **options: Any) -> TestClient:
        return TestClient(create_app(service, **options), base_url=ADDRESS, raise_server_exceptions=False)

    return client


@pytest.fixture(scope="session")
def client(service: Service, client_of: ClientOf) -> TestClient:
    return client_of(service)
