"""The ingestion flow under a real Prefect server: what it reports, and what a second run finds done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flows.ingestion.manifest import read_manifest
from flows.ingestion.sources import Collection
from flows.settings import Lake

pytestmark = pytest.mark.usefixtures("prefect_api")


def run(lake: Lake, folder: Path, **settings):
    from flows.ingestion.flow import ingest
    from flows.ingestion.pipeline import IngestParameters

    collections = [Collection(name="songs", path=folder)]
    return ingest(IngestParameters(collections=collections, name="songs", lake=lake.root, workers=1, **settings))


def test_run_again_and_run_with_more(tmp_path: Path, song, capsys: pytest.CaptureFixture[str]) -> None:
    lake, folder = Lake(tmp_path / "lake"), tmp_path / "bach"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.mid").write_bytes(song(seed))
    (folder / "broken.mid").write_bytes(b"broken")

    first = run(lake, folder)
    assert not first.reused
    assert first.version.description["fates"] == {"accepted": 3, "quarantined: not_midi": 1}
    assert "✓ publishing" in capsys.readouterr().err

    again = run(lake, folder)
    assert (again.reused, again.version) == (True, first.version)
    assert f"nothing changed, {first.version} is reused" in capsys.readouterr().err

    before = {path: path.read_bytes() for path in first.version.folder.rglob("*") if path.is_file()}
    (folder / "new.mid").write_bytes(song(9))
    more = run(lake, folder)
    assert not more.reused
    assert more.version.digest != first.version.digest
    assert more.version.description["fates"] == {"accepted": 4, "quarantined: not_midi": 1}
    assert {path: path.read_bytes() for path in before} == before, "an old version was edited"

    splits = [
        dict(read_manifest(version.folder / "manifest.parquet").select("path", "split").iter_rows())
        for version in (first.version, more.version)
    ]
    assert splits[0].items() <= splits[1].items(), "a new file moved old ones"

    (folder / "new.mid").unlink()
    assert run(lake, folder).version == first.version


def test_prefect_shows_the_runs_and_a_page_about_the_dataset(tmp_path: Path, song) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    folder = tmp_path / "ragtime"
    folder.mkdir()
    (folder / "1.mid").write_bytes(song(1))
    version = run(Lake(tmp_path / "lake"), folder).version

    async def asked():
        async with get_client() as client:
            runs = await client.read_flow_runs()
            key = ArtifactFilter(key=ArtifactFilterKey(any_=["dataset"]))
            return runs, await client.read_artifacts(artifact_filter=key)

    runs, artifacts = asyncio.run(asked())
    assert any(run.state_name == "Completed" and "ragtime" in str(run.parameters) for run in runs)
    (page,) = [artifact.data for artifact in artifacts if version.digest in str(artifact.data)]
    assert "| accepted | 1 |" in page
    assert "| ragtime | 1 |" in page
