"""MIDI ⇄ notes ⇄ tokens ⇄ Parquet: everything about music as data, without torch, Prefect or MLflow."""
