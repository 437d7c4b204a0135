"""One event of each kind, as the stages announce them for the first time."""

from __future__ import annotations

import pytest

from flows.chain import (
    CriticTrained,
    DatasetPublished,
    ModelEvaluated,
    ModelPromoted,
    ModelRefused,
    ModelRegistered,
    RunTrained,
    SamplesPrepared,
)
from flows.chain.events import Event

LAKE, DIGEST, RUN = "s3://music/lake", "0123456789abcdef" * 2, "0123456789ab"
DATASET = f"lakh@{DIGEST}"


@pytest.fixture(scope="session")
def happened() -> dict[type[Event], Event]:
    counts = {"train": 10, "validation": 1, "test": 1}
    events: list[Event] = [
        DatasetPublished(
            lake=LAKE,
            name="lakh",
            digest=DIGEST,
            dataset=DATASET,
            parent=None,
            files=13,
            outcomes={"accepted": 12, "duplicate": 1},
            pieces=counts,
            tokens=counts,
        ),
        RunTrained(
            lake=LAKE,
            run=RUN,
            dataset=DATASET,
            preset="tiny",
            steps=4,
            planned_steps=4,
            stopped_early=False,
            nats_per_token=2.5,
            nats_per_note=None,
        ),
        CriticTrained(lake=LAKE, run=RUN, critic="ab" * 6, dataset=DATASET, auc=0.75),
        ModelRegistered(
            lake=LAKE,
            version="3",
            run=RUN,
            dataset=DATASET,
            alias="candidate",
            champion="2",
            nats_per_note=7.5,
            critic_auc=0.75,
        ),
        ModelEvaluated(lake=LAKE, version="3", dataset=DATASET, against="2", candidate=True, folder="/evaluations/1"),
        ModelPromoted(lake=LAKE, version="3", alias="champion", forced=False),
        ModelRefused(lake=LAKE, version="3", alias="champion", why="nats_per_note: not passed"),
        SamplesPrepared(lake=LAKE, version="3", samples=4, composed=4, failed=0, folder="/prepared/1"),
    ]
    return {type(event): event for event in events}
