"""Warm starts: a run begins with the weights of another model, its parent.

- `parent`: the parent found by alias, version, run or file, opened, and its files put into the run's folder
- `fitting`: the preset of such a run, and what its dataset and shape must have in common with the parent
- `tokens`: the settings by which a dataset's tokens mean what they mean to a model
- `heard`: the identities of what runs and models were trained on, over all generations
- `leaks`: the held-out pieces of a dataset version that a parent knows already
"""
