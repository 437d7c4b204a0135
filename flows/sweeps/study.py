"""The trials of a sweep in Optuna's database, a file in the lake: suggested, told, and taken up again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.sweeps.sweep_file import Range, Scalar, SweepFile
from infra.digests import canonical_digest
from infra.errors import UserError
from infra.lake import Lake
from infra.locks import exclusive

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as AskedTrial

BEGUN_WITH, DATASET = "sweep", "dataset"
"""Attributes of a study: a digest of its search, and the dataset version."""
RUN, WHY = "run", "why"
"""Attributes of a trial: the training run, and why it failed."""
FEWEST_FOR_IMPORTANCE = 8


@dataclass(frozen=True)
class Trial:
    """One training run of a sweep."""

    number: int
    settings: dict[str, Scalar]
    """Those that are searched."""
    value: float | None
    """The loss; None for a trial that has failed."""
    run: str | None
    why: str | None
    """Why it has failed."""


class Trials:
    """The trials of a sweep. Only one process may have it open."""

    def __init__(self, study: Study, file: SweepFile) -> None:
        self._study = study
        self._space = {key: _distribution(each) for key, each in file.search.items()}
        self._seed = file.seed
        self._asked: dict[int, AskedTrial] = {}

    @property
    def dataset(self) -> str | None:
        """The dataset version that the sweep was begun with, `name@digest`; None for a new one."""
        found = self._study.user_attrs.get(DATASET)
        return None if found is None else str(found)

    def keep_dataset(self, dataset: str) -> None:
        """Keep the dataset version, for all further trials."""
        self._study.set_user_attr(DATASET, dataset)

    def done(self) -> list[Trial]:
        """Return the trials that have ended, in their order; not those that were killed, which are tried again."""
        return [
            Trial(each.number, dict(each.params), each.value, each.user_attrs.get(RUN), each.user_attrs.get(WHY))
            for each in self._study.get_trials(deepcopy=False)
            if each.state.is_finished() and (each.value is not None or WHY in each.user_attrs)
        ]

    def suggest(self) -> tuple[int, dict[str, Scalar]]:
        """Return number and settings of the next trial: of one that was killed, or what Optuna takes for promising."""
        from optuna.samplers import TPESampler

        # A function of the seed and of the trials so far, also where the sweep was interrupted between them.
        self._study.sampler = TPESampler(seed=self._seed + len(self._study.get_trials(deepcopy=False)))
        trial = self._study.ask(self._space)
        self._asked[trial.number] = trial
        return trial.number, dict(trial.params)

    def tell(self, number: int, run: str | None, value: float | None, why: str | None = None) -> None:
        """Keep the outcome of a trial that was suggested; None as value: it has failed."""
        from optuna.trial import TrialState

        trial = self._asked.pop(number)
        for name, about in ((RUN, run), (WHY, why)):
            if about is not None:
                trial.set_user_attr(name, about)
        self._study.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)

    def importances(self) -> dict[str, float]:
        """Return the share of the loss's variance that each setting accounts for (fANOVA); nothing after few trials."""
        from optuna.importance import get_param_importances

        if sum(each.value is not None for each in self.done()) < FEWEST_FOR_IMPORTANCE or len(self._space) < 2:
            return {}
        return dict(get_param_importances(self._study))


@contextmanager
def open_trials(lake: Lake, file: SweepFile) -> Iterator[Trials]:
    """Open the trials of a sweep, new or begun before; those that were killed will be suggested again.

    Raises UserError for a name under which another search was begun, while another process runs the sweep, and without
    Optuna.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError("sweeps need the package optuna: pip install 'musenet[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = lake.sweeps / f"{file.name}.db"
    lake.sweeps.mkdir(parents=True, exist_ok=True)
    with exclusive(database.with_suffix(".lock"), f"sweep {file.name} is run by another process"):
        study = optuna.create_study(storage=f"sqlite:///{database}", study_name=file.name, load_if_exists=True)
        digest = _digest(file)
        if study.user_attrs.get(BEGUN_WITH, digest) != digest:
            raise UserError(
                f"the sweep {file.name} was begun with other settings: give this one another name, or remove {database}"
            )
        study.set_user_attr(BEGUN_WITH, digest)
        _take_up(study, study.get_trials(deepcopy=False))
        yield Trials(study, file)


def _take_up(study: Study, trials: Sequence[FrozenTrial]) -> None:
    """Enqueue what a killed process was about to train again; its run is found by its settings and resumed."""
    from optuna.trial import TrialState

    for trial in trials:
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)


def _digest(file: SweepFile) -> str:
    """Return a digest of what trials of one sweep have in common."""
    return canonical_digest(file.model_dump(mode="json", exclude={"name", "trials", "ranks", "seed"}))


def _distribution(searched: Range | list[Scalar]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(searched, list):
        return CategoricalDistribution(searched)
    bounds: dict[str, Any] = {"low": searched.low, "high": searched.high, "log": searched.log}
    if searched.is_whole:
        return IntDistribution(**bounds, step=int(searched.step or 1))
    return FloatDistribution(**bounds, step=searched.step)
