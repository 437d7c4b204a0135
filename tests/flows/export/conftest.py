"""What the tests of exports share: a version with variants, styles that are no file names, and two licences."""

from __future__ import annotations

from typing import Any

import pytest

from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.publishing import Augmentation
from flows.ingestion.sources import Collection
from infra.lake import Lake
from tokenization.dataset import DatasetVersion


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory, song: Any, steps: Any) -> DatasetVersion:
    """24 tunes in two collections; partitions so small that splits have several shards."""
    home = tmp_path_factory.mktemp("export")
    for name, seeds in (("ours", range(12)), ("theirs", range(12, 24))):
        for seed in seeds:
            style = ("bach", "drum & bass/../x", None)[seed % 3]
            folder = home / name / (style.replace("/", "⧸") if style else "")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{seed}.mid").write_bytes(song(seed))
    collections = [
        Collection(name=name, location=str(home / name), licence=licence)
        for name, licence in (("ours", "CC0-1.0"), ("theirs", "Own terms"))
    ]
    settings = {
        "splits": SplitShares(validation=0.3, test=0.2),
        "partition_files": 16,
        "augmentation": Augmentation(copies=1),
    }
    return steps(Lake(home / "lake"), "songs", *collections, **settings).version
