"""A small real version, as publishing stages it: tunes in shards, a manifest with every outcome, hostile names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.music_statistics import Statistics
from tokenization.dataset import DatasetVersion
from tokenization.dataset.description import Description, FamilyCounts, GateResult, VocabularyInfo, write_description
from tokenization.dataset.encoding_files import EncodingInfo, write_vocabulary
from tokenization.dataset.manifest import SCHEMA, licence_counts, outcome_counts, write_manifest
from tokenization.dataset.shards import Row, TokenFormat, write_shard
from tokenization.dataset.splits import SPLITS
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

DIGEST = "0123456789abcdef0123456789abcdef"
HOSTILE = "<script>alert(1)</script>|`x`\n\u202e![a](https://example.org/&amp;.mid"
"""A name of a file, a collection, a licence."""


@dataclass(frozen=True)
class Staged:
    """A version's folder before its card is written."""

    version: DatasetVersion
    manifest: pl.DataFrame

    @property
    def folder(self) -> Path:
        return self.version.path

    @property
    def description(self) -> Description:
        return self.version.description

    def with_description(self, **changes: Any) -> DatasetVersion:
        """The version with some values of its description changed."""
        return replace(self.version, description=self.description.model_copy(update=changes))


def tune(seed: int) -> Notes:
    """40 quavers of a piano or a violin, every third tune with drums."""
    random = np.random.default_rng(seed)
    drum = (np.arange(40) % 4 == 0) & (seed % 3 == 0)
    pitch = np.where(drum, 38, random.integers(48, 84, 40))
    program = np.full(40, 40 if seed % 2 else 0)
    return Notes.from_columns(np.arange(40) / 4, np.full(40, 0.2), pitch, [80] * 40, program, drum, 90 + seed)


def name_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def stage(folder: Path, accepted: int = 14, copies: int = 1) -> Staged:
    """Pieces by number: 0 and 1 of each ten are held out; training pieces have `copies` beside the original."""
    vocabulary = Vocabulary.load("musenet", styles=["bach", "jazz"])
    encoding = Combined(vocabulary)
    statistics = Statistics()
    files: list[dict[str, Any]] = []
    rows: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for number in range(accepted):
        notes, sha256 = tune(number), name_of(number)
        split = {0: "test", 1: "validation"}.get(number % 10, "train")
        style = (None, "bach", "jazz")[number % 3]
        tokens = encoding.encode(notes, style)
        statistics += Statistics.of(notes, tokens, vocabulary)
        for copy in range(1 + copies if split == "train" else 1):
            rows[split].append(Row(sha256, sha256, style, "piano", tokens, transpose=copy))
        files.append(
            {
                "path": HOSTILE if number == 2 else f"piece {number}.mid",
                "collection": HOSTILE if number % 2 else "plain",
                "sha256": sha256,
                "size": 1000 + number,
                "licence": HOSTILE if number % 2 else "CC0-1.0",
                "stated_licence": None if number % 2 else "CC0",
                "style": style,
                "status": "accepted",
                "family": sha256,
                "split": split,
                "notes": len(notes),
                "seconds": notes.seconds,
                "tempo": notes.tempo,
                "programs": sorted(set(notes.program[~notes.drum].tolist())),
                "drums": bool(notes.drum.any()),
                "repairs": ["clipped_bytes"] if number == 3 else [],
                "partition": 0,
            }
        )
    plain = {"collection": "plain", "size": 10, "licence": "CC0-1.0", "repairs": [], "partition": 0}
    for number, reason in ((100, "same_bytes"), (101, "near_duplicate")) if accepted else ():
        kept = files[0]
        same = {name: kept[name] for name in ("family", "split", "notes", "seconds", "tempo", "programs", "drums")}
        near = {"similarity": 0.93, "evidence": 2.0} if reason == "near_duplicate" else {}
        link = {"linked": kept["sha256"], "relation": "duplicate"}
        found = {"path": f"copy {number}.mid", "sha256": name_of(number), "status": "duplicate", "reason": reason}
        files.append({**plain, **same, **found, **link, **near, "kept": kept["sha256"], "detail": kept["path"]})
    broken = {"path": HOSTILE, "sha256": name_of(200), "status": "quarantined", "reason": "not_midi"}
    files.append({**plain, **broken, "detail": HOSTILE})
    manifest = pl.DataFrame(files, schema=SCHEMA)

    write_manifest(folder / "manifest.parquet", manifest)
    write_vocabulary(folder, vocabulary)
    token_format, shards = TokenFormat.of(encoding), {}
    for split, chosen in rows.items():
        (folder / split).mkdir()
        for first in range(0, len(chosen), 10):
            path = f"{split}/{first // 10:05}.parquet"
            shards[path] = write_shard(folder / path, chosen[first : first + 10], token_format)
    good = manifest.filter(status="accepted")
    description = Description(
        name="songs",
        digest=DIGEST,
        input_key="fedcba9876543210" * 2,
        parent=None,
        created=datetime.fromisoformat("2026-11-22T20:46:55.123+00:00"),
        encoding=EncodingInfo.of(encoding),
        vocabulary=VocabularyInfo(name="musenet", digest=vocabulary.digest),
        settings={"limits": {"min_notes": 16}, "splits": {"seed": 0}},
        files=len(manifest),
        outcomes=outcome_counts(manifest),
        ignored={"plain": {".txt": 3, "": 1}},
        pieces={split: len(good.filter(split=split)) for split in SPLITS},
        variants={split: len(chosen) for split, chosen in rows.items()},
        tokens={split: sum(len(row.tokens) for row in chosen) for split, chosen in rows.items()},
        notes=int(good["notes"].sum()),
        hours=round(good["seconds"].sum() / 3600, 3),
        styles=dict(good.group_by(pl.col("style").fill_null("(none)")).len().sort("style").iter_rows()),
        licences=licence_counts(manifest),
        collections=[],
        gates=[
            GateResult(rule="min_pieces", value=accepted, limit=1, unit="pieces", outcome="passed", detail=HOSTILE),
            GateResult(rule="max_hours_drop", value=0.75, limit=0.5, unit="share", outcome="accepted", detail=""),
        ],
        families=FamilyCounts(families=accepted, members=accepted + 2, largest=3),
        repairs={"clipped_bytes": 1},
        statistics=statistics.to_dict(),
        shards=shards,
    )
    write_description(folder, description)
    return Staged(DatasetVersion(folder, description), manifest)


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    return stage(tmp_path_factory.mktemp("version"))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """A version without an accepted piece."""
    return stage(tmp_path_factory.mktemp("empty"), accepted=0)
