"""The launcher: starts the `deepspeed` job of a run, follows its reports, and never leaves a process behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from flows.training.environment import (
    EXTENSIONS,
    REMOTE_ENVIRONMENT,
    chosen_devices,
    compiled_extensions,
    job_environment,
    remote_environment,
)
from flows.training.history import Report, parse_report
from flows.training.hostfile import Host, as_hostfile, here
from flows.training.runs import HOSTFILE, LOCK_FILE, RUN_FILE, Run, write_run
from infra.errors import RunError
from infra.files import write_atomically
from infra.lake import Lake
from infra.locks import exclusive
from infra.processes import group_members, still_runs

POLL_SECONDS = 0.3
END_SECONDS = 30.0
"""Time that a killed job may take to be gone."""
LONGEST_EXCERPT = 300
"""Characters of a log line that an error message quotes."""
RANK = re.compile(r"^(?:[\w.@-]+: )?\[rank\d+\]:")
"""How torch marks the lines of a rank's traceback, behind the host's name where pdsh brings them."""
CONSEQUENCES = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
"""Words of the errors that ranks end with because another one has ended."""
KILLED = re.compile(rb"exits with return code = -(\d+)")
"""How DeepSpeed's launcher says that a rank was ended by a signal."""

OnReport = Callable[[Report], None]


class JobFailed(RunError):
    """A job that ended before its model was trained."""

    def __init__(self, message: str, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent
        """Whether the same job would fail again: something has to be mended first."""


def launch(lake: Lake, run: Run, hosts: Sequence[Host], on_report: OnReport) -> None:
    """Run the job to its end, resuming an earlier attempt; `on_report` gets every line of `metrics.jsonl`.

    Raises JobFailed when training fails and UserError when another process trains this run. However this function
    is left, the job's processes have ended.
    """
    with exclusive(run.folder / LOCK_FILE, f"run {run.run_id} is being trained by another process"), _room(run.folder):
        environment = job_environment(lake, hosts)
        options = _where(run, hosts)
        write_run(run)
        write_atomically(run.folder / REMOTE_ENVIRONMENT, remote_environment(environment).encode())
        run.metrics.touch()
        earlier = run.metrics.stat().st_size
        finished, error = False, None
        run.log.touch()
        log_start = run.log.stat().st_size
        with (
            compiled_extensions(Path(environment[EXTENSIONS])),
            run.log.open("ab") as log,
            _job(run, options, environment, log) as process,
        ):
            for report in _follow(run.metrics, earlier, process):
                error = report if report["event"] == "error" else error
                finished |= report["event"] == "finished"
                on_report(report)
        if finished and run.finished:
            return
        if error is None:
            reason = _last_words(run.log, log_start) or f"it ended without a word, exit status {process.returncode}"
            error = {"event": "error", "time": time.time(), "message": reason, "permanent": False}
            _add_report(run.metrics, error)
        message = f"training failed: {error['message']}; the whole log: {run.log}"
        raise JobFailed(message, bool(error.get("permanent", False)))


def _where(run: Run, hosts: Sequence[Host]) -> list[str]:
    """Writes the job's hostfile; DeepSpeed's options that say where the ranks run. Raises UserError."""
    options = ["--hostfile", str(run.folder / HOSTFILE), "--master_port", str(_free_port())]
    if not here(hosts):
        options.append("--force_multi")  # else a single other host would be taken for this machine
    else:
        options += ["--no_ssh_check", "--master_addr", "127.0.0.1"]
        devices = chosen_devices(run.config.world_size)
        if devices is not None:
            options += ["--include", f"{hosts[0].name}:{','.join(map(str, devices))}"]
            hosts = [Host(hosts[0].name, max(devices) + 1)]
    write_atomically(run.folder / HOSTFILE, as_hostfile(hosts).encode())
    return options


@contextlib.contextmanager
def _job(
    run: Run, options: list[str], environment: dict[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """The launched job in a session of its own, led by its guard: see `flows.training.guard`."""
    deepspeed = [sys.executable, "-m", "deepspeed.launcher.runner", *options]
    training = ["--module", "modeling.training.train", "--config", str(run.folder / RUN_FILE), "--end-with-stdin"]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.training.guard", *deepspeed, *training],
        cwd=run.folder,
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """End every process of the job and take note of its exit status.

    By force: a job must survive that at any time, and DeepSpeed's polite end on other hosts would also end the jobs of
    others there.
    """
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + END_SECONDS
    while any(map(still_runs, group_members(process.pid))) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _follow(metrics: Path, offset: int, process: subprocess.Popen[bytes]) -> Iterator[Report]:
    """Reports behind a file offset, as they appear, until the process has ended."""
    with metrics.open("rb") as file:
        file.seek(offset)
        partial = b""
        while True:
            ended = process.poll() is not None
            *lines, partial = (partial + file.read()).split(b"\n")
            yield from filter(None, map(parse_report, lines))
            if ended:
                return
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Work with a run's folder; a full disk is a failure that somebody has to mend."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message = f"training failed: {folder}: {error.strerror}; make room, the same command goes on"
        raise JobFailed(message, permanent=True) from error


def _add_report(metrics: Path, report: Report) -> None:
    """Report in the place of a job that ended without a word."""
    with contextlib.suppress(OSError), metrics.open("ab") as file:
        torn = metrics.stat().st_size and not metrics.read_bytes().endswith(b"\n")
        file.write(b"\n" * bool(torn) + json.dumps(report).encode() + b"\n")


def _last_words(log: Path, start: int) -> str | None:
    """Why a job ended, from its log behind byte `start`: a killed rank, or the last line that names an error.

    What other ranks say when one has gone is no reason.
    """
    content = log.read_bytes()[start:]
    lines = [RANK.sub("", line).strip() for line in content.decode("utf-8", errors="replace").splitlines()]
    killed = KILLED.search(content)
    if killed:
        return f"a rank was killed by signal {int(killed[1])}"
    errors = [line for line in lines if "Error" in line and not line.startswith(("File ", "["))]
    causes = [line for line in errors if not any(words in line for words in CONSEQUENCES)]
    if causes:
        return causes[-1][:LONGEST_EXCERPT]
    return "a process of the job was lost, and others with it" if errors else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
