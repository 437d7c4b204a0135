"""Commands, options, settings, files and make targets on the pages exist; a block that is not run gives the reason."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator

import click
import pytest
from code_blocks import NOT_RUN, PAGES, ROOT, Block, blocks_of

from flows.cli import musenet

ALL_PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)
PACKAGES = ("flows", "registry", "modeling", "tokenization", "infra", "tests", "examples", "docs")
SETTING = re.compile(r"`((?!model\.(?:json|safetensors))(?:model|training)(?:\.[a-z_]+)+)")
PATH = re.compile(rf"`((?:{'|'.join(PACKAGES)})/[\w./-]*)`")


def commands(program: str) -> list[tuple[Block, list[str]]]:
    """Return all commands of a program on all pages, run or not."""
    shells = (block for page in PAGES for block in blocks_of(page) if block.language == "sh")
    return [(block, words) for block in shells for words in block.commands if words[0].split("/")[-1] == program]


def targets() -> Iterator[str]:
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([a-z-]+):", line):
            yield found[1]


def test_every_page_with_code_is_listed() -> None:
    assert {page for page in ALL_PAGES if any(b.language in ("sh", "python") for b in blocks_of(page))} <= {*PAGES}


def test_every_block_that_is_not_run_gives_a_known_reason() -> None:
    given = {block.reason for page in PAGES for block in blocks_of(page)} - {None}
    assert given == {*NOT_RUN}


@pytest.mark.parametrize("words", [words for _, words in commands("musenet")], ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    command: click.Command = musenet
    rest = words[1:]
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not musenet, f"no such command: {' '.join(words)}"
    command.make_context(words[1], rest)


def test_every_make_target_exists() -> None:
    for block, words in commands("make"):
        assert words[1] in {*targets()}, f"{block.page}: {' '.join(words)}"


def test_every_script_exists() -> None:
    for block, words in commands("python"):
        assert (ROOT / words[1]).is_file(), f"{block.page}: {' '.join(words)}"


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_path_exists(page: str) -> None:
    for path in PATH.findall((ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{page}: {path}"


def test_the_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    assert len(text.splitlines()) <= 150


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_setting_of_training_exists(page: str) -> None:
    from modeling.config import load_preset, with_settings

    preset = with_settings(load_preset("tiny"), {"training.critic.every": 4})  # a group that is off otherwise
    for setting in SETTING.findall((ROOT / page).read_text(encoding="utf-8")):
        operator.attrgetter(setting)(preset)
