"""The code blocks of README.md, CONTRIBUTING.md and docs/, in the order in which a reader meets them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *("README.md", "CONTRIBUTING.md", "docs/quickstart.md"),
    *(
        f"docs/guides/{name}.md"
        for name in (
            *("data-engineers", "ml-engineers", "warm-starts", "musicians", "operations", "studio", "serving"),
            "topologies",
        )
    ),
    *(f"docs/{name}.md" for name in ("encodings", "network", "benchmarks", "capacity", "starter-model")),
]
"""The pages with blocks; `test_pages.py` checks that no other has any."""
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*) -->\n)?^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]*)\")?\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = {
    "make runs the project's own checks": "the tests would start themselves; tests/flows/demo runs the demo",
    "activates the environment of the shell": "no command of ours",
    "opens a browser": "there is none in CI",
    "serves until it is stopped": "tests/registry/serving starts one",
    "needs the server": "tests/registry/serving asks it",
    "needs Node": "tests/registry/studio compares the build with its sources",
    "needs a server that stays": "tests/infra/services starts one",
    "needs a Prefect server that stays, and goes on until it is stopped": "tests/flows/test_deployments.py loads them",
    "needs a Dask cluster and an object store": "tests/flows/ingestion has both, in other tests",
    "needs an object store": "tests/flows/ingestion/publishing/test_object_store_lake.py has one",
    "needs an MLflow server": "tests/registry/test_stores.py has one",
    "takes minutes for each row": "tests/flows/demo trains from a parent and compares the two",
    "needs several hosts": "there is one in CI",
    "needs Docker": "tests/infra/test_compose.py checks the file, tests/infra/services starts what it can of it",
    "needs a cluster": "tests/infra/test_kubernetes.py checks the manifests",
    "sets a variable of the shell": "tests/flows/test_log_lines.py sets it",
    "needs Slurm": "tests/infra/test_slurm.py has a stand-in",
    "needs a GPU": "there is none in CI",
    "needs a dataset of real music": "there is none in CI",
    "the name of the file differs from model to model": "tests/flows/sampling makes samples again",
    "takes minutes": "a benchmark",
    "takes hours": "a benchmark",
}
"""Reasons for leaving a block out, as given in a comment above it, with what covers it instead."""


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    title: str | None
    """Name of the file that the block shows."""
    reason: str | None
    """The reason for leaving it out; None if it is run."""
    text: str

    @property
    def commands(self) -> Iterator[list[str]]:
        """The words of each command, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page, given by its path in the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text[: found.start("text")].count("\n") + 1, *found.group("language", "title", "reason", "text"))
        for found in FENCE.finditer(text)
    ]
