"""The commands `musenet models …` that list, show, copy and delete model versions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import show
from flows.cli.running import FAILED, errors
from infra.lake import Lake

if TYPE_CHECKING:
    from registry.models import RegisteredModel
    from registry.store import Registry

model_argument = click.argument("model", metavar="MODEL")


@click.group(invoke_without_command=True)
@lake_option
@registry_option
@json_option
@click.pass_context
def models(context: click.Context, lake: Lake, as_json: bool) -> None:
    """List, compare, promote and move registered model versions."""
    if context.invoked_subcommand:
        return
    _list(lake, as_json)


@models.command(name="list")
@lake_option
@registry_option
@json_option
def list_command(lake: Lake, as_json: bool) -> None:
    """List all versions with aliases, losses and datasets."""
    _list(lake, as_json)


def _list(lake: Lake, as_json: bool) -> None:
    with opened_registry(lake) as registry:
        from registry.models import list_models

        found = [] if registry is None else list_models(registry)
    lines = [
        f"version {m.version}  {', '.join(m.aliases) or '-'}  {m.tags.get('nats_per_note', '-')} nats/note  {m.dataset}"
        for m in found
    ]
    show([_report(m) for m in found], lines or ["no model yet; `musenet register --run best`"], as_json)


@models.command(name="show")
@model_argument
@lake_option
@registry_option
@json_option
def show_command(model: str, lake: Lake, as_json: bool) -> None:
    """Show a version's card, its tags and the history of its aliases."""
    with opened_version(model, lake) as (registry, found):
        from registry.aliases import alias_history
        from registry.cards import card_of

        card = card_of(registry, found)
        history = {alias: alias_history(registry, alias) for alias in found.aliases}
    lines = [f"# Version {found.version}  {', '.join(found.aliases)}", "", card, "## Tags", ""]
    lines += [f"{name}: {value}" for name, value in sorted(found.tags.items())]
    for alias, changes in history.items():
        lines += [f"{alias}: version {c.version} since {c.at:%Y-%m-%d %H:%M} ({c.how} by {c.by})" for c in changes]
    changes_of = {alias: [c.model_dump(mode="json") for c in changes] for alias, changes in history.items()}
    show({**_report(found), "card": card, "history": changes_of}, lines, as_json)


@models.command()
@model_argument
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@lake_option
@registry_option
def pull(model: str, folder: Path, lake: Lake) -> None:
    """Copy a version's files into a new folder, which MLflow can load and serve; each is checked."""
    with opened_version(model, lake) as (registry, found):
        import shutil

        from infra.errors import UserError
        from infra.files import publish_folder, staging_folder
        from registry.pulling import pull_version

        if folder.exists():
            raise UserError(f"{folder} is there already; name a new folder")
        source = pull_version(registry, found)
        with staging_folder(folder.absolute().parent) as staged:
            shutil.copytree(source, staged, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            publish_folder(staged, folder.absolute())
    click.echo(f"version {found.version}: {folder}")


@models.command()
@model_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--half", is_flag=True, help="Round the weights to 16 bits: half the size, which the card says.")
@lake_option
@registry_option
def export(model: str, file: Path, half: bool, lake: Lake) -> None:
    """Write a version to one file, with the digests of all it holds."""
    with opened_version(model, lake) as (registry, found):
        from registry.transfer import export_version

        export_version(registry, found, file.absolute(), half)
    click.echo(f"version {found.version}: {file}, {file.stat().st_size / 1e6:,.1f} MB")


@models.command(name="import")
@click.argument("file", metavar="FILE|FOLDER|starter", type=click.Path(path_type=Path))
@click.option("--alias", metavar="NAME", help="Alias to give it; `champion` asks the gate.")
@lake_option
@registry_option
def import_command(file: Path, alias: str | None, lake: Lake) -> None:
    """Register the version in a file that `export` wrote, or its unpacked content, once all digests are checked.

    `starter` is the model that ships with musenet.
    """
    with errors():
        os.environ.update(_environment(lake))
        from flows.chain import announcing
        from flows.registration.importing import import_model

        with announcing(lake):
            found, refused = import_model(lake, file, alias)
    named = f", {', '.join(found.aliases)}" if found.aliases else ""
    click.echo(f"version {found.version}{named}, run {found.tags.get('run', '-')}, dataset {found.dataset}")
    if refused is not None:
        click.echo(f"musenet: {refused}", err=True)
        sys.exit(FAILED)


@models.command()
@model_argument
@click.option("--yes", is_flag=True, help="Delete; without it the command only says what would go.")
@lake_option
@registry_option
def delete(model: str, yes: bool, lake: Lake) -> None:
    """Delete a version without aliases, and its files."""
    with opened_version(model, lake) as (registry, found):
        if yes:
            from flows.retention.guard import alone
            from registry.transfer import delete_version

            with alone(lake):
                delete_version(registry, found)
    what = f"version {found.version} ({found.dataset})"
    click.echo(f"{what} is deleted" if yes else f"{what} would be deleted; `musenet models delete --yes` does it")


def _report(model: RegisteredModel) -> dict[str, Any]:
    return {**asdict(model), "tags": dict(model.tags)}


def _environment(lake: Lake) -> dict[str, str]:
    from infra.services import library_environment

    return library_environment(lake)


@contextmanager
def opened_registry(lake: Lake) -> Iterator[Registry | None]:
    """Open a lake's registry, with errors in one line; None where there is none."""
    with errors():
        os.environ.update(_environment(lake))
        from infra.services.registry_address import has_registry
        from registry.store import Registry

        yield Registry.open(lake) if has_registry(lake) else None


def existing(registry: Registry | None, lake: Lake) -> Registry:
    from infra.errors import UserError

    if registry is None:
        raise UserError(f"{lake.root} has no registry; `musenet register --run best` makes one")
    return registry


@contextmanager
def opened_version(reference: str, lake: Lake) -> Iterator[tuple[Registry, RegisteredModel]]:
    """Open a lake's registry and find a version in it, with errors in one line."""
    with errors():
        os.environ.update(_environment(lake))
        from registry.loading import find_registered

        yield find_registered(reference, lake)
