"""The page's files are those that its sources build."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import registry

STUDIO = Path(registry.__path__[0]) / "studio"
SOURCES, BUILT = STUDIO / "web", STUDIO / "built"
RECORD = json.loads((BUILT / "build.json").read_text())
REMEDY = "run `npm ci && npm run build` in registry/studio/web"


def digests(folder: Path, *left_out: str) -> dict[str, str]:
    files = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    kept = [file for file in files if file.parts[0] not in left_out]
    return {file.as_posix(): hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in kept}


def test_the_build_is_that_of_the_sources() -> None:
    assert digests(SOURCES, "node_modules") == RECORD["sources"], REMEDY


def test_the_built_files_are_as_they_were_built() -> None:
    assert digests(BUILT, "build.json") == RECORD["files"], REMEDY


def test_the_page_has_no_inline_script_and_no_address_of_another_server() -> None:
    page = (BUILT / "index.html").read_text()
    assert "<script>" not in page
    assert "style=" not in page
    assert "//" not in page.replace("<!doctype html>", "")


def test_the_lock_file_names_no_server() -> None:
    assert "http" not in "".join(
        line for line in (SOURCES / "package-lock.json").read_text().splitlines() if '"resolved"' in line
    )


def test_the_lock_file_holds_all_that_its_packages_name() -> None:
    """Optional packages too: where a registry lacks one, `npm ci` refuses the lock file."""
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    locked = {path.rpartition("node_modules/")[2] for path in packages}
    named = {name for package in packages.values() for name in package.get("optionalDependencies", {})}
    assert named <= locked
