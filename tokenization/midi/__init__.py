"""MIDI files: reading them as scores and notes, and writing them.

`read_score` gives the notes in ticks with the tempo map, and the repairs that were needed; `read_midi` gives them in
seconds. `write_midi` writes notes as a type-1 file.
"""

from tokenization.midi.notes import Notes, TempoMap
from tokenization.midi.reading import VERSION, MidiError, Unreadable, read_midi, read_score
from tokenization.midi.repairs import Repair
from tokenization.midi.score import Score
from tokenization.midi.standard import DEFAULT_TEMPO
from tokenization.midi.writing import write_midi

__all__ = [
    "DEFAULT_TEMPO",
    "VERSION",
    "MidiError",
    "Notes",
    "Repair",
    "Score",
    "TempoMap",
    "Unreadable",
    "read_midi",
    "read_score",
    "write_midi",
]
