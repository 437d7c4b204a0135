"""A version's folder as MLflow's pyfunc: the bundle, the code that composes with it, and what that code needs.

Whoever pulls it needs nothing of this installation: packages are required by versions that any index has, and the
modules of this project lie in `code/`. Nothing in it is pickled. The folder is written here rather than by MLflow's
`log_model`, which copies the weights twice, and for seconds asks each installed package for its modules.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlflow.models import Model
from mlflow.pyfunc import add_to_model

import infra
import modeling
import registry
import tokenization
from infra.files import link
from registry.identity import BUNDLE, FILES
from registry.manifest import write_manifest
from registry.pyfunc_model import EXAMPLE_PARAMETERS, example, signature

PACKAGES = (infra, tokenization, modeling, registry)
"""The project's packages that a version carries."""
REQUIREMENTS = (
    *("mlflow", "mido", "numba", "numpy", "pandas", "polars", "psutil", "pyarrow", "pydantic", "safetensors"),
    *("scikit-learn", "scipy", "tokenizers", "torch", "universal-pathlib"),
)
"""Packages of others that these import to compose."""
LEFT_OUT = ("__pycache__", "serving", "studio")
"""Of their folders: those that are not needed to compose."""
CODE, CODE_FILE = "code", "musenet_model.py"
CONDA, PYTHON_ENVIRONMENT, PIP = "conda.yaml", "python_env.yaml", "requirements.txt"
EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
CODE_MODEL = "mlflow.pyfunc.loaders.code_model"


def write_version(
    folder: Path,
    bundle: Path,
    model_id: str | None = None,
    run_id: str | None = None,
    pages: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Write the folder of a version with the files of a bundle; return the digest of its manifest.

    `model_id`, `run_id`: of MLflow's logged model and run. `pages`: about the version, for people, by file name.
    """
    shutil.copytree(bundle, folder / FILES, copy_function=link)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    for package in PACKAGES:
        (source,) = package.__path__
        shutil.copytree(source, folder / CODE / package.__name__, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copyfile(Path(registry.__path__[0]) / "model_code.py", folder / CODE_FILE)
    _write_environment(folder)
    model = Model(signature=signature(), run_id=run_id, model_id=model_id, saved_input_example_info=_example(folder))
    untyped: Any = add_to_model
    untyped(
        model,
        loader_module=CODE_MODEL,
        code=CODE,
        conda_env=CONDA,
        python_env=PYTHON_ENVIRONMENT,
        model_code_path=CODE_FILE,
        artifacts={BUNDLE: {"path": FILES, "uri": FILES}},
        streamable=True,
    )
    model.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model.save(str(folder / "MLmodel"))
    return write_manifest(folder)


def requirements() -> list[str]:
    """Return the packages of others with the installed versions, as pip takes them from any index."""
    # The index of PyTorch adds the kind of build to its versions: 2.13.0+cpu
    return [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in REQUIREMENTS]


def _write_environment(folder: Path) -> None:
    python = platform.python_version()
    needed = requirements()
    (folder / PIP).write_text("\n".join(needed) + "\n", encoding="utf-8")
    conda: dict[str, Any] = {
        "name": "musenet",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needed}],
    }
    (folder / CONDA).write_text(json.dumps(conda, indent=1), encoding="utf-8")  # JSON is YAML
    environment = {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {PIP}"]}
    (folder / PYTHON_ENVIRONMENT).write_text(json.dumps(environment, indent=1), encoding="utf-8")


def _example(folder: Path) -> dict[str, Any]:
    """Write a request as MLflow keeps input examples; return its description in `MLmodel`."""
    rows = example()
    split = {"columns": [*rows.columns], "data": rows.to_numpy().tolist()}
    (folder / EXAMPLE).write_text(json.dumps({"inputs": split, "params": EXAMPLE_PARAMETERS}), encoding="utf-8")
    body = json.dumps({"dataframe_split": split, "params": EXAMPLE_PARAMETERS}, indent=1)
    (folder / SERVING_EXAMPLE).write_text(body, encoding="utf-8")
    return {
        "artifact_path": EXAMPLE,
        "params": "true",
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": SERVING_EXAMPLE,
    }
