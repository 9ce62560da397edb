"""`hilep bench check` and `safe` on virtual instruments, as several tests run them."""

import contextlib
import json

import numpy as np
import virtual_files
from virtual_files import NETWORK, bench_file, siemens, tables

from hilep.cli import run
from hilep.instruments import arming, locks
from hilep.simulators.virtual.twin import file_network, twin

MORE = """
[hilep.twins]
default = hilep.simulators.virtual.twin:twin
[hilep.commands]
bench.check = hilep.instruments.benchcommands:check
bench.safe = hilep.instruments.benchcommands:safe
"""


def install(folder, monkeypatch):
    """Let the commands be found, and keep locks and records of checks in `folder`."""
    virtual_files.installed(folder, monkeypatch, MORE)
    monkeypatch.setattr(locks, "lock_folder", lambda: folder)
    monkeypatch.setattr(arming, "records", lambda: folder / "armed")


def answer(capsys, words):
    """The exit status and the JSON object of a command, and what it said."""
    status = run([*words, "--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, json.loads(out.splitlines()[-1]) if out else None, err


def failures(found, test=None):
    return [
        one["text"]
        for one in found["findings"]
        if one["verdict"] == "failed" and test in (None, one["test"])
    ]


@contextlib.contextmanager
def served(folder, given=None, written=True, **virtual):
    """A bench file whose resources are those of a twin that is served, and that twin."""
    given = tables() if given is None else given
    given["virtual"] = virtual
    file = bench_file(folder, given)
    with twin(file, file_network(file)) as resources:
        if written:
            resources.world.write(siemens(NETWORK, low=1e-6, high=6e-6))
        for name, resource in resources.items():
            given["instruments"][name]["resource"] = resource
        yield bench_file(folder, given), resources


def everything_is_off(world):
    names = [name for name in world.nodes.index if name != "ground"]
    state = world.measure(names, 0.0, np.random.default_rng(0))
    return not state.volts.any() and not state.amps.any()
