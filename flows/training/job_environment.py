"""The environment variables of a training job, on this machine and on the other hosts of a hostfile."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.training.hostfile import Host
from infra.errors import UserError
from infra.hardware import available_cores
from infra.lake import Lake
from infra.services import library_environment

CARRIED = ("MUSENET_", "OMP_", "TORCH", "TRITON_", "NCCL_", "GLOO_", "CUDA_", "DS_")
"""Prefixes of the variables that other hosts need as well; DeepSpeed itself adds those of Python."""
NOT_CARRIED = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "DS_ENV_FILE")
"""Variables that hold for this machine only, or are set for each host."""
NOT_FOR_RANKS = ("MLFLOW_", "PREFECT_")
"""Prefixes of variables for the flow alone, passwords among them; DeepSpeed would put MLflow's into its log."""
SECRET = re.compile(r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|KEY|AUTH_STRING)(?:_|$)")
"""Part of the names of variables that hold secrets, of which training needs none."""
DEVICES = "CUDA_VISIBLE_DEVICES"
EXTENSIONS = "TORCH_EXTENSIONS_DIR"


def job_environment(lake: Lake, hosts: Sequence[Host], remote_environment: Path) -> dict[str, str]:
    """Return the job's environment: cores shared among the ranks, compiled extensions kept between runs, no secrets.

    `remote_environment`: the file in the job's working folder from which DeepSpeed takes the other hosts' variables.
    """
    in_venv = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    extensions = Path(sys.prefix) / "torch_extensions" if in_venv else lake.cache / "torch_extensions"
    defaults = {
        "OMP_NUM_THREADS": str(max(available_cores() // max(host.slots for host in hosts), 1)),
        EXTENSIONS: str(extensions),
        "TRITON_CACHE_DIR": str(lake.cache / "triton"),
    }
    # Ninja and the compiler wrappers of the virtual environment must be found even when it is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    fixed = {"PATH": path, "PYTHONUNBUFFERED": "1", "DS_ENV_FILE": remote_environment.name}
    everything = {**defaults, **os.environ, **library_environment(lake), **fixed}
    return {
        name: value
        for name, value in everything.items()
        if not name.startswith(NOT_FOR_RANKS) and not SECRET.search(name.upper())
    }


def format_remote_environment(environment: Mapping[str, str]) -> str:
    """Return the content of `.deepspeed_env`: the part of the job's environment that ranks on other hosts need.

    DeepSpeed puts a value of more than one word between double quotes into a shell's `export`. The search path is the
    host's own behind that of this Python.
    """
    carried = {
        name: value
        for name, value in environment.items()
        if name.startswith(CARRIED) and name not in NOT_CARRIED and "\n" not in value
    }
    lines = [f"{name}={_quoted(value)}" for name, value in sorted(carried.items())]
    return "\n".join([*lines, f"PATH={_quoted(str(Path(sys.executable).parent))}:$PATH"]) + "\n"


def _quoted(value: str) -> str:
    """Escape text for a shell's double quotes; pdsh turns `%%` into `%`."""
    return re.sub(r'([\\"$`])', r"\\\1", value).replace("%", "%%")


def chosen_devices(ranks: int) -> list[int] | None:
    """Return the GPUs that `CUDA_VISIBLE_DEVICES` leaves to the ranks of this machine; None if it lists no numbers.

    DeepSpeed would number them from 0 whatever the variable is. Raises UserError when there are too few.
    """
    visible = os.environ.get(DEVICES, "").strip()
    if not re.fullmatch(r"\d+(,\d+)*", visible):
        return None
    devices = [int(number) for number in visible.split(",")]
    if len(devices) < ranks:
        raise UserError(f"{DEVICES}={visible} leaves {len(devices)} GPUs to {ranks} ranks; lower --ranks")
    return devices[:ranks]
