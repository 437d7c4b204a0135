"""The job's environment: the same on this machine and on others, read back by the shell that sets it there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from deepspeed.launcher.multinode_runner import PDSHRunner
from deepspeed.launcher.runner import parse_args

from flows.training.hostfile import Host
from flows.training.job_environment import chosen_devices, format_remote_environment, job_environment
from infra.errors import UserError
from infra.lake import Lake


def on_a_host(carried: str) -> dict[str, str]:
    """What DeepSpeed's shell command sets on a host for the lines of a `.deepspeed_env`."""
    runner = PDSHRunner(parse_args(["script.py"]), "")
    for line in carried.splitlines(keepends=True):
        key, value = line.split("=", maxsplit=1)
        runner.add_export(key, value)
    exports = "".join(f"export {key}={value}; " for key, value in runner.exports.items()).replace("%%", "%")
    output = subprocess.run(
        ["bash", "-c", f"{exports} env -0"], env={"PATH": "/bin"}, stdout=subprocess.PIPE, check=True
    )
    return dict(pair.split("=", 1) for pair in output.stdout.decode().split("\0") if pair)


def test_what_ranks_need_reaches_other_hosts() -> None:
    mine = {
        "MUSENET_LAKE": '/data/my "lake"; $HOME 100%',
        "TORCH_EXTENSIONS_DIR": "/data/extensions",
        "NCCL_SOCKET_IFNAME": "eth0",
        "GLOO_SOCKET_IFNAME": "`eth1`",
    }
    theirs = on_a_host(
        format_remote_environment({**mine, "CUDA_VISIBLE_DEVICES": "3", "OMP_NUM_THREADS": "9", "SHELL": "x"})
    )
    assert {name: theirs.get(name) for name in mine} == mine
    assert not {"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"} & theirs.keys(), "these hold for one machine only"
    assert theirs["PATH"] == f"{Path(sys.executable).parent}:/bin", "the host's own behind that of this Python"


def test_threads_are_shared_among_the_ranks_of_a_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    remote = tmp_path / ".deepspeed_env"
    environment = job_environment(Lake(tmp_path), [Host("a", 1), Host("b", 10_000)], remote)
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["MUSENET_LOCAL"] == str(tmp_path)
    assert environment["DS_ENV_FILE"] == ".deepspeed_env"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert job_environment(Lake(tmp_path), [Host("a", 1)], remote)["OMP_NUM_THREADS"] == "7"


SECRETS = {
    "HF_TOKEN": "planted-1",
    "AWS_SECRET_ACCESS_KEY": "planted-2",
    "OPENAI_API_KEY": "planted-3",
    "MLFLOW_TRACKING_PASSWORD": "planted-4",
    "MLFLOW_TRACKING_URI": "postgresql://me:planted-5@db/mlflow",
    "PREFECT_API_AUTH_STRING": "me:planted-6",
    "MUSENET_HUB_TOKEN": "planted-7",
    "GOOGLE_APPLICATION_CREDENTIALS": "planted-8",
    "nccl_password": "planted-9",
}


def test_secrets_reach_no_rank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**SECRETS, "TOKENIZERS_PARALLELISM": "true", "SSH_AUTH_SOCK": "/run/agent"}.items():
        monkeypatch.setenv(name, value)
    environment = job_environment(Lake(tmp_path), [Host("a", 1)], tmp_path / ".deepspeed_env")
    assert "planted" not in str(environment)
    assert (environment["TOKENIZERS_PARALLELISM"], environment["SSH_AUTH_SOCK"]) == ("true", "/run/agent")


class TestDevices:
    def test_are_those_that_the_user_left_visible(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,2,3")
        assert chosen_devices(2) == [5, 2]
        with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES=5,2,3 leaves 3 GPUs to 4 ranks; lower --ranks"):
            chosen_devices(4)

    @pytest.mark.parametrize("value", ["", "GPU-8a2f"])
    def test_are_left_to_deepspeed_otherwise(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert chosen_devices(2) is None
