"""Collections in object stores: listed with one request, read in place, refused in plain words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest

from flows.ingestion.sources import (
    Collection,
    ContainerKind,
    FileRef,
    Listing,
    ReadFailure,
    StyleRule,
    list_files,
    read_files,
)
from infra.errors import RunError, UserError

pytestmark = pytest.mark.slow

Find = Callable[..., Listing]
Pack = Callable[..., Path]
Read = Callable[..., dict[str, bytes | ReadFailure]]

HEADER = b"MThd\0\0\0\6\0\0\0\1\0\x60"
SONGS = {
    "jazz/1.mid": b"one",
    "jazz/deep/2.MID": b"two" * 5000,
    "jazz/empty.mid": b"",
    "song": HEADER,
    "notes": b"just words, no music",
    "cover.png": b"png",
    "ü/a b+c%.mid": b"odd",
}
MUSIC = {path: data for path, data in SONGS.items() if path not in ("notes", "cover.png")}


@pytest.fixture(params=["s3", "memory"])
def prefix(request: pytest.FixtureRequest, s3_store: Any) -> str:
    """URL of an empty prefix, in a real S3 server and in another kind of store."""
    url = f"{request.param}://{s3_store.bucket}/{request.node.name.replace('[', '-').rstrip(']')}"
    store, path = fsspec.url_to_fs(url)
    if store.exists(path):
        store.rm(path, recursive=True)
    return url


def put(prefix: str, contents: dict[str, bytes]) -> None:
    store, root = fsspec.url_to_fs(prefix)
    for path, data in contents.items():
        store.pipe_file(f"{root}/{path}", data)


class TestAPrefix:
    def test_its_files(self, find: Find, read: Read, prefix: str) -> None:
        put(prefix, SONGS)
        found = find(prefix)
        assert read(found) == MUSIC
        assert found.files["size"].to_list() == [len(data) for _, data in sorted(MUSIC.items())]
        assert found.ignored == {"music": {"": 1, ".png": 1}}
        assert find(prefix + "/").files.equals(found.files)

    def test_styles_and_patterns_as_in_folders(self, find: Find, prefix: str) -> None:
        put(prefix, SONGS)
        found = find(prefix, exclude=["deep"])
        own = prefix.rpartition("/")[2].replace("-", "_")
        styles = {"jazz/1.mid": "jazz", "jazz/empty.mid": "jazz", "song": own, "ü/a b+c%.mid": None}
        assert dict(found.files.select("path", "style").iter_rows()) == styles

    def test_labels_beside_it(self, find: Find, prefix: str) -> None:
        put(prefix, {"1.mid": b"1", "labels.csv": b"path,style\n1.mid,Bach\n"})
        assert find(prefix, styles=[StyleRule(labels=f"{prefix}/labels.csv")]).files["style"].to_list() == ["bach"]

    def test_a_prefix_is_a_folder(self, find: Find, prefix: str) -> None:
        put(prefix, {"in/1.mid": b"1", "inner/2.mid": b"2"})
        assert find(f"{prefix}/in").files["path"].to_list() == ["1.mid"]

    def test_a_whole_bucket(self, find: Find, s3_store: Any) -> None:
        fsspec.filesystem("s3").mkdir(f"{s3_store.bucket}-whole")
        put(f"s3://{s3_store.bucket}-whole", {"a/1.mid": b"1", "2.mid": b"2"})
        assert find(f"s3://{s3_store.bucket}-whole").files.select("path", "style").rows() == [
            ("2.mid", "midi_whole"),
            ("a/1.mid", "a"),
        ]

    def test_one_object(self, find: Find, read: Read, prefix: str) -> None:
        put(prefix, {"jazz/song.bin": b"1", "jazz/song.bin.mid": b"2"})
        found = find(f"{prefix}/jazz/song.bin")
        assert read(found) == {"song.bin": b"1"}
        assert found.files["style"].to_list() == ["jazz"]

    def test_the_lake_in_it_is_left_out(self, find: Find, prefix: str) -> None:
        put(prefix, {"1.mid": b"1", "lake/2.mid": b"2", "lakeside/3.mid": b"3"})
        assert find(prefix, lake=f"{prefix}/lake").files["path"].to_list() == ["1.mid", "lakeside/3.mid"]
        assert len(find(prefix, lake="lake").files) == 3

    def test_new_objects_are_seen(self, find: Find, prefix: str) -> None:
        put(prefix, {"1.mid": b"1"})
        find(prefix)
        put(prefix, {"2.mid": b"2"})
        assert find(prefix).files["path"].to_list() == ["1.mid", "2.mid"]

    def test_objects_beyond_the_limit_gone_or_changed(self, find: Find, read: Read, prefix: str) -> None:
        put(prefix, {"1.mid": b"1", "2.mid": b"2" * 20, "3.mid": b"3", "4.mid": b"444"})
        found = find(prefix)
        store, root = fsspec.url_to_fs(prefix)
        store.rm_file(f"{root}/1.mid")
        put(prefix, {"3.mid": b"33", "4.mid": b"44"})
        gone, *others = read(found, max_bytes=10).values()
        assert isinstance(gone, ReadFailure)
        assert gone.detail.startswith("FileNotFoundError")
        assert others == [
            ReadFailure("20 bytes; the limit is 10", too_large=True),
            ReadFailure("it is longer than listed (1 byte)"),
            ReadFailure("it is cut short: 2 of 3 bytes read"),
        ]


class TestArchives:
    @pytest.mark.parametrize("kind", ["x.zip", "x.tar", "x.tar.gz"])
    def test_in_a_prefix_and_by_themselves(
        self, find: Find, pack: Pack, read: Read, tmp_path: Path, prefix: str, kind: str
    ) -> None:
        songs = SONGS | {f"many/{number}.mid": b"%d" % number * 3000 for number in range(400)}
        music = {path: data for path, data in songs.items() if path not in ("notes", "cover.png")}
        put(prefix, {f"sub/{kind}": pack(tmp_path / kind, songs).read_bytes(), "0.mid": b"0"})
        assert read(find(prefix)) == {"0.mid": b"0"} | {f"sub/{kind}/{path}": data for path, data in music.items()}
        found = find(f"{prefix}/sub/{kind}")
        assert read(found) == music
        assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {
            Path(kind).suffix,
            ".gzidx",
            ".parquet",
        }

    def test_that_are_broken(self, find: Find, prefix: str) -> None:
        put(prefix, {"1.mid": b"1", "x.zip": b"?", "x.tar": b"?", "x.tgz": b"?"})
        found = find(prefix)
        assert found.files["path"].to_list() == ["1.mid"]
        assert found.problems["path"].to_list() == ["x.tar", "x.tgz", "x.zip"]

    def test_a_tar_gz_that_was_changed_is_searched_anew(
        self, find: Find, pack: Pack, read: Read, tmp_path: Path, prefix: str
    ) -> None:
        for content in (b"old", b"new"):
            put(prefix, {"x.tar.gz": pack(tmp_path / "x.tar.gz", {"1.mid": content}).read_bytes()})
            assert read(find(prefix)) == {"x.tar.gz/1.mid": content}

    def test_long_names_in_a_zip(self, find: Find, pack: Pack, read: Read, tmp_path: Path, prefix: str) -> None:
        contents = {f"{'folder/' * 300}{number}.mid": b"%d" % number * 400 for number in range(3)}
        put(prefix, {"x.zip": pack(tmp_path / "x.zip", contents).read_bytes()})
        assert read(find(f"{prefix}/x.zip")) == contents


class TestVersions:
    """The store's own hash of the content shows whether it must be read again."""

    @pytest.mark.parametrize("prefix", ["s3"], indirect=True)
    def test_follow_the_content(self, find: Find, pack: Pack, tmp_path: Path, prefix: str) -> None:
        archive = pack(tmp_path / "x.tar", {"3.mid": b"3", "4.mid": b"4"}).read_bytes()
        put(prefix, {"1.mid": b"same", "2.mid": b"same", "x.tar": archive})
        first = find(prefix).files["version"].to_list()
        assert first[0] == first[1]
        assert len(set(first)) == 3
        assert first[2:] == [f"{first[2].split('#')[0]}#512", f"{first[2].split('#')[0]}#1536"]
        put(prefix, {"1.mid": b"some", "x.tar": archive})
        again = find(prefix).files["version"].to_list()
        assert again[0] != first[0]
        assert again[1:] == first[1:]


@pytest.mark.parametrize("prefix", ["s3"], indirect=True)
def test_in_another_process(find: Find, prefix: str) -> None:
    put(prefix, {"1.mid": b"one"})
    program = f"""if True:
        from flows.ingestion.sources import ContainerKind, FileRef, read_files
        print(*read_files([FileRef(ContainerKind.FOLDER, "{prefix}", "1.mid", 3)], 10))
    """
    child = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
    assert child.stdout == "b'one'\n"


class TestRefused:
    @pytest.mark.usefixtures("s3_store")
    def test_a_bucket_or_prefix_that_does_not_exist(self, find: Find) -> None:
        for url in ("s3://no-such-bucket/x", "s3://no-such-bucket", "s3://midi/no/such/prefix", "s3://midi/no.tar.gz"):
            with pytest.raises(
                UserError, match=f"^{url} does not exist or holds nothing; name a prefix, an archive or"
            ):
                find(url)

    def test_a_prefix_without_midi_files(self, find: Find, prefix: str) -> None:
        put(prefix, {"1.txt": b"1"})
        with pytest.raises(UserError, match=rf"^{prefix} holds no MIDI file .*; there are: 1 \.txt"):
            find(prefix)

    @pytest.mark.parametrize(("protocol", "extra"), [("gs", "gs"), ("gcs", "gs"), ("az", "az"), ("abfs", "az")])
    def test_a_store_whose_library_is_not_installed(self, find: Find, protocol: str, extra: str) -> None:
        if find_spec({"gs": "gcsfs", "az": "adlfs"}[extra]):
            pytest.skip("it is installed")
        with pytest.raises(
            UserError, match=rf"no library for {protocol}:// is installed; run `pip install 'musenet\[{extra}\]'`"
        ):
            find(f"{protocol}://bucket/midi")

    def test_an_unknown_store(self, find: Find) -> None:
        with pytest.raises(UserError, match=r"^foo://bucket cannot be opened: ValueError: Protocol not known: foo$"):
            find("foo://bucket")


@pytest.mark.usefixtures("s3_store")
def test_a_store_that_is_not_reached_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a run without network would quarantine every file."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    try:
        with pytest.raises(RunError, match=r"^s3://midi/x/1.mid cannot be reached: .*; run again$"):
            list(read_files([FileRef(ContainerKind.FOLDER, "s3://midi/x", "1.mid", 3)], 10))
        with pytest.raises(UserError, match=r"^s3://midi/x cannot be listed: "):
            list_files([Collection(name="x", location="s3://midi/x")], index_folder=tmp_path)
    finally:
        fsspec.filesystem("s3").clear_instance_cache()
