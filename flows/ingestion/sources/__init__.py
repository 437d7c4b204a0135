"""Sources: what a collection is, which files it holds, and how their bytes are read.

A collection is a folder, an archive, one file, or a URL of an object store. `list_files` finds its MIDI files,
those inside archives too, as rows of a table; `read_files` gives their bytes, in this process or in any other that
reaches the same storage. Nothing is ever unpacked to disk, and a name inside an archive is only a name.
"""

from flows.ingestion.sources.collections import SUFFIXES, Collection, StyleRule, collection_of, load_collections
from flows.ingestion.sources.listing import Listing, in_reading_order, list_files
from flows.ingestion.sources.reading import ContainerKind, FileRef, ReadFailure, file_refs, read_files

__all__ = [
    "SUFFIXES",
    "Collection",
    "ContainerKind",
    "FileRef",
    "Listing",
    "ReadFailure",
    "StyleRule",
    "collection_of",
    "file_refs",
    "in_reading_order",
    "list_files",
    "load_collections",
    "read_files",
]
