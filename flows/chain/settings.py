"""Settings of the chain: which datasets it follows, and the parameters of its stages that no event gives.

They are the file `chain.toml` in a lake. A table has the parameters of a stage, by the name of its deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from flows.chain.resources import dataset_resource
from flows.chain.stages import CHAIN, Stage
from infra.errors import UserError, unknown_name
from infra.lake import Lake
from infra.services.automations import Automation
from infra.settings import one_line
from infra.toml_files import toml_content

CHAIN_FILE = "chain.toml"
DATASETS = "datasets"
"""Key of the names of the datasets whose new versions are trained on."""
ANY = "0"
"""Stands for what an event gives, when the other parameters of a stage are checked."""


@dataclass(frozen=True)
class ChainSettings:
    """The content of a `chain.toml`."""

    datasets: tuple[str, ...] = ()
    """Names; empty: all."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    """Parameters by deployment."""

    def automations(self, deployments: Mapping[str, str]) -> list[Automation]:
        """Return the automations of the chain; `deployments` has the ids on the server by name."""
        versions = tuple(dataset_resource(f"{name}@*") for name in self.datasets)
        first = CHAIN[0]
        return [
            stage.automation(
                deployments[stage.deployment],
                self.parameters.get(stage.deployment, {}),
                versions if stage is first else (),
            )
            for stage in CHAIN
        ]


def chain_settings(lake: Lake) -> ChainSettings:
    """Read the lake's `chain.toml`; without one all datasets are followed, by default parameters. Raises UserError."""
    file = lake.root / CHAIN_FILE
    return read_chain(file) if file.exists() else ChainSettings()


def read_chain(file: Path) -> ChainSettings:
    """Read a file of settings. Raises UserError for one that is wrong, with its name."""
    content = toml_content(file)
    try:
        return _settings(content)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _settings(content: Mapping[str, Any]) -> ChainSettings:
    datasets = content.get(DATASETS, [])
    if not isinstance(datasets, list) or not all(isinstance(name, str) for name in datasets):
        raise UserError(f"{DATASETS} = {datasets!r} is no list of names")
    stages = {stage.deployment: stage for stage in CHAIN}
    tables = {name: table for name, table in content.items() if name != DATASETS}
    for name, table in tables.items():
        if name not in stages:
            raise unknown_name("stage of the chain", name, stages)
        if not isinstance(table, dict):
            raise UserError(f"{name} = {table!r} is no table of parameters")
        _check(stages[name], table)
    return ChainSettings(tuple(datasets), tables)


def _check(stage: Stage, table: Mapping[str, Any]) -> None:
    """Raise UserError for parameters that the flow would refuse."""
    for name in table:
        if name in stage.fields:
            raise UserError(f"[{stage.deployment}] {name} is given by the event {stage.follows.event}; leave it out")
    try:
        stage.parameters.model_validate({**table, **dict.fromkeys(stage.fields, ANY)})
    except ValidationError as error:
        raise UserError(f"[{stage.deployment}] {one_line(error, stage.parameters)}") from error
