"""Openings: the pieces of a dataset have names, and a model of it composes on from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from infra.errors import UserError
from infra.lake import Lake
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.openings import Opening, find_opening, list_openings, read_opening
from registry.requests import PieceRequest
from tokenization.dataset import (
    DatasetVersion,
    Description,
    Row,
    TokenFormat,
    open_version,
    write_description,
    write_manifest,
    write_shard,
    write_vocabulary,
)
from tokenization.dataset.manifest import SCHEMA
from tokenization.encodings.combined import Combined
from tokenization.originality import IndexFileError, write_index
from tokenization.vocabulary import Vocabulary

DIGEST = "ab" * 16
PIECES = {  # path: style, split, pitch, status
    "a/bwv1.mid": ("bach", "train", "C4", "accepted"),
    "a/bwv2.mid": ("bach", "validation", "D4", "accepted"),
    "a/prelude.mid": ("bach", "train", "E4", "accepted"),
    "b/prelude.mid": ("bach", "test", "F4", "accepted"),
    "b/lost.mid": ("bach", None, "G4", "quarantined"),
    "c/tune.mid": (None, "validation", "A4", "accepted"),
}


def sha256(path: str) -> str:
    return f"{[*PIECES].index(path):x}" * 64


def text(path: str, more: str = "") -> str:
    style, _, pitch, _ = PIECES[path]
    note = f"piano:v72:{pitch} wait:96 piano:v0:{pitch}"
    return f"{style or 'no_style'} piano start tempo120 {' wait:96 '.join([note] * 8)}{more}"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, make_description: Callable[..., Description]) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    encoding = Combined(Vocabulary.load("musenet", styles=["bach", "jazz"]))
    folder = lake.root / "datasets" / "songs" / DIGEST
    shards = {}
    for split in ("train", "validation", "test"):
        (folder / split).mkdir(parents=True)
        rows = []
        for path in (path for path, piece in PIECES.items() if piece[1] == split):
            plain = encoding.vocabulary.from_text(text(path, " end"))
            higher = plain.copy()
            higher[higher < encoding.vocabulary.note_end] += 1
            for transpose, tokens in ((1, higher), (0, plain)):
                rows.append(Row(sha256(path), sha256(path), PIECES[path][0], "piano", tokens, transpose=transpose))
        name = f"{split}/00000.parquet"
        shards[name] = write_shard(folder / name, rows, TokenFormat.of(encoding))
    manifest = [
        {"path": path, "collection": "c", "sha256": sha256(path), "style": style, "split": split, "status": status}
        | {"notes": 8, "seconds": 15.0}
        for path, (style, split, _, status) in PIECES.items()
    ]
    write_manifest(folder / "manifest.parquet", pl.DataFrame(manifest, schema=SCHEMA))
    write_vocabulary(folder, encoding.vocabulary)
    write_description(folder, make_description(encoding, digest=DIGEST, shards=shards))
    return lake


@pytest.fixture
def version(lake: Lake) -> DatasetVersion:
    return open_version(lake.root / "datasets" / "songs" / DIGEST)


@pytest.fixture
def at_home(bundle: Path, lake: Lake) -> Composer:
    """A model of the dataset."""
    return Composer(bundle, ModelIdentity.of_files(bundle), lake=lake)


class TestNames:
    def test_are_those_of_style_and_file(self, version: DatasetVersion) -> None:
        found = {opening.name: opening.split for opening in list_openings(version)}
        assert found == {
            "bach/bwv1": "train",
            "bach/bwv2": "validation",
            "bach/prelude-222222": "train",
            "bach/prelude-333333": "test",
            "unlabelled/tune": "validation",
        }

    def test_an_unknown_one_lists_those_that_exist(self, version: DatasetVersion) -> None:
        with pytest.raises(UserError, match="no piece in songs 'bach/bwv3'; there are: bach/bwv1, bach/bwv2"):
            find_opening(version, "bach/bwv3")


@pytest.mark.parametrize("name", ["bach/bwv2", "bach/prelude-222222", "unlabelled/tune"])
def test_the_piece_is_the_one_that_is_not_transposed(name: str, version: DatasetVersion) -> None:
    opening = find_opening(version, name)
    path = next(path for path in PIECES if sha256(path) == opening.piece)
    prompt = read_opening(version, opening)
    assert prompt.data.decode() == text(path, " end\n")
    assert prompt.name == f"{name}.txt"


def test_only_a_piece_of_the_training_split_was_trained_on() -> None:
    assert [Opening("a", split, "", None, 1, 1.0).is_trained_on for split in ("train", "validation", "test")] == [
        True,
        False,
        False,
    ]


class TestAComposer:
    def test_finds_what_its_pieces_have_of_training_pieces(self, at_home: Composer, lake: Lake) -> None:
        piece = at_home.compose(opening="bach/bwv2", length=300, best_of=1)
        with pytest.raises(IndexFileError, match="holds no originality index"):
            at_home.originality(piece)
        folder = lake.root / "datasets" / "songs" / DIGEST / "originality"
        folder.mkdir()
        write_index(folder / "00000.index", [(sha256("a/bwv2.mid"),) * 2 + (piece.notes,)])
        ((nearest, share),) = at_home.originality(piece).nearest
        assert nearest == sha256("a/bwv2.mid")
        assert share > 0.5

    def test_goes_on_behind_four_bars(self, at_home: Composer) -> None:
        piece = at_home.compose(opening="bach/bwv2", length=80, best_of=1)
        begins = text("a/bwv2.mid").split()[: 4 + 4 * 4 - 1]
        assert piece.text.split()[: len(begins)] == begins, "four of the eight notes, two seconds each"
        assert len(piece.notes) > 4

    def test_takes_another_part(self, at_home: Composer) -> None:
        request = PieceRequest(opening="bach/bwv2", prompt_notes=2)
        assert at_home.check(request, at_home.find_prompt(request)) == []
        assert at_home.length_of(request, at_home.find_prompt(request)) == 1024 + 4 + 7

    def test_elsewhere_says_that_the_dataset_is_missing(self, composer: Composer, bundle: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"need the pieces of songs@abab.* this one was loaded without its lake"):
            composer.compose(opening="bach/bwv2")
        away = Composer(bundle, ModelIdentity.of_files(bundle), lake=Lake(tmp_path))
        with pytest.raises(UserError, match=r"need the pieces of songs@abab.* are not in .*: no dataset 'songs'"):
            away.compose(opening="bach/bwv2")
