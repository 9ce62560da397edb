"""Trainings of XOR on virtual benches, to record and to replay."""

import json
import socket
from pathlib import Path

import virtual_files
from virtual_files import direct, tables

from hilep import experiment
from hilep.config import Config
from hilep.instruments.recordfile import Message
from hilep.instruments.recordreader import RecordReader
from hilep.runfile import read_run


def two_cards(network):
    """A bench that sets its cells with a card of their own."""
    given = direct(network)
    given["instruments"]["cells"] = {"driver": "nidaqmx", "resource": "Dev8"}
    program = given["roles"]["program"]
    program["cells"] = [
        [[cell.replace("card", "cells") for cell in row] for row in array]
        for array in program["cells"]
    ]
    return given


def linear(network):
    """A bench that writes with pulses; without rectifiers no output ever floats."""
    given = tables(network)
    del given["hidden"]
    return given


KINDS = {"direct": two_cards, "pulses": linear}


def install(folder, monkeypatch):
    """Drivers and twins by name, and locks in a folder of the test."""
    twins = "[hilep.twins]\ndefault = hilep.simulators.virtual.twin:twin\n"
    virtual_files.installed(folder, monkeypatch, twins)
    from hilep.instruments import locks

    monkeypatch.setattr(locks, "lock_folder", lambda: folder)


def config(folder, kind="direct", training=(), **device):
    """A few updates of XOR on the twin of a bench, or what `device` says."""
    device = {"virtual": "replay" not in device, "file": str(folder / "bench.toml"), **device}
    made = Config.model_validate(
        {
            "data": {"name": "xor", "gamma_v": 0.25, "target_v": 0.05},
            "network": {
                "layers": [4, 3, 2],
                "bias": "none",
                "diodes": "none" if kind == "pulses" else "split",
                "g_min_siemens": 2e-7,
                "g_max_siemens": 1e-5,
                "initial_scale_siemens": 1e-6,
            },
            "device": {"backend": "bench", **device},
            "training": {"updates": 3, "beta_siemens": 1e-6, "eta": 1e-9, "reads": 2}
            | dict(training),
        }
    )
    if not device.get("replay"):
        virtual_files.bench_file(folder, KINDS[kind](made.network.network()))
    return made


def trained(folder, made, name):
    """The conductances and the run file of a run."""
    path = folder / name
    prepared = experiment.prepare(made, path)
    try:
        outcome = prepared.execute()
    finally:
        # A twin replaces NI's driver for the whole process until it ends.
        prepared.crossbar.session.end()
    return read_run(path).checkpoint, outcome


def without_sockets(monkeypatch):
    """Let nothing in this process make a socket."""

    def forbidden(*_, **__):
        raise AssertionError("a replay needs no socket")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)


def messages(path: Path, *instruments: str) -> list[Message]:
    """The messages of some instruments of a recording's first part, one after another."""
    with RecordReader(path) as reader:
        found = []
        for name in instruments or reader.head.resources:
            while (message := reader.next(name)) is not None:
                found.append(message)
    return found


def rewritten(path: Path, change) -> None:
    """Change the lines of a recording: `change` gets each line's object, and returns it."""
    lines = [change(json.loads(line)) for line in path.read_bytes().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
