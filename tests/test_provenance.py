"""Laws of provenance: it is plain JSON, never fails, and names hilep's own source only."""

import json
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from hilep import provenance as module
from hilep.provenance import provenance


def test_it_is_plain_json_and_complete():
    record = provenance({"description": "made up", "range_v": 2.0})
    assert json.loads(json.dumps(record)) == record
    assert record["device"] == {"description": "made up", "range_v": 2.0}
    assert record["numpy_version"] == np.__version__
    assert record["h5py_version"] == h5py.__version__
    assert record["started"].endswith("+00:00")


def test_a_package_that_is_missing_is_none():
    assert module.installed_version("no-such-package-of-anyone") is None


def test_without_git_it_does_not_fail(monkeypatch):
    monkeypatch.setenv("PATH", "")
    record = provenance({})
    assert record["git_commit"] is None
    assert record["git_modified"] is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_hileps_own_checkout_and_no_other(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e", *words],
            check=True,
            capture_output=True,
        )

    git("init")
    (tmp_path / "hilep").mkdir()
    (tmp_path / "hilep" / "rule.py").write_text("x = 1\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "hilep"\n')
    git("add", ".")
    git("commit", "-m", "one")
    commit = subprocess.run(
        ["git", "-C", str(tmp_path), "rev-parse", "HEAD"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    root = Path(tmp_path).resolve()
    monkeypatch.setenv("GIT_DIR", "elsewhere")
    assert module._git(root) == (commit, False)
    (tmp_path / "hilep" / "rule.py").write_text("x = 2\n")
    assert module._git(root) == (commit, True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "somebody-elses"\n')
    assert module._git(root) == (None, None)
    inner = root / "env" / "site-packages"
    inner.mkdir(parents=True)
    assert module._git(inner) == (None, None)
    (inner / "pyproject.toml").write_text('[project]\nname = "hilep"\n')
    assert module._git(inner) == (None, None)
