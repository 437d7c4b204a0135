"""Events: named after what they are about, and sent with what an automation and a person need to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flows.chain import DatasetPublished, ModelEvaluated, RunTrained, announce
from flows.chain.announcing import labels_of
from flows.chain.events import EVENTS, Event

if TYPE_CHECKING:
    from prefect.events import Event as Sent

Announced = Callable[[], "list[Sent]"]
Happened = dict[type[Event], Event]


def test_ids_begin_with_the_kind_that_the_event_is_named_after(happened: Happened) -> None:
    assert set(happened) == set(EVENTS)
    for event in happened.values():
        kind, _, deed = event.event.rpartition(".")
        assert event.resource.startswith(f"{kind}.")
        assert deed.isalpha()
    ids = [event.resource for event in happened.values()]
    assert ids[:3] == [
        "musenet.dataset.lakh.0123456789abcdef0123456789abcdef",
        "musenet.run.0123456789ab",
        "musenet.critic.0123456789ab.abababababab",
    ]
    assert ids[3:] == [*["musenet.model.3"] * 4, "musenet.samples.3"]


def test_what_a_result_was_made_from_is_related_to_it(happened: Happened) -> None:
    assert happened[RunTrained].related == {"dataset": happened[DatasetPublished].resource}
    assert happened[ModelEvaluated].related["against"] == "musenet.model.2"


def test_labels_say_what_was_there_already_and_what_goes_on_by_itself(happened: Happened) -> None:
    event = happened[ModelEvaluated]
    assert labels_of(event, in_subflow=False) == {
        "prefect.resource.id": "musenet.model.3",
        "prefect.resource.name": "version 3",
        "musenet.reused": "false",
        "musenet.subflow": "false",
        "musenet.candidate": "true",
    }
    again = labels_of(event.model_copy(update={"reused": True}), in_subflow=True)
    assert (again["musenet.reused"], again["musenet.subflow"]) == ("true", "true")


def test_prefect_is_told(happened: Happened, announced: Announced) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    event = happened[RunTrained]
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        announce(event)
        (told,) = announced()
    assert (told.event, told.resource.id, told.payload) == (event.event, event.resource, event.model_dump())
    (dataset,) = told.related
    assert (dataset.role, dataset.id) == ("dataset", happened[DatasetPublished].resource)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_an_event_leads_to_its_flow_run_and_tells_whether_another_flow_goes_on(
    happened: Happened, announced: Announced
) -> None:
    from prefect import flow

    from infra.services.flow_run import PAGE_TAG, RUN_TAG, flow_run_tags

    @flow
    def train() -> dict[str, str]:
        announce(happened[RunTrained])
        return flow_run_tags()

    @flow
    def sweep() -> dict[str, str]:
        return train()

    alone, trial = train(), sweep()
    events = announced()
    assert [event.resource["musenet.subflow"] for event in events] == ["false", "true"]
    for event, tags in zip(events, (alone, trial)):
        (run,) = [each.id for each in event.related if each.role == "flow-run"]
        assert run == f"prefect.flow-run.{tags[RUN_TAG]}"
        assert PAGE_TAG not in tags, "the server ends with this process"
    assert flow_run_tags() == {}
