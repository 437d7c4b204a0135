"""The stages, by Prefect's own triggers and templates: which event starts what, with parameters that a flow takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from flows.chain.announcing import labels_of
from flows.chain.events import DatasetPublished, Event, ModelEvaluated, ModelPromoted, ModelRegistered
from flows.chain.stages import CHAIN, Stage

if TYPE_CHECKING:
    from prefect.server.events.schemas.automations import Automation
    from prefect.server.events.schemas.events import ReceivedEvent

Happened = dict[type[Event], Event]
STAGES = {stage.deployment: stage for stage in CHAIN}


def installed(stage: Stage, further: dict[str, Any] | None = None, resources: tuple[str, ...] = ()) -> Automation:
    """A stage's automation, as Prefect's server has it."""
    from prefect.server.events.schemas.automations import Automation

    wanted = stage.automation(str(uuid4()), further or {}, resources)
    assert not wanted.enabled, "nobody's machine is used unasked"
    return Automation.model_validate({**wanted.definition(), "id": uuid4()})


def received(event: Event, in_subflow: bool = False) -> ReceivedEvent:
    """An event, as Prefect's server receives it."""
    from prefect.server.events.schemas.events import ReceivedEvent
    from prefect.types._datetime import now

    related = [{"prefect.resource.id": each, "prefect.resource.role": role} for role, each in event.related.items()]
    return ReceivedEvent.model_validate(
        {
            "event": event.event,
            "resource": labels_of(event, in_subflow),
            "related": related,
            "payload": event.model_dump(mode="json"),
            "occurred": now("UTC"),
            "id": uuid4(),
        }
    )


def follows(automation: Automation, event: Event, in_subflow: bool = False) -> bool:
    return bool(automation.trigger.covers(received(event, in_subflow)))


def started(automation: Automation, event: Event) -> dict[str, Any]:
    """The parameters that the automation starts its deployment with."""
    from prefect.server.events.schemas.automations import TriggeredAction
    from prefect.types._datetime import now

    (action,) = automation.actions
    triggered = TriggeredAction(
        automation=automation,
        triggered=now("UTC"),
        triggering_labels={},
        triggering_event=received(event),
        action=action,
    )
    rendered: dict[str, Any] = asyncio.run(action.render_parameters(triggered))
    return rendered


@pytest.mark.parametrize("stage", CHAIN, ids=lambda stage: str(stage.deployment))
def test_the_event_gives_what_the_next_stage_needs(stage: Stage, happened: Happened) -> None:
    event, automation = happened[stage.follows], installed(stage)
    assert [kind for kind in happened if follows(automation, happened[kind])] == [stage.follows]
    given = started(automation, event)
    assert [*given] == ["parameters"]
    parameters = stage.parameters.model_validate(given["parameters"])
    assert {name: getattr(parameters, name) for name in stage.fields} == {
        name: getattr(event, field) for name, field in stage.fields.items()
    }


@pytest.mark.parametrize("stage", CHAIN, ids=lambda stage: str(stage.deployment))
def test_nothing_follows_what_was_done_before_or_goes_on_by_itself(stage: Stage, happened: Happened) -> None:
    event, automation = happened[stage.follows], installed(stage)
    assert not follows(automation, event.model_copy(update={"reused": True}))
    assert not follows(automation, event, in_subflow=True)


def test_a_first_version_is_compared_with_none(happened: Happened) -> None:
    first = happened[ModelRegistered].model_copy(update={"champion": None})
    assert started(installed(STAGES["evaluate"]), first)["parameters"]["against"] is None


def test_only_the_candidate_is_promoted_and_only_a_champion_prepares_samples(happened: Happened) -> None:
    earlier = happened[ModelEvaluated].model_copy(update={"candidate": False})
    assert not follows(installed(STAGES["promote"]), earlier)
    other = happened[ModelPromoted].model_copy(update={"alias": "staging"})
    assert not follows(installed(STAGES["prepare-samples"]), other)


def test_further_parameters_keep_their_types(happened: Happened) -> None:
    further = {"preset": "small", "settings": {"training.steps": 400}}
    given = started(installed(STAGES["train"], further), happened[DatasetPublished])["parameters"]
    assert given == {**further, "dataset": f"lakh@{'0123456789abcdef' * 2}", "lake": "s3://music/lake"}


def test_versions_of_one_dataset_alone(happened: Happened) -> None:
    event = happened[DatasetPublished]
    other = event.model_copy(update={"name": "mine", "dataset": f"mine@{'ab' * 16}"})
    one = installed(STAGES["train"], resources=("musenet.dataset.lakh.*",))
    assert (follows(one, event), follows(one, other)) == (True, False)


def test_a_stage_starts_its_deployment() -> None:
    chosen = str(uuid4())
    wanted = STAGES["train"].automation(chosen, {})
    assert UUID(wanted.definition()["actions"][0]["deployment_id"]) == UUID(chosen)
    assert (wanted.name, wanted.trigger["expect"]) == ("musenet chain: train", ["musenet.dataset.published"])
