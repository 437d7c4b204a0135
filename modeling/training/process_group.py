"""The process group of a training job: joined and left without what DeepSpeed says and builds on its way."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import deepspeed
import deepspeed.comm as comm
import torch


@contextlib.contextmanager
def process_group() -> Iterator[int]:
    """This process as a rank of the job that its environment names (RANK, WORLD_SIZE, MASTER_ADDR, …); gives its
    number. NCCL where there are GPUs, else Gloo."""
    # An operation for inference: building it takes g++ and a minute, and its shared memory outlives the job.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    with quiet():
        deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo")
    yield comm.get_rank()
    comm.destroy_process_group()  # torch's own would leave DeepSpeed with groups that are gone


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While DeepSpeed is started and stopped: without what it prints on its way, and its warnings of itself.

    Its errors come as exceptions. Warnings stay away afterwards too.
    """
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    with contextlib.redirect_stdout(io.StringIO()):
        yield
