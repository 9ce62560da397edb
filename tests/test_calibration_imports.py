"""The calibration functions on arrays load nothing heavy and touch no device."""

from __future__ import annotations

import subprocess
import sys

MODULES = (
    "allan",
    "autocorrelation",
    "calibrating",
    "calibration",
    "calibrationfile",
    "channels",
    "commands",
    "covariance",
    "criticalsearch",
    "criticalsigma",
    "degrees",
    "delay",
    "distribution",
    "evaluating",
    "filerecords",
    "filewords",
    "independence",
    "interleaving",
    "intervals",
    "measuring",
    "nodes",
    "noiseparts",
    "phases",
    "progress",
    "quantisation",
    "reads",
    "settling",
    "sigma",
    "spectrum",
)


def test_imports_are_light():
    lines = [f"import hilep.calibration.{name}" for name in MODULES]
    lines += [
        "import sys",
        "heavy = {'scipy', 'uncertainties', 'allantools', 'matplotlib', 'hilep.simulators',"
        " 'hilep.instruments'}",
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
