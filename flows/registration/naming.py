"""Giving a version its alias: what an alias may be called, and the gate before `champion`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from flows.promotion.promotion import promote
from infra.lake import Lake
from registry.models import CANDIDATE, CHAMPION, set_alias
from registry.store import Registry


def not_reserved(alias: str) -> str:
    """Return the alias. Raises ValueError for `latest` and `v` with a number, which MLflow reserves."""
    if alias == "latest" or re.fullmatch(r"v\d+", alias):
        raise ValueError(f"{alias!r} is reserved for versions by their number; choose another word")
    return alias


Alias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$"), AfterValidator(not_reserved)]
"""Checked before anything is registered."""


@dataclass(frozen=True)
class Named:
    """The alias that a version got."""

    alias: str
    refused: str | None = None
    """Why it became `candidate` instead of `champion`; None where it has the alias that was asked for."""
    findings: tuple[str, ...] = ()
    """What the gate found, a line each; nothing where it was not asked."""
    forced: bool = False
    """True if it became `champion` whatever the gate said."""


def name_version(lake: Lake, registry: Registry, version: str, alias: str, force: bool = False) -> Named:
    """Give a version an alias; `champion` only if the gate lets it or `force` is given, otherwise `candidate`."""
    if alias != CHAMPION:
        set_alias(registry, version, alias)
        return Named(alias)
    done = promote(lake, registry, version, force=force)
    findings = tuple(finding.line() for finding in done.verdict.findings)
    if done.refused is None:
        return Named(CHAMPION, None, findings, done.forced)
    set_alias(registry, version, CANDIDATE)
    return Named(CANDIDATE, done.refused, findings)
