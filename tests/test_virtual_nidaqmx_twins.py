"""Several virtual NI devices in one process: each its own, and the driver back after the last."""

import itertools

import numpy as np
import pytest
import virtual_files
from virtual_files import NETWORK, bench_file, direct

pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

import nidaqmx.utils

from hilep.errors import ConfigError
from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.instruments.nidaq import NIDAQmx
from hilep.simulators.virtual.nidaqmx_interpreter import (
    VirtualDevice,
    VirtualInterpreter,
    installed,
)
from hilep.simulators.virtual.twin import twin


@pytest.fixture(autouse=True)
def _lab(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_driver_is_back_once_the_last_twin_has_ended_in_any_order(tmp_path, order):
    driver = nidaqmx.utils._select_interpreter
    file = bench_file(tmp_path, direct(NETWORK))
    twins = [twin(file, NETWORK) for _ in range(3)]
    resources = [one.__enter__()["card"] for one in twins]
    assert resources[0] == "Dev7"
    assert len(set(resources)) == 3
    left = list(range(3))
    for which in order:
        assert nidaqmx.utils._select_interpreter is not driver
        for one in left:
            with NIDAQmx(resources[one]) as card:
                assert card.identity.model == "PCIe-6363"
        twins[which].__exit__(None, None, None)
        left.remove(which)
    assert nidaqmx.utils._select_interpreter is driver


@pytest.mark.parametrize("first", [0, 1])
def test_two_benches_with_one_file_have_a_card_each(tmp_path, first):
    """Each goes on with its own card while the other is used, switched off or ended."""
    driver = nidaqmx.utils._select_interpreter
    file = bench_file(tmp_path, direct(NETWORK))
    benches = [Bench(file, NETWORK, twin=twin) for _ in range(2)]
    try:
        asked = [[np.full(shape, g) for shape in NETWORK.shapes] for g in (2e-6, 6e-6)]
        for bench, siemens in zip(benches, asked, strict=True):
            bench.program(siemens)
        worlds = [bench.session._resources.world for bench in benches]
        volts = []
        for bench in benches:
            bench.clamp([0.3, -0.4])
            volts.append(bench.read(4).mean)
        benches[first].safe()
        other = 1 - first
        np.testing.assert_allclose(benches[other].read(4).mean, volts[other], atol=2e-4)
        benches[first].session.end()
        benches[other].safe()
        benches[other].clamp([0.3, -0.4])
        np.testing.assert_allclose(benches[other].read(4).mean, volts[other], atol=2e-4)
        for found, wanted in zip(worlds[other].siemens(), asked[other], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-3)
    finally:
        for bench in benches:
            bench.session.end()
    assert nidaqmx.utils._select_interpreter is driver


class Still:
    """Lines at which nothing happens."""

    def __init__(self):
        self.driven = {}

    def drive(self, channel, volts):
        self.driven[channel] = volts

    def sense(self, channels, samples):
        return np.zeros((samples, len(channels)))


def test_each_task_is_asked_of_the_one_that_has_its_device():
    lines = [Still(), Still()]
    made = [
        VirtualInterpreter(each, [VirtualDevice(name)])
        for each, name in zip(lines, ("Dev1", "Dev2"), strict=True)
    ]
    with installed(made[0]), installed(made[1]), NIDAQmx("Dev1") as one, NIDAQmx("Dev2") as two:
        for device, volts in ((one, 0.5), (two, 0.25), (one, -0.5)):
            device.configure_outputs({"ao1": 1.0})
            device.configure(["ai0", "ai3"], 1.0)
            device.apply({"ao1": volts})
            assert device.acquire(3).samples == 3
        assert lines[0].driven["Dev1/ao1"] == pytest.approx(-0.5, abs=1e-4)
        assert lines[1].driven["Dev2/ao1"] == pytest.approx(0.25, abs=1e-4)
        assert {name.partition("/")[0] for name in lines[0].driven} == {"Dev1"}
    assert [one.open_tasks for one in made] == [0, 0]


def test_one_device_is_virtual_once():
    same = [VirtualInterpreter(Still(), [VirtualDevice("Dev3")]) for _ in range(2)]
    driver = nidaqmx.utils._select_interpreter
    with installed(same[0]):
        with pytest.raises(ConfigError, match="Dev3: virtual already"), installed(same[1]):
            pass
        with NIDAQmx("Dev3") as device:
            assert device.identity.model
    assert nidaqmx.utils._select_interpreter is driver
