"""Run files: what the command line does not say, and whose mistake a mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.training.config_file import ConfigFile, merge_choices, read_config_file
from infra.errors import UserError
from infra.settings import SettingError

WHOLE = """
dataset = "lakh@0123"
preset = "base"
ranks = 4
hostfile = "cluster/hosts"

[model]
dropout = 0.2

[model.sparsity]
mode = "variable"
local_window_blocks = [4, 8]

[training]
steps = 100
"""


def written(folder: Path, text: str) -> Path:
    (folder / "run.toml").write_text(text, encoding="utf-8")
    return folder / "run.toml"


def test_all_of_a_command_can_be_in_a_file(tmp_path: Path) -> None:
    assert merge_choices(written(tmp_path, WHOLE), {"dataset": None, "ranks": None}, {}) == {
        "dataset": "lakh@0123",
        "preset": "base",
        "ranks": 4,
        "hostfile": str(tmp_path / "cluster" / "hosts"),
        "settings": {
            "model.dropout": 0.2,
            "model.sparsity.mode": "variable",
            "model.sparsity.local_window_blocks": [4, 8],
            "training.steps": 100,
        },
    }


def test_the_command_line_wins_and_settings_win_over_both(tmp_path: Path) -> None:
    line = {"dataset": "mine", "preset": "small", "ranks": 2, "hostfile": "/etc/hosts"}
    chosen = merge_choices(written(tmp_path, WHOLE), line, {"training.steps": "7"})
    assert {key: chosen[key] for key in line} == line
    assert chosen["settings"]["training.steps"] == "7"
    assert chosen["settings"]["model.dropout"] == 0.2


def test_without_a_file_the_command_line_is_all_there_is() -> None:
    line = {"dataset": "mine", "preset": None}
    assert merge_choices(None, line, {}) == {"dataset": "mine", "settings": {}}
    with pytest.raises(UserError, match=r"no dataset is named; give --dataset NAME$"):
        merge_choices(None, {}, {})


def test_a_parent_beside_the_file_is_found_from_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path, 'dataset = "x"\n[training]\nparent = "starter.tar"')
    assert merge_choices(path, {}, {})["settings"] == {"training.parent": "starter.tar"}, "the name of a model"
    (tmp_path / "starter.tar").touch()
    assert merge_choices(path, {}, {})["settings"] == {"training.parent": str(tmp_path / "starter.tar")}


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read_config_file(written(tmp_path, "")) == ConfigFile()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datset = 'x'", "no setting 'datset'; nearest: 'dataset'"),
        ("[trainin]\nsteps = 1", "no setting 'trainin'; nearest: 'training'"),
        ("ranks = 0", "ranks = 0: Input should be greater than or equal to 1"),
        ("ranks = '2'", "ranks = '2': Input should be a valid integer"),
        ("training = 3", "training = 3: Input should be a valid dictionary"),
        ("[training]\nstep = 4", "no setting 'training.step'; nearest: 'training.steps'"),
        ("[model.sparsity]\nmod = 'local'", "no setting 'model.sparsity.mod'; nearest: 'model.sparsity.mode'"),
        ("[training]\nsteps = 'many'", "training.steps = 'many': Input should be a valid integer"),
    ],
)
def test_a_mistake_in_the_file_names_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        merge_choices(path, {"dataset": "x"}, {})
    assert str(error.value).startswith(f"{path}: {words}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_toml_is_named_with_the_place(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset = lakh\n")
    with pytest.raises(UserError, match=r"run\.toml is not valid TOML: Invalid value \(at line 1, column 11\)"):
        read_config_file(path)


def test_a_mistake_of_the_command_line_does_not_blame_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^no setting 'training\.step'"):
        merge_choices(written(tmp_path, WHOLE), {}, {"training.step": "4"})
