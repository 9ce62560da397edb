"""Bench files of real drivers, for virtual twins, as several tests use them."""

import itertools
import json

import numpy as np

from hilep.instruments.benchfile import BenchFile
from hilep.network import Network

ENTRY_POINTS = """\
[hilep.drivers]
keithley2400 = hilep.instruments.keithley2400:Keithley2400
keithley2450 = hilep.instruments.keithley2450:Keithley2450
keithley2600 = hilep.instruments.keithley2600:Keithley2600
keithleydaq6510 = hilep.instruments.keithleydaq6510:KeithleyDAQ6510
keysight34970a = hilep.instruments.keysight34970a:Keysight34970A
keysightb2900 = hilep.instruments.keysightb2900:KeysightB2900
nidaqmx = hilep.instruments.nidaq:NIDAQmx
[hilep.programmers]
direct = hilep.instruments.directprogramming:direct_programmer
pulses = hilep.instruments.programming:pulse_programmer
"""
NETWORK = Network((2, 3, 2), "split", "row", bias_v=0.5, g_min_siemens=1e-7, g_max_siemens=1e-5)
SMUS = {"keithley2600": "ab", "keysightb2900": "12", "keithley2400": "a", "keithley2450": "a"}


def installed(folder, monkeypatch, more=""):
    """Let the drivers be found, as an installed hilep lets them."""
    metadata = folder / "drivers" / "hilep_drivers-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hilep-drivers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS + more)
    monkeypatch.syspath_prepend(metadata.parent)


def tables(network=NETWORK, scanner="keithleydaq6510", expect="DAQ6510"):
    """Pulses through a matrix: clamps and nudges on SMUs of every kind, one scanner."""
    kinds = ["keithley2600", "keysightb2900", "keithley2400", "keithley2450", "keithley2600"]
    instruments, free = {}, []
    for number, kind in enumerate(kinds, 1):
        name = f"smu{number}"
        instruments[name] = {"driver": kind, "resource": f"GPIB0::{number}::INSTR"}
        free += [f"{name}.{letter}" for letter in SMUS[kind]]
    instruments["smu1"]["expect"] = "2636B"
    instruments["daq1"] = {"driver": scanner, "resource": "GPIB0::9::INSTR", "expect": expect}
    take = iter(free)
    clamp = list(itertools.islice(take, network.inputs + network.bias_rows))
    nudge = list(itertools.islice(take, network.outputs))
    source, guard = next(take), next(take)
    reads = iter(range(101, 200))
    paths = iter(range(201, 300))

    def lines(axis):
        return [[f"daq1.{next(paths)}" for _ in range(s[axis])] for s in network.shapes]

    relays = network.inputs + network.bias_rows + network.free_nodes
    return {
        "instruments": instruments,
        "roles": {
            "clamp": {
                "channels": clamp[: network.inputs],
                "bias_channels": clamp[network.inputs :],
                "range_v": 2.0,
                "max_v": 1.0,
                "limit_a": 1e-3,
                "nplc": 0.1,
            },
            "nudge": {
                "channels": nudge,
                "range_a": 1e-6,
                "limit_v": 1.0,
                "max_a": 1e-6,
                "nplc": 0.1,
            },
            "nodes": {
                "channels": [f"daq1.{next(reads)}" for _ in range(network.free_nodes)],
                "range_v": 1.0,
                "nplc": 1,
            },
            "program": {
                "kind": "pulses",
                "source": source,
                "bias_sources": [guard],
                "unselected": "half",
                "idle": "zero",
                "range_v": 6.0 if source.startswith("smu5") else 20.0,
                "limit_a": 1e-3,
                "read_v": 0.2,
                "tolerance": 0.05,
                "max_pulses": 200,
                "increase": {"volts": [2.0], "seconds": [0.01]},
                "decrease": {"volts": [-2.0], "seconds": [0.01]},
                "matrix": {
                    "rows": lines(0),
                    "columns": lines(1),
                    "unselected_rows": lines(0),
                    "unselected_columns": lines(1),
                    "run": [f"daq1.{next(paths)}" for _ in range(relays)],
                },
            },
        },
        "hidden": {"nonlinearity": "ideal"},
        "settle": {"seconds": 0},
        "interlock": {"max_node_v": 1.0, "supervisor": False},
    }


def direct(network):
    """A card of NI clamps, sets every cell and reads; an SMU nudges."""
    outputs = (f"card.ao{number}" for number in itertools.count())
    clamp = list(itertools.islice(outputs, network.inputs + network.bias_rows))
    letters = iter(["smu1.a", "smu1.b"])
    return {
        "instruments": {
            "card": {"driver": "nidaqmx", "resource": "Dev7"},
            "smu1": {"driver": "keithley2600", "resource": "GPIB0::1::INSTR"},
        },
        "roles": {
            "clamp": {
                "channels": clamp[: network.inputs],
                "bias_channels": clamp[network.inputs :],
                "range_v": 5.0,
                "max_v": 1.0,
            },
            "nudge": {
                "channels": [next(letters) for _ in range(network.outputs)],
                "range_a": 1e-6,
                "limit_v": 1.0,
                "max_a": 1e-6,
            },
            "nodes": {
                "channels": [f"card.ai{k}" for k in range(network.free_nodes)],
                "range_v": 1.0,
                "rate_hz": 1000.0,
            },
            "program": {
                "kind": "direct",
                "cells": [
                    [list(itertools.islice(outputs, n)) for _ in range(m)]
                    for m, n in network.shapes
                ],
                "map": {"volts": [0.0, 1.0], "siemens": [1e-7, 1e-5]},
                "max_v": 1.0,
                "range_v": 5.0,
                "tolerance": 0.05,
            },
        },
        "hidden": {"nonlinearity": "ideal"},
        "settle": {"seconds": 0},
        "interlock": {"max_node_v": 1.0, "supervisor": False},
    }


def toml(value):
    """A table as TOML, tables within it inline: lists, numbers and words are those of JSON."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {toml(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def written(given):
    return "".join(f"{key} = {toml(value)}\n" for key, value in given.items())


def bench_file(folder, given):
    path = folder / "bench.toml"
    path.write_text(written(given))
    return BenchFile.load(path)


def siemens(network, seed=1, low=2e-6, high=8e-6):
    generator = np.random.default_rng(seed)
    return [generator.uniform(low, high, shape) for shape in network.shapes]
