"""A version's folder: what its code imports is what it requires."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from registry.packaging import LEFT_OUT, PACKAGES, REQUIREMENTS, requirements

NAMES = {"sklearn": "scikit-learn", "upath": "universal-pathlib"}
"""Packages whose modules are called otherwise."""
COMES_WITH = {"llvmlite": "numba", "sqlalchemy": "mlflow"}
NOT_TO_COMPOSE = {
    "deepspeed": "training",
    "matplotlib": "pictures",
    "midirenderer": "audio",
    "pandera": "publishing datasets",
    "prefect": "Prefect's server",
    "soundfile": "audio",
    "starlette": "Prefect's server",
    "uvicorn": "Prefect's server",
}


def imported(package: Path) -> set[str]:
    found = set()
    for file in package.rglob("*.py"):
        if {*LEFT_OUT} & {*file.relative_to(package).parts}:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_every_import_is_required_or_is_for_something_else() -> None:
    ours = {package.__name__ for package in PACKAGES}
    modules = set().union(*(imported(Path(package.__path__[0])) for package in PACKAGES))
    others = modules - ours - set(sys.stdlib_module_names) - NOT_TO_COMPOSE.keys()
    assert {NAMES.get(name, COMES_WITH.get(name, name)) for name in others} == {*REQUIREMENTS}


def test_requirements_are_versions_that_any_index_has() -> None:
    assert all("+" not in line and line.count("==") == 1 for line in requirements())
