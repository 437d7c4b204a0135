"""Requests to stop: by a signal or by a file, and for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from modeling.training import stopping
from modeling.training.stopping import StopRequest, ask_to_stop

RANK = """
import signal, time
from modeling.training.stopping import StopRequest
stop = StopRequest(None)
print("blocked" if signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()) else "open", flush=True)
time.sleep(0.2)
stop.listen()
while not stop.is_requested():
    time.sleep(0.01)
print("asked", flush=True)
"""


def test_a_file_asks_once_it_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stopping, "READ_SECONDS", 0.0)
    file = tmp_path / ".stop"
    stop = StopRequest(file)
    assert not stop.is_requested()
    file.touch()
    assert not stop.is_requested(), "there while the job runs"
    ask_to_stop(file)
    assert stop.is_requested()
    file.unlink()
    assert stop.is_requested(), "nobody takes it back"


def test_a_signal_to_the_whole_job_reaches_ranks_alone() -> None:
    """As schedulers send it, however early: the guard stays, and the rank has it once it listens."""
    command = [sys.executable, "-m", "flows.training.guard", sys.executable, "-c", RANK]
    job = subprocess.Popen(command, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "blocked\n"
    os.killpg(job.pid, signal.SIGTERM)
    assert job.stdout.readline() == "asked\n"
    assert job.wait(60) == 0
