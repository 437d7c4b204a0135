"""Archives: the members of .zip, .tar and .tar.gz, found and read without unpacking anything.

A member is located by a range of bytes, so that any worker can read any member without looking at the others: in a
.zip the compressed bytes, in a .tar the bytes themselves, in a .tar.gz the bytes of the uncompressed stream. Each
format is a module here that lists the members of an open archive as `Members`.
"""

from flows.ingestion.sources.archives.members import (
    ARCHIVE,
    ARCHIVE_ERRORS,
    HEAD,
    Members,
    archive_fault,
    begins_like_midi,
)
from flows.ingestion.sources.archives.tar import tar_members
from flows.ingestion.sources.archives.targz import open_targz, targz_members
from flows.ingestion.sources.archives.zip import zip_members

__all__ = [
    "ARCHIVE",
    "ARCHIVE_ERRORS",
    "HEAD",
    "Members",
    "archive_fault",
    "begins_like_midi",
    "open_targz",
    "tar_members",
    "targz_members",
    "zip_members",
]
