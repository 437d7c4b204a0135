"""Figures of flows: what is in the files that node_exporter's textfile collector reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows import metrics
from flows.metrics import measured, training_figures, write_dataset
from modeling.training.events import CheckpointSaved, Evaluated, Failed, RunStarted, StepTrained
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

Read = Callable[[], dict[tuple[str, ...], float]]
START = RunStarted(
    step=0, steps=100, parameters=1, precision="fp32", device="cpu", ranks=1, train_pieces=9, train_tokens=999
)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Configures a folder; the result reads all values in it, by figure and its labels in order of their names."""
    folder = tmp_path / "figures"
    monkeypatch.setenv("MUSENET_METRICS", str(folder))

    def values() -> dict[tuple[str, ...], float]:
        assert {path.suffix for path in folder.iterdir()} == {".prom"}, "nothing half written is left"
        families = [each for path in folder.iterdir() for each in text_string_to_metric_families(path.read_text())]
        return {(sample.name, *sample.labels.values()): sample.value for each in families for sample in each.samples}

    return values


def step(number: int) -> StepTrained:
    figures = {"learning_rate": 0.01, "gradient_norm": 1.0, "tokens_per_second": 5e4, "mfu": 0.4, "memory_gb": 2.0}
    return StepTrained(step=number, loss=6 - number / 10, **figures)


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSENET_METRICS", raising=False)
    monkeypatch.chdir(tmp_path)
    with measured("ingest"), training_figures("songs", "tiny") as add:
        add(START)
    assert list(tmp_path.iterdir()) == []


def test_a_flow_leaves_its_ends_by_outcome(read: Read) -> None:
    with measured("ingest"):
        pass
    completed = read()["musenet_flow_end_timestamp_seconds", "ingest", "completed"]
    with pytest.raises(RuntimeError), measured("ingest"):
        raise RuntimeError
    with pytest.raises(KeyboardInterrupt), measured("train"):
        raise KeyboardInterrupt
    ends = {key[1:]: value for key, value in read().items() if key[0] == "musenet_flow_end_timestamp_seconds"}
    assert ends.keys() == {("ingest", "completed"), ("ingest", "failed"), ("train", "interrupted")}
    assert ends["ingest", "failed"] > ends["ingest", "completed"] == completed
    assert 0 <= read()["musenet_flow_duration_seconds", "ingest", "failed"] < 1


def test_a_dataset_s_figures_are_those_of_its_newest_version(read: Read, make_description: Callable[..., Any]) -> None:
    encoding = Combined(Vocabulary.load("musenet"))
    changes = {
        "outcomes": {"accepted": 7, "duplicate: same_bytes": 2, "quarantined: no_notes": 1},
        "pieces": {"train": 5, "validation": 1, "test": 1},
        "hours": 0.5,
    }
    write_dataset(make_description(encoding, outcomes={"accepted": 1, "duplicate: same_music": 3}), 4, 1)
    write_dataset(make_description(encoding, **changes), 6, 2)
    values = read()
    files = {key[2:]: value for key, value in values.items() if key[0] == "musenet_dataset_files"}
    assert files == {("", "accepted"): 7, ("same_bytes", "duplicate"): 2, ("no_notes", "quarantined"): 1}
    assert values["musenet_dataset_pieces", "songs", "train"] == 5
    assert values["musenet_dataset_music_seconds", "songs"] == 1800
    assert values["musenet_ingestion_new_files", "songs"] == 6
    assert values["musenet_ingestion_encoded_shards", "songs"] == 2
    assert values["musenet_dataset_created_timestamp_seconds", "songs"] == 1793491200  # 2026-11-01


def test_a_training_shows_where_it_is(read: Read) -> None:
    with training_figures("songs", "tiny") as add:
        add(START)
        add(Evaluated(step=0, best=True, nats_per_token=6.0, nats_per_note=15.0, tokens=99, by_style={}))
        add(CheckpointSaved(step=0, gigabytes=0.1, time=1000.0))
        values = {key[0].removeprefix("musenet_training_"): value for key, value in read().items()}
    progress = {"running": 1, "step": 0, "steps": 100, "event_timestamp_seconds": 1000}
    loss = {"validation_token_nats": 6, "validation_note_nats": 15}
    assert values == {**progress, **loss, "checkpoint_timestamp_seconds": 1000}
    assert read()["musenet_training_running", "songs", "tiny"] == 0


def test_steps_are_written_now_and_then_and_at_the_end(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    with training_figures("songs", "tiny") as add:
        add(START)
        add(step(1))
        assert read()["musenet_training_step", "songs", "tiny"] == 0
        monkeypatch.setattr(metrics, "WRITE_SECONDS", 0.0)
        add(step(2))
        assert read()["musenet_training_step", "songs", "tiny"] == 2
        monkeypatch.setattr(metrics, "WRITE_SECONDS", 1e9)
        add(step(3))
        add(Failed(message="a rank was killed", permanent=False))
    values = {key[0].removeprefix("musenet_training_"): value for key, value in read().items()}
    assert (values["step"], values["loss_nats"], values["running"]) == (3, 5.7, 0)
    assert (values["mfu_ratio"], values["memory_bytes"], values["tokens_per_second"]) == (0.4, 2e9, 5e4)


def test_a_folder_that_cannot_be_written_to_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MUSENET_METRICS", str(tmp_path / "file" / "figures"))
    for _ in range(2):
        with measured("ingest"):
            pass
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("(MUSENET_METRICS) cannot be written to: Not a directory")


def test_the_guide_lists_every_figure() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")
    for figure in metrics.FIGURES:
        assert f"`{figure.name}`" in guide
