"""The training of a critic: generate, fit, calibrate, measure on families that were held out, and publish."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from flows.criticism.aspects import measure_aspects
from flows.criticism.calibrating import calibrate_crosswise
from flows.criticism.generations import Generations
from flows.criticism.measuring import Measuring
from flows.criticism.parameters import MIN_PIECES, CriticParameters
from flows.criticism.report import CriticReport, write_report
from flows.criticism.windows import windows_of
from flows.progress import Stage
from flows.training.runs import TRAINING, Run
from infra.digests import canonical_digest
from infra.errors import UserError
from infra.files import publish_folder, staging_folder
from infra.lake import Lake
from infra.wording import counted
from modeling.archive import THIRDS, Archive, Generation, family_by_piece, generated_of, long_pieces
from modeling.config import Sampler
from modeling.config.critic import NOISE
from modeling.criticism import (
    Critic,
    CriticHead,
    Lessons,
    calibration_floor,
    expected_calibration_error,
    fit_critic,
    judge_windows,
    new_critic,
    read_head,
    save_critic,
    share_below,
)
from modeling.data import Split, load_split
from modeling.network.weights import load_model
from tokenization.dataset import DatasetVersion
from tokenization.dataset.shards import TokenFormat

MEASURED = (
    Sampler(temperature=1.0, top_p=0.95),
    Sampler(temperature=0.3, top_p=1.0),
    Sampler(temperature=0.85, top_p=0.9),
    Sampler(temperature=1.1, top_p=0.95),
    Sampler(temperature=2.0, top_p=1.0),
    Sampler(temperature=NOISE, top_p=1.0),
)
"""Further samplers that a critic is measured on, most of which it never saw."""
FURTHER = 0.5
"""Generations by each of those, as a share of the ordinary ones."""
ENOUGH_UNREAD = 32
"""Validation pieces longer than a window from which a critic learns what is real; where there are fewer, it learns from
the training pieces. The network has read those, so that they surprise it less than any other music does: a critic that
knows real music by that takes generations, which surprise the network as little, for real."""
OWN_SHARE = 4.0
"""Weight of a model's own drawing among the samplers of its archive."""


def critic_folder(run: Run, parameters: CriticParameters) -> Path:
    """Return the folder of the critic of a run and these settings."""
    return run.folder.critics / canonical_digest(parameters.content())[:12]


class CriticTraining:
    """The training of the critic of one run."""

    def __init__(self, lake: Lake, run: Run, dataset: DatasetVersion, parameters: CriticParameters) -> None:
        """Read model and pieces. Raises UserError where too few pieces are longer than a window."""
        self.run = run
        self.parameters = parameters
        window = min(parameters.critic.window, run.config.model.context)
        self.config = parameters.critic.model_copy(update={"window": window})
        self.ordinary = Sampler(**run.drawing.model_dump(), share=OWN_SHARE)
        """As `musenet sample` draws by default: what scores are calibrated on."""
        others = [each for each in parameters.archive.samplers if each.name != self.ordinary.name]
        self.samplers = (self.ordinary, *others)
        self.folder = critic_folder(run, parameters)
        token_format = TokenFormat.of(dataset.encoding)
        joint = run.config.training.critic
        every = 1 if joint is None else joint.fill_every
        self.past = Archive(lake.archive / run.run_id / TRAINING, run.run_id, token_format, every)
        read, unread, test = (load_split(dataset.path, split) for split in ("train", "validation", "test"))
        is_enough = len(long_pieces(unread, window)) >= ENOUGH_UNREAD
        self.learned = unread if is_enough else read
        self.pieces = joined(read, unread)
        """Beside which a generation may stand that is learned from; those of a joint training stand beside `read`."""
        self.families: dict[str, str] = {}
        for split in ("train", "validation", "test"):
            self.families |= family_by_piece(dataset.path, split)
        self._check("training", self.learned, "ingest more")
        held_out = test if is_enough else joined(unread, test)
        self._check("held-out", held_out, "ingest more, or hold out more with `--set splits.test=0.2`")
        self.calibration, self.test = _halves(held_out, self.families, window)
        self.model = load_model(run.folder.model)
        self.generations = Generations(
            archive=Archive(lake.archive / run.run_id / self.folder.name, run.run_id, token_format),
            model=self.model,
            step=run.history().step,
            families=self.families,
            config=parameters.archive.model_copy(update={"samplers": self.samplers}),
            window=window,
            seed=parameters.seed,
        )

    def _check(self, name: str, split: Split, remedy: str) -> None:
        window = self.config.window
        found = len(long_pieces(split, window))
        if found < MIN_PIECES:
            raise UserError(
                f"the dataset has {counted(found, f'{name} piece')} of more than {window} tokens; the critic needs "
                f"{MIN_PIECES}: {remedy}, or lower critic.window"
            )

    def generate(self, bar: Stage) -> list[Generation]:
        """Return the generations of the first round, made anew or archived before, and those of a joint training.

        Raises ArchiveError for an archive of another run or vocabulary.
        """
        made = self.generations.to_learn("round0", self.learned, self.parameters.train_pieces, bar)
        return [*self.past.at(2**31 - 1, self.parameters.archive.most), *made]

    def fit(self, generations: list[Generation], bar: Stage) -> tuple[Critic, int]:
        """Return the critic behind all rounds, and the number of generations that it has learned from."""
        parameters, steps = self.parameters, self.config.steps
        critic = new_critic(self.model, self.config, parameters.seed, self._parents_head)
        for number in range(parameters.rounds):
            if number:
                generations = [*generations, *self._hardest(critic, number, bar)]
            made = generated_of(generations, self.pieces)
            lessons = Lessons(self.pieces, made, self.config.lesson_window, self.config.damaged, self.learned.piece_ids)

            def progress(done: int, loss: float, before: int = number * steps) -> None:
                bar.update(before + done, parameters.rounds * steps, f"loss {loss:.3f}")

            critic = fit_critic(critic, lessons, parameters.seed + number, progress)
        return critic, len(generations)

    @cached_property
    def _parents_head(self) -> CriticHead | None:
        """The head of the parent's critic; None to begin anew, or with a joint training's. Raises WeightsError."""
        if self.parameters.start == "new" or self.model.critic is not None:
            return None
        return read_head(self.run.folder.parent, self.model.config.d_model, self.config)

    def measure(self, critic: Critic, train_windows: int, bar: Stage) -> tuple[Critic, CriticReport]:
        """Return a critic calibrated, and its figures on other families."""
        half = max(self.parameters.held_out_pieces // 2, THIRDS)
        beside = self.generations.held_out("calibration", self.calibration, half, bar, self.ordinary)
        ordinary = self.generations.held_out("test", self.test, half, bar, self.ordinary)
        crosswise = calibrate_crosswise(critic, ((self.calibration, beside), (self.test, ordinary)))
        aspects = measure_aspects(critic, ((self.calibration, beside), (self.test, ordinary)), self.parameters.seed)
        critic = replace(critic, calibration=crosswise.calibration, aspects=aspects.calibrations)
        measuring = Measuring(critic, self.test, ordinary, self.parameters.seed)
        mixed = self.generations.held_out("mixed", self.test, half, bar, None)
        figures = [measuring.of_generations("generated", "all samplers", mixed, True)]
        further = {self.ordinary.name: ordinary}
        learned = {each.name for each in self.samplers}
        figures.append(measuring.of_ordinary(self.ordinary.name, self.ordinary.name in learned))
        for sampler in MEASURED:
            name, count = sampler.name, max(int(FURTHER * half), THIRDS)
            if name in further:
                continue  # the ordinary one, measured already
            further[name] = self.generations.held_out(_slug(name), self.test, count, bar, sampler)
            figures.append(measuring.of_generations("sampler", name, further[name], name in learned))
        figures += [
            *measuring.prefixes(),
            *measuring.places(),
            *measuring.damages(),
            *measuring.cues(),
            *aspects.figures,
        ]
        noise = measuring.score(windows_of(further[MEASURED[-1].name], self.test)[0])
        made, real = measuring.made_scores.scores, measuring.real_scores.scores
        report = CriticReport(
            run_id=self.run.run_id,
            folder=str(self.folder),
            auc=measuring.own_auc.value,
            calibration_error=expected_calibration_error(crosswise.scores, crosswise.is_real),
            calibration_floor=calibration_floor(crosswise.scores),
            noise_below=share_below(noise, made),
            ordinary_below=share_below(made, real),
            began_with="new" if self._parents_head is None else "parent",
            rounds=self.parameters.rounds,
            train_windows=train_windows,
            held_out_windows=len(crosswise.scores),
            figures=figures,
            reliability=crosswise.reliability(),
            aspect_errors=aspects.errors,
        )
        critic = replace(critic, auc=measuring.own_auc)
        bar.update(1, 1, f"held-out AUC {report.auc:.3f}, noise below ordinary {report.noise_below:.1%}")
        return critic, report

    def publish(self, critic: Critic, report: CriticReport) -> None:
        """Write a critic and its report into the folder of these settings, both or nothing."""
        with staging_folder(self.folder.parent) as staged:
            save_critic(critic, staged, is_tuned=self.config.trunk == "tuned")
            write_report(report, staged)
            publish_folder(staged, self.folder)

    def _hardest(self, critic: Critic, number: int, bar: Stage) -> list[Generation]:
        """Return the generations of a further round: of twice as many those that a critic takes for real."""
        count = self.parameters.train_pieces

        def hardest(drawn: list[Generation]) -> list[Generation]:
            logits = judge_windows(critic, self.learned.encoding, windows_of(drawn, self.learned)[0])[0]
            best = np.argsort(-logits, kind="stable")[:count]
            return [drawn[index] for index in sorted(best.tolist())]

        return self.generations.to_learn(f"round{number}", self.learned, 2 * count, bar, hardest)


def _slug(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "")


def joined(first: Split, second: Split) -> Split:
    """Return the pieces of two splits of one dataset version as one split."""
    return Split(
        [*first.pieces, *second.pieces],
        [*first.piece_ids, *second.piece_ids],
        [*first.styles, *second.styles],
        first.encoding,
    )


def _halves(split: Split, families: dict[str, str], window: int) -> tuple[Split, Split]:
    """Return the pieces of a split in two, each family in one of them, with as many families of long pieces in each."""
    long = long_pieces(split, window).tolist()
    names = sorted({families[split.piece_ids[index]] for index in long}, key=canonical_digest)
    side = {name: number % 2 for number, name in enumerate(names)}
    chosen = [[index for index in long if side[families[split.piece_ids[index]]] == number] for number in (0, 1)]
    first, second = (
        Split(
            [split.pieces[index] for index in own],
            [split.piece_ids[index] for index in own],
            [split.styles[index] for index in own],
            split.encoding,
        )
        for own in chosen
    )
    return first, second
