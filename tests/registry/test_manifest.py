"""The manifest: every file of a version is the one that was registered, or is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.manifest import MANIFEST, ChangedFile, check_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("MLmodel", "code/registry/a.py", "artifacts/bundle/weights"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_as_they_were_pass_with_what_python_and_mlflow_add(folder: Path) -> None:
    digest = write_manifest(folder)
    (folder / "registered_model_meta").write_text("model_name: musenet")
    (folder / "code" / "registry" / "__pycache__").mkdir()
    (folder / "code" / "registry" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"")
    check_manifest(folder, digest)
    assert write_manifest(folder) == digest, "nothing in it depends on when it is written"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("artifacts/bundle/weights", "artifacts/bundle/weightz", "weights was changed after it was registered"),
        ("code/registry/a.py", None, "a.py is missing"),
        ("code/registry/b.py", "", "b.py was not registered; remove it"),
        (MANIFEST, "{}", "manifest.json is not the one that was registered"),
        (MANIFEST, None, "has no manifest.json to check its files by; register the run again"),
    ],
)
def test_any_other_file_is_named(folder: Path, name: str, content: str | None, message: str) -> None:
    digest = write_manifest(folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ChangedFile, match=message):
        check_manifest(folder, digest)


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"format": 2, "files": {}}'])
def test_a_manifest_that_says_nothing_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ChangedFile, match=r"manifest\.json"):
        check_manifest(folder)
