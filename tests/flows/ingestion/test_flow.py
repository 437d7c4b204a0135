"""The ingestion flow under a real Prefect server: what it reports, and what a second run finds done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flows.ingestion.parsing.store import Store
from flows.ingestion.sources import Collection
from infra.errors import RunError, UserError
from infra.lake import Lake
from tokenization.dataset import dataset_versions

if TYPE_CHECKING:
    from flows.ingestion.flow import IngestReport

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api", "shared_workers")]


def run(lake: Lake, folder: Path, **settings: Any) -> IngestReport:
    from flows.ingestion.flow import ingest
    from flows.ingestion.parameters import IngestParameters

    collections = [Collection(name="songs", location=str(folder))]
    parameters = {"collections": collections, "name": "songs", "lake": lake.address, "workers": 1, **settings}
    return ingest(IngestParameters.model_validate(parameters))


def test_run_again_and_run_with_more(
    tmp_path: Path, song: Any, capsys: pytest.CaptureFixture[str], announced: Callable[[], list[Any]]
) -> None:
    lake, folder = Lake(tmp_path / "lake"), tmp_path / "bach"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.mid").write_bytes(song(seed))
    (folder / "broken.mid").write_bytes(b"broken")

    first = run(lake, folder)
    assert (first.reused, first.files_read, first.shards_encoded) == (False, 4, 1)
    assert first.version.description.outcomes == {"accepted": 3, "quarantined: not_midi": 1}
    lines = [line.split("  ") for line in capsys.readouterr().err.splitlines()]
    assert [line[0] for line in lines] == [
        "✓ scanning",
        "✓ parsing",
        "✓ deduplicating",
        "✓ checking",
        "✓ learning",
        "✓ publishing",
    ]
    assert [line[-1] for line in lines] == [
        "4 files",
        "4 new files, 1 refused",
        "3 accepted, 0 duplicate, 1 quarantined",
        "no rule is broken",
        "combined in seconds, 1 style",
        f"{first.version}, 1 of 1 shard encoded",
    ]

    again = run(lake, folder)
    assert (again.reused, again.version) == (True, first.version)
    assert f"nothing changed, {first.version} is reused" in capsys.readouterr().err

    before = {path: path.read_bytes() for path in first.version.path.rglob("*") if path.is_file()}
    (folder / "new.mid").write_bytes(song(9))
    more = run(lake, folder)
    assert (more.reused, more.files_read) == (False, 1)
    assert more.version.digest != first.version.digest
    assert more.version.description.outcomes == {"accepted": 4, "quarantined: not_midi": 1}
    assert "1 new files, 0 refused; 4 known" in capsys.readouterr().err
    assert [(event.event, event.resource["musenet.reused"], event.payload["dataset"]) for event in announced()] == [
        ("musenet.dataset.published", "false", f"songs@{first.version.digest}"),
        ("musenet.dataset.published", "true", f"songs@{first.version.digest}"),
        ("musenet.dataset.published", "false", f"songs@{more.version.digest}"),
    ]
    assert {path: path.read_bytes() for path in before} == before, "an old version was edited"
    splits = [dict(version.manifest.select("path", "split").iter_rows()) for version in (first.version, more.version)]
    assert splits[0].items() <= splits[1].items(), "a new file moved old ones"

    (folder / "new.mid").unlink()
    assert run(lake, folder).version == first.version
    told = f"{first.version} is reused; {more.version.name} alone names {more.version}, which is newer"
    assert told in capsys.readouterr().err


def test_prefect_shows_the_runs_and_a_page_about_the_dataset(tmp_path: Path, song: Any) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    folder = tmp_path / "ragtime"
    folder.mkdir()
    (folder / "1.mid").write_bytes(song(1))
    version = run(Lake(tmp_path / "lake"), folder).version

    async def asked() -> Any:
        async with get_client() as client:
            runs = await client.read_flow_runs()
            key = ArtifactFilter(key=ArtifactFilterKey(any_=["dataset"]))
            return runs, await client.read_artifacts(artifact_filter=key)

    runs, artifacts = asyncio.run(asked())
    assert any(run.state_name == "Completed" and "ragtime" in str(run.parameters) for run in runs)
    (page,) = [artifact.data for artifact in artifacts if version.digest in str(artifact.data)]
    assert "| accepted | " in page
    assert "ragtime" in page


def test_a_version_that_breaks_a_rule_is_not_published_and_the_page_of_the_run_says_so(
    tmp_path: Path, song: Any
) -> None:
    lake, folder = Lake(tmp_path / "lake"), tmp_path / "waltz"
    folder.mkdir()
    for seed in range(4):
        (folder / f"{seed}.mid").write_bytes(song(seed))
    first = run(lake, folder).version
    for seed in range(4):
        (folder / f"{seed}.mid").write_bytes(b"no music")
    with pytest.raises(RunError) as error:
        run(lake, folder)
    assert str(error.value).startswith("songs is not published, 3 rules are broken: min_pieces: 0 pieces, ")
    assert [version.digest for version in dataset_versions(lake)] == [first.digest]
    pages = [page for page in artifacts() if "Not published: 3 of 3 rules" in page]
    assert any(f"4 → 0 pieces since {first}" in page for page in pages)
    accepted = run(lake, folder, accept=["min_pieces", "max_pieces_drop", "max_hours_drop"]).version
    assert sum(accepted.description.pieces.values()) == 0
    assert run(lake, folder).reused, "what was accepted is accepted still"


def artifacts() -> list[str]:
    """The pages about datasets that Prefect shows."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    async def asked() -> list[str]:
        async with get_client() as client:
            key = ArtifactFilter(key=ArtifactFilterKey(any_=["dataset"]))
            return [str(artifact.data) for artifact in await client.read_artifacts(artifact_filter=key)]

    return asyncio.run(asked())


def test_work_that_fails_is_told_in_one_line_and_goes_on_later(tmp_path: Path, song: Any) -> None:
    lake, folder = Lake(tmp_path / "lake"), tmp_path / "bach"
    folder.mkdir()
    (folder / "1.mid").write_bytes(song(1))
    in_the_way = Store(lake.pieces).folder
    assert isinstance(in_the_way, Path)
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a folder should be")
    with pytest.raises(RunError) as error:
        run(lake, folder)
    assert str(error.value).startswith("ingestion stopped: FileExistsError: ")
    assert str(error.value).endswith("; what was read is kept, the same command goes on")
    in_the_way.unlink()
    assert run(lake, folder).version.description.outcomes == {"accepted": 1}


def test_a_collection_that_is_not_there_stops_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        run(Lake(tmp_path / "lake"), tmp_path / "nowhere")
    assert not (tmp_path / "lake").exists()
