"""A version's metadata in Croissant 1.0, read by catalogues and loaders of machine-learning data.

Two record sets: `rows`, the shards' rows with their split, and `files`, the manifest.
Source: MLCommons, "Croissant Format Specification" 1.0 (2024).
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from flows.ingestion.licences import licence_url
from infra.digests import file_sha256
from infra.object_store import Folder
from infra.wording import counted
from tokenization.dataset.encoding_files import VOCABULARY_FILE
from tokenization.dataset.manifest import MANIFEST_FILE
from tokenization.dataset.shards import SCHEMA, TOKEN_TYPE
from tokenization.dataset.version import CARD_FILE, DatasetVersion

Json = dict[str, Any]

PARQUET = "application/x-parquet"
SPLIT_CONCEPT = "https://www.wikidata.org/wiki/Q3985153"
SPLIT_KINDS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}

ROW_FIELDS = {
    "piece_id": ("sc:Text", "SHA-256 of the source file's bytes."),
    "family": ("sc:Text", "SHA-256 of the piece that is kept of its family of near-duplicates."),
    "style": ("sc:Text", "Composer or genre label; absent where none is known."),
    "instrumentation": ("sc:Text", "Groups of instruments that sound, joined by underscores."),
    "transpose": ("cr:Int8", "Semitones this copy is transposed by; 0 in the original."),
    "velocity_shift": ("cr:Int8", "Added to the velocities of this copy; 0 in the original."),
    "stretch": ("cr:Float32", "Factor on all durations of this copy; 1 in the original."),
    "n_tokens": ("cr:Int32", "Number of tokens."),
    "tokens": ("sc:Text", f"Token ids as bytes, numpy type {TOKEN_TYPE.str}: little-endian 16-bit unsigned integers."),
}
FILE_TYPES: tuple[tuple[pl.DataType, str], ...] = (
    (pl.String(), "sc:Text"),
    (pl.Boolean(), "sc:Boolean"),
    (pl.Int64(), "cr:Int64"),
    (pl.UInt8(), "cr:UInt8"),
    (pl.Float32(), "cr:Float32"),
    (pl.Float64(), "cr:Float64"),
)

CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet"),
            *("format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
            "transform",
        )
    },
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
}


def croissant(version: DatasetVersion, manifest: pl.DataFrame) -> Json:
    """Build the metadata of a version, published or staged, as JSON-LD."""
    folder, about = version.folder, version.description
    pieces, tokens = sum(about.pieces.values()), sum(about.tokens.values())
    rows = ("rows", "Rows of the shards: one variant of one piece each.")
    files = ("files", "Every file found, with its outcome (accepted, duplicate or quarantined) and the reason.")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.name,
        "description": (
            f"{counted(pieces, 'piece')} of symbolic music ({about.hours:,.1f} hours) from MIDI files, "
            f"as {counted(tokens, 'token')} of the {about.encoding.name} encoding in {about.encoding.time}, version "
            f"{about.encoding.version}, over the {about.vocabulary.name} vocabulary."
        ),
        "version": about.digest,
        "url": CARD_FILE,
        "license": [licence_url(licence) or licence for licence in about.licences],
        "creator": {"@type": "sc:Organization", "name": "musenet ingest"},
        "datePublished": about.created.isoformat(timespec="milliseconds"),
        "citeAs": f"{about.name}@{about.digest}",
        "keywords": ["symbolic music", "MIDI", *about.styles],
        "isLiveDataset": False,
        "distribution": [
            _file(folder, MANIFEST_FILE, PARQUET, "One row per source file ever seen."),
            _file(folder, VOCABULARY_FILE, "application/json", "The meaning of every token id."),
            *(_file(folder, path, PARQUET, "A shard.", sha256) for path, sha256 in about.shards.items()),
            {
                "@type": "cr:FileSet",
                "@id": "shards",
                "name": "shards",
                "description": "The shards of all splits; each is also listed by itself, with size and hash.",
                "encodingFormat": PARQUET,
                "includes": [f"{split}/*.parquet" for split in about.pieces],
            },
        ],
        "recordSet": [
            _splits(list(about.pieces)),
            _record_set(*rows, [_split_field(list(about.pieces)), *map(_row_field, SCHEMA)]),
            _record_set(*files, [_file_field(name, kind) for name, kind in manifest.schema.items()]),
        ],
    }


def _file(folder: Folder, path: str, encoding: str, description: str, sha256: str | None = None) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "description": description,
        "contentUrl": path,
        "contentSize": f"{(folder / path).stat().st_size} B",
        "encodingFormat": encoding,
        "sha256": sha256 or file_sha256(folder / path),
    }


def _record_set(name: str, description: str, fields: list[Json]) -> Json:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": description, "field": fields}


def _splits(splits: list[str]) -> Json:
    """Describe the splits and their purposes as the specification requires."""
    name, url = (
        {"@type": "cr:Field", "@id": f"splits/{field}", "name": field, "dataType": kind}
        for field, kind in (("name", "sc:Text"), ("url", "sc:URL"))
    )
    return {
        **_record_set("splits", "The splits; no family of near-duplicates lies in two.", [name, url]),
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "data": [{"splits/name": split, "splits/url": SPLIT_KINDS[split]} for split in splits],
    }


def _split_field(splits: list[str]) -> Json:
    """Describe the split of a row: the folder of its shard."""
    return {
        "@type": "cr:Field",
        "@id": "rows/split",
        "name": "split",
        "description": "The split that the row belongs to.",
        "dataType": ["sc:Text", SPLIT_CONCEPT],
        "references": {"field": {"@id": "splits/name"}},
        "source": {
            "fileSet": {"@id": "shards"},
            "extract": {"fileProperty": "fullpath"},
            # mlcroissant applies it a second time, to its own result, so the name of a split alone must pass as well;
            # to filter by split, it makes file patterns of it and understands no more than this
            "transform": {"regex": rf"^({'|'.join(splits)})(?:/.+\.parquet)?$"},
        },
    }


def _row_field(column: pa.Field) -> Json:
    kind, description = ROW_FIELDS[column.name]
    return {
        "@type": "cr:Field",
        "@id": f"rows/{column.name}",
        "name": column.name,
        "description": description,
        "dataType": kind,
        "source": {"fileSet": {"@id": "shards"}, "extract": {"column": column.name}},
    }


def _file_field(name: str, kind: pl.DataType) -> Json:
    inner = kind.inner if isinstance(kind, pl.List) else kind
    return {
        "@type": "cr:Field",
        "@id": f"files/{name}",
        "name": name,
        "dataType": next(name for known, name in FILE_TYPES if inner == known),
        **({"repeated": True} if isinstance(kind, pl.List) else {}),
        "source": {"fileObject": {"@id": MANIFEST_FILE}, "extract": {"column": name}},
    }
