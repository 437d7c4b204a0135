"""The tracks of a Standard MIDI File → note and tempo columns: compiled, and tolerant of damaged files.

`read_tracks` reads whatever music the tracks hold and reports what it repaired; it never raises. Every loop moves
forward in the data or is bounded by a constant, and no array is larger than the data can fill, so the worst file
takes time and memory in proportion to its size.

The stages, each in a module of its own:

    chunks     where the tracks lie
    decoding   bytes → events, with `recovery` at faults
    events     the columns of events in between
    pairing    note-ons and note-offs → notes
    tempo      the tempo map; notes of more than two minutes are shortened
    pedal      how long notes sound with the sustain pedal
    tracks     all of these in order

The rules for bytes that are not as the standard has them:

Chunks. A track's length is trusted where a chunk or the file's end follows it. Otherwise the track ends at its End of
Track, at the next `MTrk`, or with the file, whichever comes first; beyond its stated length it is read for as long as
it reads well. A chunk whose name is wrong in one letter is a track. Other chunks are skipped. The number of tracks in
the header need not be right, but a file written over a longer one still has that one's last tracks: beyond the header's
number only tracks that follow directly are read.

Events. A fault is a data byte above 127, a data byte without a status, an undefined status, an event that reaches
beyond its track, a delta time of more than four bytes, or one of more than `LONGEST_REST` beats after which nothing
reads well; and, in a track whose length is wrong and whose events all have a status, one without whose delta time
could be a status. At a fault the reader probes for a place to resume: a candidate is good if the next `PROBED_EVENTS`
events, or all up to End of Track, have no fault and no such rest, no note below `LOWEST_PITCH`, and are not note-ons
in running status throughout, as text would be. The candidates are

- to clip the byte to 127, as 128 is what the programs of the 1990s wrote for "full"; if it is a note's pitch, to
  leave the note out;
- to take the byte after the last event as a status whose delta time was lost; if it is the note-on or note-off of
  the channel in use, two events that read well are enough and no other candidate is probed;
- to start a new event, from `BACK` bytes before the faulty one on to `NEAR` bytes behind it;
- if none of these is good, the next place where twice as many events read well, the first of them with a status
  byte, so that text or noise is not taken for notes in running status.

Clipping is taken if it is good, unless another candidate is clearly shorter in time: after a lost byte, status bytes
are taken for delta times, which reads on without faults through enormous rests. Of the others the one that takes least
time is taken, with a beat added for every `BYTES_OF_A_BEAT` bytes that it is away. In a track that has had a fault,
rests and texts longer than those of music count as faults.

Notes. A note-off ends the oldest sounding note of its pitch and channel in the same track. All Notes Off and its
relatives (controllers 120 and 123–127) end what sounds on the channel, but not what began at the same tick: sequencers
write them as an initialisation beside the first notes. What sounds at the end of its track gets a beat at most if
pitched, nothing if a drum. Programs hold for a channel within a track.

Sustain pedal. A channel is one instrument of the file, also where its pedal is in another track than its notes; in a
file of type 2 it is one of its sequence. Controller 64 at 64 or more puts the pedal down, below 64 it lets it go, as
Reset All Controllers does (121). Changes at one tick count in the order of the file. A note is held by the first
pedalling that is not over before its key is up: from when the pedal goes down, that tick included, until it goes up. So
a pedal that goes down just when the key goes up holds the note, and one that is changed just then lets it go. A held
note sounds until the pedal goes up or All Sound Off comes (120), at most until its channel and pitch start again, at
most for `LONGEST_NOTE`; a pedal that is never let go is let go with the last key of the sequence. All Notes Off ends
keys only. Drums (channel 10) have no pedal.

Source: MIDI Manufacturers Association, "The Complete MIDI 1.0 Detailed Specification", Standard MIDI Files 1.0.
"""

from tokenization.midi.reader.tempo import LONGEST_NOTE
from tokenization.midi.reader.tracks import Tracks, read_tracks

__all__ = ["LONGEST_NOTE", "Tracks", "read_tracks"]
