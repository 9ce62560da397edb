"""What the pages show is true: links lead somewhere, configurations validate, commands parse."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
import typer

from hilep import backends
from hilep.cli import application
from hilep.config import Config, load, validated

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SECTIONS = set(Config.model_fields)

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
FIRST_TABLE = re.compile(r"\A(?:\s*(?:#[^\n]*)?\n)*\s*\[(\w+)\]")
SHELL = ("", "sh", "bash", "shell", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.number}"


def blocks(page: Path) -> list[Block]:
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(page, k, m["language"], m["text"]) for k, m in enumerate(found, start=1)]


BLOCKS = [block for page in PAGES for block in blocks(page)]


def is_configuration(block: Block) -> bool:
    first = FIRST_TABLE.match(block.text)
    return block.language == "toml" and first is not None and first[1] in SECTIONS


def prose(page: Path) -> str:
    """The page without its code, in which brackets and parentheses are no links."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub forms them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+\s+(.*?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(block: Block) -> Iterator[list[str]]:
    """The words of every `hilep ...` in a shell block, in which a synopsis in brackets is none."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for part in line.removeprefix("$ ").split("&&"):
            words = shlex.split(part, comments=True)
            if words[:1] == ["hilep"] and not any(w.startswith(("[", "(")) for w in words):
                yield words[1:]


COMMANDS = [(b, words) for b in BLOCKS if b.language in SHELL for words in commands(b)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), target


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(prose(index))}
    assert {page for page in (ROOT / "docs").glob("*.md") if page != index} <= linked


@pytest.mark.parametrize("block", [b for b in BLOCKS if is_configuration(b)], ids=str)
def test_a_configuration_on_a_page_validates(block: Block) -> None:
    config = validated(tomllib.loads(block.text), str(block))
    if config.device.backend in {"simulated", "circuit"}:
        backends.backend(config.device.backend).options.model_validate(config.device.options)


@pytest.mark.parametrize(
    ("block", "words"), COMMANDS, ids=[f"{block} {' '.join(words)}" for block, words in COMMANDS]
)
def test_a_command_on_a_page_parses(block: Block, words: list[str]) -> None:
    group = cast(Any, typer.main.get_command(application()))
    if not words or words[0].startswith("-"):
        with group.make_context("hilep", list(words), resilient_parsing=True):
            return
    assert words[0] in group.commands
    context = group.commands[words[0]].make_context(words[0], words[1:])
    load(None, context.params.get("settings") or ())


def test_the_readme_shows_training_and_the_tests() -> None:
    shown = [block.text.strip() for block in blocks(ROOT / "README.md")][:2]
    assert shown == [
        "python -m pip install . && hilep train",
        'python -m pip install ".[test]" && python -m pytest',
    ]
    assert ["train"] in [words for block, words in COMMANDS if block.page.name == "README.md"]


@pytest.mark.parametrize(
    "block",
    [b for b in blocks(ROOT / "README.md") if b.language == "python"],
    ids=str,
)
def test_the_readmes_example_runs(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {"__name__": "readme"})
    said = [float(line.split()[3]) for line in capsys.readouterr().out.splitlines()]
    assert len(said) == len(list(tmp_path.glob("*.h5"))) == 2
    # Ten classes: chance is 0.1, and a standard error of 360 images is below 0.03.
    assert min(said) > 0.5


@pytest.mark.parametrize(
    "block",
    [b for b in blocks(ROOT / "docs" / "circuit.md") if b.language == "python"],
    ids=str,
)
def test_the_example_of_a_circuit_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "example"})
    assert float(capsys.readouterr().out.split()[0]) > 0
