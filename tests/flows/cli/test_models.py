"""Commands on runs and models, and what any list says of an empty lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from infra.lake import Lake

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


class TestLists:
    @pytest.mark.parametrize(
        ("name", "line"),
        [("datasets", "no dataset yet; "), ("runs", "no run yet; "), ("models", "no model yet; ")],
    )
    def test_of_an_empty_lake(self, command: Command, name: str, line: str) -> None:
        result = command(name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(line)
        assert json.loads(command(name, "--json").stdout) == []

    def test_of_a_lake_with_something_in_it(self, mistake: Mistake, command: Command, studio) -> None:
        lake, dataset, run = studio
        assert command("datasets", lake=lake.root).stdout.startswith(f"{dataset}  2")
        (about,) = json.loads(command("datasets", "--json", lake=lake.root).stdout)
        assert about["digest"] == dataset.digest
        expected = {"run_id": run.run_id, "preset": "tiny", "dataset": run.dataset, "finished": True}
        (listed,) = json.loads(command("runs", run.run_id[:6], "--json", "--lake", lake.root).stdout)
        assert expected.items() <= listed.items()
        assert command("runs", run.run_id, lake=lake.root).stdout.startswith(
            f"{run.run_id}  tiny  {run.dataset}  step 4"
        )
        compared = command("runs", run.run_id[:6], "--compare", run.run_id, lake=lake.root).stdout
        assert compared.startswith("step") and "training." not in compared
        assert "takes two runs" in command("runs", "--compare", "a", lake=lake.root).stderr
        assert mistake(command("runs", "nope", lake=lake.root)).startswith("no run 'nope'; there are: ")

    def test_of_servers_that_do_not_run(self, command: Command) -> None:
        result = command("status", "--json")
        assert result.exit_code == 1
        assert [(s["name"], s["running"]) for s in json.loads(result.stdout)] == [("prefect", False), ("mlflow", False)]


@pytest.fixture
def empty_registry(tmp_path: Path, make_registry: Callable[[Lake], object]) -> None:
    """The registry of the lake that `command` takes where none is named: MLflow would take seconds to make it."""
    make_registry(Lake(tmp_path / "lake"))


@pytest.mark.usefixtures("prefect_api")
class TestMistakes:
    """One line on standard error that lists what exists, status 2, no traceback."""

    @pytest.mark.usefixtures("empty_registry")
    def test_an_unknown_dataset(self, mistake: Mistake, command: Command, studio) -> None:
        assert "no dataset 'lakh'; there is none yet; make one with `musenet ingest PATH --name NAME`" in mistake(
            command("train", "--dataset", "lakh")
        )
        lake = studio[0].root
        assert mistake(command("train", "--dataset", "lakh", lake=lake)) == "no dataset 'lakh'; there are: songs"
        assert mistake(command("train", "--dataset", "/data/midi", lake=lake)).endswith("; there are: songs")

    def test_an_unknown_preset_or_setting(self, mistake: Mistake, command: Command, studio) -> None:
        train = ("train", "--dataset", "songs")
        lake = studio[0].root
        assert mistake(command(*train, "--preset", "huge", lake=lake)) == (
            "no preset 'huge'; there are: sketch, tiny, starter, small, base, musenet"
        )
        assert mistake(command(*train, "--set", "training.step=4", lake=lake)) == (
            "no setting 'training.step'; nearest: 'training.steps'"
        )
        assert mistake(command(*train, "--set", "training.steps=many", lake=lake)).startswith(
            "training.steps = 'many': "
        )

    def test_settings_that_do_not_fit_each_other(self, mistake: Mistake, command: Command, studio) -> None:
        sizes = ("--set", "training.batch_size=3", "--set", "training.micro_batch_size=2")
        assert mistake(command("train", "--dataset", "songs", *sizes, lake=studio[0].root)) == (
            "batch_size 3 is not a multiple of micro_batch_size × ranks = 2"
        )

    def test_a_run_file(self, mistake: Mistake, command: Command, studio, tmp_path: Path) -> None:
        file, lake = tmp_path / "run.toml", studio[0].root
        train = ("train", "--config", file)
        assert mistake(command(*train, lake=lake)) == f"{file} cannot be read: No such file or directory"
        file.write_text("[training]\nstep = 4\n")
        named = ("--dataset", "songs")
        assert mistake(command(*train, *named, lake=lake)) == (
            f"{file}: no setting 'training.step'; nearest: 'training.steps'"
        )
        file.write_text('hostfile = "hosts"\n')
        assert mistake(command(*train, lake=lake)) == f"no dataset is named; give --dataset NAME, or dataset in {file}"
        assert mistake(command(*train, *named, lake=lake)).startswith(f"hostfile {tmp_path / 'hosts'} cannot be read: ")

    def test_a_setting_without_a_value(self, command: Command) -> None:
        result = command("train", "--dataset", "songs", "--set", "training.steps")
        assert result.exit_code == 2
        assert "'training.steps' is not KEY=VALUE" in result.stderr

    @pytest.mark.usefixtures("empty_registry")
    def test_an_unknown_run(self, mistake: Mistake, command: Command, studio) -> None:
        lake, _, run = studio
        for name in ("critic", "register"):
            assert mistake(command(name, "--run", "nope", lake=lake.root)) == (
                f"no finished run 'nope'; there are: {run.run_id}"
            )
            assert "there is none yet; train one with" in mistake(command(name, "--run", "latest"))

    @pytest.mark.usefixtures("empty_registry")
    def test_an_unknown_model(self, mistake: Mistake, command: Command) -> None:
        assert "no model 'champion': none is registered yet" in mistake(command("sample"))

    def test_numbers_out_of_range(self, command: Command) -> None:
        for option, value in (("--count", "0"), ("--top-p", "1.5"), ("--temperature", "0"), ("--length", "5")):
            result = command("sample", option, value)
            assert result.exit_code == 2
            assert option in result.stderr
            assert "Traceback" not in result.output
