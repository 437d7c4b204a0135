"""Speed of every encoding against MidiTok's REMI, TSD, MIDI-Like and Octuple on the same files in one run, and of the
structure features.

    python tests/benchmarks/encodings.py --corpus DIR [--json FILE]

All contestants take turns in one process; the fastest round of each counts.

    ours      every encoding, in seconds and in beats, over `musenet`; `combined` over `general_midi`, too (`+gm`).
              What is learned, chords and merges, is learned from the same files before; its time is printed apart
    MidiTok   symusic as its parser and the default configuration with `use_programs=True`, so that all tracks become
              one sequence as ours do. Octuple gets room for all bars: by default it leaves out those after the 60th

There are two stages: bytes → tokens with the parsing, ours with our reader, MidiTok's with symusic; and notes → tokens
from what was parsed before. `notes/s` counts the notes of the files, the same for all. `kept` is the share of them
that the tokens say (MidiTok's default leaves out pitches below 21 and above 108), `tokens/note` the tokens for each
of these. Octuple's tokens are rows, one per note with seven values: rows and values are both counted, and its tokens/s
are rows.

The files are a seeded sample, for MidiTok is slow; files that one contestant refuses or finds empty are left out for
all. A first round, which is not timed, finds them and loads the compiled code. Exit status 1 when a bar is missed.
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

import miditok
import numpy as np
import symusic
from report import Bar

from tokenization.dataset.windows import windows
from tokenization.encodings import ENCODINGS, HEADER, Encoding, Time, get_encoding, learn_tokens
from tokenization.encodings.structure import Stepper, features
from tokenization.midi import read_midi
from tokenization.vocabulary import Vocabulary

SUFFIXES = {".mid", ".midi", ".kar", ".rmi"}
TIMES_FASTER = {"plain": 40.0, "learned": 5.0}
"""Bars: files per second, bytes to tokens, as a multiple of each of MidiTok's."""
FEATURES_PER_SECOND = 20e6
MIDITOK = {"REMI": miditok.REMI, "TSD": miditok.TSD, "MIDI-Like": miditok.MIDILike, "Octuple": miditok.Octuple}
MOST_BARS = 10_000
"""Bars that Octuple has ids for; more than any piece has."""
BATCH, WINDOW = 64, 4096
REPEATS = 10
"""Batches of features that are timed as one."""

STAGES = ("bytes → tokens", "notes → tokens", "tokens → notes")


@dataclass(frozen=True)
class Contestant:
    """One way from bytes to tokens."""

    kind: str
    """plain, learned or MidiTok."""
    parse: Callable[[bytes], Any]
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any] | None
    """Ours alone."""
    kept: Callable[[Any], int]
    """Number of the parsed notes that the tokens keep."""
    tokens: Callable[[Any], int]
    values: Callable[[Any], int]
    """Numbers in the tokens; more than tokens where a token is a row of them."""

    def bytes_to_tokens(self, data: bytes) -> Any:
        return self.encode(self.parse(data))


@dataclass(frozen=True)
class Figures:
    """Seconds of one contestant for all files, by stage; 0 for a stage that it does not have."""

    kind: str
    kept: float
    tokens: int
    values: int
    tokens_per_note: float
    values_per_note: float
    seconds: dict[str, float]
    files_per_second: dict[str, float]
    notes_per_second: dict[str, float]
    tokens_per_second: dict[str, float]


@dataclass(frozen=True)
class FeatureFigures:
    """Tokens a second in one process."""

    features: float
    windows: float
    stepper: float


def of_miditok(name: str) -> Contestant:
    room = {"max_bar_embedding": MOST_BARS} if name == "Octuple" else {}
    tokenizer = MIDITOK[name](miditok.TokenizerConfig(use_programs=True, **room))

    def values(tokens: Any) -> int:
        return sum(map(len, tokens.ids)) if name == "Octuple" else len(tokens.ids)

    return Contestant(
        "MidiTok",
        symusic.Score.from_midi,
        tokenizer.encode,
        None,
        lambda score: int(tokenizer.preprocess_score(score).note_num()),
        lambda tokens: len(tokens.ids),
        values,
    )


def of_ours(encoding: Encoding) -> Contestant:
    kind = "plain" if encoding.learns is None else "learned"
    return Contestant(
        kind,
        read_midi,
        encoding.encode,
        encoding.decode,
        lambda notes: len(encoding.grid(notes)),
        len,
        len,
    )


def our_encodings() -> dict[str, Encoding]:
    """All of them, learned ones with nothing learned yet."""
    musenet = Vocabulary.load("musenet")
    all_of_them = {f"{name} {time}": get_encoding(name, musenet, time) for time in Time for name in ENCODINGS}
    general_midi = Vocabulary.load("general_midi")
    more = {f"combined+gm {time}": get_encoding("combined", general_midi, time) for time in Time}
    return {**all_of_them, **more}


def learned(encoding: Encoding, files: Sequence[bytes], units: int) -> tuple[Encoding, float]:
    """The encoding with units from those files, and how many seconds learning took."""
    pieces = [encoding.encode(read_midi(data)) for data in files]
    began = time.perf_counter()
    encoding = learn_tokens(encoding, pieces, units)
    return encoding, time.perf_counter() - began


def sample(corpus: Path, files: int, seed: int) -> list[bytes]:
    """Bytes of that many files of a folder, chosen by the seed."""
    found = sorted(path for path in corpus.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path.read_bytes() for path in random.Random(seed).sample(found, min(files, len(found)))]


def accepted_by_all(files: Sequence[bytes], racing: dict[str, Contestant]) -> list[bytes]:
    def accepted(data: bytes) -> bool:
        try:
            return all(one.tokens(one.bytes_to_tokens(data)) for one in racing.values())
        except Exception:  # whatever a library raises on a file, it does not take part
            return False

    return [data for data in files if accepted(data)]


def race(files: Sequence[bytes], racing: dict[str, Contestant], rounds: int) -> dict[str, Figures]:
    """Return the result of every contestant, by its fastest rounds over all files."""
    notes = sum(len(read_midi(data)) for data in files)
    fastest = {name: dict.fromkeys(STAGES, float("inf")) for name in racing}
    figures = {}
    for number in range(rounds):
        for name, one in racing.items():
            parsed = [one.parse(data) for data in files]
            encoded = [one.encode(piece) for piece in parsed]
            spent = {
                STAGES[0]: timed(one.bytes_to_tokens, files),
                STAGES[1]: timed(one.encode, parsed),
                STAGES[2]: timed(one.decode, encoded) if one.decode else 0.0,
            }
            fastest[name] = {stage: min(fastest[name][stage], spent[stage]) for stage in STAGES}
            if number == rounds - 1:
                kept = sum(map(one.kept, parsed))
                tokens, values = (sum(map(count, encoded)) for count in (one.tokens, one.values))
                figures[name] = summed_up(one.kind, len(files), notes, kept, tokens, values, fastest[name])
    return figures


def timed(run: Callable[[Any], Any], items: Sequence[Any]) -> float:
    gc.collect()
    began = time.perf_counter()
    for item in items:
        run(item)
    return time.perf_counter() - began


def summed_up(
    kind: str, files: int, notes: int, kept: int, tokens: int, values: int, seconds: dict[str, float]
) -> Figures:
    def per_second(count: int) -> dict[str, float]:
        return {stage: count / spent if spent else 0.0 for stage, spent in seconds.items()}

    return Figures(
        kind,
        kept / notes,
        tokens,
        values,
        tokens / kept,
        values / kept,
        seconds,
        per_second(files),
        per_second(notes),
        per_second(tokens),
    )


def feature_figures(encoding: Encoding, files: Sequence[bytes], rounds: int, seed: int) -> FeatureFigures:
    """Tokens a second of the three ways to the structure features, on tokens of the files."""
    pieces = [encoding.encode(read_midi(data)) for data in files]
    effects, pad = encoding.effects, encoding.vocabulary.pad
    batch = np.resize(np.concatenate(pieces), (BATCH, WINDOW))
    # Windows as an epoch has them: header and body, the body at a multiple of its own length.
    body = WINDOW - HEADER
    every = [(piece, start) for piece in pieces for start in range(0, max(len(piece) - HEADER, 1), body)]
    drawn = random.Random(seed).choices(every, k=BATCH)
    cut, starts = [piece for piece, _ in drawn], [start for _, start in drawn]
    lengths = [len(piece) for piece in cut]
    in_windows = sum(HEADER + min(len(piece) - HEADER - start, body) for piece, start in drawn)

    def step() -> None:
        stepper = Stepper(np.full(BATCH, WINDOW), effects)
        for column in batch.T:
            stepper.step(column)

    def fastest(run: Callable[[], object], times: int) -> float:
        run()
        return min(timed(lambda _: run(), range(times)) / times for _ in range(rounds))

    return FeatureFigures(
        batch.size / fastest(lambda: features(batch, effects), REPEATS),
        in_windows / fastest(lambda: windows(cut, starts, lengths, HEADER, WINDOW, effects, pad), REPEATS),
        batch.size / fastest(step, 1),
    )


def bars(figures: dict[str, Figures], of_features: dict[str, FeatureFigures]) -> list[Bar]:
    def speed(name: str) -> float:
        return figures[name].files_per_second[STAGES[0]]

    reached = []
    for kind, limit in TIMES_FASTER.items():
        slowest = min((name for name, one in figures.items() if one.kind == kind), key=speed)
        for other in MIDITOK:
            what = f"{slowest}, the slowest {kind} one, times {other}"
            reached.append(Bar(what, speed(slowest) / speed(other), limit))
    for way in ("features", "windows"):
        slowest = min(of_features, key=lambda name: getattr(of_features[name], way))
        speed_there = getattr(of_features[slowest], way)
        reached.append(Bar(f"{way} of {slowest}, the slowest, tokens/s", speed_there, FEATURES_PER_SECOND))
    return reached


def show(figures: dict[str, Figures], of_features: dict[str, FeatureFigures]) -> None:
    print(f"\n{'':24}{'bytes → tokens':^34}{'notes → tokens':^34}{'decode':>12}")
    heads = "".join(f"{head:>10}{'notes/s':>12}{'tokens/s':>12}" for head in ("files/s", "files/s"))
    print(f"{'':24}{heads}{'tokens/s':>12}{'kept':>8}{'tokens/note':>13}")
    for name, one in figures.items():
        line = f"{name:24}"
        for stage in STAGES[:2]:
            line += f"{one.files_per_second[stage]:10,.0f}{one.notes_per_second[stage]:12,.0f}"
            line += f"{one.tokens_per_second[stage]:12,.0f}"
        decoding = one.tokens_per_second[STAGES[2]]
        line += f"{decoding:12,.0f}" if decoding else f"{'':12}"
        line += f"{one.kept:8.2%}{one.tokens_per_note:13.3f}"
        print(line + (f"  ({one.values_per_note:.3f} values)" if one.values != one.tokens else ""))
    print(f"\n{'structure, tokens/s':24}{'features':>14}{'windows':>14}{'stepper':>14}")
    for name, found in of_features.items():
        print(f"{name:24}{found.features:14,.0f}{found.windows:14,.0f}{found.stepper:14,.0f}")
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description="Notes to tokens: our encodings and MidiTok's.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of MIDI files")
    parser.add_argument("--files", type=int, default=200, help="size of the sample (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="which sample (default 0)")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds (default 3)")
    parser.add_argument("--units", type=int, default=4096, help="chords and merges that are learned (default 4096)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    if min(arguments.files, arguments.rounds, arguments.units) < 1:
        parser.error("--files, --rounds and --units are at least 1")

    encodings = our_encodings()
    drawn = sample(arguments.corpus, arguments.files, arguments.seed)
    plain = {name: of_ours(encoding) for name, encoding in encodings.items()}
    files = accepted_by_all(drawn, {**plain, **{name: of_miditok(name) for name in MIDITOK}})
    if not files:
        parser.error(f"{arguments.corpus} holds no MIDI file that all contestants read")
    learning: dict[str, float] = {}
    for name, encoding in encodings.items():
        if encoding.learns is not None:
            encodings[name], learning[name] = learned(encoding, files, arguments.units)
    racing = {name: of_ours(encoding) for name, encoding in encodings.items()}
    racing.update({name: of_miditok(name) for name in MIDITOK})
    race(files[:1], racing, 1)  # loads what decoding needs and what learned encodings build at their first use

    notes = sum(len(read_midi(data)) for data in files)
    print(f"{len(files)} of {len(drawn)} files, {sum(map(len, files)) / 2**20:.1f} MiB, {notes:,} notes")
    for name, spent in learning.items():
        print(f"{name:24}{len(encodings[name].vocabulary.learned):6} units learned in {spent:.2f} s")
    figures = race(files, racing, arguments.rounds)
    of_features = {
        name: feature_figures(encoding, files, arguments.rounds, arguments.seed)
        for name, encoding in encodings.items()
        if encoding.time is Time.SECONDS
    }
    reached = bars(figures, of_features)
    show(figures, of_features)
    for bar in reached:
        print(f"{bar.what}, at least {bar.limit:,.0f}: {bar.reached:,.1f}  {'met' if bar.met else 'MISSED'}")
    if arguments.json:
        report = {
            "files": len(files),
            "notes": notes,
            "rounds": arguments.rounds,
            "learning_seconds": learning,
            "contestants": {name: asdict(found) for name, found in figures.items()},
            "features": {name: asdict(found) for name, found in of_features.items()},
            "bars": [{**asdict(bar), "met": bar.met} for bar in reached],
        }
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(bar.met for bar in reached) else 1


if __name__ == "__main__":
    sys.exit(main())
