"""Dataset versions on disk: the contract between ingestion, which writes them, and training, which reads them.

`open_version` reads the version in a folder, `find_version` finds one in a lake by `NAME[@DIGEST]`; a
`DatasetVersion` gives its description, encoding, vocabulary, manifest and shards. One module for each file:

    version         the folder of a version, opened
    catalogue       the versions of a lake, found by name, digest or input
    description     `dataset.json`, with the number of its format
    manifest        `manifest.parquet`: every file seen, with its outcome
    contract        what holds of every manifest, checked before it is published
    encoding_files  `vocabulary.json`, and the `encoding.json` of a model's bundle
    shards          `<split>/*.parquet`: token rows
    shard_index     `shards.parquet`: the shards with the keys for reusing them
    splits          the names of the splits
    pace            tokens a second by style, measured; the `pace.json` of a model's bundle
    windows         parts of pieces with the features that the network sees
"""

from tokenization.dataset.catalogue import dataset_versions, find_by_input, find_version
from tokenization.dataset.description import DatasetError, Description, write_description
from tokenization.dataset.encoding_files import (
    EncodingInfo,
    read_encoding,
    read_vocabulary,
    write_encoding,
    write_vocabulary,
)
from tokenization.dataset.manifest import Reason, Status, outcome_counts, read_manifest, write_manifest
from tokenization.dataset.shard_index import ShardEntry, parse_shard_index, write_shard_index
from tokenization.dataset.shards import ORIGINAL, Row, ShardError, TokenFormat, read_shard, token_arrays, write_shard
from tokenization.dataset.splits import SPLITS, TEST, TRAIN, VALIDATION
from tokenization.dataset.version import DatasetVersion, open_version

__all__ = [
    "ORIGINAL",
    "SPLITS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "DatasetError",
    "DatasetVersion",
    "Description",
    "EncodingInfo",
    "Reason",
    "Row",
    "ShardEntry",
    "ShardError",
    "Status",
    "TokenFormat",
    "dataset_versions",
    "find_by_input",
    "find_version",
    "open_version",
    "outcome_counts",
    "parse_shard_index",
    "read_encoding",
    "read_manifest",
    "read_shard",
    "read_vocabulary",
    "token_arrays",
    "write_description",
    "write_encoding",
    "write_manifest",
    "write_shard",
    "write_shard_index",
    "write_vocabulary",
]
