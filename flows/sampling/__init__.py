"""Sampling: a registered model → candidates → the best, as MIDI, text, picture and metadata."""
