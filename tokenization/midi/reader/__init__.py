"""The tracks of a Standard MIDI File → note and tempo columns: compiled, and tolerant of damaged files.

`read_tracks` reads whatever music the tracks hold and reports what it repaired; it never raises. Every loop moves
forward in the data or is bounded by a constant, and no array is larger than the data can fill, so the worst file
takes time and memory in proportion to its size.

The stages, each in a module of its own:

    chunks     where the tracks lie
    decoding   bytes → events: channel messages and `system_events`, with `recovery` at faults, up to the `track_end`
    events     the columns of events in between
    sounds     the program of each channel, and whether it plays drums; `exclusive` has the messages for that
    pairing    note-ons and note-offs → notes, with `matching` where some are lost
    tempo      the tempo map; notes of more than two minutes are shortened
    pedal      how long notes sound with the sustain pedal
    tracks     all of these in order

The rules for bytes that are not as the standard has them:

Chunks. A track's length is trusted where a chunk or the file's end follows it. Otherwise the track ends at its End of
Track, at the next `MTrk`, or with the file, whichever comes first; beyond its stated length it is read for as long as
it reads well. An End of Track before the chunk's end is passed over if what follows reads well and another End of Track
closes the chunk, or the track has no note so far; else it ends the track. A chunk whose name is wrong in one letter is
a track. Other chunks are skipped. The number of tracks in the header need not be right, but a file written over a
longer one still has that one's last tracks: beyond the header's number only tracks that follow directly are read.

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

Notes. A note-off ends the oldest sounding note of its pitch and channel in the same track, but where note-offs are lost
`matching` chooses the notes that have none. All Notes Off and its relatives (controllers 120 and 123–127) end what
sounds on the channel in the track, but not what began at the same tick: sequencers write them as an initialisation
beside the first notes. What sounds at the end of its track gets a beat at most if pitched, nothing if a drum.

Ports. Channel 1 of one port and channel 1 of another are two channels, each with its own program, drums and pedal. A
port event (meta event 21) holds for what follows it in its track, and a track's first one also for what is before it if
that is no note and the file has other tracks. A track without one is on port 0. Device names (meta event 9) mean
nothing: sequencers write them into some tracks of a file only.

Programs. A program is the channel's, not the track's: it holds in all tracks from its tick on. Of changes at one tick
the last one in the note's own track holds, or else the last one in the file. So tracks that share a channel and set
their own programs at the start keep them. In a file of type 2 each track is a sequence of its own, which nothing of
another one reaches.

Drums. Channel 10 of every port plays drums, all others do not, until a message says otherwise: the GS message "use for
rhythm part" and the XG part mode for one channel; after XG System On a program of bank 126 or 127, until the channel
takes one of another bank; after GM2 System On a program of bank 120 (drums) or 121 (melody). Bank 0 does not take the
drums from channel 10 in XG, for files send it to a channel that goes on with drums. A bank (the upper half of its
number, controller 0) counts from the next program on. Banks mean nothing outside XG and GM2: in GS, bank 127 holds the
instruments of the MT-32. GM, GM2, GS and XG resets set all channels of all ports back to program 0, bank and drums as
at the start. At one tick resets come first, then drum switches, then all else.

Sustain pedal. A channel is one instrument of the file, also where its pedal is in another track than its notes; in a
file of type 2 it is one of its sequence. Controller 64 at 64 or more puts the pedal down, below 64 it lets it go, as
Reset All Controllers does (121). Changes at one tick count in the order of the file. A note is held by the first
pedalling that is not over before its key is up: from when the pedal goes down, that tick included, until it goes up. So
a pedal that goes down just when the key goes up holds the note, and one that is changed just then lets it go. A held
note sounds until the pedal goes up or All Sound Off comes (120), at most until its channel and pitch start again, at
most for `LONGEST_NOTE`; a pedal that is never let go is let go with the last key of the sequence. All Notes Off ends
keys only. Drums have no pedal.

Sources: MIDI Manufacturers Association, "The Complete MIDI 1.0 Detailed Specification", Standard MIDI Files 1.0,
General MIDI 2; Roland, SC-88 Pro, MIDI implementation; Yamaha, MU50 owner's manual, MIDI data format.
"""

from tokenization.midi.reader.tempo import LONGEST_NOTE
from tokenization.midi.reader.tracks import Tracks, read_tracks

__all__ = ["LONGEST_NOTE", "Tracks", "read_tracks"]
