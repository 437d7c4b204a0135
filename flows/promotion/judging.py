"""Judging: the rules of a gate applied to the figures of a candidate and a champion; pure functions."""

from __future__ import annotations

from flows.evaluation.paired import LEAST_FAMILIES
from flows.evaluation.paired_report import DISTANCE, Difference, PairedReport
from flows.promotion.figures import Figures
from flows.promotion.gate import DistanceRule, Gate, MeasureRule, NatsRule, StylesRule
from flows.promotion.verdict import Finding, Verdict

NATS = "nats_per_note"


def judge(candidate: Figures, champion: Figures | None, gate: Gate, paired: PairedReport | None = None) -> Verdict:
    """Judge a candidate beside a champion; None: there is no champion.

    `paired`: both on the same held-out families, whose differences come before what is known of each alone.
    """
    if champion is None:
        return Verdict(version=candidate.version, against=None, findings=())
    remedy = f"`musenet evaluate {candidate.version} --against {champion.version}` measures both on the same pieces"
    findings = [
        _nats(candidate, champion, gate.nats_per_note, paired, remedy),
        _styles(gate.styles, paired, remedy),
        _distance(candidate, champion, gate.distance, paired, remedy),
        *(_measure(name, rule, paired, remedy) for name, rule in gate.measures.items()),
    ]
    return Verdict(version=candidate.version, against=champion.version, findings=tuple(findings))


def _nats(candidate: Figures, champion: Figures, rule: NatsRule, paired: PairedReport | None, remedy: str) -> Finding:
    found = None if paired is None else paired.of(NATS)
    if found is not None:
        return _paired(NATS, found, rule.most_worse, rule.must_improve)
    new, old = candidate.nats_per_note, champion.nats_per_note
    if new is None or old is None:
        missing = (candidate if new is None else champion).version
        return _unknown(NATS, rule.required, f"version {missing} was not measured on validation pieces; {remedy}")
    if candidate.dataset != champion.dataset:
        which = f"losses on {candidate.dataset} and {champion.dataset} do not compare"
        return _unknown(NATS, rule.required, f"{which}; {remedy}")
    return _alone(NATS, new, old, old + rule.most_worse, rule.must_improve, remedy)


def _styles(rule: StylesRule, paired: PairedReport | None, remedy: str) -> Finding:
    """Judge the style that has become worse the most, of those that have enough families to tell."""
    told = [each for each in paired.by_style(NATS) if each.families >= LEAST_FAMILIES] if paired is not None else []
    if not told:
        why = f"not compared; {remedy}" if paired is None else f"no style has {LEAST_FAMILIES} held-out families"
        return _unknown("styles", rule.required, why)
    broken = [each for each in told if not _passes(each, rule.most_worse, must_improve=False)]
    worst = max(broken or told, key=lambda each: each.difference.value)
    finding = _paired("styles", worst, rule.most_worse, must_improve=False)
    return finding.model_copy(update={"detail": f"{worst.group}, the worst of {len(told)}"})


def _distance(
    candidate: Figures, champion: Figures, rule: DistanceRule, paired: PairedReport | None, remedy: str
) -> Finding:
    found = None if paired is None else paired.of(DISTANCE)
    if found is not None:
        return _paired("distance", found, found.against * rule.most_worse, rule.must_improve)
    shared = [key for key in candidate.distances if key in champion.distances]
    if not shared:
        return _unknown("distance", rule.required, f"no evaluation has both on the same pieces: {remedy}")
    new, old = candidate.distances[shared[-1]], champion.distances[shared[-1]]
    return _alone("distance", new, old, old * (1 + rule.most_worse), rule.must_improve, remedy)


def _measure(name: str, rule: MeasureRule, paired: PairedReport | None, remedy: str) -> Finding:
    found = None if paired is None else paired.of(name)
    if found is None:
        why = f"not compared; {remedy}" if paired is None else "it was not measured"
        return _unknown(f"measures.{name}", rule.required, why)
    return _paired(f"measures.{name}", found, rule.most_worse, rule.must_improve)


def _passes(found: Difference, most_worse: float, must_improve: bool) -> bool:
    """Return False for what is worse than allowed and beyond chance; of few families every difference counts."""
    if must_improve and found.verdict != "better":
        return False
    is_told = found.families >= LEAST_FAMILIES
    # A rule below 0 asks for an improvement of that size, which no interval excuses.
    is_excused = most_worse >= 0 and is_told and found.verdict != "worse"
    return found.difference.value <= most_worse or is_excused


def _paired(rule: str, found: Difference, most_worse: float, must_improve: bool) -> Finding:
    passed = _passes(found, most_worse, must_improve)
    detail = f"{found.verdict} beyond chance" if found.verdict != "no difference" else found.verdict
    if found.families < LEAST_FAMILIES:
        detail = f"of fewer than {LEAST_FAMILIES} families"
    return Finding(
        rule=rule,
        candidate=found.model,
        champion=found.against,
        limit=found.against + most_worse,
        passed=passed,
        difference=found.difference,
        detail=detail,
    )


def _alone(rule: str, new: float, old: float, limit: float, must_improve: bool, remedy: str) -> Finding:
    """Judge two figures that were measured apart: without an interval nothing is an improvement beyond chance."""
    passed = new <= limit and not must_improve
    detail = f"an improvement has no interval yet: {remedy}" if must_improve else ""
    return Finding(rule=rule, candidate=new, champion=old, limit=limit, passed=passed, detail=detail)


def _unknown(rule: str, required: bool, detail: str) -> Finding:
    return Finding(rule=rule, candidate=None, champion=None, limit=None, passed=not required, detail=detail)
