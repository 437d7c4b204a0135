"""The training job: the program that the `deepspeed` launcher runs on every rank.

    deepspeed --module modeling.training.train --config run.json

It reads a `RunConfig`, resumes from the run folder's newest intact checkpoint if there is one, and leaves the trained
model in `<run folder>/model`. Rank 0 writes events to `metrics.jsonl`; errors that a user can fix are written there by
the rank that raised them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

import torch

from infra.errors import MusenetError
from infra.processes import end_with_stdin
from modeling.config import RunConfig, read_run_config
from modeling.training.deepspeed_package import comm
from modeling.training.events import Failed, append_event
from modeling.training.process_group import process_group
from modeling.training.run_folder import RunFolder
from modeling.training.stopping import StopRequest
from modeling.training.trainer import Trainer


def explain(error: Exception) -> str | None:
    """Return a one-line message for an error that a user can fix; None for a defect of the program."""
    if isinstance(error, MusenetError):
        return " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError):
        return (
            "the device has too little memory: lower training.micro_batch_size, or set model.recompute=true, "
            "training.zero_stage=3 or training.offload=true"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def train(run: RunConfig, rank: int) -> int:
    """Run this rank's part of the job; return the exit status. Errors that a user cannot fix are raised."""
    stop = StopRequest(RunFolder(run.folder).stop if rank == 0 else None)
    stop.listen()
    try:
        Trainer(run, rank, stop).train()
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        # From any rank: it may be the only one with the error. On a full disk the log may still have room.
        with contextlib.suppress(OSError):
            append_event(RunFolder(run.folder).metrics, Failed(message=message, permanent=True))
        print(message, file=sys.stderr)
        return 1
    comm.barrier()  # no rank leaves while another is still publishing
    return 0


def main() -> None:
    """Run one rank, and end its process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="run.json as the training flow writes it")
    parser.add_argument("--local_rank", type=int, default=int(os.environ.get("LOCAL_RANK", "0")))
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes")
    arguments = parser.parse_args()
    run = read_run_config(json.loads(arguments.config.read_text(encoding="utf-8"))["config"])
    if arguments.end_with_stdin:
        end_with_stdin()
    if torch.cuda.is_available():
        torch.cuda.set_device(arguments.local_rank)
    with process_group() as rank:
        status = train(run, rank)
        sys.stdout.flush()
        sys.stderr.flush()
        # Without the interpreter's shutdown: after an error other ranks may be waiting for this one until the launcher
        # ends them, and threads of the process group sometimes abort a process during shutdown.
        os._exit(status)


if __name__ == "__main__":
    main()
