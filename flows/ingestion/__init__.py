"""Ingestion: sources → parsing → duplicates → splits → publishing, with the fate of every file in the manifest."""
