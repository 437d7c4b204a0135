"""Originality: which spans of a sample stand in the training pieces, in any key and at any tempo.

`write_index` writes the index of a shard's pieces when a dataset version is published. `OriginalityIndex` opens those
of a version, and its `check` tells of a sample the longest copied span and the nearest training pieces.

    lines         the sequences of notes that are compared: parts, top lines, bottom lines
    grams         eight notes in order as a hash, and which of them are kept
    words         notes of the index as 16-bit words
    index_file    the file of a shard
    index_writer  the content of that file
    sample_lines  the lines and grams of a sample
    alignment     how far two lines go on alike from a common gram
    search        the spans that a sample and a file have in common
    background    how much a span says: copies and commonplaces
    index         the index of a version, and the check
"""

from tokenization.originality.index import Copy, Originality, OriginalityIndex
from tokenization.originality.index_file import VERSION, IndexFileError
from tokenization.originality.index_writer import IndexWriter, write_index

__all__ = ["VERSION", "Copy", "IndexFileError", "IndexWriter", "Originality", "OriginalityIndex", "write_index"]
