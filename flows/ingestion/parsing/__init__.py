"""Parsing: files are read once, in worker processes, and the result is stored by the SHA-256 of their bytes.

A `ParseJob` covers the files of one partition; `parse` runs it and adds a part to the `Store`. `RowRef` refers to a
row of the store.
"""

from flows.ingestion.parsing.parse_job import FailedItem, ParseJob, ParseLimits, ParseResult, parse
from flows.ingestion.parsing.store import RowRef, Store

__all__ = ["FailedItem", "ParseJob", "ParseLimits", "ParseResult", "RowRef", "Store", "parse"]
