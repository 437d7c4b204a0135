"""Automations of a Prefect server: as the code defines them, switched on or off as a person has left them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from infra.services.rest import PrefectAPI

Outcome = Literal["created", "changed", "as it was"]


@dataclass(frozen=True)
class Automation:
    """What is done when events come, or stay away. The name identifies it on a server."""

    name: str
    description: str
    trigger: Mapping[str, Any]
    action: Mapping[str, Any]
    enabled: bool
    """True if it is switched on when it is created."""

    def definition(self) -> dict[str, Any]:
        """Return what the code decides of it, as Prefect's API takes it."""
        return {
            "name": self.name,
            "description": self.description,
            "trigger": dict(self.trigger),
            "actions": [dict(self.action)],
        }


def at_each(event: str, match: Mapping[str, Any], match_related: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the trigger of every event of a name whose resource, and related resources, have these labels."""
    return {
        "type": "event",
        "posture": "Reactive",
        "match": dict(match),
        **({} if match_related is None else {"match_related": dict(match_related)}),
        "expect": [event],
        "threshold": 1,
        "within": 0,
    }


def unless_followed(
    after: Iterable[str],
    expect: Iterable[str],
    within: int,
    match: Mapping[str, Any],
    match_related: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the trigger of resources that had an event of `after`, and none of those that are expected `within`
    seconds; their labels are as of `at_each`."""
    return {
        "type": "event",
        "posture": "Proactive",
        "match": dict(match),
        **({} if match_related is None else {"match_related": dict(match_related)}),
        "for_each": ["prefect.resource.id"],
        "after": [*after],
        "expect": [*expect],
        "threshold": 1,
        "within": within,
    }


def starting(deployment_id: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the action that starts a deployment; `parameters`: of its flow's one argument of that name."""
    return {
        "type": "run-deployment",
        "source": "selected",
        "deployment_id": deployment_id,
        "parameters": {"parameters": dict(parameters)},
    }


@dataclass(frozen=True)
class Installed:
    """What installing has changed, and the state that an automation is in since."""

    outcome: Outcome
    enabled: bool

    def __str__(self) -> str:
        return f"{self.outcome}, {'on' if self.enabled else 'off'}"


def install(prefect: PrefectAPI, wanted: Automation, switch: bool | None = None) -> Installed:
    """Put an automation on a server, in the place of one of that name that is defined differently.

    `switch`: True to switch it on, False off; None leaves one that is there as it is. Raises OSError.
    """
    named = {"automations": {"name": {"any_": [wanted.name]}}}
    found = prefect.post("automations/filter", named)
    if not found:
        enabled = wanted.enabled if switch is None else switch
        prefect.post("automations/", {**wanted.definition(), "enabled": enabled})
        return Installed("created", enabled)
    known = found[0]
    enabled = known["enabled"] if switch is None else switch
    path = f"automations/{known['id']}"
    if not _holds(known, wanted.definition()):
        prefect.put(path, {**wanted.definition(), "enabled": enabled})
    elif enabled != known["enabled"]:
        prefect.patch(path, {"enabled": enabled})
    else:
        return Installed("as it was", enabled)
    return Installed("changed", enabled)


def _holds(found: Any, wanted: Any) -> bool:
    """True if all that is wanted is found; the server adds ids and defaults, and keeps sets in any order.

    The parameters of a deployment have no defaults: one more is a difference.
    """
    match wanted, found:
        case dict(), dict():
            if found.get("parameters") != wanted.get("parameters"):
                return False
            return all(_holds(found.get(key), value) for key, value in wanted.items())
        case list(), list() if all(isinstance(each, str) for each in wanted):
            return sorted(found) == sorted(wanted)
        case list(), list():
            return len(found) == len(wanted) and all(map(_holds, found, wanted))
    return bool(found == wanted)
