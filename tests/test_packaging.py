"""Import names, import direction, light imports, and entry points."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = ("hilep.simulators", "hilep.instruments", "hilep.calibration")
CORE = sorted((ROOT / "hilep").rglob("*.py"))
HEAVY = ("numba", "scipy", "sklearn", "matplotlib", "torch", "torchvision", "pandas")


def declared_entry_points() -> set[tuple[str, str, str]]:
    """Group, name and value of every entry point in pyproject.toml."""
    groups = {"console_scripts": PROJECT["project"]["scripts"]}
    groups |= PROJECT["project"]["entry-points"]
    return {(group, name, value) for group, all_ in groups.items() for name, value in all_.items()}


def imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that the code imports, relative ones and constant `import_module` included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def rooms_imported(source: str, package: str) -> set[str]:
    names = set(imported_names(ast.parse(source), package))
    return {n for n in names if any(n == room or n.startswith(room + ".") for room in ROOMS)}


@pytest.mark.parametrize("name", ["hilep", *ROOMS])
def test_the_import_name_exists_and_is_a_regular_package(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert module.__doc__


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_core_imports_no_room(path: Path) -> None:
    package = ".".join(path.parent.relative_to(ROOT).parts)
    assert not rooms_imported(path.read_text(encoding="utf-8"), package)


@pytest.mark.parametrize(
    "line",
    [
        "import hilep.simulators.ideal",
        "from hilep import simulators",
        "from hilep.instruments import x",
        "from . import calibration",
        "from .simulators.ideal import SimulatedCrossbar",
        'import_module("hilep.simulators")',
        "def f():\n    import hilep.simulators",
    ],
)
def test_the_search_for_imports_finds_every_form(line: str) -> None:
    assert rooms_imported(line, "hilep")


def test_every_package_in_the_tree_is_in_the_wheel() -> None:
    mapping = PROJECT["tool"]["setuptools"]["package-dir"]
    folders = {init.parent for room in ("hilep", "simulators", "instruments", "calibration")
               for init in (ROOT / room).rglob("__init__.py")}  # fmt: skip
    assert {ROOT / folder for folder in mapping.values()} == folders
    assert set(mapping) == set(PROJECT["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("entry", sorted(declared_entry_points()), ids=lambda entry: entry[1])
def test_an_entry_point_leads_somewhere(entry: tuple[str, str, str]) -> None:
    group, name, value = entry
    assert EntryPoint(name, value, group).load() is not None


def test_the_installed_package_announces_what_pyproject_declares() -> None:
    installed = {(e.group, e.name, e.value) for e in distribution("hilep").entry_points}
    assert installed == declared_entry_points(), "install again: python -m pip install -e ."


def test_importing_the_core_and_listing_commands_loads_nothing_heavy() -> None:
    script = (
        "import sys, hilep, hilep.cli\n"
        "hilep.cli.application()\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == []
