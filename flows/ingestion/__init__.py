"""Ingestion: sources → parsing → duplicates → splits → publishing, with the outcome of every file in the manifest."""
