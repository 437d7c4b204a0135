"""MIDI files: reading them as scores and notes, and writing them."""

from tokenization.midi.reading import VERSION, MidiError, Unreadable, read_midi, read_score

__all__ = ["VERSION", "MidiError", "Unreadable", "read_midi", "read_score"]
