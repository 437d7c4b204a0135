"""Speed from bytes to tokens, against bare parsing and against another tokeniser, on the same files.

    python tests/benchmarks/parse_encode.py --corpus DIR [--json FILE]

Three contestants take turns in one process; each one's fastest round counts.

    symusic   `symusic.Score.from_midi` alone, the fastest MIDI parser: no notes in seconds, no tokens
    musenet   our reader and the combined encoding: bytes → tokens
    REMI      symusic and MidiTok's REMI: bytes → tokens, with its default configuration and `use_programs=True`,
              so that all tracks become one sequence as ours do

The files are a seeded sample, for REMI is slow; files that one contestant refuses or finds empty are left out for all.
A first round, which is not timed, finds them and loads the compiled code. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import symusic
from miditok import REMI, TokenizerConfig

from tokenization.encodings.combined import Combined
from tokenization.midi import read_midi
from tokenization.vocabulary import Vocabulary

SUFFIXES = {".mid", ".midi", ".kar", ".rmi"}
TIMES_FASTER_THAN_REMI = 25.0
TIMES_BARE_PARSE = 3.0

Contestant = Callable[[bytes], Any]


@dataclass(frozen=True)
class Figures:
    """Seconds of one contestant for all files."""

    seconds: float
    files_per_second: float
    notes_per_second: float


@dataclass(frozen=True)
class Bar:
    """A ratio of two contestants' times that must be on the right side of a limit."""

    what: str
    ratio: float
    limit: float
    met: bool


def contestants() -> dict[str, Contestant]:
    encoding = Combined(Vocabulary.load("musenet"))
    remi = REMI(TokenizerConfig(use_programs=True))
    return {
        "symusic": lambda data: symusic.Score.from_midi(data),
        "musenet": lambda data: encoding.encode(read_midi(data)),
        "REMI": lambda data: remi.encode(symusic.Score.from_midi(data)),
    }


def sample(corpus: Path, files: int, seed: int) -> list[bytes]:
    """Bytes of that many files of a folder, chosen by the seed."""
    found = sorted(path for path in corpus.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path.read_bytes() for path in random.Random(seed).sample(found, min(files, len(found)))]


def accepted_by_all(files: Sequence[bytes], racing: dict[str, Contestant]) -> list[bytes]:
    def accepted(data: bytes) -> bool:
        try:
            for run in racing.values():
                run(data)
        except Exception:  # whatever a library raises on a file, it does not take part
            return False
        return True

    return [data for data in files if accepted(data)]


def race(files: Sequence[bytes], racing: dict[str, Contestant], rounds: int) -> dict[str, float]:
    """Seconds of each contestant's fastest round over all files."""
    fastest = dict.fromkeys(racing, float("inf"))
    for _ in range(rounds):
        for name, run in racing.items():
            gc.collect()
            began = time.perf_counter()
            for data in files:
                run(data)
            fastest[name] = min(fastest[name], time.perf_counter() - began)
    return fastest


def bars(seconds: dict[str, float]) -> list[Bar]:
    faster = seconds["REMI"] / seconds["musenet"]
    slower = seconds["musenet"] / seconds["symusic"]
    return [
        Bar("REMI / musenet, at least", faster, TIMES_FASTER_THAN_REMI, faster >= TIMES_FASTER_THAN_REMI),
        Bar("musenet / symusic, at most", slower, TIMES_BARE_PARSE, slower <= TIMES_BARE_PARSE),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Bytes to tokens: ours, bare symusic, MidiTok's REMI.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of MIDI files")
    parser.add_argument("--files", type=int, default=300, help="size of the sample (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="which sample (default 0)")
    parser.add_argument("--rounds", type=int, default=4, help="timed rounds (default 4)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()

    racing = contestants()
    drawn = sample(arguments.corpus, arguments.files, arguments.seed)
    files = accepted_by_all(drawn, racing)
    if not files:
        parser.error(f"{arguments.corpus} holds no MIDI file that all contestants read")
    notes = sum(len(read_midi(data)) for data in files)
    seconds = race(files, racing, arguments.rounds)
    figures = {name: Figures(spent, len(files) / spent, notes / spent) for name, spent in seconds.items()}
    reached = bars(seconds)

    print(f"{len(files)} of {len(drawn)} files, {sum(map(len, files)) / 2**20:.1f} MiB, {notes:,} notes")
    print(f"{'':10}{'seconds':>10}{'files/s':>10}{'notes/s':>14}")
    for name, found in figures.items():
        print(f"{name:10}{found.seconds:10.3f}{found.files_per_second:10,.0f}{found.notes_per_second:14,.0f}")
    for bar in reached:
        print(f"{bar.what} {bar.limit:g}: {bar.ratio:.2f}  {'met' if bar.met else 'MISSED'}")
    if arguments.json:
        report = {
            "files": len(files),
            "notes": notes,
            "rounds": arguments.rounds,
            "contestants": {name: asdict(found) for name, found in figures.items()},
            "bars": [asdict(bar) for bar in reached],
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(bar.met for bar in reached) else 1


if __name__ == "__main__":
    sys.exit(main())
