"""The two benches of `bench.py`: their files and networks."""

from __future__ import annotations

import itertools
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilep.instruments.benchfile import BenchFile
from hilep.network import Network

IRIS = Path(__file__).parents[1] / "docs" / "examples" / "bench-iris-bench.toml"


@dataclass(frozen=True, slots=True)
class Case:
    """A bench and what is trained on it.

    Attributes:
        network: what it wires.
        given: the tables of its file.
        batch: images per update.
        step: of every conductance in an update, siemens; 0 where no cell is to be programmed.
        target_v: of the outputs, either sign.
        beta: siemens of the nudge.
    """

    network: Network
    given: dict[str, Any]
    batch: int
    step: float
    target_v: float
    beta: float

    def file(self, path: Path, real_time: bool) -> BenchFile:
        """Write the file of the bench, whose virtual measurements take time or none."""
        given = self.given | {"virtual": self.given.get("virtual", {}) | {"real_time": real_time}}
        path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in given.items()))
        return BenchFile.load(path)


def direct() -> Case:
    """Return 2-3-2 whose twelve cells have a B2900's channel each, read by a DAQ6510."""
    network = Network((2, 3, 2), "split", "none", g_min_siemens=1e-6, g_max_siemens=1e-5)
    channels = (f"smu{number}.{name}" for number in itertools.count(1) for name in "12")
    instruments = {
        f"smu{number}": {
            "driver": "keysightb2900",
            "resource": f"TCPIP0::192.0.2.{number}::5025::SOCKET",
            "expect": "B29",
        }
        for number in range(1, 9)
    }
    instruments["daq1"] = {
        "driver": "keithleydaq6510",
        "resource": "TCPIP0::192.0.2.99::5025::SOCKET",
        "expect": "DAQ6510",
    }
    roles = {
        "clamp": {
            "channels": [next(channels) for _ in range(network.inputs)],
            "range_v": 2.0,
            "max_v": 1.0,
            "limit_a": 1e-3,
        },
        "nudge": {
            "channels": [next(channels) for _ in range(network.outputs)],
            "range_a": 1e-5,
            "max_a": 5e-6,
            "limit_v": 1.0,
        },
        "nodes": {
            "channels": [f"daq1.{101 + node}" for node in range(network.free_nodes)],
            "range_v": 1.0,
            "nplc": 1.0,
        },
        "program": {
            "kind": "direct",
            "cells": [
                [[next(channels) for _ in range(columns)] for _ in range(rows)]
                for rows, columns in network.shapes
            ],
            "map": {"volts": [0.0, 2.0], "siemens": [1e-6, 1e-5]},
            "max_v": 2.0,
            "range_v": 2.0,
            "limit_a": 1e-4,
            "tolerance": 0.02,
        },
    }
    given = {
        "instruments": instruments,
        "roles": roles,
        "hidden": {"nonlinearity": "ideal"},
        "settle": {"seconds": 0.0},
        "interlock": {"max_node_v": 1.0, "supervisor": False},
    }
    return Case(network, given, 4, 2e-6, 0.1, 2e-6)


def iris() -> Case:
    """Return the bench of `docs/examples`, 8-16-3: eight B2900, a scanner and a switch matrix."""
    given = tomllib.loads(IRIS.read_text())
    # Neither waiting for the network nor a second process is a matter of messages.
    given["settle"]["seconds"] = 0.0
    given["interlock"]["supervisor"] = False
    given["roles"]["program"]["tolerance"] = 0.5
    network = Network(
        (8, 16, 3), "split", "row", bias_v=0.5, g_min_siemens=1e-6, g_max_siemens=1e-4
    )
    return Case(network, given, 6, 0.0, 0.18, 2e-5)


CASES = {"direct": direct, "iris": iris}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
