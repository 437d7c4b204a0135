"""infra/grafana and infra/prometheus: queries that parse, on figures that the code has, under labels that it sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flows.metrics import FIGURES

INFRA = Path(__file__).parents[2] / "infra"
DASHBOARD: dict[str, Any] = json.loads((INFRA / "grafana" / "musenet.json").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((INFRA / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
OF_OTHERS: dict[str, set[str]] = {"up": {"job", "instance"}, "node_textfile_scrape_error": set()}
"""Figures of Prometheus and of node_exporter."""
OF_SERIES = {"le", "instance"}
"""Labels that Prometheus and histograms add."""


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """The labels of all figures that flows and `musenet serve` export, by the names that Prometheus stores."""
    from registry.serving.metrics import Metrics

    found = {figure.name: set(figure.labels) for figure in FIGURES}
    for family in text_string_to_metric_families(Metrics().text().decode()):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        for suffix in suffixes:
            found[family.name + suffix] = {"outcome"} if family.name == "musenet_requests" else set()
    return found


def expressions() -> Iterator[Any]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(target["expr"], id=panel["title"])
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])


@pytest.mark.parametrize("expression", [*expressions()])
def test_a_query_is_on_figures_and_labels_that_exist(expression: str, exported: dict[str, set[str]]) -> None:
    selectors = selectors_of(expression)
    assert selectors
    for selector in selectors:
        labels = {**exported, **OF_OTHERS}[selector.name]
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels | OF_SERIES


def test_a_query_on_an_unknown_figure_would_be_found(exported: dict[str, set[str]]) -> None:
    (selector,) = selectors_of("sum(rate(musenet_request_total[5m]))")
    assert selector.name not in exported


def test_every_figure_of_flows_is_on_the_dashboard() -> None:
    shown = {selector.name for each in expressions() for selector in selectors_of(each.values[0])}
    assert {figure.name for figure in FIGURES} <= shown


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_happened_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert rule["annotations"]["description"].endswith(".")


def selectors_of(expression: str) -> list[Any]:
    """The selectors of figures in an expression. Raises ValueError for one that is not PromQL."""
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found
