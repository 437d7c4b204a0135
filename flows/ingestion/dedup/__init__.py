"""Deduplication: duplicates, families and splits; the manifest with the outcome for every file."""
