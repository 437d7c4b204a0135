"""The demo: every stage once, from MIDI files to new music, on the starter collections."""
