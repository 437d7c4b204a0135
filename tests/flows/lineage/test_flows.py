"""The events of the flows themselves, under a real Prefect server: the chain from collection to sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.criticism.parameters import CriticParameters
from infra.errors import UserError
from modeling.criticism import CriticConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

Events = list[dict[str, Any]]
Validate = Callable[[dict[str, Any]], None]


def names(places: Events) -> list[tuple[str, str | None]]:
    return [(place["name"], place["facets"].get("version", {}).get("datasetVersion")) for place in places]


@pytest.mark.usefixtures("shared_workers")
def test_ingestion_reports_the_dataset_version(
    tmp_path: Path, song: Any, event_file: Callable[[], Events], validate: Validate
) -> None:
    from flows.ingestion.flow import ingest
    from flows.ingestion.parameters import IngestParameters

    (tmp_path / "songs").mkdir()
    for seed in range(3):
        (tmp_path / "songs" / f"{seed}.mid").write_bytes(song(seed))
    place = {"name": "songs", "location": str(tmp_path / "songs")}
    given = {"collections": [place], "name": "songs", "lake": str(tmp_path / "lake"), "workers": 1}
    version = ingest(IngestParameters.model_validate(given)).version
    start, complete = event_file()
    validate(start)
    validate(complete)
    assert names(start["inputs"]) == [(str(tmp_path / "songs"), None)]
    (output,) = complete["outputs"]
    assert names([output]) == [("datasets/songs", version.digest)]
    assert output["namespace"] == (tmp_path / "lake").as_uri()
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 3
    content = output["facets"]["musenet_datasetContent"]
    assert (content["digest"], content["pieces"]) == (version.digest, version.description.pieces)
    columns = {column["name"]: column["type"] for column in output["facets"]["schema"]["fields"]}
    assert columns["programs"] == "list(uint8)"


def test_training_critic_registration_and_sampling_form_a_chain(
    studio: Any,
    tmp_path: Path,
    event_file: Callable[[], Events],
    validate: Validate,
    announced: Callable[[], list[Any]],
) -> None:
    from flows.criticism.flow import criticise
    from flows.registration.flow import register
    from flows.sampling.flow import sample
    from flows.sampling.parameters import SampleParameters
    from flows.training.flow import TrainParameters, train

    lake, dataset, run = studio
    with pytest.raises(UserError):
        train(TrainParameters(dataset="no-such", lake=lake.address))
    critic = CriticConfig(window=40, hidden=8, steps=1, batch=2)
    criticise(CriticParameters(run=run.run_id, train_pieces=8, held_out_pieces=4, critic=critic, lake=lake.address))
    from flows.registration.registration import RegisterParameters

    version = register(RegisterParameters(run=run.run_id, lake=lake.address)).version
    made = sample(SampleParameters(model=version, best_of=1, length=32, out=tmp_path / "out", lake=lake.address))

    events = event_file()
    for event in events:
        validate(event)
    assert [(event["job"]["name"], event["eventType"]) for event in events] == [
        ("train", "START"),
        ("train", "FAIL"),
        ("critic", "START"),
        ("critic", "COMPLETE"),
        ("register", "START"),
        ("register", "COMPLETE"),
        ("sample", "START"),
        ("sample", "COMPLETE"),
    ]
    assert "no dataset 'no-such'" in events[1]["run"]["facets"]["errorMessage"]["message"]
    model = (f"runs/{run.run_id}/model", run.run_id)
    assert names(events[3]["inputs"]) == [model, ("datasets/songs", dataset.digest)]
    assert events[3]["outputs"][0]["name"] == f"runs/{run.run_id}/critic"
    assert names(events[5]["inputs"])[0] == model
    assert names(events[5]["outputs"]) == names(events[7]["inputs"]) == [("models/musenet", version)]
    assert [place["name"] for place in events[7]["outputs"]] == [piece.midi for piece in made.samples]
    # What Prefect is told of the stages that have done something.
    critic_id = events[3]["outputs"][0]["facets"]["version"]["datasetVersion"]
    assert [(event.event, event.resource.id) for event in announced()] == [
        ("musenet.critic.trained", f"musenet.critic.{run.run_id}.{critic_id}"),
        ("musenet.model.registered", f"musenet.model.{version}"),
    ]
    assert {event.payload["dataset"] for event in announced()} == {f"songs@{dataset.digest}"}
