"""The gate: rules by which a version may take the place of another, as data, and the verdict by them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.promotion.figures import Figures
from infra.errors import UserError
from infra.settings import one_line

GATE_FILE = "gate.toml"
"""File of rules in a lake, used where it is there."""
UNKNOWN_REMEDY = "`musenet evaluate` both with the same settings"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NatsRule(_Strict):
    """Nats per note on validation pieces, the lower the better; comparable on one dataset version only."""

    most_worse: float = Field(0.0, allow_inf_nan=False)
    """Nats by which it may be higher; below 0: by which it must be lower."""
    required: bool = True
    """True if what cannot be compared does not pass."""


class DistanceRule(_Strict):
    """Distance of composed pieces from held-out ones as a multiple of the floor, median over the measures, from
    reports of `musenet evaluate` on one dataset version with the same settings."""

    most_worse: float = Field(0.1, allow_inf_nan=False)
    """Share of the champion's by which it may be higher: 0.1 is a tenth."""
    required: bool = False


class Gate(_Strict):
    """The rules, as a `gate.toml` has them: a table for each."""

    nats_per_note: NatsRule = NatsRule()
    distance: DistanceRule = DistanceRule()

    @classmethod
    def read(cls, file: Path) -> Gate:
        """Read the rules from a TOML file. Raises UserError."""
        try:
            return cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{file} is no TOML: {error}") from error
        except ValidationError as error:
            raise UserError(f"{file}: {one_line(error, cls)}") from error


class Finding(_Strict):
    """One rule's outcome."""

    rule: Literal["nats_per_note", "distance"]
    candidate: float | None
    champion: float | None
    limit: float | None
    """The highest value that passes; None where there is nothing to compare."""
    passed: bool
    detail: str
    """Why nothing could be compared; empty otherwise."""

    def line(self) -> str:
        """Return the finding as a line of text."""
        verdict = "passed" if self.passed else "not passed"
        if self.limit is None:
            return f"{self.rule}: {verdict}, {self.detail}"
        return f"{self.rule}: {verdict}, {self.candidate:.4f} beside {self.champion:.4f} (at most {self.limit:.4f})"


class Verdict(_Strict):
    """What the gate says of a candidate for the place of a champion."""

    version: str
    against: str | None
    """The champion's version; None where there was none, and every version passes."""
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True if all rules are."""
        return all(finding.passed for finding in self.findings)


def judge(candidate: Figures, champion: Figures | None, gate: Gate) -> Verdict:
    """Judge a candidate beside a champion; None: there is no champion."""
    if champion is None:
        return Verdict(version=candidate.version, against=None, findings=())
    return Verdict(
        version=candidate.version,
        against=champion.version,
        findings=(_nats(candidate, champion, gate.nats_per_note), _distance(candidate, champion, gate.distance)),
    )


def _nats(candidate: Figures, champion: Figures, rule: NatsRule) -> Finding:
    new, old = candidate.nats_per_note, champion.nats_per_note
    detail = ""
    if new is None or old is None:
        detail = f"version {(candidate if new is None else champion).version} was not measured on validation pieces"
    elif candidate.dataset != champion.dataset:
        detail = f"losses on {candidate.dataset} and {champion.dataset} do not compare"
    if new is None or old is None or detail:
        return _unknown("nats_per_note", new, old, rule.required, detail)
    limit = old + rule.most_worse
    return Finding(rule="nats_per_note", candidate=new, champion=old, limit=limit, passed=new <= limit, detail="")


def _distance(candidate: Figures, champion: Figures, rule: DistanceRule) -> Finding:
    shared = [key for key in candidate.distances if key in champion.distances]
    if not shared:
        detail = f"no evaluation has both on the same pieces: {UNKNOWN_REMEDY}"
        return _unknown("distance", None, None, rule.required, detail)
    new, old = candidate.distances[shared[-1]], champion.distances[shared[-1]]
    limit = old * (1 + rule.most_worse)
    return Finding(rule="distance", candidate=new, champion=old, limit=limit, passed=new <= limit, detail="")


def _unknown(
    rule: Literal["nats_per_note", "distance"], new: float | None, old: float | None, required: bool, detail: str
) -> Finding:
    return Finding(rule=rule, candidate=new, champion=old, limit=None, passed=not required, detail=detail)
