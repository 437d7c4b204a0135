"""The classical starter collection: scores convert, with the same bytes each time; a broken one costs only itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import mido
import pytest

from flows.ingestion.starter import classical
from flows.ingestion.starter.score_to_midi import VELOCITY_OF_DYNAMIC
from flows.ingestion.starter.works import PIANO, STRING_QUARTET, Composer, Work
from infra.errors import UserError

BACH = Composer("bach", PIANO, (Work("bach/bwv66.6.mxl"), Work("bach/bwv268.mxl", bpm=80)))
HAYDN = Composer("haydn", STRING_QUARTET, (Work("haydn/opus1no1/movement2.mxl"),))
CHOSEN = (BACH, HAYDN)

LITTLE_SCORE = """<?xml version="1.0"?>
<score-partwise version="3.1">
  <part-list><score-part id="P1"><part-name>Piano</part-name></score-part></part-list>
  <part id="P1">
    <measure number="1">
      <attributes><divisions>2</divisions><time><beats>2</beats><beat-type>4</beat-type></time></attributes>
      <direction><direction-type><dynamics><p/></dynamics></direction-type></direction>
      <note><grace/><pitch><step>D</step><octave>5</octave></pitch><type>eighth</type></note>
      <note><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration><type>quarter</type></note>
      <note><pitch><step>E</step><octave>5</octave></pitch><duration>2</duration><tie type="start"/></note>
      <barline location="right"><repeat direction="backward"/></barline>
    </measure>
    <measure number="2">
      <direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>60</per-minute></metronome>
      </direction-type></direction>
      <note><pitch><step>E</step><octave>5</octave></pitch><duration>1</duration><tie type="stop"/></note>
      <direction><direction-type><dynamics><f/></dynamics></direction-type></direction>
      <note><pitch><step>E</step><octave>5</octave></pitch><duration>3</duration></note>
    </measure>
  </part>
</score-partwise>
"""


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def programs_of(midi: Path) -> list[int]:
    messages = (message for track in mido.MidiFile(midi).tracks for message in track)
    return [message.program for message in messages if message.type == "program_change"]


def sounding(midi: Path) -> list[tuple[float, float, int, int]]:
    """(start, end, pitch, velocity) of each note in seconds, in order of time."""
    now = 0.0
    pressed: dict[tuple[int, int], tuple[float, int]] = {}
    notes: list[tuple[float, float, int, int]] = []
    for message in mido.MidiFile(midi):
        now += message.time
        if message.type == "note_on":
            pressed[message.channel, message.note] = (now, message.velocity)
        elif message.type == "note_off":
            start, velocity = pressed.pop((message.channel, message.note))
            notes.append((round(start, 3), round(now, 3), message.note, velocity))
    assert not pressed
    return sorted(notes)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the chosen works, made where there is no home and temporary files are watched."""
    pytest.importorskip("music21")
    cache, elsewhere = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("elsewhere")
    progress: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(elsewhere / "no-such-home"))
        for variable in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(variable, str(elsewhere))
        patch.chdir(elsewhere)
        failures = classical.convert(cache, 2, lambda done, total: progress.append((done, total)), CHOSEN)
    assert failures == []
    assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert list(elsewhere.iterdir()) == [], "something was written outside the cache"
    return cache


def test_the_cache_holds_the_midi_files_and_nothing_else(converted: Path) -> None:
    assert sorted(files_below(converted)) == [
        "bach/bwv268.mid",
        "bach/bwv66.6.mid",
        "haydn/opus1no1-movement2.mid",
    ]
    assert [path.name for path in converted.iterdir() if path.name.startswith(".")] == []


def test_parts_have_the_programs_of_the_table(converted: Path) -> None:
    assert programs_of(converted / "bach" / "bwv66.6.mid") == [0, 0, 0, 0]
    assert programs_of(converted / "haydn" / "opus1no1-movement2.mid") == [40, 40, 41, 42]


def test_a_known_chorale_begins_as_printed(converted: Path) -> None:
    # BWV 66.6 opens with A major (bass and tenor share the A), at the score's own 96 quarters a minute.
    notes = sounding(converted / "bach" / "bwv66.6.mid")
    assert sorted(pitch for start, _, pitch, _ in notes if start == 0.0) == [57, 57, 64, 73]
    assert sum(round(end - start, 3) == 60 / 96 for start, end, _, _ in notes) > len(notes) / 3


def test_converting_again_gives_the_same_bytes(converted: Path, tmp_path: Path) -> None:
    assert classical.convert(tmp_path, 1, composers=CHOSEN) == []
    assert files_below(tmp_path) == files_below(converted)


def test_what_is_cached_is_left_alone_and_needs_no_music21(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    before = {path: path.stat().st_mtime_ns for path in converted.rglob("*.mid")}
    assert classical.convert(converted, 2, composers=CHOSEN) == []
    assert {path: path.stat().st_mtime_ns for path in converted.rglob("*.mid")} == before


def test_without_music21_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="demo"):
        classical.convert(tmp_path / "cache", 1, composers=CHOSEN)
    assert not (tmp_path / "cache").exists()


def test_broken_scores_are_reported_and_the_others_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("music21")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "little.musicxml").write_text(LITTLE_SCORE, encoding="utf-8")
    (corpus / "torn.musicxml").write_text(LITTLE_SCORE[:700], encoding="utf-8")
    monkeypatch.setattr(classical, "corpus_folder", lambda: corpus)
    cache = tmp_path / "cache"
    failures = classical.convert(
        cache,
        1,
        composers=(
            Composer("anon", PIANO, (Work("torn.musicxml"), Work("gone.musicxml"), Work("little.musicxml"))),
            Composer("quartets", STRING_QUARTET, (Work("little.musicxml"),)),
        ),
    )
    assert [(failure.style, failure.work) for failure in failures] == [
        ("anon", "gone.musicxml"),
        ("anon", "torn.musicxml"),
        ("quartets", "little.musicxml"),
    ]
    assert "1 parts" in failures[2].reason
    assert sorted(files_below(cache)) == ["anon/little.mid"]
    # The table's tempo until the score names one; the repeat played once; the tie joined; no grace note.
    soft, loud = VELOCITY_OF_DYNAMIC["p"], VELOCITY_OF_DYNAMIC["f"]
    assert sounding(cache / "anon" / "little.mid") == [
        (0.0, 0.5, 72, soft),
        (0.5, 1.5, 76, soft),
        (1.5, 3.0, 76, loud),
    ]


def test_an_error_of_the_caller_stops_the_workers(tmp_path: Path) -> None:
    pytest.importorskip("music21")

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise ConnectionError("the listener is gone")

    before = multiprocessing.active_children()  # other tests' workers
    with pytest.raises(ConnectionError):
        classical.convert(tmp_path, 2, stop, CHOSEN)
    assert set(multiprocessing.active_children()) == set(before)
    assert [Path(name).suffix for name in files_below(tmp_path)] == [".mid"]
    assert not list(tmp_path.glob(".*"))


INTERRUPTED = """
import signal, sys
from pathlib import Path
from flows.ingestion.starter import classical, works

CHOSEN = [composer for composer in works.COMPOSERS if composer.style == "bach"]

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    try:
        classical.convert(Path(sys.argv[1]), 2, lambda done, total: print(done, total, flush=True), CHOSEN)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a process group")
def test_control_c_stops_quietly_and_leaves_whole_files(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    script, cache = tmp_path / "script.py", tmp_path / "cache"
    script.write_text(INTERRUPTED, encoding="utf-8")
    root = Path(classical.__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, str(script), str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("0 "):  # the first work is done, and the workers are at the next ones
                break
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=300)
    assert output.splitlines()[-1] == "interrupted"
    assert errors == ""
    left = files_below(cache)
    assert left
    assert all(name.endswith(".mid") for name in left)
    assert not list(cache.glob(".staging-*"))
