"""The worked example in docs/your-own-backend.md: conforms, is found by name, and trains."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hilep import backends, experiment
from hilep.config import load
from hilep.errors import ConfigError, UnsupportedError
from hilep.network import Network

PAGE = Path(__file__).parent.parent / "docs" / "your-own-backend.md"


def shown(language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder that holds the example as an installed package would be found."""
    for block in shown("python"):
        name = re.match(r"# (\w+\.py)\n", block)[1]
        (tmp_path / name).write_text(block, encoding="utf-8")
    package, configuration = shown("toml")
    (tmp_path / "board.toml").write_text(configuration, encoding="utf-8")
    project = tomllib.loads(package)["project"]
    entries = project["entry-points"][backends.GROUP]
    metadata = tmp_path / "myboard-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: myboard\nVersion: 0.1\n")
    lines = [f"[{backends.GROUP}]", *(f"{name} = {value}" for name, value in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("myboard", None)


def test_the_example_passes_the_suite_as_a_lab_would_run_it(lab):
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "test_myboard.py"], cwd=lab, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed in", done.stdout, re.M), done.stdout


def test_the_example_is_found_by_name_and_trains(lab):
    config = load(lab / "board.toml")
    outcome = experiment.prepare(config, lab / "run.h5").execute()
    assert outcome.done
    # Three classes: chance is 0.4, and a standard error of 36 samples is below 0.09.
    assert outcome.test.accuracy > 0.8


def test_the_example_refuses_what_it_cannot_do(lab):
    wrong = load(lab / "board.toml", ["device.sigma=1"])
    with pytest.raises(ConfigError, match=r"device\.sigma: unknown key"):
        backends.crossbar(wrong, wrong.network.network())
    board = backends.backend("my-board")
    with pytest.raises(UnsupportedError, match="two layers"):
        board.build(Network((4, 3, 2)), board.options(), backends.Relaxation())
