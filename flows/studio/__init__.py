"""Samples for the studio: a table of requests, one for each style and seed, as a run of `flows.sampling`."""
