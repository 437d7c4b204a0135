"""The trainer: one rank's part of a run, from the newest good checkpoint to the model's files.

What a step computes is a function of the run's configuration and the step's number alone: batches, augmentation,
dropout and mixup are drawn from the seed and that number. So a run that was killed goes on to the same weights.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import asdict

import deepspeed
import deepspeed.comm as comm
import psutil
import torch
from torch import Tensor

from infra.errors import RunError
from infra.files import replace_folder
from modeling.config import RunConfig
from modeling.data import Loader, Prefetcher, load_split
from modeling.network.batch import Batch
from modeling.network.flops import flops_per_token, peak_flops
from modeling.network.loss import IGNORED
from modeling.network.mixup import draw_mix
from modeling.network.transformer import MuseNet
from modeling.network.weights import save_weights
from modeling.training import checkpoints, selection
from modeling.training.deepspeed_config import complete, load_settings
from modeling.training.evaluation import HeldOut, evaluate
from modeling.training.events import (
    CheckpointSaved,
    Evaluated,
    EventWriter,
    Finished,
    OutOfTime,
    RunStarted,
    StepTrained,
    StoppedEarly,
    Warned,
)
from modeling.training.optimisers import optimiser_for, schedule_for
from modeling.training.process_group import quiet
from modeling.training.run_folder import RunFolder
from modeling.training.selection import Selection

PREFETCHED, LOADER_THREADS = 4, 2
"""Batches that are made ahead, and the threads that make them: stretching takes the longest."""
DROPOUT_STREAM, MIX_STREAM = 101, 102
"""Independent random streams drawn from one seed; the loader has others."""


class TrainingError(RunError):
    """Training that cannot go on; the message says why and what to do."""


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to train in bfloat16; `auto` asks whether the device multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def dropout_seed(seed: int, step: int, window: int) -> int:
    """The seed of a micro-batch that begins with the global batch's `window`: a function of these alone."""
    mixed = seed
    for part in (DROPOUT_STREAM, step, window):
        mixed = (mixed * 6_364_136_223_846_793_005 + part + 1_442_695_040_888_963_407) % 2**63
    return mixed


class Trainer:
    """One rank's training run: engine, data and the state that a checkpoint restores."""

    def __init__(self, run: RunConfig, rank: int) -> None:
        """Raises ShardError, SettingsError, CheckpointError."""
        self.run = run
        self.rank = rank
        self.folder = RunFolder(run.folder)
        self.events = EventWriter(self.folder.metrics if rank == 0 else None)
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", torch.cuda.current_device())
        training = run.training
        bf16 = use_bf16(training.precision, self.device)
        settings = complete(load_settings(training.zero_stage, training.offload), training, run.world_size, bf16)

        split = load_split(run.dataset, "train", run.cache)
        self.validation = load_split(run.dataset, "validation", run.cache)
        self.loader = Loader(
            split,
            run.model.context,
            training.batch_size,
            seed=training.seed,
            style_dropout=training.style_dropout,
            instrument_dropout=training.instrument_dropout,
            augmentation=training.augmentation,
            steps=training.steps,
            pack=training.pack,
            pin=self.device.type == "cuda",
        )
        sizes = {"vocabulary_size": split.vocabulary.size, "note_tokens": split.vocabulary.note_end}
        shape = run.model.model_copy(update=sizes)
        torch.manual_seed(training.seed)
        self.model = MuseNet(shape)
        optimiser = optimiser_for(self.model, training)
        if training.compile == "on" or (training.compile == "auto" and self.device.type == "cuda"):
            for block in self.model.blocks:  # they share what is compiled; the whole would be unrolled
                block.compile()
        with quiet():
            self.engine, *_ = deepspeed.initialize(
                model=self.model, optimizer=optimiser, lr_scheduler=schedule_for(optimiser, training), config=settings
            )
        self.flops = flops_per_token(shape)
        self.peak = peak_flops(self.device, torch.bfloat16 if bf16 else torch.float32) * run.world_size
        self.step = 0
        self.seconds = 0.0
        """Time spent in training, earlier attempts included."""
        self.selection = Selection()
        self._resume()
        self.saved_at = time.perf_counter()
        self.events.write(
            RunStarted(
                step=self.step,
                steps=training.steps,
                parameters=self.model.parameter_count(),
                precision="bf16" if bf16 else "fp32",
                device=torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
                ranks=run.world_size,
                train_pieces=len(split.sizes),
                train_tokens=int(split.sizes.sum()),
            )
        )

    def _resume(self) -> None:
        """Go on from the newest checkpoint that is whole."""
        found, remarks = checkpoints.newest_good(self.folder.checkpoints)
        for remark in remarks:
            self.events.write(Warned(step=0 if found is None else found.step, message=remark))
        if found is not None:
            state = checkpoints.restore(self.engine, found)
            self.step, self.seconds = found.step, state["seconds"]
            self.selection = Selection(**state["selection"])

    def train(self) -> None:
        """All remaining steps, evaluations and checkpoints, then the model's files. Raises TrainingError and
        CheckpointError, on all ranks alike."""
        training = self.run.training
        begun = time.perf_counter() - self.seconds
        self.engine.train()
        plateau = self.selection.is_plateau(training.patience)
        with Prefetcher(self._batch, self.step, training.steps, PREFETCHED, LOADER_THREADS) as batches:
            while self.step < training.steps and not plateau:
                self.train_step(*next(batches))
                self.seconds = time.perf_counter() - begun
                out_of_time, save_is_due = self._clock()
                done = out_of_time or self.step == training.steps
                if done or self.step % training.evaluate_every == 0:
                    self._evaluate()
                    plateau = self.selection.is_plateau(training.patience)
                if done or plateau or save_is_due or self.step % training.checkpoint_every == 0:
                    self._checkpoint()
                if plateau and not done:
                    self.events.write(StoppedEarly(step=self.step, best_step=self.selection.best_step))
                if out_of_time and self.step < training.steps:
                    self.events.write(OutOfTime(step=self.step, minutes=self.seconds / 60))
                    break
        self._finish()

    def _batch(self, number: int) -> tuple[Batch, Tensor]:
        """This rank's share of a global batch."""
        return self.loader.batch(number, self.rank, self.run.world_size)

    def train_step(self, batch: Batch, targets: Tensor) -> None:
        """One optimiser step over this rank's share of a global batch."""
        training = self.run.training
        begun = time.perf_counter()
        # Tokens weigh alike, however the batch is divided among ranks and micro-batches.
        total = self._sum_over_ranks((targets != IGNORED).sum())
        accumulated = len(targets) // training.micro_batch_size
        progress = self.step / training.steps
        loss_sum = torch.zeros((), device=self.device)
        for first in range(0, len(targets), training.micro_batch_size):
            window = self.rank * len(targets) + first
            torch.manual_seed(dropout_seed(training.seed, self.step, window))
            chosen = slice(first, first + training.micro_batch_size)
            own = targets[chosen].to(self.device, non_blocking=True)
            mix = draw_mix(training.mixup, progress, len(own), [training.seed, MIX_STREAM, self.step, window])
            share = (own != IGNORED).sum() / total
            loss = self.engine(batch.rows(chosen).to(self.device), own, mix) * share
            # DeepSpeed means to average over accumulated micro-batches and ranks.
            self.engine.backward(loss * (accumulated * self.run.world_size))
            self.engine.step()
            loss_sum += loss.detach()
        loss_value = float(self._sum_over_ranks(loss_sum))
        self.step += 1
        gradient_norm = self.engine.get_global_grad_norm()
        norm_value = None if gradient_norm is None else float(gradient_norm)
        for name, value in (("loss", loss_value), ("gradient norm", norm_value)):
            if value is not None and not math.isfinite(value):
                raise TrainingError(
                    f"the {name} is {value} at step {self.step}; nothing was saved since the last checkpoint: lower "
                    "training.learning_rate, or train with training.precision=fp32"
                )
        tokens_per_second = training.batch_size * self.run.model.context / (time.perf_counter() - begun)
        self.events.write(
            StepTrained(
                step=self.step,
                loss=loss_value,
                learning_rate=self.engine.get_lr()[0],
                gradient_norm=norm_value,
                tokens_per_second=tokens_per_second,
                mfu=tokens_per_second * self.flops / self.peak,
                memory_gb=self._memory() / 1e9,
            )
        )

    def _memory(self) -> int:
        """Bytes that this rank takes on its device."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return int(psutil.Process().memory_info().rss)

    def _sum_over_ranks(self, value: Tensor) -> Tensor:
        on_device = value.to(self.device)
        if self.run.world_size > 1:
            comm.all_reduce(on_device)
        return on_device

    def _clock(self) -> tuple[bool, bool]:
        """Whether the time limit is over, and whether a checkpoint is due: by rank 0's clock, so that all agree."""
        training = self.run.training
        limit, pause = training.max_minutes, training.checkpoint_minutes
        over = limit is not None and self.seconds > limit * 60
        due = pause is not None and time.perf_counter() - self.saved_at > pause * 60
        flags = torch.tensor([over, due], dtype=torch.uint8, device=self.device)
        if self.run.world_size > 1:
            comm.broadcast(flags, src=0)
        return bool(flags[0]), bool(flags[1])

    def _evaluate(self) -> None:
        """Held-out loss, computed by all ranks together; nothing without validation pieces."""
        if not len(self.validation.sizes):
            return
        training = self.run.training

        def add_up(sums: Tensor) -> None:
            sums.copy_(self._sum_over_ranks(sums))

        held_out = evaluate(
            self.model,
            self.validation,
            self.run.model.context,
            training.micro_batch_size,
            training.evaluation_windows,
            self.rank,
            self.run.world_size,
            add_up,
        )
        self.selection = self.selection.after(self.step, held_out)
        is_best = self.selection.best_step == self.step
        if is_best:
            self._save_weights(held_out)
        self.events.write(Evaluated(step=self.step, best=is_best, **asdict(held_out)))

    def _save_weights(self, held_out: HeldOut | None) -> None:
        """Collective: the weights of this step, in 32 bits, among the best ones."""
        state = checkpoints.full_state_dict(self.engine)
        if state is None:
            return
        folder = self.folder.best
        target = selection.weights_folder(folder, self.step)
        staging = folder / f".{target.name}.{os.getpid()}"
        save_weights(self.model.config, state, staging)
        if held_out is not None:
            selection.write_held_out(held_out, self.step, staging)
        replace_folder(staging, target)

    def _checkpoint(self) -> None:
        folder = self.folder.checkpoints
        state = {"seconds": self.seconds, "selection": asdict(self.selection)}
        size = checkpoints.save(self.engine, folder, self.step, state)
        self.saved_at = time.perf_counter()
        if self.rank == 0:
            kept = checkpoints.prune(folder, self.run.training.keep_checkpoints)
            best = {state["selection"]["best_step"] for state in kept}
            selection.prune_weights(self.folder.best, best - {None})
        self.events.write(CheckpointSaved(step=self.step, gigabytes=size / 1e9))

    def _finish(self) -> None:
        """Publish the weights of the best evaluation, or the last ones where nothing was held out."""
        if self.selection.best_step is None:
            self._save_weights(None)
        if self.rank != 0:
            return
        step = self.step if self.selection.best_step is None else self.selection.best_step
        chosen = selection.weights_folder(self.folder.best, step)
        held_out = None if self.selection.best_step is None else selection.read_held_out(chosen)[1]
        replace_folder(chosen, self.folder.model)
        shutil.rmtree(self.folder.best)
        self.events.write(
            Finished(
                step=self.step,
                best_step=step,
                seconds=self.seconds,
                nats_per_token=held_out.nats_per_token if held_out else None,
                nats_per_note=held_out.nats_per_note if held_out else None,
            )
        )
