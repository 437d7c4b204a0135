"""The originality index of a dataset version in a lake, on this machine's disk."""

from __future__ import annotations

from infra.errors import MusenetError, message_of
from infra.lake import Lake
from tokenization.dataset import DatasetVersion, find_version
from tokenization.dataset.shard_index import ORIGINALITY
from tokenization.originality import OriginalityIndex


def open_index(lake: Lake, reference: str) -> tuple[OriginalityIndex, DatasetVersion]:
    """Open the index of the version of `NAME[@DIGEST]`, copied to this machine from an object store.

    Raises UserError for a version that is not in the lake, IndexFileError for one without an index.
    """
    version = find_version(lake, reference).local(lake)
    return OriginalityIndex.open(version.path / ORIGINALITY), version


def find_index(lake: Lake, reference: str) -> tuple[OriginalityIndex | None, str]:
    """Open the index of a model's dataset; without one return None and the reason in one line."""
    try:
        return open_index(lake, reference)[0], ""
    except MusenetError as error:
        return None, message_of(error)
