"""Names of the General MIDI programs and percussion keys.

Source: MIDI Manufacturers Association, "General MIDI System Level 1" (programs, keys 35–81) and "General MIDI 2"
(keys 27–34 and 82–87), in lower case.
"""

from __future__ import annotations

PROGRAM_NAMES = (
    *("acoustic grand piano", "bright acoustic piano", "electric grand piano", "honky-tonk piano"),
    *("electric piano 1", "electric piano 2", "harpsichord", "clavinet"),
    *("celesta", "glockenspiel", "music box", "vibraphone", "marimba", "xylophone", "tubular bells", "dulcimer"),
    *("drawbar organ", "percussive organ", "rock organ", "church organ"),
    *("reed organ", "accordion", "harmonica", "tango accordion"),
    *("acoustic guitar (nylon)", "acoustic guitar (steel)", "electric guitar (jazz)", "electric guitar (clean)"),
    *("electric guitar (muted)", "overdriven guitar", "distortion guitar", "guitar harmonics"),
    *("acoustic bass", "electric bass (finger)", "electric bass (pick)", "fretless bass"),
    *("slap bass 1", "slap bass 2", "synth bass 1", "synth bass 2"),
    *("violin", "viola", "cello", "contrabass", "tremolo strings", "pizzicato strings", "orchestral harp", "timpani"),
    *("string ensemble 1", "string ensemble 2", "synth strings 1", "synth strings 2"),
    *("choir aahs", "voice oohs", "synth voice", "orchestra hit"),
    *("trumpet", "trombone", "tuba", "muted trumpet", "French horn", "brass section", "synth brass 1", "synth brass 2"),
    *("soprano sax", "alto sax", "tenor sax", "baritone sax", "oboe", "English horn", "bassoon", "clarinet"),
    *("piccolo", "flute", "recorder", "pan flute", "blown bottle", "shakuhachi", "whistle", "ocarina"),
    *("lead 1 (square)", "lead 2 (sawtooth)", "lead 3 (calliope)", "lead 4 (chiff)"),
    *("lead 5 (charang)", "lead 6 (voice)", "lead 7 (fifths)", "lead 8 (bass + lead)"),
    *("pad 1 (new age)", "pad 2 (warm)", "pad 3 (polysynth)", "pad 4 (choir)"),
    *("pad 5 (bowed)", "pad 6 (metallic)", "pad 7 (halo)", "pad 8 (sweep)"),
    *("FX 1 (rain)", "FX 2 (soundtrack)", "FX 3 (crystal)", "FX 4 (atmosphere)"),
    *("FX 5 (brightness)", "FX 6 (goblins)", "FX 7 (echoes)", "FX 8 (sci-fi)"),
    *("sitar", "banjo", "shamisen", "koto", "kalimba", "bagpipe", "fiddle", "shanai"),
    *("tinkle bell", "agogo", "steel drums", "woodblock", "taiko drum", "melodic tom", "synth drum", "reverse cymbal"),
    *("guitar fret noise", "breath noise", "seashore", "bird tweet"),
    *("telephone ring", "helicopter", "applause", "gunshot"),
)
"""By program, 0–127."""

FIRST_PERCUSSION = 27
PERCUSSION_NAMES = (
    *("high Q", "slap", "scratch push", "scratch pull", "sticks", "square click", "metronome click", "metronome bell"),
    *("acoustic bass drum", "bass drum 1", "side stick", "acoustic snare", "hand clap", "electric snare"),
    *("low floor tom", "closed hi-hat", "high floor tom", "pedal hi-hat", "low tom", "open hi-hat"),
    *("low-mid tom", "hi-mid tom", "crash cymbal 1", "high tom", "ride cymbal 1", "Chinese cymbal", "ride bell"),
    *("tambourine", "splash cymbal", "cowbell", "crash cymbal 2", "vibraslap", "ride cymbal 2"),
    *("hi bongo", "low bongo", "mute hi conga", "open hi conga", "low conga", "high timbale", "low timbale"),
    *("high agogo", "low agogo", "cabasa", "maracas", "short whistle", "long whistle", "short guiro", "long guiro"),
    *("claves", "hi wood block", "low wood block", "mute cuica", "open cuica", "mute triangle", "open triangle"),
    *("shaker", "jingle bell", "belltree", "castanets", "mute surdo", "open surdo"),
)
"""By key, from FIRST_PERCUSSION on."""


def percussion_name(key: int) -> str:
    """Return the name of a percussion key of channel 10: 42 → `closed hi-hat`, 20 → `key 20`, which has no name."""
    index = key - FIRST_PERCUSSION
    return PERCUSSION_NAMES[index] if 0 <= index < len(PERCUSSION_NAMES) else f"key {key}"
