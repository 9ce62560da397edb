"""The conformance suite against crossbars whose cells are not ideal."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from hilep.backends import Relaxation
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.simulators.backend import SIMULATED
from hilep.simulators.circuit.options import CIRCUIT
from hilep.testing import CrossbarLaws


class Cells(CrossbarLaws):
    """What cells achieve is what the network then is, and what `conductances` says."""

    options: ClassVar[dict[str, Any]] = {}
    layers = ((6, 5, 3), (4, 3))

    def build(self, network: Network) -> Crossbar:
        keys = {"precision": "float64", "sigma_v": self.sigma_v, "seed": 4, **self.options}
        options = SIMULATED.options.model_validate(keys)
        return SIMULATED.build(network, options, Relaxation(None, 1e-12))


class TestLevels(Cells):
    """1024 levels over the window of 1.75 siemens."""

    options: ClassVar[dict[str, Any]] = {"cells": {"levels": 1024}}
    conductance_tolerance = 1.75 / 1023 * 0.51


class TestWriteNoise(Cells):
    """Ten thousandths of the conductance; six and a half deviations of it are a false alarm."""

    options: ClassVar[dict[str, Any]] = {"cells": {"write_noise_relative": 1e-3}}
    conductance_tolerance = 2 * 6.5e-3


class TestWriteNoiseOnAConverter(Cells):
    options: ClassVar[dict[str, Any]] = {
        "cells": {"write_noise_siemens": 1e-9, "device_spread_relative": 1e-3},
        "sigma_v": 1e-3,
    }
    sigma_v = 1e-3
    conductance_tolerance = 2 * 6.5e-3


class TestPulses(Cells):
    """A hundred thousand pulses across the window, each as good as the last."""

    options: ClassVar[dict[str, Any]] = {"cells": {"programming": "pulses", "pulses": 1e5}}
    conductance_tolerance = 1e-4


class TestCellsOfACircuit(Cells):
    options: ClassVar[dict[str, Any]] = {"cells": {"levels": 4096}}
    conductance_tolerance = 1.75 / 4095 * 0.51

    def build(self, network: Network) -> Crossbar:
        options = CIRCUIT.options.model_validate({"sigma_v": self.sigma_v, **self.options})
        return CIRCUIT.build(network, options, Relaxation())


def test_a_look_meets_what_cells_conduct_by_now():
    """After a thousand references of drift a batch is read as single images are."""
    keys = {"cells": {"drift_exponent": 0.2}, "precision": "float64"}
    options = SIMULATED.options.model_validate(keys)
    network = Network((4, 3, 2), g_min_siemens=0.0, g_max_siemens=2.0)
    generator = np.random.default_rng(5)
    inputs = generator.uniform(-1.0, 1.0, (3, 4))
    with SIMULATED.build(network, options, Relaxation(None, 1e-12)) as device:
        bias = generator.uniform(-1.0, 1.0, network.free_nodes)
        device.program([generator.uniform(0.5, 1.5, s) for s in network.shapes], bias)
        new = device.read_batch(inputs).mean
        device.cells.cells.advance(1000.0)
        old = device.read_batch(inputs).mean
        one = []
        for row in inputs:
            device.clamp(row)
            one.append(device.read().mean)
    assert np.abs(old - new).max() > 1e-3
    assert np.allclose(old, one, atol=1e-9)
