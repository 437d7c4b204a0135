"""The token cache: built once, shared by all processes, never half done, and built again where it is damaged."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from infra.files import STAGING_PREFIX
from modeling.data.augmentation import transpose_ranges
from modeling.data.split import Split, load_split
from modeling.data.token_cache import DTYPES, TokenCache
from tokenization.augmentation import transpose_range_of_tokens
from tokenization.dataset.shards import ShardError
from tokenization.dataset.windows import MARK_EVERY
from tokenization.encodings import get_encoding
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def folders(cache: Path) -> list[Path]:
    """The folders in a cache, finished or not."""
    return sorted(path for path in cache.iterdir() if path.is_dir())


def same(found: Split, version: Path) -> bool:
    """Return True if a split equals the one that is read without a cache."""
    expected = load_split(version, "train")
    assert isinstance(found.pieces, TokenCache) and isinstance(expected.pieces, TokenCache)
    columns = ("tokens", "offsets", "marks", "transpose_ranges")
    return (
        all(np.array_equal(getattr(found.pieces, name), getattr(expected.pieces, name)) for name in columns)
        and [*found.piece_ids] == [*expected.piece_ids]
        and [*found.styles] == [*expected.styles]
    )


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Make the system refuse files larger than `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestCache:
    def test_it_is_mapped_from_files_that_anything_can_read(self, version: Path, cache: Path, split: Split) -> None:
        found = load_split(version, "train", cache)
        assert same(found, version)
        (folder,) = folders(cache)
        assert {path.name for path in folder.iterdir()} == {*DTYPES, "cache.json"}
        tokens = np.fromfile(folder / "tokens", "<u2")
        assert tokens.tolist() == np.concatenate(split.pieces[:8]).tolist()

    def test_it_is_made_once(self, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        made = [path.stat().st_mtime_ns for path in sorted(folders(cache)[0].iterdir())]
        assert same(load_split(version, "train", cache), version)
        assert [path.stat().st_mtime_ns for path in sorted(folders(cache)[0].iterdir())] == made

    def test_another_dataset_has_another_folder(self, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        load_split(version, "validation", cache)
        assert [folder.name.split("-")[0] for folder in folders(cache)] == ["train", "validation"]

    def test_a_lost_shard_is_noticed_though_the_tokens_are_there(self, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        (version / "train" / "00000.parquet").unlink()
        with pytest.raises(ShardError, match="missing"):
            load_split(version, "train", cache)

    @pytest.mark.parametrize("name", [*DTYPES, "cache.json"])
    def test_a_truncated_file(self, name: str, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        path = folders(cache)[0] / name
        os.truncate(path, path.stat().st_size - 2)
        assert same(load_split(version, "train", cache), version)
        assert len(folders(cache)) == 1

    @pytest.mark.parametrize("name", [*DTYPES, "cache.json"])
    def test_a_lost_file(self, name: str, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        (folders(cache)[0] / name).unlink()
        assert same(load_split(version, "train", cache), version)

    def test_a_folder_of_another_split_under_its_name(self, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        load_split(version, "validation", cache)
        train, validation = folders(cache)
        shutil.rmtree(train)
        validation.rename(train)
        assert same(load_split(version, "train", cache), version)

    def test_offsets_that_point_outside(self, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        path = folders(cache)[0] / "offsets"
        offsets = np.fromfile(path, "<i8")
        offsets[3] = 10**9
        offsets.tofile(path)
        assert same(load_split(version, "train", cache), version)

    def test_what_a_killed_process_left(self, version: Path, cache: Path) -> None:
        load_split(version, "train", cache)
        (folder,) = folders(cache)
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        folder.rename(folder.with_name(f"{STAGING_PREFIX}{ended.pid}-00000000"))
        assert same(load_split(version, "train", cache), version)
        assert folders(cache) == [folder]

    @pytest.mark.thorough  # the two ranks of `training/test_joint_critic.py` do so
    def test_many_processes_share_one(self, version: Path, cache: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from modeling.data.split import load_split; "
            "print(int(load_split(Path(sys.argv[1]), 'train', Path(sys.argv[2])).token_cache.tokens.sum()))"
        )
        command = [sys.executable, "-c", code, str(version), str(cache)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        found = {process.communicate(timeout=600)[0] for process in running}
        assert found == {f"{load_split(version, 'train').token_cache.tokens.sum()}\n"}
        assert len(folders(cache)) == 1


class TestErrors:
    def test_a_full_disk_is_said_once_and_leaves_nothing(self, version: Path, cache: Path) -> None:
        with largest_file(1000), pytest.raises(ShardError, match=r"cannot be written: .*make room on that disk"):
            load_split(version, "train", cache)
        assert folders(cache) == []
        assert same(load_split(version, "train", cache), version)

    def test_a_damaged_shard_leaves_nothing(self, version: Path, cache: Path) -> None:
        path = version / "train" / "00001.parquet"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ShardError, match=r"00001\.parquet"):
            load_split(version, "train", cache)
        assert folders(cache) == []

    def test_a_cache_that_is_a_file(self, version: Path, cache: Path) -> None:
        cache.write_text("in the way")
        with pytest.raises(ShardError, match="cannot be written"):
            load_split(version, "train", cache)


class TestColumns:
    def test_what_was_heard_is_marked_across_shards(self, version: Path, split: Split) -> None:
        train = load_split(version, "train")
        cached = train.token_cache
        assert len(cached.marks) == 3
        expected = []
        for at in range(0, len(cached.tokens), MARK_EVERY):
            piece = int(np.searchsorted(cached.offsets, at, "right")) - 1
            before = train.encoding.features(cached[piece])
            heard = at - int(cached.offsets[piece]) - 1
            expected.append((int(before.time[heard]), int(before.chord[heard])) if heard >= 0 else (0, 0))
        assert [(mark >> 5, mark & 31) for mark in cached.marks.tolist()] == expected

    def test_pieces_in_memory_have_the_same(self, version: Path, split: Split) -> None:
        listed = TokenCache.of(split.pieces[:8], split.encoding)
        loaded = load_split(version, "train").token_cache
        for name in ("tokens", "offsets", "marks", "transpose_ranges"):
            assert np.array_equal(getattr(listed, name), getattr(loaded, name)), name

    def test_transpose_ranges_are_how_far_each_piece_can_be_transposed(self, split: Split) -> None:
        expected = [transpose_range_of_tokens(piece, split.encoding) for piece in split.pieces]
        assert [tuple(room) for room in split.token_cache.transpose_ranges.tolist()] == expected
        assert len(set(expected)) > 2

    def test_drums_alone_go_nowhere(self, encoding: Combined, make_piece: Callable[..., Tokens]) -> None:
        drums = encoding.vocabulary.from_text("bach drums start tempo120 drums:v80:C2 wait:12 drums:v80:D2 end")
        offsets = np.array([0, len(drums)])
        assert transpose_ranges(drums, offsets, encoding).tolist() == [[0, 0]]

    def test_beats_have_them_too(self, split: Split) -> None:
        beats = get_encoding("combined", split.vocabulary, "beats")
        pieces = [beats.encode(split.encoding.decode(piece)) for piece in split.pieces[3:6]]
        expected = [transpose_range_of_tokens(piece, beats) for piece in pieces]
        assert [tuple(room) for room in TokenCache.of(pieces, beats).transpose_ranges.tolist()] == expected
