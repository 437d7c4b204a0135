"""Registration: put a finished run and its critic into the registry as a model version.

`flow.py` is the Prefect flow, `registration.py` gathers the files, writes the model card and the map of styles, and
registers them.
"""
