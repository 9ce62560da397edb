"""Operating points by ngspice, an independent circuit simulator, in full double precision."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from hilep.simulators.netlist import TIGHT

needs_ngspice = pytest.mark.skipif(
    shutil.which("ngspice") is None, reason="needs ngspice (a Debian package) on the path"
)


def raw_volts(file: Path) -> dict[str, float]:
    """Volts of every node in a binary raw file, at its last point."""
    head, _, data = file.read_bytes().partition(b"Binary:\n")
    lines = head.decode().split("Variables:\n")[1].splitlines()
    names = [line.split()[1] for line in lines if line.strip()]
    values = np.frombuffer(data, dtype=np.float64)
    last = values.reshape(-1, len(names))[-1]
    return {name[2:-1]: float(v) for name, v in zip(names, last, strict=True) if name[1] == "("}


def operating_point(text: str, names: list[str], analysis: str = "op") -> np.ndarray:
    """Volts of `names` that ngspice finds for the netlist `text`, at the end of the analysis."""
    control = f".control\nset filetype=binary\n{analysis}\nwrite out.raw\nquit\n.endc\n.end"
    told = text.replace(f".{analysis}\n.end", f"{TIGHT}\n{control}")
    assert told != text
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in.cir").write_text(told, encoding="utf-8")
        done = subprocess.run(
            ["ngspice", "-b", "in.cir"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout[-500:] + done.stderr[-1000:]
        assert "abort" not in said.lower(), said
        assert Path(folder, "out.raw").exists(), said
        found = raw_volts(Path(folder, "out.raw"))
    assert set(names) <= set(found), said
    return np.array([found[name] for name in names])
