"""Training through a hostfile on two hosts: network namespaces of this machine, with the files of infra/kubernetes.

Each host starts with the script of the pods of a training, as Kubernetes would start it: an ssh server on both, and
`musenet train` on the first, whose ranks are started by DeepSpeed's launcher over pdsh and ssh.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.lake import Lake
from infra.processes import end_groups
from modeling.training.events import Finished, RunStarted, read_events
from modeling.training.run_folder import run_folders

TRAINING = Path(__file__).parents[3] / "infra" / "kubernetes" / "training"
NAME, PREFIX = "train", "10.77.0"
MOUNTED = ("musenet", "musenet-ssh")
"""Folders of the pods below /etc."""
PROGRAMS = ("ip", "unshare", "sshd", "ssh", "ssh-keygen", "pdsh")
SMALL = {"layers": 1, "heads": 2, "d_model": 16, "context": 64}

missing = [program for program in PROGRAMS if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.thorough,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]


def call(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[str]]:
    """Two network namespaces that reach each other, each with the files that a pod has below /etc."""
    spaces = [f"musenet-{os.getpid()}-{number}" for number in range(2)]
    folders = [Path("/etc/netns") / space for space in spaces]
    made = [path for name in MOUNTED if not (path := Path("/etc") / name).exists()]
    key = tmp_path / "key"
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    names = "".join(f"{PREFIX}.{number + 1} {NAME}-{number}.{NAME} {NAME}-{number}\n" for number in range(2))
    try:
        for path in (*made, Path("/run/sshd")):
            path.mkdir(exist_ok=True)
        for space, folder in zip(spaces, folders):
            call("ip", "netns", "add", space)
            shutil.copytree(TRAINING, folder / "musenet")
            (folder / "musenet-ssh").mkdir()
            for file in (key, key.with_suffix(".pub")):
                shutil.copy(file, folder / "musenet-ssh")
            (folder / "ssh").mkdir()
            shutil.copy(TRAINING / "ssh_config", folder / "ssh" / "ssh_config")
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        call("ip", "link", "add", "mn0", "netns", spaces[0], "type", "veth", "peer", "mn1", "netns", spaces[1])
        for number, space in enumerate(spaces):
            call("ip", "-n", space, "address", "add", f"{PREFIX}.{number + 1}/24", "dev", f"mn{number}")
            for device in ("lo", f"mn{number}"):
                call("ip", "-n", space, "link", "set", device, "up")
        yield spaces
    finally:
        for space, folder in zip(spaces, folders):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)
        for path in made:
            path.rmdir()


def start(host: str, number: int, lake: Lake, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a pod of the training: its own host name, and the script with the variables of the job."""
    script = f"hostname {NAME}-{number} && exec bash /etc/musenet/launch.sh " + " ".join(arguments)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_", "MUSENET_"))
    }
    job = {"JOB_COMPLETION_INDEX": str(number), "NAME": NAME, "HOSTS": "2", "SLOTS": "1", "MUSENET_LAKE": lake.address}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
    with log.open("ab") as output:
        return subprocess.Popen(
            ["ip", "netns", "exec", host, "unshare", "--uts", "bash", "-c", script],
            env={**own, **job, "PATH": path},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def test_the_ranks_of_two_hosts_train_one_model(hosts: list[str], songs_lake: Lake, tmp_path: Path) -> None:
    lake, log = Lake(tmp_path / "lake"), tmp_path / "log"
    shutil.copytree(songs_lake.root, lake.root)
    settings = {f"model.{name}": size for name, size in SMALL.items()}
    settings |= {"training.steps": 4, "training.batch_size": 2, "training.micro_batch_size": 1}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    other = start(hosts[1], 1, lake, log)
    first = start(hosts[0], 0, lake, log, "--dataset", "songs", "--preset", "tiny", *words)
    try:
        ends = time.monotonic() + 400
        while first.poll() is None and time.monotonic() < ends:
            time.sleep(0.5)
        assert first.returncode == 0, log.read_text()[-4000:]
        assert other.poll() is None, "the ssh server of the other host has ended before the job"
    finally:
        end_groups([first.pid, other.pid], 5)
    (folder,) = run_folders(lake.runs)
    events = list(read_events(folder.metrics))
    assert next(event.ranks for event in events if isinstance(event, RunStarted)) == 2
    assert isinstance(events[-1], Finished) and folder.has_model
    said_by = {line.partition(":")[0] for line in folder.log.read_text().splitlines() if line.startswith(f"{NAME}-")}
    assert said_by >= {f"{NAME}-{number}" for number in range(2)}, "both hosts had a rank"
