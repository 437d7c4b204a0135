"""Training events: typed records of what a training job does, and the file in which a run keeps them.

`metrics.jsonl` holds one JSON object a line, in the order of writing, all attempts of a run one behind the other:

    {"event": "step", "time": 1795843200.5, "step": 12, "loss": 6.81, …}

The `event` key selects the class, the other keys are its fields. Rank 0 writes; the launcher, `musenet runs` and the
upload to MLflow read. This module imports no torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events."""

    event: str
    """The kind of event, as written in the file."""
    time: float = field(default_factory=time.time)
    """Seconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """An attempt begins: the first one of a run, or one that resumes it."""

    event: Literal["start"] = "start"
    step: int
    """The step of the checkpoint it resumes from; 0 for a new run."""
    steps: int
    """Steps that the run is configured for."""
    parameters: int
    """Number of weights."""
    precision: Literal["bf16", "fp32"]
    device: str
    ranks: int
    """World size of the attempt."""
    train_pieces: int
    train_tokens: int


@dataclass(frozen=True, kw_only=True)
class StepTrained(Event):
    """One optimiser step."""

    event: Literal["step"] = "step"
    step: int
    """Counted from 1."""
    loss: float
    """Nats per token of the global batch."""
    critic_loss: float | None = None
    """Nats per position that the critic judged; None in steps without the critic."""
    learning_rate: float
    """The rate of the next step."""
    gradient_norm: float | None
    """Before clipping; None where DeepSpeed does not compute it."""
    tokens_per_second: float
    mfu: float
    """Model FLOPs utilisation: achieved over peak FLOP/s (Chowdhery et al., 2022)."""
    memory_gb: float
    """Memory of rank 0: the peak on its GPU, or its resident set on a CPU."""


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """An evaluation on the validation split; the fields are those of `evaluation.EvalMetrics`."""

    event: Literal["evaluation"] = "evaluation"
    step: int
    best: bool
    """True if no earlier evaluation had a lower loss."""
    nats_per_token: float
    nats_per_note: float
    tokens: int
    by_style: dict[str, float]
    """Nats per token by style."""
    nats_per_token_all: float | None = None
    nats_per_note_all: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint is complete on disk."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int
    gigabytes: float


@dataclass(frozen=True, kw_only=True)
class ArchiveFilled(Event):
    """Generations of this step's weights were added to the archive."""

    event: Literal["archive"] = "archive"
    step: int
    generations: int
    """0 where they were on disk already."""
    share: float
    """Of the time of training so far that generations have taken."""


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """A condition that training survives, such as a damaged checkpoint."""

    event: Literal["warning"] = "warning"
    step: int
    message: str


@dataclass(frozen=True, kw_only=True)
class StoppedEarly(Event):
    """Training ends before its last step because evaluations have stopped improving."""

    event: Literal["stopped_early"] = "stopped_early"
    step: int
    best_step: int | None

    @property
    def reason(self) -> str:
        return "no further improvement"


@dataclass(frozen=True, kw_only=True)
class OutOfTime(Event):
    """Training ends before its last step because of `training.max_minutes`."""

    event: Literal["out_of_time"] = "out_of_time"
    step: int
    minutes: float
    """Time spent in training, all attempts together."""

    @property
    def reason(self) -> str:
        return "time limit"


@dataclass(frozen=True, kw_only=True)
class Interrupted(Event):
    """An attempt ends on request, with a checkpoint of this step; the next one goes on from it."""

    event: Literal["interrupted"] = "interrupted"
    step: int

    @property
    def reason(self) -> str:
        return "stopped on request"


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The model is published."""

    event: Literal["finished"] = "finished"
    step: int
    best_step: int
    """The step whose weights became the model."""
    seconds: float
    """Time spent in training, all attempts together."""
    nats_per_token: float | None
    """Validation loss of the model; None without validation pieces."""
    nats_per_note: float | None
    nats_per_token_all: float | None = None
    """With the pieces that the parent knows; None where all or none of them are clean."""
    nats_per_note_all: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """An attempt ended with an error."""

    event: Literal["error"] = "error"
    message: str
    permanent: bool
    """True if the same job would fail again: something has to be fixed first."""


EarlyEnd = StoppedEarly | OutOfTime | Interrupted
"""What ends an attempt before its last step; `reason` says it in words."""

_ANY: TypeAdapter[Event] = TypeAdapter(
    Annotated[
        RunStarted
        | StepTrained
        | Evaluated
        | CheckpointSaved
        | ArchiveFilled
        | Warned
        | StoppedEarly
        | OutOfTime
        | Interrupted
        | Finished
        | Failed,
        Field(discriminator="event"),
    ]
)
_STEP_PREFIX = json.dumps({"event": StepTrained.event}).encode()[:-1]


def encode(event: Event) -> bytes:
    """Return the line of an event, with its newline."""
    return json.dumps(vars(event)).encode() + b"\n"


def decode(line: bytes) -> Event | None:
    """Return the event in a line; None for an empty line, a torn one, and an event that this version does not know."""
    try:
        return _ANY.validate_json(line, strict=True)
    except ValidationError:
        return None


def is_step(line: bytes) -> bool:
    """True if a line holds a StepTrained event, by its first bytes: nearly all lines do, and few need decoding."""
    return line.startswith(_STEP_PREFIX)


class EventWriter:
    """Append events to a file, each flushed as it is written."""

    def __init__(self, path: Path | None) -> None:
        """Open the file. None: write nothing."""
        self._file = None if path is None else _open(path)
        self.also: Callable[[Event], None] | None = None
        """Called with each event that is written."""

    def write(self, event: Event) -> None:
        """Append an event. Raises OSError when the disk is full."""
        if self._file is not None:
            self._file.write(encode(event))
            self._file.flush()
            if self.also is not None:
                self.also(event)


def append_event(path: Path, event: Event) -> None:
    """Append one event to a file. Raises OSError when the disk is full."""
    with _open(path) as file:
        file.write(encode(event))


def _open(path: Path) -> IO[bytes]:
    """Open a file for appending, and end a last line that a killed process left torn."""
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    file = path.open("ab")
    if torn:
        file.write(b"\n")
    return file


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a whole file, of each run of consecutive steps the last one only; nothing without a file."""
    step = b""
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        if is_step(line):
            step = line if line.endswith(b"}") else step
            continue
        for kept in (step, line):
            if (event := decode(kept)) is not None:
                yield event
        step = b""
    if (event := decode(step)) is not None:
        yield event


def newest_attempt(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events from the last start on."""
    starts = [index for index, event in enumerate(events) if isinstance(event, RunStarted)]
    return events[starts[-1] :] if starts else events


def early_end(attempt: Sequence[Event]) -> EarlyEnd | None:
    """Return the event that ended an attempt before its last step, None if none did."""
    return next((event for event in reversed(attempt) if isinstance(event, EarlyEnd)), None)


def read_new_events(path: Path, offset: int, limit: int = -1) -> tuple[list[Event], int]:
    """Return the events of the complete lines behind a byte offset, and the offset behind them.

    About `limit` bytes are read, and at least one line; all for -1. Reading starts again from 0 when the file has
    become shorter than `offset`, and returns nothing where there is no file.
    """
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        if file.seek(0, 2) < offset:
            offset = 0
        file.seek(offset)
        content = file.read(limit)
        if len(content) == limit and b"\n" not in content:
            content += file.readline()
    complete = content[: content.rfind(b"\n") + 1]
    events = [event for line in complete.split(b"\n") if (event := decode(line)) is not None]
    return events, offset + len(complete)
