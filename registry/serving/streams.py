"""Waiting for a job: for its answer, or event by event, and no longer than its client does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.sse import format_sse_event
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from infra.errors import MusenetError, message_of
from registry.serving.answers import Begun, ErrorAnswer, Progress, Queued, Ranking
from registry.serving.jobs import Cancelled, Job
from registry.serving.listening import NoteStream
from registry.serving.scheduler import Scheduler
from registry.serving.service import Asked

LOG = logging.getLogger(__name__)
PACE = 0.15
"""Seconds between looks at a job."""
LISTENING = 0.1
"""Share of the time that is spent on decoding notes at most."""
PING = 5.0
"""Seconds without an event after which a comment is sent."""
DEFECT = "the server failed; its log says more"


async def answer_of(job: Job[bytes], scheduler: Scheduler, request: Request) -> bytes:
    """Return the answer of a job; cancel it if the client goes. Raises what it failed with, and Cancelled."""
    future = asyncio.wrap_future(job.future)
    gone = asyncio.create_task(_until_gone(request))
    ends: set[asyncio.Future[Any]] = {future, gone}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise Cancelled("the client has gone")
        return future.result()
    finally:
        gone.cancel()
        future.cancel()
        scheduler.cancel(job)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def events_of(asked: Asked, job: Job[bytes], scheduler: Scheduler) -> AsyncIterator[bytes]:
    """Yield the events of a job until it has ended; it is cancelled when the generator is closed before."""
    future = asyncio.wrap_future(job.future)
    listener = _Listener(asked, job, scheduler)
    spoke = time.monotonic()
    try:
        while True:
            is_done = future.done()
            begun = time.monotonic()
            for event in await run_in_threadpool(lambda: [*listener.news()]):
                spoke = time.monotonic()
                yield event
            if is_done:
                break
            if time.monotonic() - spoke > PING:
                spoke = time.monotonic()
                yield format_sse_event(comment="still at work")
            await asyncio.wait({future}, timeout=max(PACE, (time.monotonic() - begun) / LISTENING))
        yield _end_of(future)
    finally:
        future.cancel()
        scheduler.cancel(job)


def _end_of(future: asyncio.Future[bytes]) -> bytes:
    try:
        return format_sse_event(event="finished", data_str=future.result().decode())
    except MusenetError as error:
        return _event("failed", ErrorAnswer(error=message_of(error)))
    except Exception:
        LOG.exception("a request failed")
        return _event("failed", ErrorAnswer(error=DEFECT))


@dataclass
class _Listener:
    """What has been told of a job already."""

    asked: Asked
    job: Job[bytes]
    scheduler: Scheduler
    position: int | None = None
    notes: NoteStream | None = None
    progress: tuple[int, int] = (0, 1)
    ranks: bool = False

    def news(self) -> Iterator[bytes]:
        """Yield events of what is new."""
        job = self.job
        position = self.scheduler.position(job)
        if position is not None and position != self.position:
            yield _event("queued", Queued(position=position))
        self.position = position
        if job.given is None:
            return
        if self.notes is None:
            self.notes = NoteStream(self.asked.model.composer.encoding, job.given)
            yield _event("begun", self._begun(self.notes))
        told = [job.told.popleft() for _ in range(len(job.told))]
        for heard in self.notes.take(told):
            yield _event("notes", heard)
        if job.progress != self.progress and told:
            self.progress = job.progress
            done, total = job.progress
            growing = self.notes.growing
            seconds = {number: round(self.notes.seconds[number], 4) for number in growing}
            yield _event("progress", Progress(tokens=done, total=total, candidates=growing, seconds=seconds))
        if (job.aside is not None) != self.ranks:
            self.ranks = not self.ranks
            if self.ranks:
                yield _event("ranking", Ranking())

    def _begun(self, notes: NoteStream) -> Begun:
        request = self.asked.request
        return Begun(
            model=self.asked.model.composer.identity,
            notices=self.asked.notices,
            candidates=[*range(request.candidate, request.candidate + request.best_of)],
            prompt=notes.prompt,
            seconds=round(notes.prompt_seconds, 4),
        )


def _event(name: str, data: BaseModel) -> bytes:
    return format_sse_event(event=name, data_str=data.model_dump_json())
