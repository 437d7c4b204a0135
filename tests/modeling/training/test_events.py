"""Events: one JSON object a line, read back as written, also around lines that a killed process left torn."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from modeling.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    EventWriter,
    Failed,
    Finished,
    OutOfTime,
    RunStarted,
    StepTrained,
    StoppedEarly,
    Warned,
    append_event,
    decode,
    encode,
    is_step,
    read_events,
    read_new_events,
)

START = RunStarted(
    step=0, steps=9, parameters=5, precision="fp32", device="cpu", ranks=1, train_pieces=8, train_tokens=800
)
ERROR = Failed(message="no space", permanent=True)
TORN = b'{"event": "step", "st'


def step(number: int, loss: float = 8.0) -> StepTrained:
    return StepTrained(
        step=number,
        loss=loss,
        learning_rate=0.1,
        gradient_norm=None,
        tokens_per_second=99.0,
        mfu=0.5,
        memory_gb=1.0,
        time=100.0 + number,
    )


EVENTS: list[Event] = [
    START,
    step(1),
    Evaluated(step=1, best=True, nats_per_token=2.0, nats_per_note=5.0, tokens=9, by_style={"(none)": 2.0}),
    CheckpointSaved(step=1, gigabytes=0.25),
    Warned(step=1, message="a checkpoint is damaged"),
    StoppedEarly(step=1, best_step=None),
    OutOfTime(step=1, minutes=1.5),
    Finished(step=1, best_step=1, seconds=90.0, nats_per_token=None, nats_per_note=None),
    ERROR,
]


def write(path: Path, *events: Event, torn: bytes = b"") -> Path:
    path.write_bytes(b"".join(map(encode, events)) + torn)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


class TestTheCodec:
    @pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
    def test_reads_every_event_back(self, event: Event) -> None:
        assert decode(encode(event)) == event

    def test_writes_one_object_a_line(self) -> None:
        line = encode(step(3))
        assert line.endswith(b"}\n") and line.count(b"\n") == 1
        assert json.loads(line) == {
            "event": "step",
            "time": 103.0,
            "step": 3,
            "loss": 8.0,
            "critic_loss": None,
            "learning_rate": 0.1,
            "gradient_norm": None,
            "tokens_per_second": 99.0,
            "mfu": 0.5,
            "memory_gb": 1.0,
        }

    def test_events_carry_the_time(self) -> None:
        assert CheckpointSaved(step=1, gigabytes=1.0).time > 1_700_000_000

    def test_keeps_a_loss_that_is_not_a_number(self) -> None:
        event = decode(encode(step(1, math.nan)))
        assert isinstance(event, StepTrained) and math.isnan(event.loss)

    @pytest.mark.parametrize("line", [b"", b"{", b"3", b"[1]", b'{"step": 1}', b"\xff", TORN, b'{"event": "error"}'])
    def test_returns_none_for_anything_else(self, line: bytes) -> None:
        assert decode(line) is None

    def test_tells_steps_from_other_events_without_decoding(self) -> None:
        assert [is_step(encode(event)) for event in EVENTS] == [isinstance(event, StepTrained) for event in EVENTS]


class TestTheWriter:
    def test_appends_one_object_a_line(self, file: Path) -> None:
        for number in (1, 2):
            EventWriter(file).write(step(number))
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [(line["event"], line["step"], line["loss"]) for line in lines] == [("step", 1, 8.0), ("step", 2, 8.0)]
        assert all(line["time"] > 0 for line in lines)

    def test_without_a_file_writes_nothing(self, tmp_path: Path) -> None:
        EventWriter(None).write(step(1))
        assert list(tmp_path.iterdir()) == []

    def test_a_torn_line_costs_only_itself(self, file: Path) -> None:
        file.write_bytes(TORN)
        EventWriter(file).write(START)
        first, second = file.read_bytes().splitlines()
        assert first == TORN
        assert decode(second) == START

    def test_also_in_front_of_a_single_event(self, file: Path) -> None:
        file.write_bytes(TORN)
        append_event(file, ERROR)
        append_event(file, START)
        assert [decode(line) for line in file.read_bytes().splitlines()] == [None, ERROR, START]


class TestReadingAWholeFile:
    def test_gives_of_consecutive_steps_the_last_one(self, file: Path) -> None:
        write(file, START, step(1), step(2), CheckpointSaved(step=2, gigabytes=1.0, time=1.0), step(3), step(4))
        kinds = [(event.event, getattr(event, "step", None)) for event in read_events(file)]
        assert kinds == [("start", 0), ("step", 2), ("checkpoint", 2), ("step", 4)]

    def test_passes_over_torn_lines(self, file: Path) -> None:
        write(file, START, step(1), torn=TORN + b"\n" + encode(ERROR) + TORN)
        assert list(read_events(file)) == [START, step(1), ERROR]

    def test_of_a_missing_file_gives_nothing(self, file: Path) -> None:
        assert list(read_events(file)) == []


class TestFollowingAFile:
    def test_gives_complete_lines_behind_an_offset(self, file: Path) -> None:
        write(file, START, step(1), torn=TORN)
        events, offset = read_new_events(file, 0)
        assert events == [START, step(1)]
        assert read_new_events(file, offset) == ([], offset)
        write(file, START, step(1), step(2))
        assert read_new_events(file, offset) == ([step(2)], file.stat().st_size)

    def test_reads_about_as_much_as_it_is_asked_to(self, file: Path) -> None:
        write(file, *map(step, range(100)))
        events, offset = read_new_events(file, 0, limit=1000)
        assert 1 < len(events) < 100
        more, end = read_new_events(file, offset)
        assert [*events, *more] == [*map(step, range(100))]
        assert end == file.stat().st_size

    def test_reads_a_line_that_is_longer_than_the_limit(self, file: Path) -> None:
        write(file, START, step(1))
        assert read_new_events(file, 0, limit=10)[0] == [START]

    def test_begins_again_in_a_file_that_has_become_shorter(self, file: Path) -> None:
        write(file, step(1))
        assert read_new_events(file, 10_000) == ([step(1)], file.stat().st_size)

    def test_of_a_missing_file_gives_nothing(self, file: Path) -> None:
        assert read_new_events(file, 7) == ([], 7)


def test_reading_events_loads_no_torch() -> None:
    code = "import sys, modeling.training.events, modeling.training.run_folder; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"False\n"
