"""Run mypy --strict on `hilep` as installed, from an empty folder.

In the checkout the rooms stand beside the core, so there a type checker does not find them under
their import names. The installed wheel and a strict editable install both hold them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return mypy's exit status."""
    with tempfile.TemporaryDirectory() as elsewhere:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "mypy",
                "--strict",
                "--config-file",
                str(ROOT / "pyproject.toml"),
                "--cache-dir",
                str(ROOT / ".mypy_cache"),
                "--package",
                "hilep",
            ],
            cwd=elsewhere,
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
