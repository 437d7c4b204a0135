"""The gate: what may not get worse, by how much, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.promotion.figures import Figures
from flows.promotion.gate import DistanceRule, Gate, NatsRule, judge
from infra.errors import UserError


def figures(version: str, nats: float | None = 5.0, dataset: str = "songs@a", **distances: float) -> Figures:
    return Figures(version, dataset, nats, distances)


def test_the_first_champion_has_nothing_to_be_compared_with() -> None:
    verdict = judge(figures("1", nats=None), None, Gate())
    assert verdict.passed and verdict.against is None


@pytest.mark.parametrize(
    ("nats", "most_worse", "passed"), [(5.0, 0.0, True), (5.01, 0.0, False), (5.01, 0.02, True), (4.95, -0.1, False)]
)
def test_the_loss_may_rise_by_no_more_than_the_rule_says(nats: float, most_worse: float, passed: bool) -> None:
    gate = Gate(nats_per_note=NatsRule(most_worse=most_worse))
    verdict = judge(figures("2", nats), figures("1"), gate)
    assert verdict.passed is passed
    assert verdict.findings[0].limit == pytest.approx(5.0 + most_worse)


@pytest.mark.parametrize(
    ("candidate", "detail"),
    [
        (figures("2", dataset="songs@b"), "losses on songs@b and songs@a do not compare"),
        (figures("2", nats=None), "version 2 was not measured on validation pieces"),
    ],
)
def test_what_cannot_be_compared_passes_only_where_it_is_not_required(candidate: Figures, detail: str) -> None:
    verdict = judge(candidate, figures("1"), Gate())
    assert not verdict.passed and detail in verdict.findings[0].line()
    assert judge(candidate, figures("1"), Gate(nats_per_note=NatsRule(required=False))).passed


def test_distances_are_of_the_same_pieces_and_relative() -> None:
    def passes(candidate: Figures, champion: Figures, **rule: object) -> bool:
        return judge(candidate, champion, Gate(distance=DistanceRule.model_validate(rule))).passed

    assert passes(figures("2", plain=2.19), figures("1", plain=2.0))
    assert not passes(figures("2", plain=2.21), figures("1", plain=2.0))
    assert passes(figures("2", plain=9.0), figures("1", other=2.0)), "of other pieces"
    assert not passes(figures("2", plain=9.0), figures("1", other=2.0), required=True)


class TestAFile:
    def test_has_a_table_for_each_rule(self, tmp_path: Path) -> None:
        file = tmp_path / "gate.toml"
        file.write_text("[nats_per_note]\nmost_worse = 0.05\n[distance]\nrequired = true\n")
        assert Gate.read(file) == Gate(nats_per_note=NatsRule(most_worse=0.05), distance=DistanceRule(required=True))

    @pytest.mark.parametrize(
        ("content", "message"),
        [("[nats]\n", "gate.toml: .*nats"), ("most_worse", "is no TOML"), (None, "cannot be read: No such file")],
    )
    def test_that_says_something_else_is_refused(self, tmp_path: Path, content: str | None, message: str) -> None:
        if content is not None:
            (tmp_path / "gate.toml").write_text(content)
        with pytest.raises(UserError, match=message):
            Gate.read(tmp_path / "gate.toml")
