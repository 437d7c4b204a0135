"""The flow run that the calling thread works on: what the packages that do not import Prefect say of it and to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from infra.services.rest import PrefectAPI

T = TypeVar("T")

PRIVATE_VARIABLE = "MUSENET_PRIVATE_SERVER"
"""Set where the server ends with the command, so that its pages have no address to keep."""
RUN_TAG, PAGE_TAG = "prefect.flow_run", "prefect.page"
"""Tags by which others name the flow run: its id, and the address of its page."""


def whole(value: T) -> T:
    """Return an argument for a task that Prefect hands over as it is.

    Otherwise it looks for results of other tasks in every field of every object, and a dataset's description has
    thousands. The task receives `value` itself.
    """
    from prefect.utilities.annotations import quote

    return cast(T, quote(value))


def is_subflow() -> bool:
    """True in a flow that another flow has called."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = None if context is None else context.flow_run
    return run is not None and run.parent_task_run_id is not None


def flow_run_tags() -> dict[str, str]:
    """Return the tags that lead to the flow run, with its page where that stays; none outside of one."""
    from prefect.runtime import flow_run
    from prefect.utilities.urls import url_for

    if flow_run.id is None:
        return {}
    page = None if PRIVATE_VARIABLE in os.environ else url_for("flow-run", obj_id=flow_run.id)
    return {RUN_TAG: str(flow_run.id), **({} if page is None else {PAGE_TAG: page})}


def show_link(key: str, address: str | None, text: str) -> None:
    """Put a link on the flow run's page; nothing where there is no address."""
    if address is None:
        return
    from prefect.artifacts import create_link_artifact

    create_link_artifact(link=address, link_text=text, key=key)


def show_progress(artifact: str | None, percent: float, text: str) -> str | None:
    """Show on the flow run's page how far it is; return the artifact that does so, to be given the next time.

    Returns None outside of a flow run. Costs one request, and no further attempts: what cannot be sent is left out.
    """
    if "prefect.context" not in sys.modules:  # else nothing runs in a flow
        return None
    from prefect.runtime import flow_run, task_run
    from prefect.settings import get_current_settings

    if flow_run.id is None or (api := get_current_settings().api.url) is None:
        return None
    shown = {"data": percent, "description": text}
    try:
        if artifact is not None:
            PrefectAPI(api).patch(f"artifacts/{artifact}", shown)
            return artifact
        about = {"key": "progress", "type": "progress", "flow_run_id": flow_run.id, "task_run_id": task_run.id}
        return str(PrefectAPI(api).post("artifacts/", {**about, **shown})["id"])
    except OSError:
        return artifact


def emit(event: str, labels: Mapping[str, str], related: Mapping[str, str], payload: Mapping[str, Any]) -> None:
    """Send an event to Prefect, which adds the flow run, its deployment and their tags as related resources.

    `labels`: of its resource. `related`: ids of further resources, by their roles. Returns at once; what cannot be
    sent is logged by Prefect. Does nothing where no API is set, as Prefect would start a server of its own.
    """
    if not _has_api():
        return
    from prefect.events import emit_event

    others = [{"prefect.resource.id": each, "prefect.resource.role": role} for role, each in related.items()]
    emit_event(event=event, resource=dict(labels), related=others, payload=dict(payload))


def _has_api() -> bool:
    """True if Prefect's clients in this process know an API. Loads nothing: a variable sets it until Prefect is."""
    settings = sys.modules.get("prefect.settings")
    return bool(os.environ.get("PREFECT_API_URL") if settings is None else settings.PREFECT_API_URL.value())
