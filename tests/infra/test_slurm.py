"""infra/slurm/train.sbatch, run by bash with stand-ins for Slurm's programs and for `musenet train`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from flows.training.hostfile import Host, read_hostfile
from flows.training.launcher import STOP_SECONDS

SCRIPT = Path(__file__).parents[2] / "infra" / "slurm" / "train.sbatch"
SCONTROL = """
case $1 in
  show) printf 'gpu1\\ngpu2\\n' ;;
  requeue) echo "$2" >requeued ;;
esac
"""
MUSENET = """
echo "$@" >arguments
cp "$3" hosts
trap 'exit 143' TERM
touch started
for _ in $(seq "$STEPS"); do sleep 0.05; done
"""


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job on two nodes with four GPUs each, which trains for STEPS twentieths of a second."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("scontrol", SCONTROL), ("musenet", MUSENET)):
        (programs / name).write_text(f"#!/bin/bash\n{text}")
        (programs / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "77", "SLURM_JOB_NODELIST": "gpu[1-2]", "SLURM_GPUS_ON_NODE": "4"}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**slurm, "PATH": path, "MUSENET_LAKE": str(tmp_path / "lake"), "STEPS": "1"}


def start(job: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    arguments = ["bash", str(SCRIPT), "--dataset", "mine"]
    return subprocess.Popen(arguments, env=job, cwd=folder, stderr=subprocess.PIPE, text=True)


def test_training_gets_the_nodes_of_the_allocation(job: dict[str, str], tmp_path: Path) -> None:
    assert start(job, tmp_path).wait() == 0
    assert read_hostfile(tmp_path / "hosts") == (Host("gpu1", 4), Host("gpu2", 4))
    assert (tmp_path / "arguments").read_text().split()[-2:] == ["--dataset", "mine"]
    assert not (tmp_path / "requeued").exists()
    assert list((tmp_path / "lake").iterdir()) == [], "the hostfile goes with the job"


def test_a_job_whose_time_is_over_stops_training_and_goes_on_later(job: dict[str, str], tmp_path: Path) -> None:
    process = start({**job, "STEPS": "1000"}, tmp_path)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert (tmp_path / "requeued").read_text() == "77\n"


def test_a_job_without_a_lake_says_what_is_missing(job: dict[str, str], tmp_path: Path) -> None:
    del job["MUSENET_LAKE"]
    process = start(job, tmp_path)
    assert process.wait() != 0
    assert process.stderr is not None
    assert "name the lake, which all nodes share" in process.stderr.read()


def test_the_signal_comes_early_enough_for_a_checkpoint() -> None:
    (line,) = (line for line in SCRIPT.read_text().splitlines() if "--signal" in line)
    assert int(line.rpartition("@")[2]) >= 2 * STOP_SECONDS
