"""Sweeps: many training runs with settings that Optuna suggests, to find those with the lowest validation loss.

sweep_file  what is searched, as a TOML file
study       the trials so far, in Optuna's SQLite database in the lake; a sweep that was killed goes on from there
report      the trials as a table
flow        the Prefect flow: each trial is a training run, which MLflow shows as a child of the sweep's
"""
