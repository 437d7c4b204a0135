"""Making a sample again: equal bytes, or a line for each thing that differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.sampling.again import differences, find_same_model, restore
from flows.sampling.export import export
from flows.sampling.metadata import SampleMetadata, read_metadata
from infra.errors import UserError
from infra.lake import Lake
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.lineage import DatasetReference
from registry.piece import Piece
from registry.publishing import register
from registry.runs import begin_run
from registry.store import Registry


@pytest.fixture
def written(piece: Piece, tmp_path: Path) -> tuple[SampleMetadata, Path]:
    return read_metadata(Path(export(piece, tmp_path).metadata)), tmp_path


Written = tuple[SampleMetadata, Path]


def test_an_equal_piece_has_no_differences(written: Written, composer: Composer) -> None:
    then, folder = written
    assert differences(then, folder, composer.answer(then.request)) == []


class TestAnotherPiece:
    def test_is_told_by_its_first_token_that_differs(self, written: Written, piece: Piece) -> None:
        then, folder = written
        tokens = piece.tokens.copy()
        tokens[4] = 72 if tokens[4] != 72 else 73
        names = piece.encoding.vocabulary.names
        (line,) = differences(then, folder, replace(piece, tokens=tokens))
        was, now = names[int(piece.tokens[4])], names[int(tokens[4])]
        assert line == f"tokens differ from number 4 on: {was} then, {now} now (of {len(tokens)} and {len(tokens)})"

    def test_that_ends_earlier(self, written: Written, piece: Piece) -> None:
        size = len(piece.tokens) // 2
        (line,) = differences(*written, replace(piece, tokens=piece.tokens[:size]))
        assert line.endswith(f"now (of {len(piece.tokens)} and {size})")
        assert f"from number {size} on" in line
        assert "nothing now" in line

    def test_names_versions_model_and_candidate(self, written: Written, piece: Piece) -> None:
        then, folder = written
        older = then.model_copy(update={"made_with": {**then.made_with, "torch": "1.0", "device": "cuda:0"}})
        other = ModelIdentity(version="9", digest="cd" * 32, dataset="songs@abc", run="r")
        changed = replace(
            piece, tokens=piece.tokens[: len(piece.tokens) // 2], candidate=piece.candidate + 1, model=other
        )
        lines = differences(older, folder, changed)[1:]
        assert lines[0] == f"candidate {piece.candidate} was the best then, {piece.candidate + 1} now"
        assert lines[1].startswith("the model was musenet None (")
        assert lines[1].endswith("now it is musenet 9 (cdcdcdcdcdcd)")
        assert lines[2] == "device was cuda:0, now it is cpu"
        assert lines[3].startswith("torch was 1.0, now it is ")
        assert len(lines) == 4

    def test_says_if_the_tokens_of_then_are_not_there(self, written: Written, piece: Piece) -> None:
        then, folder = written
        (folder / then.files["text"].name).unlink()
        (line,) = differences(then, folder, replace(piece, tokens=piece.tokens[: len(piece.tokens) // 2]))
        assert "is missing" in line


def test_missing_files_are_restored_and_changed_ones_stay(written: Written, piece: Piece) -> None:
    then, folder = written
    midi, text = (folder / then.files[kind].name for kind in ("midi", "text"))
    midi.unlink()
    text.write_text("mine")
    restored, changed = restore(then, folder, piece)
    assert (restored, changed) == ([str(midi)], [str(text)])
    assert midi.read_bytes() == piece.midi
    assert text.read_text() == "mine"


@pytest.mark.slow
def test_the_model_is_found_by_its_files(
    make_bundle: Callable[..., Path],
    written: Written,
    composer: Composer,
    tmp_path: Path,
    make_registry: Callable[[Lake], Registry],
) -> None:
    registry = make_registry(Lake(tmp_path))
    then, _ = written
    dataset = DatasetReference("songs", "ab" * 16, "/lake", {})
    run = begin_run(registry, "f" * 32, "tiny", {})
    register(registry, run, make_bundle(seed=1), dataset, {}, "")
    with pytest.raises(UserError, match=r"no version of musenet here has the files \w{12} .* by --model"):
        find_same_model(registry, then, None)
    register(registry, run, composer.files, dataset, {}, "")
    assert find_same_model(registry, then, None).version == "2"
    assert find_same_model(registry, then, "1").version == "1"
