"""Publishing: a manifest becomes an immutable dataset version with shards, statistics and data card.

Its modules:

    encoding      the settings of tokens, and the encoding of a version to come
    shard_plan    the shards of a version and all that their rows depend on
    encode_job    shards written by worker processes
    reuse         shards of earlier versions taken over
    version_spec  everything that makes a version besides its manifest, and its digest
    describe      the content of `dataset.json`
    publication   the version written, compared with its parent and published
"""

from flows.ingestion.publishing.encoding import TokenSettings, choose_encoding
from flows.ingestion.publishing.publication import ParentChanged, Published, publish
from flows.ingestion.publishing.shard_plan import Augmentation, EncodingChoice
from flows.ingestion.publishing.version_spec import VersionSpec

__all__ = [
    "Augmentation",
    "EncodingChoice",
    "ParentChanged",
    "Published",
    "TokenSettings",
    "VersionSpec",
    "choose_encoding",
    "publish",
]
