"""The catalogue of a lake: its dataset versions, found by name and digest."""

from __future__ import annotations

from collections.abc import Container, Sequence

from infra.errors import UserError, unknown_name
from infra.files import STAGING_PREFIX
from infra.lake import Lake
from infra.object_store import Folder, folders_in, read_all
from tokenization.dataset.description import DESCRIPTION_FILE, parse_description
from tokenization.dataset.version import DatasetVersion


def dataset_versions(lake: Lake, name: str | None = None, but: Container[str] = ()) -> list[DatasetVersion]:
    """List the published versions of one dataset or of all, oldest first, without those with a digest in `but`.

    Raises DatasetError for a version that this release cannot read, RunError for a store that cannot be used.
    """
    homes = [home for home in folders_in(lake.datasets) if name in (None, home.name)]
    folders = [folder for home in homes for folder in folders_in(home) if _may_be_version(folder, but)]
    texts = zip(folders, read_all([folder / DESCRIPTION_FILE for folder in folders]))
    versions = [DatasetVersion(folder, parse_description(text, folder)) for folder, text in texts if text is not None]
    return sorted(versions, key=lambda version: (version.description.created, version.digest))


def _may_be_version(folder: Folder, but: Container[str]) -> bool:
    return folder.name not in but and not folder.name.startswith(STAGING_PREFIX)


def find_version(lake: Lake, reference: str) -> DatasetVersion:
    """Find the version of `NAME` (its newest) or `NAME@DIGEST` (a prefix is enough). Raises UserError."""
    name, _, digest = reference.partition("@")
    versions = dataset_versions(lake, name) if name else []
    if not versions:
        known = dict.fromkeys(version.name for version in dataset_versions(lake))
        raise unknown_name("dataset", name, known, "make one with `musenet ingest PATH --name NAME`")
    chosen = [version for version in versions if version.digest.startswith(digest)]
    if not chosen:
        raise unknown_name(f"version of dataset {name}", digest, [version.digest[:12] for version in versions])
    if digest and len(chosen) > 1:
        raise UserError(f"{reference!r} fits {len(chosen)} versions; give more digits of the digest")
    return chosen[-1]


def find_by_input(versions: Sequence[DatasetVersion], input_key: str) -> DatasetVersion | None:
    """Find the newest version made from exactly these files and settings, without reading any file."""
    return next((version for version in reversed(versions) if version.description.input_key == input_key), None)
