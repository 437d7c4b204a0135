"""The launcher: starts the `deepspeed` job of a run, follows its reports, and never leaves a process behind."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from flows.errors import RunError
from flows.files import exclusive
from flows.processes import end_groups
from flows.settings import Lake, available_cores
from flows.training.runs import RUN_FILE, Run, parse_report

POLL_SECONDS = 0.3
GRACE_SECONDS = 10.0
"""Time between asking the job to end and killing it."""
LONGEST_EXCERPT = 300
"""Characters of a log line that an error message quotes."""

OnReport = Callable[[dict[str, Any]], None]


def launch(lake: Lake, run: Run, on_report: OnReport) -> None:
    """Run the job to its end, resuming an earlier attempt; `on_report` gets every line of `metrics.jsonl`.

    Raises RunError when training fails and UserError when another process trains this run. However this
    function is left, the job's processes have ended.
    """
    with exclusive(run.folder / ".lock", f"run {run.run_id} is being trained by another process"):
        run.metrics.touch()
        earlier = run.metrics.stat().st_size
        last_error = None
        run.log.touch()
        log_start = run.log.stat().st_size
        with run.log.open("ab") as log, _job(lake, run, log) as process:
            for report in _follow(run.metrics, earlier, process):
                last_error = report["message"] if report["event"] == "error" else last_error
                on_report(report)
        if process.returncode != 0 or not run.finished:
            reason = last_error or _last_words(run.log, log_start) or f"exit status {process.returncode}"
            raise RunError(f"training failed: {reason}; the whole log: {run.log}")


@contextlib.contextmanager
def _job(lake: Lake, run: Run, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The launched job in a session of its own. Its ranks end when their standard input closes, so that not even a
    killed launcher leaves orphans."""
    command = [
        *(sys.executable, "-m", "deepspeed.launcher.runner"),
        *("--num_gpus", str(run.config.ranks)),
        *("--master_port", str(_free_port())),
        *("--module", "modeling.train"),
        *("--config", str(run.folder / RUN_FILE), "--end-with-stdin"),
    ]
    process = subprocess.Popen(
        command,
        cwd=run.folder,
        env=_environment(lake, run.config.ranks),
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
    """End every process of the job and take note of its exit status."""
    end_groups([process.pid], GRACE_SECONDS)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _environment(lake: Lake, ranks: int) -> dict[str, str]:
    """The job's environment: threads shared among ranks, compiled extensions kept between runs."""
    in_environment = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    extensions = Path(sys.prefix) / "torch_extensions" if in_environment else lake.cache / "torch_extensions"
    defaults = {
        "OMP_NUM_THREADS": str(max(available_cores() // ranks, 1)),
        "TORCH_EXTENSIONS_DIR": str(extensions),
        "TRITON_CACHE_DIR": str(lake.cache / "triton"),
    }
    # Ninja and the compiler wrappers of the environment must be found also when it is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**defaults, **os.environ, **lake.environment(), "PATH": path, "PYTHONUNBUFFERED": "1"}


def _follow(metrics: Path, offset: int, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Reports behind a file offset, as they appear, until the process has ended."""
    with metrics.open(encoding="utf-8") as file:
        file.seek(offset)
        partial = ""
        while True:
            ended = process.poll() is not None
            *lines, partial = (partial + file.read()).split("\n")
            yield from filter(None, map(parse_report, lines))
            if ended:
                return
            time.sleep(POLL_SECONDS)


def _last_words(log: Path, start: int) -> str | None:
    """The last line of a log, from byte `start` on, that names an error."""
    text = log.read_bytes()[start:].decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    errors = [line for line in lines if "Error" in line and not line.startswith(("File ", "["))]
    return errors[-1][:LONGEST_EXCERPT] if errors else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
