"""The vocabulary of a version: styles and units that stay, and what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from flows.ingestion.publishing import encoding as vocabularies
from flows.ingestion.publishing.encoding import DEFAULT_UNITS, TokenSettings
from infra.errors import UserError
from infra.lake import Lake
from tokenization.dataset import DatasetVersion
from tokenization.dataset.encoding_files import EncodingInfo
from tokenization.dataset.shards import TokenFormat, read_shard, token_arrays
from tokenization.encodings import ENCODINGS, Time
from tokenization.midi import read_score
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi
from tokenization.vocabulary import Vocabulary


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def harmonies(seed: int) -> bytes:
    """Sixty triads of a few kinds, at 90 beats a minute."""
    random = np.random.default_rng(seed)
    root = np.repeat(random.integers(40, 64, 60), 3)
    pitch = root + np.tile([0, 4, 7], 60)
    onset = np.repeat(np.cumsum(random.choice([1 / 3, 2 / 3, 1.0], 60)), 3)
    return write_midi(Notes.from_columns(onset, [0.3] * 180, pitch, [72] * 180, [0] * 180, [False] * 180, tempo=90))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pieces of two styles."""
    home = tmp_path / "songs"
    for seed in range(12):
        add(home, f"{('bach', 'jazz')[seed % 2]}/{seed:02}.mid", harmonies(seed))
    return home


def add(home: Path, name: str, data: bytes) -> None:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_bytes(data)


def tokens_of(version: DatasetVersion) -> dict[str, list[int]]:
    """The tokens of each piece."""
    found: dict[str, list[int]] = {}
    for name in version.description.shards:
        table = read_shard(version.path / name, TokenFormat.of(version.encoding))
        ids = table.column("piece_id").to_pylist()
        found |= {piece: tokens.tolist() for piece, tokens in zip(ids, token_arrays(table))}
    return found


class TestStyles:
    def test_a_new_one_moves_none_and_encodes_only_what_it_labels(self, folder: Path, steps: Any, lake: Lake) -> None:
        first = steps(lake, "songs", folder).published.version
        assert first.vocabulary.styles == ("bach", "jazz")
        for seed in range(20, 32):
            add(folder, f"abba/{seed}.mid", harmonies(seed))
        second = steps(lake, "songs", folder).published
        assert second.version.vocabulary.styles == ("bach", "jazz", "abba")
        assert second.version.vocabulary.fixed_digest == first.vocabulary.fixed_digest
        before, after = tokens_of(first), tokens_of(second.version)
        assert {piece: after[piece] for piece in before} == before

    def test_one_that_is_gone_keeps_its_slot(self, folder: Path, steps: Any, lake: Lake) -> None:
        steps(lake, "songs", folder)
        version = steps(lake, "songs", folder / "jazz", accept=("max_hours_drop",)).published.version
        assert version.vocabulary.styles == ("bach", "jazz")

    def test_another_dataset_can_take_them_from_a_file(self, folder: Path, steps: Any, lake: Lake) -> None:
        first = steps(lake, "songs", folder).published.version
        tokens = {"vocabulary": str(first.path / "vocabulary.json")}
        other = steps(lake, "other", folder / "jazz", tokens=tokens).published.version
        assert other.vocabulary.styles == first.vocabulary.styles
        alone = steps(lake, "alone", folder / "jazz").published.version
        assert alone.vocabulary.styles == ("jazz",)


@pytest.mark.parametrize("name", [name for name, encoding in ENCODINGS.items() if encoding.learns is not None])
class TestUnits:
    def settings(self, name: str, **changes: Any) -> dict[str, Any]:
        return {"encoding": name, "units": 60, **changes}

    def test_are_learned_from_what_trains_and_written(self, name: str, folder: Path, steps: Any, lake: Lake) -> None:
        version = steps(lake, "songs", folder, tokens=self.settings(name)).published.version
        encoding = version.encoding
        assert 10 < len(encoding.vocabulary.learned) <= 60
        assert version.description.encoding == EncodingInfo(name=name, version=encoding.version, time=Time.SECONDS)
        rows = version.manifest.filter(status="accepted")
        for path, sha256, style in rows.select("path", "sha256", "style").iter_rows():
            notes = read_score((folder / path).read_bytes()).to_notes()
            tokens = np.array(tokens_of(version)[sha256], np.uint16)
            assert tokens.tolist() == encoding.encode(notes, style).tolist()
            assert (tokens >= encoding.vocabulary.learned_base).any()
        assert sum(version.description.statistics[key] for key in ("units",)) > 0

    def test_stay_when_pieces_are_added(self, name: str, folder: Path, steps: Any, lake: Lake) -> None:
        first = steps(lake, "songs", folder, tokens=self.settings(name)).published
        add(folder, "jazz/new.mid", harmonies(77))
        second = steps(lake, "songs", folder, tokens=self.settings(name)).published
        assert second.version.vocabulary.learned == first.version.vocabulary.learned
        before, after = tokens_of(first.version), tokens_of(second.version)
        assert {piece: after[piece] for piece in before} == before

    def test_are_learned_anew_for_other_settings(self, name: str, folder: Path, steps: Any, lake: Lake) -> None:
        steps(lake, "songs", folder, tokens=self.settings(name))
        fewer = steps(lake, "songs", folder, tokens=self.settings(name, units=8)).published.version
        assert len(fewer.vocabulary.learned) == 8
        in_beats = steps(lake, "songs", folder, tokens=self.settings(name, time="beats")).published.version
        assert in_beats.encoding.time == "beats"
        assert len(in_beats.vocabulary.learned) > 8

    def test_the_same_files_give_the_same_digest(
        self, name: str, folder: Path, steps: Any, lake: Lake, tmp_path: Path
    ) -> None:
        digests = {
            steps(Lake(tmp_path / lake_name), "songs", folder, tokens=self.settings(name)).published.version.digest
            for lake_name in ("one", "two")
        }
        assert len(digests) == 1

    def test_are_learned_from_a_sample(
        self, name: str, folder: Path, steps: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vocabularies, "LEARNED_NOTES", 1)
        few = steps(lake, "songs", folder, tokens=self.settings(name)).published.version
        assert len(few.vocabulary.learned) > 0


class TestSustain:
    def test_is_a_setting(self, midi_fixtures: Path, steps: Any, lake: Lake, tmp_path: Path) -> None:
        add(tmp_path / "songs", "pedal.mid", (midi_fixtures / "pedal_sustain.mid").read_bytes())
        limits = {"min_notes": 1}
        dry, held = (
            steps(lake, "songs", tmp_path / "songs", limits=limits, tokens={"sustain": sustain}).published.version
            for sustain in (False, True)
        )
        assert dry.digest != held.digest
        durations = [
            version.encoding.decode(np.array(tokens, np.uint16)).duration.sum()
            for version in (dry, held)
            for tokens in tokens_of(version).values()
        ]
        assert durations[1] > durations[0]


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"encoding": "morse"}, "no encoding 'morse'; there are: combined"),
            ({"time": "bars"}, "Input should be 'seconds' or 'beats'"),
            ({"units": 100}, "the encoding 'combined' learns no units; these do: chordwise"),
            ({"encoding": "onset_bpe", "units": 0}, "greater than or equal to 1"),
            ({"pedal": True}, "Extra inputs"),
        ],
    )
    def test_that_make_no_sense(self, settings: dict[str, Any], problem: str) -> None:
        with pytest.raises(ValidationError, match=problem):
            TokenSettings.model_validate(settings)

    def test_a_vocabulary_that_cannot_be_read(self, tmp_path: Path) -> None:
        settings = TokenSettings(vocabulary=str(tmp_path / "none.toml"))
        with pytest.raises(UserError, match="cannot be read: No such file"):
            settings.base_encoding()

    def test_units_are_wanted_where_they_can_be_learned(self) -> None:
        assert TokenSettings().wanted_units == 0
        assert TokenSettings(encoding="chordwise").wanted_units == DEFAULT_UNITS
        assert TokenSettings(encoding="chordwise", units=7).wanted_units == 7

    def test_where_a_vocabulary_lies_is_no_content(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.json"
        path.write_text(Vocabulary.load("musenet").to_json())
        assert TokenSettings(vocabulary=str(path)).content() == TokenSettings().content()
