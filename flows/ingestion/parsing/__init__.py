"""Parsing: files are read once, in worker processes, and the result is stored by content hash."""
