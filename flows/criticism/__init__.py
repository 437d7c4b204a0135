"""Criticism: train the inner critic of a finished model, on pieces of the data and the model's own generations.

    parameters       what is trained, and how
    generations      sets of generations, kept in the archive
    critic_training  generate, fit, calibrate, measure, publish
    measuring        the critic on held-out pieces: generations, damages, changes that should not count
    report           its figures, as a value, a file and a page

`flow.py` is the Prefect flow. Generations are kept by `modeling.archive`.
"""
