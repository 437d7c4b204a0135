"""The command `serve`: a model over HTTP; its options are those of `studio`, too."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import click

from flows.cli.options import Command, lake_option, registry_option, settings_option
from flows.cli.running import errors
from infra.lake import Lake

TOKEN_VARIABLE = "MUSENET_TOKEN"


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("model", metavar="[MODEL]", default="champion"),
    click.option("--host", help="Address to listen on; other machines need --token.  [default: 127.0.0.1]"),
    click.option("--port", type=click.IntRange(0, 65535), help="Port; 0: any free one.  [default: 8765]"),
    click.option(
        "--token",
        envvar=TOKEN_VARIABLE,
        help=f"What requests have to carry as a bearer token.  [default: ${TOKEN_VARIABLE}]",
    ),
    click.option(
        "--name", "names", multiple=True, metavar="HOST", help="Name, besides localhost, that the server is called by."
    ),
    click.option("--device", default="cpu", show_default=True, help="PyTorch's name of the device to compose on."),
    settings_option("Change a limit or a time: limits.candidates=8, limits.queue=4, drain_seconds=5."),
    lake_option,
    registry_option,
)


def serving_options(command: Command) -> Command:
    """Add the options of a server, as the arguments of `run_server`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@serving_options
def serve(**options: Any) -> None:
    """Serve a model over HTTP: the version that an alias has, or a fixed one.

    It composes, goes on, infills and scores, for many at once, and streams notes while they are made; the guide says
    how. Another version takes over within seconds of its promotion. SIGTERM lets requests finish.
    """
    run_server(announce, **options)


def run_server(
    on_start: Callable[[str, str], None], model: str, device: str, settings: dict[str, str], lake: Lake, **given: Any
) -> None:
    """Serve until a signal; `on_start` is called with the address and the version."""
    status, is_busy = 0, threading.Event()
    try:
        with errors():
            from infra.services import library_settings
            from infra.settings import apply

            with library_settings(lake):
                from registry.serving.server import serve as run
                from registry.serving.settings import ServingSettings

                content = {name: value for name, value in given.items() if value not in (None, "", ())}
                logging.basicConfig(format="musenet: %(message)s", level=logging.WARNING)
                run(model, lake, apply(ServingSettings, content, settings), device, on_start, is_busy.set)
    except SystemExit as end:
        status = int(end.code or 0)
    if is_busy.is_set():  # a regular end would stop a thread inside of PyTorch, which aborts the process
        from infra.processes import exit_now

        exit_now(status)
    sys.exit(status)


def announce(address: str, version: str) -> None:
    """Print where a version is served."""
    click.echo(f"version {version} of the model is served at {address}   (stop with Ctrl-C)")
