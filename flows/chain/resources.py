"""What events are about: the ids of resources on Prefect's server, and the labels that an automation may ask for."""

from __future__ import annotations

REUSED = "musenet.reused"
"""Label: `true` where the result was there already."""
SUBFLOW = "musenet.subflow"
"""Label: `true` in a flow that another flow has called, such as a trial of a sweep."""
CANDIDATE = "musenet.candidate"
"""Label of a model version: `true` for the one that is candidate."""
ALIAS = "musenet.alias"
"""Label of a model version: the alias that it got, or was to get."""


def dataset_resource(dataset: str) -> str:
    """Return the id of a dataset version, `name@digest`; `musenet.dataset.NAME.*` are all versions of one."""
    name, _, digest = dataset.partition("@")
    return f"musenet.dataset.{name}.{digest}"


def run_resource(run: str) -> str:
    """Return the id of a training run."""
    return f"musenet.run.{run}"


def critic_resource(run: str, critic: str) -> str:
    """Return the id of a critic of a run; `critic` is the digest of its settings."""
    return f"musenet.critic.{run}.{critic}"


def model_resource(version: str) -> str:
    """Return the id of a version of the registered model."""
    return f"musenet.model.{version}"
