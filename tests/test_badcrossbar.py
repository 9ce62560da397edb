"""Arrays with line resistance against badcrossbar, which solves all nodes as one sparse matrix."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

from hilep.simulators.circuit.lines import LineArray


@pytest.fixture(scope="module")
def compute():
    """`badcrossbar.compute`, which needs none of what its plots need."""
    quiet, root = logging.NullHandler(), logging.getLogger()
    # It sets up the root logger where that has no handler, and warns of plots it cannot draw.
    root.addHandler(quiet)
    try:
        with warnings.catch_warnings(record=True):
            badcrossbar = pytest.importorskip("badcrossbar")
    finally:
        root.removeHandler(quiet)
    logging.getLogger("badcrossbar").setLevel(logging.WARNING)
    return badcrossbar.compute


def batch_first(values, shape):
    """(m, n) or (m, n, batch) as (batch, m, n)."""
    return np.asarray(values).reshape(*shape, -1).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("word_ohm", "bit_ohm"),
    [
        (1.0, 1.0),
        (1e-3, 1e-3),
        (20.0, 20.0),
        (0.5, 3.0),
        (7.0, 0.02),
        (0.0, 2.0),
        (2.0, 0.0),
        (0, 0),
    ],
)
@pytest.mark.parametrize("shape", [(1, 1), (5, 8), (128, 64), (64, 128)])
@pytest.mark.parametrize("batch", [1, 3])
def test_volts_and_currents_agree(compute, shape, word_ohm, bit_ohm, batch):
    generator = np.random.default_rng([*shape, batch])
    ohms = 10 ** generator.uniform(3.5, 6, shape)
    ohms[generator.random(shape) < 0.05] = np.inf
    ohms[0, 0] = 1e4
    volts = generator.uniform(-0.5, 0.5, (batch, shape[0]))
    theirs = compute(volts.T, ohms, r_i_word_line=word_ohm, r_i_bit_line=bit_ohm)
    array = LineArray(1 / ohms, word_ohm, bit_ohm)
    ours = array.solve(volts)
    largest = max(np.abs(v).max() for v in (ours.word_volts, ours.bit_volts))
    # Its currents in lines are differences of volts over ohms, with the rounding of those volts.
    word, bit = (1e-14 * largest / ohm if ohm else 0.0 for ohm in (word_ohm, bit_ohm))
    pairs = (
        (ours.word_volts, theirs.voltages.word_line, largest, 0.0),
        (ours.bit_volts, theirs.voltages.bit_line, largest, 0.0),
        (ours.cell_amps, theirs.currents.device, np.abs(ours.cell_amps).max(), 0.0),
        (ours.word_amps, theirs.currents.word_line, np.abs(ours.word_amps).max(), word),
        (ours.bit_amps, theirs.currents.bit_line, np.abs(ours.bit_amps).max(), bit),
    )
    for one, other, scale, rounding in pairs:
        expected = batch_first(other, shape)
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-10 * scale + rounding)
    inflow = array.inflow(volts)
    close = 1e-10 * np.abs(inflow).max() + bit
    np.testing.assert_allclose(inflow, theirs.currents.output, rtol=0, atol=close)
