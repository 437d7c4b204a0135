"""The command `openings`: the pieces of a dataset that a sample can begin like."""

from __future__ import annotations

from dataclasses import asdict

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import show
from flows.cli.running import errors
from infra.lake import Lake


@click.command()
@click.argument("style", required=False)
@click.option("--model", default="champion", show_default=True, help="Alias or version number, whose dataset is taken.")
@click.option("--dataset", metavar="NAME[@DIGEST]", help="Dataset to list instead of a model's.")
@click.option("--training", is_flag=True, help="List the pieces that models are trained on, too.")
@lake_option
@registry_option
@json_option
def openings(style: str | None, model: str, dataset: str | None, training: bool, lake: Lake, as_json: bool) -> None:
    """List pieces that `musenet sample --opening` can begin like: of one STYLE, or all.

    Pieces of the training split, which a model may know by heart, are left out unless asked for.
    """
    with errors():
        from infra.errors import unknown_name
        from registry.openings import list_openings
        from tokenization.dataset import find_version

        version = find_version(lake, dataset or _dataset_of(model, lake)).local(lake)
        found = list_openings(version)
        if style is not None:
            styles = dict.fromkeys(opening.style or "" for opening in found)
            if style not in styles:
                raise unknown_name(f"style in {version.name}", style, [name for name in styles if name])
            found = [opening for opening in found if opening.style == style]
    hidden = 0 if training else sum(opening.is_trained_on for opening in found)
    shown = [opening for opening in found if training or not opening.is_trained_on]
    width = max((len(opening.name) for opening in shown), default=0)
    lines = [f"{o.name:{width}}  {o.split:10}  {o.notes:6,} notes  {o.seconds:6.0f} s" for o in shown]
    lines += [f"{hidden:,} of the training split are not listed: --training lists them"] if hidden else []
    show([asdict(opening) for opening in shown], lines or ["no pieces"], as_json)


def _dataset_of(model: str, lake: Lake) -> str:
    """Return the dataset version of a registered model. Raises UserError."""
    from infra.services import library_settings

    with library_settings(lake):
        from registry.loading import find_registered

        return find_registered(model, lake)[1].dataset
