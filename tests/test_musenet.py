"""The public Python API. `tests/docs` runs its flows, as the quick start shows them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import musenet
from infra.services import prefect_api
from tokenization.encodings import get_encoding
from tokenization.midi import read_midi
from tokenization.vocabulary import Vocabulary

C_MAJOR = "piano start tempo120 piano:v72:C4 wait:48 piano:v0:C4 piano:v72:E4 wait:48 piano:v0:E4 end"


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prefect API that is given and taken to answer, so that none is started; these tests end before it is called."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(prefect_api, "refusal", lambda url: None)


class TestEncodeAndDecode:
    def test_text_becomes_a_midi_file_that_encodes_to_it(self) -> None:
        midi = musenet.decode(f"bach {C_MAJOR}")
        tokens = musenet.encode(midi, style="bach")
        assert tokens.dtype == np.uint16
        assert Vocabulary.load("musenet", ["bach"]).to_text(tokens) == f"bach {C_MAJOR}"
        assert musenet.decode(tokens) == midi

    def test_a_file_by_its_path_with_another_encoding(self, midi_fixtures: Path) -> None:
        file = midi_fixtures / "ok_type0.mid"
        onset = get_encoding("onset", Vocabulary.load("musenet"), "beats")
        tokens = musenet.encode(file, encoding=onset)
        assert tokens.tolist() == onset.encode(read_midi(file.read_bytes())).tolist()
        assert read_midi(musenet.decode(tokens, encoding=onset)).pitch.tolist() == [60, 62, 64, 65, 67, 69, 71, 72]

    def test_a_file_that_is_not_there_or_no_music(self, midi_fixtures: Path, tmp_path: Path) -> None:
        with pytest.raises(musenet.UserError, match=r"nowhere\.mid cannot be read: No such file or directory"):
            musenet.encode(tmp_path / "nowhere.mid")
        with pytest.raises(musenet.MusenetError, match="not_midi"):
            musenet.encode(midi_fixtures / "html_404.mid")


class TestMistakes:
    def test_an_unknown_dataset(self, tmp_path: Path) -> None:
        with pytest.raises(musenet.UserError, match="no dataset 'lakh'; there is none yet"):
            musenet.open_dataset("lakh", lake=tmp_path)

    @pytest.mark.usefixtures("no_server")
    def test_parameters_that_do_not_fit(self, tmp_path: Path) -> None:
        with pytest.raises(musenet.UserError, match="name = 'My Set': String should match"):
            musenet.ingest(tmp_path, name="My Set", lake=tmp_path)
        with pytest.raises(musenet.UserError, match="count = 0: Input should be greater"):
            musenet.sample(count=0, lake=tmp_path)

    @pytest.mark.usefixtures("no_server")
    def test_leave_the_environment_as_it_was(self, tmp_path: Path) -> None:
        before = dict(os.environ)
        with pytest.raises(musenet.UserError):
            musenet.sample(count=0, lake=tmp_path)
        assert dict(os.environ) == before
