"""The environment of a training job, on this machine and on the other hosts of a hostfile."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.training.hostfile import Host
from infra.errors import UserError
from infra.hardware import available_cores
from infra.lake import Lake
from infra.locks import shared

REMOTE_ENVIRONMENT = ".deepspeed_env"
"""DeepSpeed exports on every host what is in this file of the job's folder."""
CARRIED = ("MUSENET_", "OMP_", "TORCH", "TRITON_", "NCCL_", "GLOO_", "CUDA_", "DS_", "HF_")
"""Beginnings of the variables that other hosts need, too; DeepSpeed itself adds those of Python."""
NOT_CARRIED = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "DS_ENV_FILE")
"""What holds for this machine only, or is set for each host."""
DEVICES = "CUDA_VISIBLE_DEVICES"
EXTENSIONS = "TORCH_EXTENSIONS_DIR"


def job_environment(lake: Lake, hosts: Sequence[Host]) -> dict[str, str]:
    """The job's environment: threads shared among ranks, compiled extensions kept between runs."""
    in_environment = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    extensions = Path(sys.prefix) / "torch_extensions" if in_environment else lake.cache / "torch_extensions"
    defaults = {
        "OMP_NUM_THREADS": str(max(available_cores() // max(host.slots for host in hosts), 1)),
        EXTENSIONS: str(extensions),
        "TRITON_CACHE_DIR": str(lake.cache / "triton"),
    }
    # Ninja and the compiler wrappers of the environment must be found also when it is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    fixed = {"PATH": path, "PYTHONUNBUFFERED": "1", "DS_ENV_FILE": REMOTE_ENVIRONMENT}
    return {**defaults, **os.environ, **lake.environment(), **fixed}


@contextmanager
def compiled_extensions(folder: Path) -> Iterator[None]:
    """Use a folder of compiled extensions for the block, free of what killed jobs have left there.

    Torch marks an extension that is being built by a file `lock`, for which others wait without end, also after its
    owner was killed. Every job holds a shared lock on the folder: who can have it alone removes those files.
    """

    def remove_markers() -> None:
        for marker in folder.glob("*/lock"):
            marker.unlink(missing_ok=True)

    with shared(folder / ".jobs", if_alone=remove_markers):
        yield


def remote_environment(environment: Mapping[str, str]) -> str:
    """The content of `.deepspeed_env`: what of the job's environment the ranks on other hosts need.

    DeepSpeed puts a value that is more than a word between double quotes into a shell's `export`. The search path is
    the host's own behind that of this Python.
    """
    carried = {
        name: value
        for name, value in environment.items()
        if name.startswith(CARRIED) and name not in NOT_CARRIED and "\n" not in value
    }
    lines = [f"{name}={_quoted(value)}" for name, value in sorted(carried.items())]
    return "\n".join([*lines, f"PATH={_quoted(str(Path(sys.executable).parent))}:$PATH"]) + "\n"


def _quoted(value: str) -> str:
    """Text that a shell reads back between double quotes; pdsh takes `%%` for `%`."""
    return re.sub(r'([\\"$`])', r"\\\1", value).replace("%", "%%")


def chosen_devices(ranks: int) -> list[int] | None:
    """The GPUs that `CUDA_VISIBLE_DEVICES` leaves to the ranks of this machine; None where it does not choose.

    DeepSpeed would number them from 0 whatever the variable says. Raises UserError when they are too few.
    """
    visible = os.environ.get(DEVICES, "").strip()
    if not re.fullmatch(r"\d+(,\d+)*", visible):
        return None
    devices = [int(number) for number in visible.split(",")]
    if len(devices) < ranks:
        raise UserError(f"{DEVICES}={visible} leaves {len(devices)} GPUs to {ranks} ranks; lower --ranks")
    return devices[:ranks]
