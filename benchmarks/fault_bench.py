"""The bench that `faults.py` and `endurance.py` disturb: its file, its network, its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hilep.config import Config

UPDATES = 2
"""Of the whole run; the first is done before any fault."""
TIMEOUT_S = 0.5
"""Unless told: shorter than a stall of a busy machine, but thousands of faults wait for it."""
OUTPUTS = {
    "smu1": {"x0"},
    "smu2": {"x1"},
    "smu3": {"y0", "y1"},
    "smu4": {"program", "guard rows"},
}
"""Where the outputs of each source are in the circuit."""
DRIVERS = {
    "smu1": "keithley2400",
    "smu2": "keithley2450",
    "smu3": "keithley2600",
    "smu4": "keysightb2900",
    "daq1": "keithleydaq6510",
    "daq2": "keysight34970a",
}


def config(folder: Path) -> Config:
    """Return the configuration of a run with the files in `folder`."""
    return Config.model_validate(
        {
            "data": {
                "name": "file",
                "file": str(folder / "data.npz"),
                "doubled": False,
                "gamma_v": 0.8,
                "target_v": 0.3,
                "validation_fraction": 0.0,
            },
            "network": {
                "layers": [2, 2, 2],
                "bias": "none",
                "g_min_siemens": 2e-6,
                "g_max_siemens": 6e-6,
                "initial_scale_siemens": 6e-6,
            },
            "device": {"backend": "bench", "file": str(folder / "bench.toml")},
            "training": {
                "updates": UPDATES,
                "batch_size": 1,
                "beta_siemens": 2e-7,
                "eta": [3e-11, 2e-11],
                "reads": 2,
                "schedule": "constant",
                "checkpoint_seconds": 0.0,
            },
        }
    )


def tables(resources: dict[str, str], supervised: bool, timeout_s: float) -> dict[str, Any]:
    """Clamps on a 2400 and a 2450, nudges on a 2600, pulses from a B2900 through a DAQ6510."""
    paths = iter(range(201, 300))

    def lines(*counts: int) -> list[list[str]]:
        return [[f"daq1.{next(paths)}" for _ in range(count)] for count in counts]

    return {
        "instruments": {
            name: {"driver": driver, "resource": resources[name], "timeout_s": timeout_s}
            for name, driver in DRIVERS.items()
        },
        "roles": {
            "clamp": {
                "channels": ["smu1.a", "smu2.a"],
                "range_v": 2.0,
                "max_v": 1.0,
                "limit_a": 1e-3,
            },
            "nudge": {
                "channels": ["smu3.a", "smu3.b"],
                "range_a": 1e-6,
                "limit_v": 1.0,
                "max_a": 1e-6,
                "nplc": 0.1,
            },
            "nodes": {
                "channels": ["daq1.101", "daq1.102", "daq2.101", "daq2.102"],
                "range_v": 1.0,
                "nplc": 1,
            },
            "program": {
                "kind": "pulses",
                "source": "smu4.1",
                "bias_sources": ["smu4.2"],
                "unselected": "half",
                "idle": "zero",
                "range_v": 2.0,
                "limit_a": 1e-3,
                "read_v": 0.2,
                "tolerance": 0.03,
                "max_pulses": 40,
                "increase": {"volts": [2.0], "seconds": [0.01]},
                "decrease": {"volts": [-2.0], "seconds": [0.01]},
                "matrix": {
                    "rows": lines(2, 2),
                    "columns": lines(2, 2),
                    "unselected_rows": lines(2, 2),
                    "unselected_columns": lines(2, 2),
                    "run": lines(6)[0],
                },
            },
        },
        "hidden": {"nonlinearity": "ideal"},
        "settle": {"seconds": 0},
        "interlock": {"max_node_v": 1.0, "supervisor": supervised},
        "virtual": {"noise": 0.0, "kelvin": 0.0, "cells": {"pulses": 80.0}},
    }


def written(path: Path, given: dict[str, Any]) -> Path:
    """Write tables as TOML; return where."""
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in given.items()))
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
