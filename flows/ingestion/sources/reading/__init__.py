"""Reading: files by reference, as bytes or as the reason there are none.

`FileRef` refers to one file in a folder, object store or archive; `read_files` reads many, `read_heads` their first
bytes.
"""

from flows.ingestion.sources.reading.file_ref import FILE_REF, ContainerKind, FileRef, file_refs
from flows.ingestion.sources.reading.reader import ReadFailure, read_files, read_heads

__all__ = ["FILE_REF", "ContainerKind", "FileRef", "ReadFailure", "file_refs", "read_files", "read_heads"]
