"""The record of one run of a flow: an event at its start, and one at its end with all that it read and wrote."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from flows.lineage.emission import Emitter, is_configured
from flows.lineage.places import Place
from flows.log_lines import log_lines
from flows.metrics import measured
from flows.progress import warn
from infra.errors import message_of
from infra.lake import LAKE_VARIABLE, Lake
from infra.services.liveness import alive

PREFECT_FLOW = "prefect-flow"
"""Job name of a parent flow that is not musenet's own."""


@dataclass
class Record:
    """What a run reads and writes; flows add to it as they learn of it."""

    job: str
    run_id: str
    emitter: Emitter | None = None
    """None if no transport is configured."""
    inputs: list[Place] = field(default_factory=list)
    outputs: list[Place] = field(default_factory=list)
    run: str | None = None
    """The training run that it works on, for its log."""

    def reads(self, *places: Place) -> None:
        """Add inputs."""
        self.inputs += places

    def writes(self, *places: Place) -> None:
        """Add outputs."""
        self.outputs += places

    def subject(self) -> dict[str, Any]:
        """Return what the run is about, for its log."""
        known = {} if self.run is None else {"run": self.run}
        places = {"reads": [str(place) for place in self.inputs], "writes": [str(place) for place in self.outputs]}
        return {"flow": self.job, "flow_run": self.run_id, **known, **places}


_current: contextvars.ContextVar[Record | None] = contextvars.ContextVar("lineage", default=None)


@contextmanager
def recorded(job: str, flow_run: Any, *inputs: Place) -> Iterator[Record]:
    """Keep the flow run's sign of life, its figures and its log for the block, and emit the events of a run of the flow
    `job` around it: START, then COMPLETE, FAIL or ABORT.

    `flow_run`: `prefect.runtime.flow_run`, whose id the run gets. `inputs` are known before; more are added to the
    record. A transport that fails costs one warning.
    """
    with (
        _alive(flow_run),
        measured(job),
        _emitting(job, flow_run, *inputs) as record,
        log_lines(record.subject),
    ):
        yield record


def _alive(flow_run: Any) -> AbstractContextManager[None]:
    """Return the sign of life of a flow run, where there are both a run and a lake to keep it in."""
    if flow_run.id is None or not os.environ.get(LAKE_VARIABLE):
        return nullcontext()
    return alive(Lake.at(), str(flow_run.id))


@contextmanager
def _emitting(job: str, flow_run: Any, *inputs: Place) -> Iterator[Record]:
    if not is_configured():
        yield Record(job, str(flow_run.id), inputs=list(inputs))
        return
    outer = _current.get()
    # A run within another hands its events to the same thread, so that they arrive in order
    shared = None if outer is None else outer.emitter
    emitter = shared or Emitter()
    record = Record(job, str(flow_run.id), emitter, list(inputs))
    parent = _parent(flow_run)
    token = _current.set(record)
    try:
        _emit(emitter, record, "START", parent)
        yield record
        _emit(emitter, record, "COMPLETE", parent)
    except Exception as error:
        _emit(emitter, record, "FAIL", parent, message_of(error))
        raise
    except BaseException:  # interrupted or terminated
        _emit(emitter, record, "ABORT", parent)
        raise
    finally:
        _current.reset(token)
        if shared is None and (fault := emitter.close()) is not None:
            warn(f"lineage: events of {job} were not delivered: {fault}")


def _parent(flow_run: Any) -> tuple[str, str] | None:
    """Return job name and run id of the flow that this one runs in."""
    outer = _current.get()
    if outer is not None:
        return outer.job, outer.run_id
    with contextlib.suppress(Exception):  # asks Prefect's server, which may be gone
        run_id = flow_run.parent_flow_run_id
        return None if run_id is None else (PREFECT_FLOW, str(run_id))
    return None


def _emit(
    emitter: Emitter, record: Record, kind: str, parent: tuple[str, str] | None, message: str | None = None
) -> None:
    """Hand one event to the emitter; a defect in building it may not end the run."""
    try:
        from flows.lineage.events import run_event

        emitter.emit(run_event(kind, record.job, record.run_id, record.inputs, record.outputs, parent, message))
    except Exception as error:
        warn(f"lineage: no event {kind} of {record.job}: {message_of(error)}")
