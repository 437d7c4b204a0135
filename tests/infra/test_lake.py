"""The lake: one folder that everything is written below."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import UserError
from infra.lake import LAKE_VARIABLE, LOCAL_VARIABLE, Lake


class TestWhereTheLakeIs:
    def test_an_explicit_folder_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(LAKE_VARIABLE, str(tmp_path / "variable"))
        assert Lake.at(tmp_path / "given").root == tmp_path / "given"

    def test_then_the_environment_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(LAKE_VARIABLE, str(tmp_path / "variable"))
        assert Lake.at().root == tmp_path / "variable"

    def test_then_a_folder_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(LAKE_VARIABLE)
        monkeypatch.chdir(tmp_path)
        assert Lake.at().root == tmp_path / "lake"

    def test_a_relative_folder_and_home_become_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert Lake.at("here").root == tmp_path / "here"
        assert Lake.at("~/music").root == tmp_path / "home" / "music"

    def test_a_file_is_no_lake(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for address in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
            with pytest.raises(UserError, match=f"cannot be a folder: {tmp_path}/file is a file"):
                Lake.at(address)

    def test_asking_creates_nothing(self, tmp_path: Path) -> None:
        Lake.at(tmp_path / "lake")
        assert list(tmp_path.iterdir()) == []


def places(lake: Lake) -> list[object]:
    """All folders and files that the lake names."""
    return [
        getattr(lake, name) for name, kind in vars(Lake).items() if isinstance(kind, property) and name != "address"
    ]


def test_every_folder_lies_below_the_root(tmp_path: Path) -> None:
    found = places(Lake(tmp_path))
    assert len(found) == len(set(found)) == 16
    assert all(isinstance(place, Path) and place.is_relative_to(tmp_path) for place in found)


class TestALakeInAnObjectStore:
    URL = "memory://bucket/lake"

    def test_holds_datasets_and_pieces_the_rest_is_on_this_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(LOCAL_VARIABLE, str(tmp_path))
        lake = Lake.at(self.URL + "/")
        assert (lake.root, lake.remote, lake.address) == (tmp_path, self.URL, self.URL)
        assert [str(place) for place in (lake.datasets, lake.pieces)] == [f"{self.URL}/datasets", f"{self.URL}/pieces"]
        others = [place for place in places(lake) if isinstance(place, Path)]
        assert len(others) == 14
        assert all(place.is_relative_to(tmp_path) for place in others)

    def test_a_url_of_this_machine_is_a_folder(self, tmp_path: Path) -> None:
        assert Lake.at(f"file://{tmp_path}") == Lake(tmp_path)

    @pytest.mark.parametrize("url", ["nowhere://bucket/lake", "az://bucket/lake"])
    def test_that_no_installed_library_reaches_is_a_mistake(self, url: str) -> None:
        with pytest.raises(UserError, match=f"the lake {url} cannot be opened"):
            _ = Lake.at(url).datasets

    def test_has_its_local_part_where_a_local_lake_would_be(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(LOCAL_VARIABLE, raising=False)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(LAKE_VARIABLE, self.URL)
        assert Lake.at() == Lake(tmp_path / "lake", self.URL)
