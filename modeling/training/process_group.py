"""The process group of a training job: joined and left quietly, and what ranks exchange through it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from modeling.training.deepspeed_package import comm, deepspeed


@contextlib.contextmanager
def process_group() -> Iterator[int]:
    """Join the job that the environment describes (RANK, WORLD_SIZE, MASTER_ADDR, …) for the block; yield the rank.

    By NCCL where there are GPUs, otherwise by Gloo.
    """
    # An op for inference: building it takes g++ and a minute, and its shared memory outlives the job.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    with quiet():
        deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo")
    yield comm.get_rank()
    comm.destroy_process_group()  # torch's own function would leave DeepSpeed with dead groups


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence DeepSpeed's output for the block, in which it is started or stopped, and its warnings from then on.

    Its errors are exceptions and are not affected.
    """
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def sum_over_ranks(value: Tensor) -> Tensor:
    """Collective: sum a tensor on the ranks' device, in place; return it."""
    if comm.get_world_size() > 1:
        comm.all_reduce(value)
    return value


def true_on_any_rank(flags: list[bool], device: torch.device) -> list[bool]:
    """Collective: return on all ranks which flags any of them has set."""
    counts = sum_over_ranks(torch.tensor(flags, dtype=torch.int32, device=device))
    return [bool(count) for count in counts.tolist()]
