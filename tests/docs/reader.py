"""A reader who types what the documentation shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner
from code_blocks import Block, blocks_of

from flows.cli import musenet


class Reader:
    """Run the blocks of pages in this process; a command that was run before is left out."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {}
        self._done: set[str] = set()

    def follow(self, page: str, *languages: str) -> None:
        """Run a page's blocks in these languages. Files that it shows are written first."""
        for block in blocks_of(page):
            if block.title is not None:
                Path(block.title).write_text(block.text, encoding="utf-8")
            elif block.reason is None and block.language in languages:
                {"sh": self._shell, "python": self._python}[block.language](block)

    def _shell(self, block: Block) -> None:
        for words in block.commands:
            command = " ".join(words)
            assert words[0] == "musenet", f"{block.page}: {command} is not run: mark the block"
            if command in self._done:
                continue
            arguments = [str(Path(word).expanduser()) if word.startswith("~/") else word for word in words[1:]]
            result = CliRunner().invoke(musenet, arguments)
            assert result.exit_code == 0, f"{block.page}: {command}\n{result.output}\n{result.exception!r}"
            self._done.add(command)

    def _python(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
        exec(code, self.namespace)
