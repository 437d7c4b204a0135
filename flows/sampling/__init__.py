"""Sampling: compose with a registered model, and write the best candidates.

`flow.py` has the Prefect flows, `parameters.py` what they take, `export.py` writes a piece as MIDI, text, picture and
metadata, `metadata.py` is the form of the latter, and `again.py` compares a piece that is made again. A table of
requests (`request_table.py`) becomes a job for each piece (`compose_job.py`) on the engines of `flows.engines`, and an
index of all (`table_run.py`).
"""
