"""What the tests of encodings share: each encoding, in both times and over both vocabularies, with learned tokens."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pytest

from tokenization.encodings import ENCODINGS, Encoding, Time, get_encoding, learn_tokens
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary, builtin_vocabularies

FIXTURES = Path(__file__).parents[2] / "fixtures" / "midi"
EVERY = [
    (name, time, vocabulary)
    for (n, name), (t, time), (v, vocabulary) in product(*map(enumerate, (ENCODINGS, Time, builtin_vocabularies())))
    if (n + t + v) % 2
]
"""Half of all combinations: any two of encoding, time and vocabulary meet."""


@cache
def real_pieces() -> dict[str, Notes]:
    """The project's own MIDI files that hold notes, by name."""
    found = {}
    for path in sorted(path for path in FIXTURES.iterdir() if path.is_file()):
        try:
            found[path.name] = read_midi(path.read_bytes())
        except MidiError:
            continue
    return found


@cache
def learned(name: str, time: Time, vocabulary: str) -> Encoding:
    """An encoding that has learned what there is to learn from the project's files."""
    encoding = get_encoding(name, Vocabulary.load(vocabulary, ["chopin", "bach", "jazz"]), time)
    return learn_tokens(encoding, [encoding.encode(notes) for notes in real_pieces().values()], 300)


@pytest.fixture(scope="session", params=EVERY, ids=["-".join(case) for case in EVERY])
def any_encoding(request: pytest.FixtureRequest) -> Encoding:
    """Each encoding in turn."""
    return learned(*request.param)


@pytest.fixture(scope="session")
def music() -> dict[str, Notes]:
    return real_pieces()
