"""Listing: the MIDI files of collections, in folders, object stores and archives, as rows of a table."""

from flows.ingestion.sources.listing.collection_search import check_location
from flows.ingestion.sources.listing.listing import Listing, in_reading_order, list_files

__all__ = ["Listing", "check_location", "in_reading_order", "list_files"]
