"""A reader who types what the documentation shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner
from code_blocks import Block, blocks_of

from flows.cli import musenet


class Reader:
    """Run the blocks of pages in this process, those of each page once."""

    def __init__(self) -> None:
        self._followed: set[tuple[str, str]] = set()

    def follow(self, page: str, language: str) -> None:
        """Run a page's blocks in a language, `sh` or `python`; write the files that it shows."""
        if (page, language) in self._followed:
            return
        self._followed.add((page, language))
        namespace: dict[str, Any] = {}
        for block in blocks_of(page):
            if block.title is not None:
                Path(block.title).write_text(block.text, encoding="utf-8")
            elif block.reason is None and block.language == language:
                run_commands(block) if language == "sh" else run_snippet(block, namespace)


def run_commands(block: Block) -> None:
    """Run the `musenet` commands of a block; nothing else may be in it."""
    for words in block.commands:
        command = " ".join(words)
        assert words[0] == "musenet", f"{block.page}: {command} is not run: mark the block"
        arguments = [str(Path(word).expanduser()) if word.startswith("~/") else word for word in words[1:]]
        result = CliRunner().invoke(musenet, arguments)
        assert result.exit_code == 0, f"{block.page}: {command}\n{result.output}\n{result.exception!r}"


def run_snippet(block: Block, namespace: dict[str, Any]) -> None:
    """Run a Python block; those of a page share a namespace. Tracebacks name the page and its line."""
    exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), namespace)
