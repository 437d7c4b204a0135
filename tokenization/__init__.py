"""Music as data: MIDI ⇄ notes ⇄ tokens ⇄ Parquet, without torch, Prefect or MLflow.

Its packages:

    midi          reading and writing of MIDI files; notes
    vocabulary    the meaning of token ids
    encodings     notes ⇄ tokens, with the features and the grammar of each encoding
    dataset       the contract on disk: versions, manifest, shards, windows
    augmentation  variants of pieces
    measures      numbers that tell music from what is none, and distances between sets of pieces
    fingerprint   hashes and sketches of music, to find duplicates and related pieces
    pictures      piano rolls
"""
