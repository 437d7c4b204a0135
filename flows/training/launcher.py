"""The launcher: starts the `deepspeed` job of a run, follows its events, and ends all of its processes."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from flows.training.compiled_extensions import compiled_extensions
from flows.training.hostfile import Host, format_hostfile, is_local
from flows.training.job_environment import EXTENSIONS, chosen_devices, format_remote_environment, job_environment
from flows.training.job_log import failure_reason
from flows.training.remote_hosts import check_hosts
from flows.training.runs import Run, write_run
from infra.errors import RunError
from infra.files import write_private
from infra.lake import Lake
from infra.locks import exclusive
from infra.processes import group_members, still_runs
from modeling.training.events import (
    Event,
    Failed,
    Finished,
    Interrupted,
    StepTrained,
    append_event,
    read_new_events,
)
from modeling.training.run_folder import RunFolder
from modeling.training.stopping import ask_to_stop

RANK_MODULE = "modeling.training.train"
"""The module that each rank runs."""
LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.3
STOP_SECONDS = 20.0
"""Longest wait for the checkpoint of an interrupted job; Prefect's workers kill a cancelled flow after 30."""
END_SECONDS = 30.0
"""Longest wait for the processes of a killed job to be gone."""

OnEvent = Callable[[Event], None]


class JobFailed(RunError):
    """A job that ended before its model was trained."""

    def __init__(self, message: str, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent
        """True if the same job would fail again: something has to be fixed first."""


def launch(lake: Lake, run: Run, hosts: Sequence[Host], on_event: OnEvent) -> None:
    """Run the job to its end, resuming an earlier attempt; `on_event` gets each event of this attempt.

    Raises JobFailed when training fails and UserError when another process trains this run. An interruption (Ctrl-C,
    SIGTERM, cancelling) waits for a checkpoint of the present step, STOP_SECONDS at most. All processes of the job have
    ended when this function returns or raises.
    """
    folder = run.folder
    with exclusive(folder.lock, f"run {run.run_id} is being trained by another process"), _full_disk_is_final(folder):
        environment = job_environment(lake, hosts, folder.remote_environment)
        launcher, process_group = _launcher(run, hosts)
        write_run(run)
        folder.metrics.touch()
        folder.log.touch()
        events_start, log_start = folder.metrics.stat().st_size, folder.log.stat().st_size
        finished, failed = False, None
        stopped: Interrupted | None = None
        with (
            _files_for_hosts(folder, hosts, environment),
            compiled_extensions(Path(environment[EXTENSIONS])),
            folder.log.open("ab") as log,
            _job(folder, launcher, {**environment, **process_group}, log) as process,
        ):
            try:
                for event in _follow(folder.metrics, events_start, process):
                    failed = event if isinstance(event, Failed) else failed
                    stopped = event if isinstance(event, Interrupted) else stopped
                    finished |= isinstance(event, Finished)
                    on_event(event)
            except Exception:
                raise
            except BaseException:  # interrupted, terminated or cancelled
                if _has_trained(folder, events_start):
                    _stop(folder, process, on_event)
                raise
        if finished and folder.has_model:
            return
        if stopped is not None and failed is None:
            message = f"training was stopped by SIGTERM at step {stopped.step}; started again, it goes on from there"
            raise JobFailed(message, permanent=False)
        if failed is None:
            reason = failure_reason(folder.log, log_start)
            reason = reason or _way_to_end(process.returncode)
            failed = Failed(message=reason, permanent=False)
            with contextlib.suppress(OSError):
                append_event(folder.metrics, failed)
        raise JobFailed(f"training failed: {failed.message}; the whole log: {folder.log}", failed.permanent)


def _way_to_end(status: int) -> str:
    """Describe the exit status of a job that said nothing."""
    signalled = status - 128
    return (
        f"a rank was killed by signal {signalled}"
        if signalled > 0
        else f"it ended without an error message, exit status {status}"
    )


def _launcher(run: Run, hosts: Sequence[Host]) -> tuple[list[str], dict[str, str]]:
    """Return the words that start the ranks, in front of their own, and the environment variables that they need.

    DeepSpeed's `runner` reaches the hosts of a hostfile over ssh and starts `launch` on each. Each would only be one
    more process that takes seconds to load DeepSpeed where nothing is left for it to do: on this machine `launch` is
    started at once, and a single rank without it. Raises UserError.
    """
    port = str(_free_port())
    if not is_local(hosts):
        check_hosts(hosts)
        # A single remote host would otherwise be taken for this machine.
        where = ["--hostfile", str(run.folder.hostfile), "--force_multi", "--master_port", port]
        return ["deepspeed.launcher.runner", *where, "--module", RANK_MODULE], {}
    (host,) = hosts
    if run.config.world_size == 1:
        ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_SIZE": "1"}
        return [RANK_MODULE], {**ranks, "MASTER_ADDR": LOOPBACK, "MASTER_PORT": port}
    devices = chosen_devices(run.config.world_size)
    world = {host.name: list(range(host.slots)) if devices is None else devices}
    encoded = base64.urlsafe_b64encode(json.dumps(world).encode()).decode()
    where = [f"--world_info={encoded}", f"--master_addr={LOOPBACK}", f"--master_port={port}"]
    return ["modeling.training.launch", *where, "--module", RANK_MODULE], {}


@contextlib.contextmanager
def _files_for_hosts(folder: RunFolder, hosts: Sequence[Host], environment: Mapping[str, str]) -> Iterator[None]:
    """Write what DeepSpeed's `runner` reads, for the block; nothing where all ranks are on this machine."""
    files = (folder.hostfile, folder.remote_environment)
    try:
        if not is_local(hosts):
            write_private(folder.hostfile, format_hostfile(hosts).encode())
            write_private(folder.remote_environment, format_remote_environment(environment).encode())
        yield
    finally:
        for file in files:  # those of a killed attempt, too
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def _job(
    folder: RunFolder, launcher: list[str], environment: dict[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the job in a session of its own, led by its guard (`flows.training.guard`); end it with the block."""
    folder.stop.write_bytes(b"")
    ranks = [sys.executable, "-u", "-m", *launcher, "--config", str(folder.config), "--end-with-stdin"]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.training.guard", *ranks],
        cwd=folder.path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)
        folder.stop.unlink(missing_ok=True)


def _has_trained(folder: RunFolder, offset: int) -> bool:
    """True if a step was trained since a file offset, whether its event was looked at or not."""
    return any(isinstance(event, StepTrained) for event in read_new_events(folder.metrics, offset)[0])


def _stop(folder: RunFolder, process: subprocess.Popen[bytes], on_event: OnEvent) -> None:
    """Ask the ranks for a checkpoint of the present step, and wait until they have ended, STOP_SECONDS at most."""
    offset = folder.metrics.stat().st_size
    ask_to_stop(folder.stop)
    deadline = time.monotonic() + STOP_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for event in read_new_events(folder.metrics, offset)[0]:
        on_event(event)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill every process of the job and collect its exit status.

    By SIGKILL: a job must survive that at any time, and DeepSpeed's orderly shutdown on other hosts would also end
    other users' jobs there.
    """
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + END_SECONDS
    while any(map(still_runs, group_members(process.pid))) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _follow(metrics: Path, offset: int, process: subprocess.Popen[bytes]) -> Iterator[Event]:
    """Yield the events behind a file offset, as they appear, until the process has ended."""
    ended = False
    while not ended:
        ended = process.poll() is not None  # before reading, so that the last events are read
        events, offset = read_new_events(metrics, offset)
        yield from events
        if not ended:
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _full_disk_is_final(folder: RunFolder) -> Iterator[None]:
    """Turn the error of a full disk into a permanent JobFailed."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message = f"training failed: {folder}: {error.strerror}; free disk space and run the same command to resume"
        raise JobFailed(message, permanent=True) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
