"""The report of a critic: a value, a file and a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.criticism.report import CriticFigure, CriticReport, Reliability, read_report, write_report
from infra.errors import UserError

REPORT = CriticReport(
    run_id="0123456789ab",
    folder="somewhere",
    auc=0.9,
    calibration_error=0.04,
    calibration_floor=0.03,
    noise_below=0.98,
    ordinary_below=0.9,
    rounds=2,
    train_windows=256,
    held_out_windows=64,
    figures=[
        CriticFigure(kind="damage", name="bars shuffled", auc=0.77, low=0.7, high=0.84, windows=32, is_learned=True),
        CriticFigure(kind="aspect", name="order: bars shuffled", auc=0.82, low=0.7, high=0.9, windows=64),
    ],
    reliability=[Reliability(score=0.85, real=0.8, windows=20)],
    aspect_errors={"order": 0.06},
)


def test_it_comes_back_from_its_file_and_says_that_it_was_there(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path)
    assert read_report(tmp_path) == REPORT.model_copy(update={"folder": str(tmp_path), "reused": True})


def test_one_of_another_format_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"format": 4, "run_id": "a", "auc": 0.5}')
    with pytest.raises(UserError, match=r"report\.json is not of format 5.*remove .* and train the critic again"):
        read_report(tmp_path)


def test_the_page_has_every_figure_with_its_interval() -> None:
    page = REPORT.markdown()
    assert "| bars shuffled | 0.770 | 0.700–0.840 | 32 |" in page
    assert "noise scores lower in 98.0%" in page.replace("\n", " ")
    assert "| 0.85 | 0.80 | 20 |" in page
    assert "| order: bars shuffled | 0.820 | 0.700–0.900 | 64 |" in page
    assert "Calibration error of the aspects: order 0.060." in page


def test_metrics_have_names_that_mlflow_takes() -> None:
    metrics = REPORT.metrics()
    assert metrics["critic_auc"] == 0.9
    assert metrics["critic_auc_damage/bars shuffled"] == 0.77
    assert metrics["critic_auc_aspect/order_ bars shuffled"] == 0.82
    assert metrics["critic_calibration_error_order"] == 0.06


def test_a_figure_that_was_not_measured_is_no_figure() -> None:
    assert REPORT.figure("damage", "bars shuffled").auc == 0.77
    with pytest.raises(KeyError, match="cue decoded"):
        REPORT.figure("cue", "decoded")
