"""The stages of the chain: the event of one starts the deployment of the next, by an automation of Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from flows.chain.events import (
    CriticTrained,
    DatasetPublished,
    Event,
    ModelEvaluated,
    ModelPromoted,
    ModelRegistered,
    RunTrained,
)
from flows.chain.resources import ALIAS, CANDIDATE, REUSED, SUBFLOW
from flows.criticism.parameters import CriticParameters
from flows.evaluation.settings import EvaluateParameters
from flows.promotion.parameters import PromoteParameters
from flows.registration.registration import RegisterParameters
from flows.studio.parameters import PrepareParameters
from flows.training.parameters import TrainParameters
from infra.services.automations import Automation, at_each, starting
from registry.models import CHAMPION

NAME = "musenet chain: {}"
"""Names of the automations, by their deployments."""


@dataclass(frozen=True)
class Stage:
    """The run of a deployment, and the event that starts it."""

    deployment: str
    parameters: type[BaseModel]
    """Those of its flow."""
    follows: type[Event]
    fields: Mapping[str, str]
    """Parameters that the event gives: the field of its payload by the parameter."""
    does: str
    """What the automation does, as its description."""
    only: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Labels that the event's resource must have."""

    def templates(self) -> dict[str, str]:
        """Return the parameters that the event gives, as templates."""
        return {parameter: f"{{{{ event.payload.{name} }}}}" for parameter, name in self.fields.items()}

    def automation(self, deployment_id: str, further: Mapping[str, Any], resources: tuple[str, ...] = ()) -> Automation:
        """Return the automation that starts the deployment.

        `further`: parameters beside those of the event. `resources`: ids of the resources whose events it follows, a
        `*` at the end for all that begin so; none: all.
        """
        about: dict[str, Any] = {"prefect.resource.id": list(resources)} if resources else {}
        return Automation(
            name=NAME.format(self.deployment),
            description=f"{self.does} Follows {self.follows.event}.",
            trigger=at_each(self.follows.event, {**about, REUSED: "false", SUBFLOW: "false", **self.only}),
            action=starting(deployment_id, {**further, **self.templates()}),
            enabled=False,
        )


CHAIN: tuple[Stage, ...] = (
    Stage(
        "train",
        TrainParameters,
        DatasetPublished,
        {"dataset": "dataset", "lake": "lake"},
        "Train on a new dataset version.",
    ),
    Stage(
        "critic",
        CriticParameters,
        RunTrained,
        {"run": "run", "lake": "lake"},
        "Train the critic of a run that has ended.",
    ),
    Stage(
        "register",
        RegisterParameters,
        CriticTrained,
        {"run": "run", "lake": "lake"},
        "Register a run whose critic is trained, as candidate.",
    ),
    Stage(
        "evaluate",
        EvaluateParameters,
        ModelRegistered,
        {"source": "version", "against": "champion", "lake": "lake"},
        "Measure a new version, beside the champion where there is one.",
    ),
    Stage(
        "promote",
        PromoteParameters,
        ModelEvaluated,
        {"model": "version", "lake": "lake"},
        "Make the candidate champion once it is measured, if the gate lets it.",
        {CANDIDATE: "true"},
    ),
    Stage(
        "prepare-samples",
        PrepareParameters,
        ModelPromoted,
        {"model": "version", "lake": "lake"},
        "Compose samples with a new champion, for the studio.",
        {ALIAS: CHAMPION},
    ),
)
"""The stages in their order; where an automation is switched off, the chain ends before its stage."""
