"""The end of a command: one line and an exit status for what a user can act on, a traceback for a defect."""

from __future__ import annotations

import errno

import pytest
from pydantic import BaseModel

from flows.cli.running import errors
from infra.errors import MusenetError, RunError, UserError
from infra.services import ServiceError
from infra.settings import SettingError
from modeling.config import PresetError
from modeling.network.weights import WeightsError
from registry.errors import RegistryError
from registry.models import UnknownModel
from tokenization.dataset.shards import ShardError
from tokenization.midi import MidiError
from tokenization.vocabulary import VocabularyError


class Count(BaseModel):
    count: int


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and standard error of a command that ends with an error."""
    with pytest.raises(SystemExit) as exit_of_command, errors():
        raise error
    out, err = capsys.readouterr()
    assert out == ""
    assert isinstance(exit_of_command.value.code, int)
    return exit_of_command.value.code, err


@pytest.mark.parametrize("kind", [UserError, SettingError, PresetError, UnknownModel, VocabularyError])
def test_a_mistake_is_one_line_and_status_2(kind: type[MusenetError], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(kind("no dataset 'lakh';\n  there are: starter"), capsys) == (
        2,
        "musenet: no dataset 'lakh'; there are: starter\n",
    )


@pytest.mark.parametrize("kind", [RunError, ServiceError, ShardError, WeightsError, RegistryError])
def test_a_failure_is_one_line_and_status_1(kind: type[MusenetError], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(kind("the shard is damaged"), capsys) == (1, "musenet: the shard is damaged\n")


def test_a_file_without_music_is_a_mistake() -> None:
    assert issubclass(MidiError, UserError)


def test_a_parameter_that_does_not_fit_is_named_with_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_of_command, errors():
        Count.model_validate({"count": "many"})
    assert exit_of_command.value.code == 2
    assert capsys.readouterr().err.startswith("musenet: count = 'many': Input should be a valid integer")


def test_a_full_disk_is_one_line_and_other_errors_of_the_system_are_defects(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/lake/pieces")
    said = "/lake/pieces cannot be written: No space left on device; free disk space, and the same command goes on"
    assert ended(full, capsys) == (1, f"musenet: {said}\n")
    with pytest.raises(PermissionError), errors():
        raise PermissionError(errno.EACCES, "Permission denied")


def test_an_interruption_says_how_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    status, line = ended(KeyboardInterrupt(), capsys)
    assert status == 130
    assert line == "musenet: interrupted; finished work is kept, and the same command resumes\n"


@pytest.mark.parametrize("defect", [ValueError("a defect"), KeyError("loss")])
def test_a_defect_keeps_its_traceback(defect: Exception) -> None:
    with pytest.raises(type(defect)), errors():
        raise defect
