"""Where a run came from: versions, machine, source, command and device."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("hilep", "numpy", "numba", "h5py")
_ROOMS = ("hilep", "instruments", "simulators", "calibration")


def provenance(device_snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return the record of how a run was started, as plain JSON values.

    Args:
        device_snapshot: what `Crossbar.snapshot` returned.

    Returns:
        `started` (UTC, ISO 8601), `command`, `hostname`, `system`, `machine`, `processor`,
        `processors`, `python`, `<package>_version`, `git_commit` and `git_modified` of hilep's own
        checkout, and `device`. What cannot be known is None.
    """
    commit, modified = _git(Path(__file__).resolve().parent.parent)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(sys.argv),
        "hostname": platform.node(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{f"{name}_version": installed_version(name) for name in _PACKAGES},
        "git_commit": commit,
        "git_modified": modified,
        "device": device_snapshot,
    }


def installed_version(package: str) -> str | None:
    """Return the version of an installed package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str | None:
    """Return the processor's name; Linux keeps it where `platform` does not look."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n"):
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or None


def _git(root: Path) -> tuple[str | None, bool | None]:
    """Return the commit of hilep's checkout at `root` and whether its source differs from it.

    (None, None) without git, or where `root` is not hilep's own checkout but, say, a virtual
    environment inside the user's repository.
    """
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        if project.get("project", {}).get("name") != "hilep":
            return None, None
        if Path(_asked(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return None, None
        commit = _asked(root, "rev-parse", "HEAD")
        modified = bool(_asked(root, "status", "--porcelain", "--", *_ROOMS))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None, None
    return commit, modified


def _asked(root: Path, *question: str) -> str:
    """Return git's answer about `root`, whatever repository the environment points to."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(root), *question],
        check=True,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=5,
        env=environment,
    ).stdout.strip()
