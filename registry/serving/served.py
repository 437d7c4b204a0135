"""The model that is served: its composer, and the decoder of all that is asked of it."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from infra.lake import Lake
from registry.cards import card_of
from registry.composer import Composer
from registry.loading import open_composer
from registry.models import RegisteredModel
from registry.serving.answers import InstrumentAnswer, ModelAnswer, StyleAnswer, StylesAnswer
from registry.serving.settings import Limits
from registry.serving.warming import FIRST
from registry.store import Registry
from registry.style_map import StyleMap

if TYPE_CHECKING:
    from modeling.generation import Executor, ExecutorConfig

NEAREST = 5
"""Styles that are named as most like another one."""


class ServedModel:
    """A version in memory, ready to decode."""

    def __init__(self, reference: str, composer: Composer, card: str, limits: Limits) -> None:
        """`reference`: by which it was found; `card`: Markdown. Raises WeightsError."""
        self.reference, self.composer, self.card, self.limits = reference, composer, card, limits
        self._shared: dict[Executor, Executor] = {}
        """By the bundle's own executor."""
        self._lock = threading.Lock()
        composer.bundle  # noqa: B018 (loads it)

    @classmethod
    def load(
        cls, reference: str, registry: Registry, model: RegisteredModel, device: str, lake: Lake, limits: Limits
    ) -> ServedModel:
        """Load a registered version, and compose a little with it. Raises RegistryError, WeightsError."""
        composer = open_composer(registry, model, device, lake)
        composer.answer(FIRST)
        return cls(reference, composer, card_of(registry, model), limits)

    def executor_of(self, config: ExecutorConfig) -> Executor:
        """Return the executor of all requests whose configurations resolve to the same. Raises ExecutorError."""
        from modeling.generation import share

        with self._lock:
            bundle = self.composer.bundle
            own = bundle.executor(config)
            if own not in self._shared:
                self._shared[own] = share(own, self.limits.rows, bundle.model.config.context)
            return self._shared[own]

    def run(self) -> int:
        """Make a pass of all executors; return its tokens. Those that are not shared compute by themselves."""
        from modeling.generation import SharedExecutor

        with self._lock:
            executors = [*self._shared.values()]
        return sum(executor.run() for executor in executors if isinstance(executor, SharedExecutor))

    @cached_property
    def about(self) -> ModelAnswer:
        """What is said of it."""
        composer, vocabulary = self.composer, self.composer.encoding.vocabulary
        return ModelAnswer(
            reference=self.reference,
            **composer.identity.model_dump(),
            card=self.card,
            has_critic=composer.has_critic,
            encoding=composer.encoding.name,
            time=composer.encoding.time.value,
            context=composer.bundle.model.config.context,
            styles=[*composer.styles],
            groups=[*reversed(vocabulary.groups)],
            instruments=[
                InstrumentAnswer(
                    name=each.name,
                    group=each.group,
                    program=each.output_program,
                    drums=each.drum,
                    lowest=each.range[0],
                    highest=each.range[1],
                )
                for each in vocabulary.instruments
            ],
            limits=self.limits,
        )

    @cached_property
    def styles(self) -> StylesAnswer:
        """The map of its styles. Raises WeightsError."""
        found = StyleMap.of_files(self.composer.files)
        places = np.round(2 * found.places - 1, 4).tolist()
        styles = []
        for number, (name, (x, y)) in enumerate(zip(found.styles, places)):
            nearest = [found.styles[other] for other, _ in found.neighbours(number, NEAREST)]
            styles.append(StyleAnswer(name=name, x=x, y=y, nearest=nearest))
        return StylesAnswer(styles=styles)
