"""The training job: what the `deepspeed` launcher runs on every rank.

    deepspeed --module modeling.train --config run.json

It reads a `RunConfig`, resumes from the run folder's last checkpoint if there is one, and leaves the trained
model in `<run folder>/model`. Rank 0 reports one JSON object a line in `metrics.jsonl`, which the training
flow follows; an error that a user can mend is reported there too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import deepspeed
import deepspeed.comm as comm
import torch

from modeling.batches import Loader, load_split
from modeling.config import RunConfig, TrainingConfig
from modeling.evaluation import HeldOut, evaluate
from modeling.transformer import MuseNet
from modeling.weights import save_model
from tokenization.shards import ShardError

METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
MODEL = "model"
BETAS = (0.9, 0.95)


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


class Reporter:
    """Rank 0's side of `metrics.jsonl`; silent on other ranks."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.file = None
        if rank == 0:
            path = folder / METRICS
            torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
            self.file = path.open("a", encoding="utf-8")
            if torn:
                self.file.write("\n")  # an earlier attempt was killed within a line

    def __call__(self, event: str, **values: Any) -> None:
        if self.file is not None:
            self.file.write(json.dumps({"event": event, "time": time.time(), **values}) + "\n")
            self.file.flush()


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to train in bfloat16; `auto` asks whether the device multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def learning_rate_factor(step: int, training: TrainingConfig) -> float:
    """Linear warm-up, then a cosine down to `final_learning_rate`; a factor on the learning rate."""
    if step < training.warmup_steps:
        return (step + 1) / training.warmup_steps
    progress = (step - training.warmup_steps) / max(training.steps - training.warmup_steps, 1)
    floor = training.final_learning_rate
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def optimiser_for(model: MuseNet, training: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; matrices decay, gains, biases and tables that are added do not."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    other = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": training.weight_decay}, {"params": other, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=BETAS)


def deepspeed_settings(run: RunConfig, bf16: bool) -> dict[str, Any]:
    """The settings of `infra/deepspeed/` with this run's batch sizes, clipping and precision."""
    training = run.training
    return {
        **run.deepspeed,
        "train_batch_size": training.batch_size,
        "train_micro_batch_size_per_gpu": training.micro_batch_size,
        "gradient_accumulation_steps": training.batch_size // (training.micro_batch_size * run.ranks),
        "gradient_clipping": training.gradient_clipping,
        "bf16": {"enabled": bf16},
    }


class Trainer:
    """One rank's training run: engine, data and the state that a checkpoint restores."""

    def __init__(self, run: RunConfig, rank: int) -> None:
        self.run = run
        self.rank = rank
        self.report = Reporter(run.folder, rank)
        device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
        self.device = device
        training = run.training
        torch.manual_seed(training.seed)
        context = run.model.context
        split = load_split(run.dataset, "train")
        self.validation = load_split(run.dataset, "validation")
        self.loader = Loader(
            split,
            context,
            training.batch_size,
            training.seed,
            training.style_dropout,
            training.augmentation,
            training.steps,
        )
        sizes = {"vocabulary_size": split.vocabulary.size, "note_tokens": split.vocabulary.note_end}
        model = MuseNet(run.model.model_copy(update=sizes))
        self.model = model
        optimiser = optimiser_for(model, training)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, training))
        bf16 = use_bf16(training.precision, device)
        self.engine, *_ = deepspeed.initialize(
            model=model, optimizer=optimiser, lr_scheduler=schedule, config=deepspeed_settings(run, bf16)
        )
        self.step = 0
        self.seconds = 0.0
        """Time spent in training, earlier attempts included."""
        self.evaluated_step = -1
        self.held_out: HeldOut | None = None
        self._resume()
        self.report(
            "start",
            step=self.step,
            steps=training.steps,
            parameters=model.parameter_count(),
            precision="bf16" if bf16 else "fp32",
            device=device.type,
            ranks=run.ranks,
            train_pieces=len(split.pieces),
            train_tokens=int(split.sizes.sum()),
        )

    def _resume(self) -> None:
        folder = self.run.folder / CHECKPOINTS
        if (folder / "latest").exists():
            _, state = self.engine.load_checkpoint(str(folder))
            self.step, self.seconds = state["step"], state["seconds"]

    def train(self) -> None:
        """All remaining steps, then the final evaluation and the model's files."""
        training = self.run.training
        begun = time.perf_counter() - self.seconds
        self.engine.train()
        while self.step < training.steps:
            self._train_step()
            self.seconds = time.perf_counter() - begun
            out_of_time = self._out_of_time()
            done = out_of_time or self.step == training.steps
            if done or self.step % training.evaluate_every == 0:
                self._evaluate()
            if done or self.step % training.checkpoint_every == 0:
                self._checkpoint()
            if out_of_time and self.step < training.steps:
                self.report("out_of_time", step=self.step, minutes=self.seconds / 60)
                break
        if self.evaluated_step != self.step:
            self._evaluate()
        self._finish()

    def _train_step(self) -> None:
        """One optimiser step over the global batch of this step's number."""
        training = self.run.training
        begun = time.perf_counter()
        batch, targets = self.loader.batch(self.step, self.rank, self.run.ranks)
        losses = []
        for first in range(0, len(targets), training.micro_batch_size):
            # Dropout is a function of the step and the window's number: the same for a resumed run and for any ranks.
            torch.manual_seed(training.seed + 1_000_003 * self.step + self.rank * len(targets) + first)
            chosen = slice(first, first + training.micro_batch_size)
            micro = type(batch)(*(x[chosen] for x in batch)).to(self.device)
            loss = self.engine(micro, targets[chosen].to(self.device))
            self.engine.backward(loss)
            self.engine.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean().float()
        if self.run.ranks > 1:
            comm.all_reduce(mean, op=comm.ReduceOp.AVG if mean.is_cuda else comm.ReduceOp.SUM)
            mean = mean if mean.is_cuda else mean / self.run.ranks
        loss_value = float(mean)
        self.step += 1
        if not math.isfinite(loss_value):
            raise TrainingError(
                f"the loss is {loss_value} at step {self.step}: nothing was saved since the last checkpoint; "
                "lower learning_rate or train with precision=fp32"
            )
        seconds = time.perf_counter() - begun
        gradient_norm = self.engine.get_global_grad_norm()
        self.report(
            "step",
            step=self.step,
            loss=loss_value,
            learning_rate=self.engine.get_lr()[0],
            gradient_norm=None if gradient_norm is None else float(gradient_norm),
            tokens_per_second=training.batch_size * self.run.model.context / seconds,
        )

    def _out_of_time(self) -> bool:
        """Whether the time limit is over, by rank 0's clock so that all ranks agree."""
        limit = self.run.training.max_minutes
        if limit is None:
            return False
        over = torch.tensor([float(self.seconds > limit * 60)], device=self.device)
        if self.run.ranks > 1:
            comm.broadcast(over, src=0)
        return bool(over.item())

    def _evaluate(self) -> None:
        """Held-out loss, on rank 0 while the others wait; nothing without validation pieces."""
        self.evaluated_step = self.step
        if self.rank == 0 and self.validation.pieces:
            batch = self.run.training.micro_batch_size
            held_out = evaluate(self.model, self.validation, self.run.model.context, batch)
            self.held_out = held_out
            self.report(
                "evaluation",
                step=self.step,
                nats_per_token=held_out.nats_per_token,
                nats_per_note=held_out.nats_per_note,
                tokens=held_out.tokens,
                by_style=held_out.by_style,
            )
        if self.run.ranks > 1:
            comm.barrier()

    def _checkpoint(self) -> None:
        folder = self.run.folder / CHECKPOINTS
        state = {"step": self.step, "seconds": self.seconds}
        self.engine.save_checkpoint(str(folder), tag=f"step{self.step:08d}", client_state=state)
        if self.rank == 0:
            for old in sorted(folder.glob("step*"))[: -self.run.training.keep_checkpoints]:
                shutil.rmtree(old)
            self.report("checkpoint", step=self.step)

    def _finish(self) -> None:
        if self.rank == 0:
            held_out = self.held_out
            staging = self.run.folder / f".{MODEL}.{os.getpid()}"
            save_model(self.model, staging)
            shutil.rmtree(self.run.folder / MODEL, ignore_errors=True)
            staging.rename(self.run.folder / MODEL)
            self.report(
                "finished",
                step=self.step,
                seconds=self.seconds,
                nats_per_token=held_out.nats_per_token if held_out else None,
                nats_per_note=held_out.nats_per_note if held_out else None,
            )


def end_with_launcher() -> None:
    """End this rank once standard input closes: whoever launched the job is gone, however it ended."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    os._exit(1)


def main() -> int:
    """Run one rank; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="run.json as the training flow writes it")
    parser.add_argument("--local_rank", type=int, default=int(os.environ.get("LOCAL_RANK", "0")))
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes")
    arguments = parser.parse_args()
    run = RunConfig.model_validate(json.loads(arguments.config.read_text(encoding="utf-8"))["config"])
    if arguments.end_with_stdin:
        threading.Thread(target=end_with_launcher, daemon=True).start()
    if torch.cuda.is_available():
        torch.cuda.set_device(arguments.local_rank)
    deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo")
    rank = comm.get_rank()
    try:
        Trainer(run, rank).train()
    except (TrainingError, ShardError) as error:
        Reporter(run.folder, rank)("error", message=str(error))
        print(error, file=sys.stderr)
        return 1
    finally:
        torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
