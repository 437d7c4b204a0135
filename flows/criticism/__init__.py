"""Criticism: train the inner critic of a finished model, on pieces of the data and the model's own generations.

`flow.py` is the Prefect flow, `critic_training.py` its two stages, `archive.py` the generated pieces on disk.
"""
