"""The chain: from a new dataset version to a champion with samples, each stage started by the one before.

    resources    ids and labels of what events are about
    events       what each stage says when its result is there
    announcing   events on their way to Prefect
    stages       which event starts which deployment, with which parameters, as Prefect's automations
    settings     further parameters of the stages: the file `chain.toml`

Flows import `announce` and the events; `musenet deploy` installs the automations.
"""

from flows.chain.announcing import announce, announcing
from flows.chain.events import (
    CriticTrained,
    DatasetPublished,
    ModelEvaluated,
    ModelPromoted,
    ModelRefused,
    ModelRegistered,
    RunTrained,
    SamplesPrepared,
)

__all__ = [
    "CriticTrained",
    "DatasetPublished",
    "ModelEvaluated",
    "ModelPromoted",
    "ModelRefused",
    "ModelRegistered",
    "RunTrained",
    "SamplesPrepared",
    "announce",
    "announcing",
]
