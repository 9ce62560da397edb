"""Every notebook runs from top to bottom, and what is committed of it is its own clean output."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "lab_notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 600
MOST_BYTES = 600_000
# A folder of somebody's machine, on Linux, macOS or Windows.
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(tmp|home|root|Users|var|private|opt|usr|mnt)/|[A-Z]:\\\\")


def cells(path: Path) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def texts(cell: dict[str, Any]) -> str:
    """All text that a cell put out."""
    found = []
    for output in cell["outputs"]:
        found.append("".join(output.get("text", [])))
        data = output.get("data", {})
        found += ["".join(value) for kind, value in data.items() if kind.startswith("text/")]
    return "\n".join(found)


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(path: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: install hilep[test]")
    pytest.importorskip("ipykernel", reason="needs ipykernel: install hilep[test]")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: install hilep[test]")
    notebook = nbformat.read(path, as_version=4)
    for table in FOLDER.glob("*.csv"):
        shutil.copy(table, tmp_path)
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_was_executed_in_order_without_an_error(path: Path) -> None:
    found = cells(path)
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    kinds = [output["output_type"] for cell in found for output in cell["outputs"]]
    assert kinds
    assert "error" not in kinds


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_small_and_names_no_machine(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    for cell in cells(path):
        assert not MACHINE_PATH.search(texts(cell))
        streams = [output.get("name") for output in cell["outputs"]]
        assert "stderr" not in streams
