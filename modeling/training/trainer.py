"""The trainer: one rank's part of a run, from the newest intact checkpoint to the model's files.

A step is a function of the run's configuration and the step's number alone: batches, augmentation, dropout and mixup
are drawn from the seed and that number. A run that was killed therefore resumes to the same weights.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor

from infra.errors import RunError
from modeling.config import Leaks, RunConfig
from modeling.data import Prefetcher
from modeling.network.batch import Batch
from modeling.network.flops import flops_per_token, peak_flops
from modeling.network.precision import use_bf16
from modeling.training import checkpoints
from modeling.training.best_weights import BestWeights
from modeling.training.checkpoints.files import list_checkpoints
from modeling.training.deepspeed_config import build_deepspeed_config, load_settings
from modeling.training.engine import build_engine, build_model, local_device
from modeling.training.evaluation import EvalMetrics, evaluate
from modeling.training.events import (
    ArchiveFilled,
    CheckpointSaved,
    Evaluated,
    EventWriter,
    Finished,
    Interrupted,
    OutOfTime,
    RunStarted,
    StepTrained,
    StoppedEarly,
    Warned,
)
from modeling.training.process_group import sum_over_ranks, true_on_any_rank
from modeling.training.run_folder import RunFolder
from modeling.training.state import TrainingState
from modeling.training.step import train_on_batch
from modeling.training.stopping import StopRequest
from modeling.training.training_data import load_data

if TYPE_CHECKING:
    from modeling.training.joint_critic import JointTraining

PREFETCHED, LOADER_THREADS = 4, 2
"""Batches that are made ahead, and the threads that make them; time stretching is the slowest part."""


class TrainingError(RunError):
    """Training that has diverged; the message says where and what to change."""


class Trainer:
    """One rank's part of a training run: engine, data and state."""

    def __init__(self, run: RunConfig, rank: int, stop: StopRequest | None = None) -> None:
        """Build engine and data, and resume from a checkpoint. Raises ShardError, SettingsError, WeightsError and
        CheckpointError."""
        self.run = run
        self.rank = rank
        self.folder = RunFolder(run.folder)
        self.stop = stop or StopRequest(None)
        self.best = BestWeights(self.folder.best)
        self.events = EventWriter(self.folder.metrics if rank == 0 else None)
        if run.training.tensorboard and rank == 0:
            from modeling.training.tensorboard import TensorBoard

            self.events.also = TensorBoard(self.folder.tensorboard).add
        self.device = local_device()
        bf16 = use_bf16(run.training.precision, self.device)
        settings = load_settings(run.training.zero_stage, run.training.offload)
        config = build_deepspeed_config(settings, run.training, run.world_size, bf16)
        self.data = load_data(run, pin=self.device.type == "cuda")
        self.joint = self._new_joint_training()
        self.model = build_model(run, self.data.vocabulary)
        self.engine = build_engine(self.model, run.training, config, self.device)
        self.flops = flops_per_token(self.model.config)
        self.peak = peak_flops(self.device, torch.bfloat16 if bf16 else torch.float32) * run.world_size
        leaks = Leaks.read(self.folder.parent)
        self.leaked = frozenset(() if leaks is None else leaks.validation.leaked)
        self.state = self._resume()
        self.saved_at = time.perf_counter()
        self.events.write(
            RunStarted(
                step=self.state.step,
                steps=run.training.steps,
                parameters=self.model.parameter_count(),
                precision="bf16" if bf16 else "fp32",
                device=torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
                ranks=run.world_size,
                train_pieces=len(self.data.train.sizes),
                train_tokens=int(self.data.train.sizes.sum()),
            )
        )

    def _new_joint_training(self) -> JointTraining | None:
        """Return what trains a critic with the network, None where none is asked for."""
        critic = self.run.training.critic
        if critic is None:
            return None
        from modeling.training.joint_critic import JointTraining  # and with it the kernels of generation

        return JointTraining(self.run, critic, self.data.train)

    def _resume(self) -> TrainingState:
        """Restore the newest intact checkpoint, if there is one."""
        checkpoint, warnings = checkpoints.find_newest(self.folder.checkpoints)
        for message in warnings:
            self.events.write(Warned(step=0 if checkpoint is None else checkpoint.step, message=message))
        if checkpoint is None:
            return TrainingState()
        return TrainingState.from_checkpoint(checkpoint.step, checkpoints.restore(self.engine, checkpoint))

    def train(self) -> None:
        """Run all remaining steps, evaluations and checkpoints, then write the model; not if it is asked to stop.

        Raises TrainingError and CheckpointError, on all ranks alike.
        """
        training, state = self.run.training, self.state
        begun = time.perf_counter() - state.seconds
        self.engine.train()
        plateau = state.selection.is_plateau(training.patience)
        with Prefetcher(self._batch, state.step, training.steps, PREFETCHED, LOADER_THREADS) as batches:
            while state.step < training.steps and not plateau:
                self._fill_archive(time.perf_counter() - begun)
                self.train_step(*next(batches))
                state.seconds = time.perf_counter() - begun
                out_of_time, save_is_due, stop = self._check_clock()
                done = out_of_time or state.step == training.steps
                if done or state.step % training.evaluate_every == 0:
                    self._evaluate()
                    if not stop:  # which has to end soon
                        begun += self._compose_samples()
                    plateau = state.selection.is_plateau(training.patience)
                if done or plateau or save_is_due or stop or state.step % training.checkpoint_every == 0:
                    self._save_checkpoint()
                if plateau and not done:
                    self.events.write(StoppedEarly(step=state.step, best_step=state.selection.best_step))
                if out_of_time and state.step < training.steps:
                    self.events.write(OutOfTime(step=state.step, minutes=state.seconds / 60))
                    break
                if stop and not (done or plateau):
                    self.events.write(Interrupted(step=state.step))
                    return
        self._finish()

    def _batch(self, number: int) -> tuple[Batch, Tensor]:
        """Return this rank's share of a global batch."""
        return self.data.loader.batch(number, self.rank, self.run.world_size)

    def train_step(self, batch: Batch, targets: Tensor) -> None:
        """Take one optimiser step over this rank's share of a global batch. Raises TrainingError."""
        begun = time.perf_counter()
        step, world_size = self.state.step, self.run.world_size
        critic = None if self.joint is None else self.joint.rows(step)
        losses = train_on_batch(self.engine, self.run.training, step, batch, targets, self.rank, world_size, critic)
        self.state.step += 1
        norm = self.engine.get_global_grad_norm()
        gradient_norm = None if norm is None else float(norm)
        self._check_finite("loss", losses.language)
        self._check_finite("critic's loss", losses.critic)
        self._check_finite("gradient norm", gradient_norm)
        tokens_per_second = self.run.training.batch_size * self.run.model.context / (time.perf_counter() - begun)
        self.events.write(
            StepTrained(
                step=self.state.step,
                loss=losses.language,
                critic_loss=losses.critic,
                learning_rate=self.engine.get_lr()[0],
                gradient_norm=gradient_norm,
                tokens_per_second=tokens_per_second,
                mfu=tokens_per_second * self.flops / self.peak,
                memory_gb=self._memory() / 1e9,
            )
        )

    def _fill_archive(self, seconds: float) -> None:
        """Collective: add generations of this step's weights to the archive, if it is to be filled now.

        `seconds`: time of training so far. Rank 0 generates, the others wait.
        """
        state, joint = self.state, self.joint
        if joint is None or not joint.is_filled_at(state.step):
            return
        begun = time.perf_counter()
        weights = checkpoints.full_state_dict(self.engine)
        made = 0
        if weights is not None:
            # Of all time, generation included, so that the share is kept though the clock goes on.
            budget = joint.settings.share * seconds - state.archive_seconds
            made = joint.fill(state.step, self.model.config, weights, self.device, budget)
        true_on_any_rank([True], self.device)  # the file is there when a rank goes on
        spent = time.perf_counter() - begun
        state.archive_seconds += spent
        self.events.write(
            ArchiveFilled(step=state.step, generations=made, share=state.archive_seconds / (seconds + spent))
        )

    def _check_finite(self, name: str, value: float | None) -> None:
        if value is not None and not math.isfinite(value):
            raise TrainingError(
                f"the {name} is {value} at step {self.state.step}; nothing was saved since the last checkpoint: lower "
                "training.learning_rate, or train with training.precision=fp32"
            )

    def _memory(self) -> int:
        """Return the bytes that this rank takes on its device."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return int(psutil.Process().memory_info().rss)

    def _check_clock(self) -> tuple[bool, bool, bool]:
        """Collective: return whether the time limit has passed and whether a checkpoint is due, by rank 0's clock, and
        whether any rank was asked to stop."""
        training = self.run.training
        limit, interval = training.max_minutes, training.checkpoint_minutes
        out_of_time = limit is not None and self.state.seconds > limit * 60
        save_is_due = interval is not None and time.perf_counter() - self.saved_at > interval * 60
        keeps_time = self.rank == 0
        own = [keeps_time and out_of_time, keeps_time and save_is_due, self.stop.is_requested()]
        out_of_time, save_is_due, stop = true_on_any_rank(own, self.device)
        return out_of_time, save_is_due, stop

    def _evaluate(self) -> None:
        """Collective: evaluate on the validation split, unless it is empty, and keep the weights if they are the
        best."""
        if not len(self.data.validation.sizes):
            return
        training, state = self.run.training, self.state

        def all_reduce(sums: Tensor) -> None:
            sums.copy_(sum_over_ranks(sums.to(self.device)))

        metrics = evaluate(
            self.model,
            self.data.validation,
            self.run.model.context,
            training.micro_batch_size,
            training.evaluation_windows,
            self.rank,
            self.run.world_size,
            all_reduce,
            self.leaked,
        )
        state.selection = state.selection.after(state.step, metrics)
        is_best = state.selection.best_step == state.step
        if is_best:
            self._save_weights(metrics)
        self.events.write(Evaluated(step=state.step, best=is_best, **asdict(metrics)))

    def _compose_samples(self) -> float:
        """Collective: compose a few pieces by the weights of this step; return the seconds, which do not count as
        training: the kernels of generation are compiled at their first use on a machine."""
        if not self.run.training.samples or not len(self.data.validation.sizes):
            return 0.0
        begun = time.perf_counter()
        from modeling.training.samples import compose_samples  # and with it those kernels

        folder = self.folder.samples_of(self.state.step)
        warning = compose_samples(self.engine, self.run, folder, self.model.config, self.data.validation)
        if warning:
            self.events.write(Warned(step=self.state.step, message=warning))
        return time.perf_counter() - begun

    def _save_weights(self, metrics: EvalMetrics | None) -> None:
        """Collective: keep the weights of this step, in 32 bits, as the best ones."""
        weights = checkpoints.full_state_dict(self.engine)
        if weights is not None:
            self.best.save(self.state.step, self.model.config, weights, metrics)

    def _save_checkpoint(self) -> None:
        """Collective: save a checkpoint, and remove those and the weights that are no longer needed."""
        folder = self.folder.checkpoints
        size = checkpoints.save(self.engine, folder, self.state.step, self.state.to_checkpoint())
        self.saved_at = time.perf_counter()
        if self.rank == 0:
            kept = checkpoints.prune(folder, self.run.training.keep_checkpoints)
            self.best.prune({state["selection"]["best_step"] for state in kept} - {None})
            if self.joint is not None:
                oldest = int(list_checkpoints(folder)[0].name.removeprefix("step"))
                self.joint.archive.thin(oldest, self.joint.settings.archive.most)
        self.events.write(CheckpointSaved(step=self.state.step, gigabytes=size / 1e9))

    def _finish(self) -> None:
        """Publish the weights of the best evaluation, or the last ones without validation pieces."""
        best_step = self.state.selection.best_step
        if best_step is None:
            self._save_weights(None)
        if self.rank != 0:
            return
        step = self.state.step if best_step is None else best_step
        metrics = None if best_step is None else self.best.metrics(step)
        self.best.publish(step, self.folder.model)
        self.events.write(
            Finished(
                step=self.state.step,
                best_step=step,
                seconds=self.state.seconds,
                nats_per_token=metrics.nats_per_token if metrics else None,
                nats_per_note=metrics.nats_per_note if metrics else None,
                nats_per_token_all=metrics.nats_per_token_all if metrics else None,
                nats_per_note_all=metrics.nats_per_note_all if metrics else None,
            )
        )
