"""Law: a run on cells that are not ideal goes on from its file as if nothing had stopped it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilep import experiment
from hilep.callbacks import Callback
from hilep.config import load
from hilep.runfile import read_run

RUN = [
    'data.name="iris"',
    "data.gamma_v=10",
    "network.layers=[8,6,3]",
    "network.g_min_siemens=1e-3",
    "network.g_max_siemens=2",
    'network.initial="absolute-uniform"',
    "training.eta=5e-3",
    "training.updates=20",
    "training.log_every=7",
    "training.evaluate_every=8",
    "device.sigma_v=1e-3",
    "device.seed=5",
]
CELLS = {
    "ideal": "",
    "write noise": "write_noise_siemens=1e-3, write_noise_relative=0.02",
    "writes that differ between cells": "device_spread_relative=0.05, g_max_spread=0.2",
    "levels": "levels=64",
    "pulses": 'programming="pulses", pulses=200, pulse_nonlinearity_up=1, pulse_cycle_noise=0.3, '
    "pulse_device_spread=0.1, pulse_asymmetry=0.1, pulse_nonlinearity_spread=0.1",
    "drift": "drift_exponent=0.05, drift_spread=0.01, drift_reference_s=0.05, "
    "read_s=0.1, update_s=1",
    "retention": "retention_s=1e3, read_s=0.1, update_s=1",
    "flicker": "flicker_relative=0.02, flicker_octaves=6, read_s=0.1, update_s=1",
    "faults": "stuck_low=0.1, stuck_low_siemens=0, stuck_high=0.1, stuck_high_siemens=3",
    "dead lines": "dead_rows=[[0, 2]], dead_columns=[[0, 1]]",
    "thermal noise": "bandwidth_hz=1e15",
    "all at once": 'programming="pulses", pulses=200, levels=64, write_noise_relative=0.02, '
    "drift_exponent=0.05, flicker_relative=0.02, stuck_high=0.1, dead_rows=[[1, 0]], "
    "bandwidth_hz=1e15, read_s=0.1, update_s=1",
}
BACKENDS = {
    "simulated": ['device.backend="simulated"'],
    "circuit": [
        'device.backend="circuit"',
        "device.word_ohm=1e-3",
        "device.bit_ohm=1e-3",
        "device.source_ohm=1e-2",
        "device.meter_ohm=1e4",
        'device.nonlinearity="precision"',
    ],
}
SETTLING = [
    'device.backend="circuit"',
    "device.node_farads=1e-9",
    "device.settle_s=2e-9",
    'data.name="xor"',
    "network.layers=[4,3,2]",
    "training.updates=4",
    "training.batch_size=2",
    "training.evaluate_every=4",
]


class Stop(Callback):
    """Ask the run to stop after an update."""

    def __init__(self, update: int) -> None:
        self.update = update

    def on_update(self, trainer):
        if trainer.update == self.update:
            trainer.stop()


def the_same_whether_stopped_or_not(settings, stop, folder):
    config = load(None, settings)
    whole, parts = folder / "whole.h5", folder / "parts.h5"
    experiment.prepare(config, whole).execute()
    experiment.prepare(config, parts).execute((Stop(stop),))
    assert read_run(parts).verdict == f"interrupted at update {stop}"
    experiment.resume(parts).execute()
    one, other = read_run(whole), read_run(parts)
    assert one.verdict == other.verdict
    assert one.checkpoint.update == other.checkpoint.update == config.training.updates
    for g, h in zip(one.checkpoint.conductances, other.checkpoint.conductances, strict=True):
        np.testing.assert_array_equal(g, h)
    np.testing.assert_array_equal(one.checkpoint.bias_currents, other.checkpoint.bias_currents)
    for name in ("update", "loss", "error"):
        np.testing.assert_array_equal(getattr(one.curve, name), getattr(other.curve, name))
    for name in ("update", "accuracy", "loss", "silent"):
        found = (getattr(record.evaluations, name) for record in (one, other))
        np.testing.assert_array_equal(*found)
    device = [record.checkpoint.state["device"] for record in (one, other)]
    assert device[0] == device[1]
    return one


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_goes_on_bit_for_bit(backend, cells, tmp_path):
    settings = [*RUN, *BACKENDS[backend], f"device.cells={{{CELLS[cells]}}}"]
    the_same_whether_stopped_or_not(settings, 9, tmp_path)


@pytest.mark.parametrize("cells", ["ideal", "pulses", "drift", "thermal noise"])
def test_a_run_that_does_not_wait_goes_on_bit_for_bit(cells, tmp_path):
    """Where the nodes were when it was stopped is part of what is saved."""
    settings = [*RUN, *SETTLING, f"device.cells={{{CELLS[cells]}}}"]
    run = the_same_whether_stopped_or_not(settings, 2, tmp_path)
    assert np.any(run.checkpoint.state["device"]["volts"])


@pytest.mark.parametrize("cells", ["write noise", "drift"])
def test_a_run_on_nonlinear_cells_goes_on_bit_for_bit(cells, tmp_path):
    settings = [*RUN, 'device.backend="circuit"', "training.updates=6", "training.eta=1e-3"]
    settings.append(f"device.cells={{nonlinearity_v=5, {CELLS[cells]}}}")
    the_same_whether_stopped_or_not(settings, 3, tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "cells", [name for name in CELLS if name not in ("ideal", "thermal noise")]
)
def test_cells_that_are_not_ideal_end_elsewhere(backend, cells, tmp_path):
    """Each kind of cell takes part: another one ends with other conductances."""
    ends = []
    for kind in ("ideal", cells):
        settings = [*RUN, *BACKENDS[backend], f"device.cells={{{CELLS[kind]}}}"]
        run = experiment.prepare(load(None, [*settings, "training.updates=5"]), tmp_path / kind)
        run.execute()
        ends.append(np.concatenate([g.ravel() for g in run.crossbar.conductances()]))
    assert np.abs(ends[0] - ends[1]).max() > 1e-6


def test_the_example_of_a_circuit_learns(tmp_path):
    """A fifth of its updates; chance is 0.1, and a standard error of 360 images below 0.03."""
    example = Path(__file__).parent.parent / "docs" / "examples" / "circuit.toml"
    outcome = experiment.prepare(
        load(example, ["training.updates=600"]), tmp_path / "r.h5"
    ).execute()
    assert outcome.done, outcome.verdict
    assert outcome.test.accuracy > 0.4
