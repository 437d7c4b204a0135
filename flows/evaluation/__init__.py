"""Evaluation: how far composed pieces are from real ones, by the measures of `tokenization.measures`.

A model composes pieces under the headers of held-out pieces, or a folder of MIDI files is taken as it is. Each measure
is a distance to held-out pieces, beside its floor, which is how far real pieces are apart, and the distances of an
n-gram and of noise. `flow.py` is the Prefect flow.

    settings      what is evaluated, and how
    groups        the real pieces of each style, from the shards of a dataset version
    likelihood    how well a model foresees whole test pieces
    compositions  pieces composed by a model, kept as shards
    folder        pieces of a folder of MIDI files
    baselines/    pieces of an n-gram and of noise, through the same grammar
    compare       `compare`: measures of all sets → the report; a pure function
    report        the report as a typed value, which is also its JSON file
    page          the report as a page, with charts and piano rolls
    evaluation    what is evaluated: sets of pieces, composed where they were not before
    measured      their measures, compared and reported
    paired        differences of two models on the same families; pure functions
    against       two evaluations → the report of their differences (`paired_report`), which `paired_page` renders
"""
