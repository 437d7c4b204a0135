"""The record of a run: the events around it, valid by OpenLineage's schemas, and never in its way."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.lineage import Place, file_place, location_place, model_place, recorded
from flows.lineage.emission import WAIT_SECONDS, is_configured
from infra.errors import RunError
from infra.lake import Lake

Events = list[dict[str, Any]]


def flow_run(parent: str | None = None) -> SimpleNamespace:
    """What `prefect.runtime.flow_run` offers in a run."""
    return SimpleNamespace(id=str(uuid.uuid4()), parent_flow_run_id=parent)


class TestConfiguration:
    def test_off_unless_configured(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert not is_configured({})
        with recorded("ingest", SimpleNamespace(id=None)) as record:  # not even asked for its parent
            record.writes(file_place("a.mid"))
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("name", ["OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE"])
    def test_on_by_the_variables_of_the_client(self, name: str) -> None:
        assert is_configured({name: "x"})
        assert not is_configured({name: "x", "OPENLINEAGE_DISABLED": "true"})

    @pytest.mark.parametrize("folder", [".", ".openlineage"])
    def test_on_by_its_file(self, tmp_path: Path, folder: str) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "openlineage.yml").write_text("transport: {type: console}")
        assert is_configured({})


class TestEvents:
    def test_a_run_starts_and_completes(
        self, event_file: Callable[[], Events], validate: Callable[[dict[str, Any]], None]
    ) -> None:
        run = flow_run()
        with recorded("ingest", run, file_place("/songs")) as record:
            record.writes(Place("s3://bucket/lake", "datasets/songs", "0" * 32, (("path", "string"),), 7, 2))
        start, complete = event_file()
        for event in (start, complete):
            validate(event)
            assert event["run"]["runId"] == run.id
            assert (event["job"]["namespace"], event["job"]["name"]) == ("musenet", "ingest")
            assert [(place["namespace"], place["name"]) for place in event["inputs"]] == [("file", "/songs")]
        assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
        assert start["outputs"] == []
        (output,) = complete["outputs"]
        assert (output["namespace"], output["name"]) == ("s3://bucket/lake", "datasets/songs")
        assert output["facets"]["version"]["datasetVersion"] == "0" * 32
        assert output["facets"]["schema"]["fields"][0]["name"] == "path"
        assert output["outputFacets"]["outputStatistics"]["rowCount"] == 7
        assert start["eventTime"] <= complete["eventTime"]

    def test_a_failed_run_says_why(
        self, event_file: Callable[[], Events], validate: Callable[[dict[str, Any]], None]
    ) -> None:
        with pytest.raises(RunError), recorded("train", flow_run()):
            raise RunError("the disk\nis full")
        _, fail = event_file()
        validate(fail)
        assert fail["eventType"] == "FAIL"
        assert fail["run"]["facets"]["errorMessage"]["message"] == "the disk is full"

    @pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
    def test_an_interrupted_run_is_aborted(self, event_file: Callable[[], Events], end: type[BaseException]) -> None:
        with pytest.raises(end), recorded("train", flow_run()):
            raise end
        assert [event["eventType"] for event in event_file()] == ["START", "ABORT"]

    def test_the_flow_around_is_the_parent(
        self, event_file: Callable[[], Events], validate: Callable[[dict[str, Any]], None]
    ) -> None:
        outer, inner = flow_run(), flow_run()
        with recorded("demo", outer), recorded("ingest", inner):
            pass
        with recorded("ingest", flow_run(parent=outer.id)):
            pass
        events = event_file()
        parents = [event["run"]["facets"].get("parent") for event in events]
        for event in events:
            validate(event)
        assert [parent and (parent["job"]["name"], parent["run"]["runId"]) for parent in parents] == [
            None,
            ("demo", outer.id),
            ("demo", outer.id),
            None,
            ("prefect-flow", outer.id),
            ("prefect-flow", outer.id),
        ]

    def test_jobs_have_the_namespace_of_the_environment(
        self, event_file: Callable[[], Events], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "music-team")
        with recorded("sample", flow_run()):
            pass
        assert {event["job"]["namespace"] for event in event_file()} == {"music-team"}


class TestTransport:
    def test_events_reach_a_server(self, catalogue: Any, validate: Callable[[dict[str, Any]], None]) -> None:
        with recorded("ingest", flow_run()):
            pass
        assert catalogue.paths == ["/api/v1/lineage"] * 2
        for event in catalogue.events:
            validate(event)

    def test_a_server_that_refuses_costs_one_line(self, catalogue: Any, capfd: pytest.CaptureFixture[str]) -> None:
        catalogue.status = 403
        with recorded("ingest", flow_run()):
            pass
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("! lineage: events of ingest were not delivered: ")
        assert "403" in line

    def test_a_slow_server_is_not_waited_for(self, catalogue: Any, capfd: pytest.CaptureFixture[str]) -> None:
        catalogue.delay = threading.Event()
        begun = time.monotonic()
        with recorded("ingest", flow_run()):
            assert time.monotonic() - begun < WAIT_SECONDS
        assert time.monotonic() - begun < 2 * WAIT_SECONDS
        catalogue.delay.set()
        assert "took longer than 2 s" in capfd.readouterr().err

    @pytest.mark.parametrize(
        "settings",
        [
            {"OPENLINEAGE_URL": "nonsense"},
            {"OPENLINEAGE__TRANSPORT__TYPE": "nonsense"},
            {"OPENLINEAGE__TRANSPORT__TYPE": "file"},
            {"OPENLINEAGE__TRANSPORT__TYPE": "file", "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": "/no/such/folder/x"},
            {"OPENLINEAGE_CONFIG": "/no/such/file.yml"},
        ],
    )
    def test_a_transport_that_does_not_work_costs_one_line(
        self, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("URL", "TYPE"):
            monkeypatch.setenv(f"OPENLINEAGE__TRANSPORT__TRANSPORTS__DEFAULT_HTTP__{name}", "")
            monkeypatch.delenv(f"OPENLINEAGE__TRANSPORT__TRANSPORTS__DEFAULT_HTTP__{name}")
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with recorded("ingest", flow_run()):
            pass
        out, err = capfd.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("! lineage: events of ingest were not delivered: ")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/data/songs", ("file", "/data/songs")),
        ("file:///data/songs.zip", ("file", "/data/songs.zip")),
        ("s3://bucket/midi/lmd.tar.gz", ("s3://bucket", "midi/lmd.tar.gz")),
        ("s3://key:secret@bucket/midi", ("s3://bucket", "midi")),
        ("gs://bucket", ("gs://bucket", "/")),
    ],
)
def test_collections_are_named_as_openlineage_names_files(location: str, expected: tuple[str, str]) -> None:
    place = location_place(location)
    assert (place.namespace, place.name) == expected


def test_the_lake_is_the_namespace_of_what_lies_in_it(tmp_path: Path) -> None:
    assert model_place(Lake(tmp_path), "musenet", "3") == Place(tmp_path.as_uri(), "models/musenet", "3")
    assert model_place(Lake(tmp_path, "s3://b/lake"), "musenet", "3").namespace == "s3://b/lake"
