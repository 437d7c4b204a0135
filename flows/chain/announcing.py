"""Events on their way to Prefect."""

from __future__ import annotations

from flows.chain.events import Event
from flows.chain.resources import REUSED, SUBFLOW
from infra.services.flow_run import emit, is_subflow


def announce(event: Event) -> None:
    """Send an event. What has no server, or cannot reach it, goes on without.

    Call it right behind the deed, before anything else that may fail: the retry would find the deed done before, and
    no automation follows that.
    """
    emit(event.event, labels_of(event, is_subflow()), event.related, event.model_dump(mode="json"))


def labels_of(event: Event, in_subflow: bool) -> dict[str, str]:
    """Return the labels of an event's resource; `in_subflow`: another flow has called the one that it is from."""
    return {
        "prefect.resource.id": event.resource,
        "prefect.resource.name": event.title,
        REUSED: str(event.reused).lower(),
        SUBFLOW: str(in_subflow).lower(),
        **event.labels,
    }
