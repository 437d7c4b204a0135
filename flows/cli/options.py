"""Options that several commands take."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from infra.errors import UserError
from infra.lake import LAKE_VARIABLE, Lake

Command = TypeVar("Command", bound=Callable[..., Any])


def lake_option(command: Command) -> Command:
    """Add `--lake DIR`, as a Lake."""
    return click.option(
        "--lake",
        metavar="DIR",
        envvar=LAKE_VARIABLE,
        default=None,
        callback=_opened,
        help="Folder that everything is written to.  [default: ./lake]",
    )(command)


def _opened(_context: click.Context, _parameter: click.Parameter, address: str | None) -> Lake:
    try:
        return Lake.at(address)
    except UserError as error:
        raise click.BadParameter(str(error)) from error


def registry_option(command: Command) -> Command:
    """Add `--registry URI`, which is `$MLFLOW_TRACKING_URI` for this command and what it starts."""
    return click.option(
        "--registry",
        metavar="URI",
        expose_value=False,
        callback=_registry_is,
        help="MLflow store of runs and models: http://…, postgresql://….  [default: in the lake]",
    )(command)


def _registry_is(_context: click.Context, _parameter: click.Parameter, uri: str | None) -> None:
    if uri is not None:
        from infra.services.registry_address import TRACKING_VARIABLE

        os.environ[TRACKING_VARIABLE] = uri


def json_option(command: Command) -> Command:
    """Add `--json`, which prints the report as JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command)


def settings_option(changes: str) -> Callable[[Command], Command]:
    """Add `--set KEY=VALUE`, as a dict of texts in the grammar of `infra.settings`; `changes` begins its help."""
    grammar = "VALUE is a number or text, none, a list such as 4,8, or JSON."
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", callback=_parsed, help=f"{changes}  {grammar}"
    )


def _parsed(_context: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    if not pairs:
        return {}
    from infra.settings import SettingError, parse_assignments

    try:
        return parse_assignments(pairs)
    except SettingError as error:
        raise click.BadParameter(str(error)) from error


encoding_option = click.option("--encoding", metavar="NAME", help="Encoding of notes as tokens.  [default: combined]")
time_option = click.option(
    "--time", type=click.Choice(["seconds", "beats"]), help="Unit that ticks divide.  [default: seconds]"
)
vocabulary_option = click.option(
    "--vocabulary", metavar="NAME|FILE", help="A name, a .toml, or a dataset's vocabulary.json.  [default: musenet]"
)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random numbers."
)
dataset_option = click.option(
    "--dataset", metavar="NAME[@DIGEST]", help="Use the encoding, time and vocabulary of a dataset, learned tokens too."
)
