"""The gate: what may not get worse, by how much, what must get better, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.evaluation.paired import LEAST_FAMILIES
from flows.evaluation.paired_report import DISTANCE, Difference, ModelFigures, PairedReport
from flows.evaluation.report import ALL, Estimate
from flows.evaluation.settings import EvaluationSettings
from flows.promotion.figures import Figures
from flows.promotion.gate import SHIPPED, DistanceRule, Gate, MeasureRule, NatsRule, StylesRule
from flows.promotion.judging import judge
from flows.promotion.verdict import Finding
from infra.errors import UserError


def figures(version: str, nats: float | None = 5.0, dataset: str = "songs@a", **distances: float) -> Figures:
    return Figures(version, dataset, nats, distances)


def apart(
    value: float,
    spread: float,
    figure: str = "nats_per_note",
    group: str = ALL,
    against: float = 5.0,
    families: int = 20,
) -> Difference:
    """A difference of so much, give or take `spread`."""
    told = families >= LEAST_FAMILIES and abs(value) > spread
    return Difference(
        figure=figure,
        title=figure,
        unit="",
        group=group,
        families=families,
        model=against + value,
        against=against,
        difference=Estimate(value=value, low=value - spread, high=value + spread),
        verdict=("better" if value < 0 else "worse") if told else "no difference",
    )


def finding(rule: str, gate: Gate, *differences: Difference) -> Finding:
    """What a rule finds of version 2 in the place of version 1, whose losses apart would not pass."""
    about = {"trained_on": "songs@a", "critic": None, "tokens_per_second": None}
    report = PairedReport(
        model=ModelFigures(name="musenet 2", digest="b", **about),
        against=ModelFigures(name="musenet 1", digest="a", **about),
        dataset="songs@a",
        settings=EvaluationSettings(),
        differences=list(differences),
        notices=[],
    )
    verdict = judge(figures("2", 9.0), figures("1", 5.0), gate, report)
    return next(each for each in verdict.findings if each.rule == rule)


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


class TestOnTheSamePieces:
    @pytest.mark.parametrize(
        ("value", "spread", "most_worse", "passed"),
        [
            (-0.1, 0.05, 0.0, True),
            (0.1, 0.05, 0.0, False),
            (0.1, 0.2, 0.0, True),  # chance would do as much
            (0.1, 0.05, 0.2, True),
            (-0.1, 0.05, -0.2, False),
            (-0.1, 0.2, -0.2, False),
            (-0.3, 0.2, -0.2, True),
        ],
    )
    def test_what_is_worse_beyond_chance_and_by_more_than_allowed_does_not_pass(
        self, value: float, spread: float, most_worse: float, passed: bool
    ) -> None:
        gate = Gate(nats_per_note=NatsRule(most_worse=most_worse), distance=DistanceRule(most_worse=most_worse / 5))
        assert finding("nats_per_note", gate, apart(value, spread)).passed is passed
        assert finding("distance", gate, apart(value, spread, DISTANCE)).passed is passed

    @pytest.mark.parametrize(("value", "spread", "passed"), [(-0.1, 0.05, True), (-0.1, 0.2, False), (0.0, 0.0, False)])
    def test_what_must_improve_is_better_beyond_chance(self, value: float, spread: float, passed: bool) -> None:
        gate = Gate(nats_per_note=NatsRule(must_improve=True))
        assert finding("nats_per_note", gate, apart(value, spread)).passed is passed
        alone = judge(figures("2", 1.0), figures("1", 5.0), gate).findings[0]
        assert not alone.passed and "`musenet evaluate 2 --against 1`" in alone.line()

    def test_of_a_few_families_nothing_is_excused_as_chance(self) -> None:
        few = finding("nats_per_note", Gate(), apart(0.1, 0.2, families=LEAST_FAMILIES - 1))
        assert not few.passed and few.line().endswith("of fewer than 6 families")

    def test_no_style_pays_for_the_others(self) -> None:
        jazz, rock = apart(0.4, 0.1, group="jazz"), apart(0.9, 0.1, group="rock", families=2)
        worst = finding("styles", Gate(), apart(-0.5, 0.1, group="bach"), jazz, rock)
        assert not worst.passed and worst.detail == "jazz, the worst of 2"
        assert worst.line().startswith("styles: not passed, 5.4000 beside 5.0000 (at most 5.0500), difference +0.4000")
        assert finding("styles", Gate(styles=StylesRule(most_worse=0.5)), jazz).passed
        assert finding("styles", Gate(), rock).passed, "two families tell nothing"
        assert not finding("styles", Gate(styles=StylesRule(required=True)), rock).passed

    def test_a_measure_has_a_rule_of_its_own(self) -> None:
        gate = Gate(measures={"copied": MeasureRule(most_worse=0.5, required=True)})
        assert finding("measures.copied", gate, apart(0.4, 0.1, "copied")).passed
        assert not finding("measures.copied", gate, apart(0.6, 0.1, "copied")).passed
        assert not finding("measures.copied", gate).passed


class TestAFile:
    def test_that_is_shipped_has_the_default_rules(self) -> None:
        assert Gate.read(SHIPPED) == Gate()

    def test_has_a_table_for_each_rule(self, tmp_path: Path) -> None:
        file = tmp_path / "gate.toml"
        file.write_text("[nats_per_note]\nmost_worse = 0.05\n[distance]\nrequired = true\n")
        assert Gate.read(file) == Gate(nats_per_note=NatsRule(most_worse=0.05), distance=DistanceRule(required=True))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("[nats]\n", "gate.toml: .*nats"),
            ("[measures.copys]\nmost_worse = 1", "gate.toml: measures.*no measure 'copys'; there are: .*copied"),
            ("most_worse", "is not valid TOML"),
            (None, "cannot be read: No such file"),
        ],
    )
    def test_that_says_something_else_is_refused(self, tmp_path: Path, content: str | None, message: str) -> None:
        if content is not None:
            (tmp_path / "gate.toml").write_text(content)
        with pytest.raises(UserError, match=message):
            Gate.read(tmp_path / "gate.toml")
