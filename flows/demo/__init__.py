"""The demo: every stage once, from MIDI files to new music, on the starter collections.

`flow.py` is the Prefect flow, `plan.py` its parameters, collections and report, `summary.py` the report on a terminal.
"""
