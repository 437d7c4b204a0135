"""Sampling: compose with a registered model, and write the best candidates.

`flow.py` is the Prefect flow, `requests.py` checks what a user asks for, `export.py` writes a piece as MIDI, text,
picture and metadata.
"""
