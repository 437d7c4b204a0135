"""Sources: collections of MIDI files, their inventory, and the bytes of each file.

A `Collection` is a folder, an archive, one file, or the URL of an object store. `list_files` finds its MIDI files,
members of archives included, as rows of a table; `read_files` reads them by reference (`FileRef`), in this process or
in any other that reaches the same storage. `scan` lists and hashes all files of an ingestion: its `Inventory`, which
`assign_partitions` divides into units of work. Nothing is ever unpacked to disk, and a name inside an archive is only
a name.
"""

from flows.ingestion.sources.collections import SUFFIXES, Collection, StyleRule, collection_of
from flows.ingestion.sources.collections_file import collections_from, load_collections, policies_from
from flows.ingestion.sources.inventory import Inventory, Progress, scan
from flows.ingestion.sources.label_files import describe_unused
from flows.ingestion.sources.listing import Listing, in_reading_order, list_files
from flows.ingestion.sources.partitions import assign_partitions
from flows.ingestion.sources.reading import ContainerKind, FileRef, ReadFailure, file_refs, read_files

__all__ = [
    "SUFFIXES",
    "Collection",
    "ContainerKind",
    "FileRef",
    "Inventory",
    "Listing",
    "Progress",
    "ReadFailure",
    "StyleRule",
    "assign_partitions",
    "collection_of",
    "collections_from",
    "describe_unused",
    "file_refs",
    "in_reading_order",
    "list_files",
    "load_collections",
    "policies_from",
    "read_files",
    "scan",
]
