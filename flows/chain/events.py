"""The events of the chain. A payload has what the parameters of the next stage need, and figures to look at."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from flows.chain.resources import (
    ALIAS,
    CANDIDATE,
    critic_resource,
    dataset_resource,
    model_resource,
    run_resource,
)

SHORT = 8
"""Digits of a digest in a title."""


class Event(BaseModel):
    """Something that a stage has done; its fields are the payload."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    event: ClassVar[str]
    """Its name on Prefect's feed."""

    lake: str
    """Address of the lake."""
    reused: bool = False
    """True if the result was there already."""

    @property
    def resource(self) -> str:
        """The id of what the event is about."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """The name of that for people."""
        raise NotImplementedError

    @property
    def labels(self) -> dict[str, str]:
        """Further labels of the resource."""
        return {}

    @property
    def related(self) -> dict[str, str]:
        """Ids of what it was made from, by role."""
        return {}


class DatasetPublished(Event):
    """An ingestion has published a dataset version, or found the one of the same files and settings."""

    event = "musenet.dataset.published"

    name: str
    digest: str
    dataset: str
    """`name@digest`, as training takes it."""
    parent: str | None
    """Digest of the version before."""
    files: int
    outcomes: dict[str, int]
    """Files by outcome."""
    pieces: dict[str, int]
    """By split."""
    tokens: dict[str, int]
    """By split."""

    @property
    def resource(self) -> str:
        """The dataset version."""
        return dataset_resource(self.dataset)

    @property
    def title(self) -> str:
        """Its name and the beginning of its digest."""
        return f"{self.name}@{self.digest[:SHORT]}"


class RunTrained(Event):
    """A training run has ended and left its model."""

    event = "musenet.run.trained"

    run: str
    dataset: str
    preset: str
    steps: int
    planned_steps: int
    stopped_early: bool
    nats_per_token: float | None
    nats_per_note: float | None

    @property
    def resource(self) -> str:
        """The run."""
        return run_resource(self.run)

    @property
    def title(self) -> str:
        """Its preset and id, which are its name in MLflow."""
        return f"{self.preset}-{self.run}"

    @property
    def related(self) -> dict[str, str]:
        """The dataset version."""
        return {"dataset": dataset_resource(self.dataset)}


class CriticTrained(Event):
    """The critic of a run is trained."""

    event = "musenet.critic.trained"

    run: str
    critic: str
    """Digest of its settings, the name of its folder."""
    dataset: str
    auc: float

    @property
    def resource(self) -> str:
        """The critic."""
        return critic_resource(self.run, self.critic)

    @property
    def title(self) -> str:
        """The run that it judges."""
        return f"critic of {self.run}"

    @property
    def related(self) -> dict[str, str]:
        """The run and its dataset version."""
        return {"run": run_resource(self.run), "dataset": dataset_resource(self.dataset)}


class _OfModel(Event):
    """Something that became of a model version."""

    version: str

    @property
    def resource(self) -> str:
        """The model version."""
        return model_resource(self.version)

    @property
    def title(self) -> str:
        """Its number."""
        return f"version {self.version}"


class ModelRegistered(_OfModel):
    """A run is registered as a model version."""

    event = "musenet.model.registered"

    run: str
    dataset: str
    alias: str
    """The alias that it got."""
    champion: str | None
    """The version to compare it with; None where there is none, or it is champion itself."""
    nats_per_note: float | None
    critic_auc: float | None

    @property
    def labels(self) -> dict[str, str]:
        """The alias."""
        return {ALIAS: self.alias}

    @property
    def related(self) -> dict[str, str]:
        """The run and its dataset version."""
        return {"run": run_resource(self.run), "dataset": dataset_resource(self.dataset)}


class ModelEvaluated(_OfModel):
    """Composed pieces of a model version are measured."""

    event = "musenet.model.evaluated"

    dataset: str
    against: str | None
    """The version that it was compared with."""
    candidate: bool
    """True if it has the alias `candidate`."""
    folder: str
    """Folder of the report."""

    @property
    def labels(self) -> dict[str, str]:
        """Whether it is candidate."""
        return {CANDIDATE: str(self.candidate).lower()}

    @property
    def related(self) -> dict[str, str]:
        """The dataset version that it was measured on, and the model beside it."""
        against = {} if self.against is None else {"against": model_resource(self.against)}
        return {"dataset": dataset_resource(self.dataset), **against}


class ModelPromoted(_OfModel):
    """A model version has got an alias by the gate's leave or by force, or has got it back."""

    event = "musenet.model.promoted"

    alias: str
    forced: bool
    rolled_back: bool = False
    """True if it had the alias before, and was given it back."""

    @property
    def labels(self) -> dict[str, str]:
        """The alias."""
        return {ALIAS: self.alias}


class ModelRefused(_OfModel):
    """The gate has not let a model version have an alias."""

    event = "musenet.model.refused"

    alias: str
    why: str

    @property
    def labels(self) -> dict[str, str]:
        """The alias."""
        return {ALIAS: self.alias}


class SamplesPrepared(_OfModel):
    """The samples of a model version that the studio plays at once are there."""

    event = "musenet.samples.prepared"

    samples: int
    composed: int
    """Those of them that are new."""
    failed: int
    folder: str

    @property
    def resource(self) -> str:
        """The samples of that version."""
        return f"musenet.samples.{self.version}"

    @property
    def title(self) -> str:
        """Whose samples they are."""
        return f"samples of version {self.version}"

    @property
    def related(self) -> dict[str, str]:
        """The model version."""
        return {"model": model_resource(self.version)}


EVENTS: tuple[type[Event], ...] = (
    DatasetPublished,
    RunTrained,
    CriticTrained,
    ModelRegistered,
    ModelEvaluated,
    ModelPromoted,
    ModelRefused,
    SamplesPrepared,
)
