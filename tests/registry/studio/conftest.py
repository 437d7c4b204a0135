"""The studio in a real browser: a server with a very small model, and Chromium without a window."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from infra.lake import Lake
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.serving.app import create_app
from registry.serving.served import ServedModel
from registry.serving.service import Service
from registry.serving.settings import Limits, ServingSettings
from registry.serving.warming import FIRST
from tests.registry.studio.sample_files import write_sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
CARD = "# A card\n\n| a | b |\n|---|---|\n| 1 | 2 |"
PATIENCE = 60_000
"""Milliseconds that an expectation is waited for at most; tests run beside others."""


@pytest.fixture(scope="session")
def composer(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Composer:
    """A model in a lake, with a sample of each style that was composed beforehand."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    composer = Composer(bundle, ModelIdentity.of_files(bundle), lake=lake)
    for style in composer.styles:
        folder = lake.prepared / composer.identity.digest
        write_sample(composer, folder, style=style, length=96, best_of=1, rank="none")
    return composer


@pytest.fixture(scope="session")
def address(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the studio, by its address."""
    composer.answer(FIRST)  # code is compiled before the time of requests counts
    settings = ServingSettings(limits=Limits(upload_bytes=256 * 1024))
    with served(composer, settings, tmp_path_factory.mktemp("kept")) as address:
        yield address


@pytest.fixture
def locked_address(composer: Composer, tmp_path: Path) -> Iterator[str]:
    """A server that needs the token "secret", by its address."""
    with served(composer, ServingSettings(token="secret"), tmp_path) as address:
        yield address


@contextmanager
def served(composer: Composer, settings: ServingSettings, kept: Path) -> Iterator[str]:
    """Serve a model as long as the block runs."""
    service = Service(settings, kept)
    service.serve(ServedModel("champion", composer, CARD, settings.limits))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(service), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    service.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("the studio is tested in Chromium, which is not installed: `apt-get install chromium`")
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the page at a size, in a browser without memory; what its scripts complain of fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(width: int = 1280, height: int = 800, view: str = "", **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message.text) else None)
        page.goto(f"{address}/#/{view}")
        page.locator("main h1").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def _is_complaint(text: str) -> bool:
    return "Content Security Policy" in text or "Uncaught" in text
