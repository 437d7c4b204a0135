"""Events on their way to Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flows.chain.events import Event
from flows.chain.resources import REUSED, SUBFLOW
from flows.progress import warn
from infra.errors import message_of
from infra.lake import Lake
from infra.services import reachable_server
from infra.services.flow_run import emit, is_subflow


@contextmanager
def announcing(lake: Lake) -> Iterator[None]:
    """Announce what a block does that is no flow: to the server that stays, to nobody where there is none.

    A server that should be there and does not answer is a warning, no error: nothing in the block needs it.
    """
    with reachable_server(lake) as problem:
        if problem is not None:
            warn(f"{message_of(problem)}; nothing is announced")
        yield


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
