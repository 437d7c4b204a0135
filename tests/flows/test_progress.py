"""Progress: off a terminal a stage is one line on standard error, so that logs stay short."""

from __future__ import annotations

import re

import pytest

from flows.progress import say, stage


def test_a_stage_ends_in_one_line_with_its_time_and_note(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("parsing", 3) as bar:
        bar.step(1, 3)
        bar.advance(1)
        bar.update(3, note="2 accepted")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"✓ parsing  \d+\.\d s  2 accepted\n", err)


def test_the_last_note_stays_until_there_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("training") as bar:
        bar.update(1, note="loss 3.21")
        bar.update(2)
    assert capsys.readouterr().err.endswith("loss 3.21\n")


def test_a_stage_that_fails_is_not_ticked_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), stage("training"):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_one_line_of_information(capsys: pytest.CaptureFixture[str]) -> None:
    say("the prompt is cut")
    assert capsys.readouterr() == ("", "the prompt is cut\n")
