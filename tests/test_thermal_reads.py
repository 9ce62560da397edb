"""Law: thermal noise of reads has the covariance 4 k T B Z between the nodes that float."""

from __future__ import annotations

import numpy as np
import pytest

from hilep.backends import Relaxation
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.simulators.backend import SIMULATED
from hilep.simulators.cells.thermal import BOLTZMANN
from hilep.simulators.circuit.options import CIRCUIT

KELVIN, HERTZ = 300.0, 1e16
WATTS = 4 * BOLTZMANN * KELVIN * HERTZ
READS = 40000
LAYERS = (4, 5, 3)
NETWORK = Network(LAYERS, "split", "none")
INPUTS = np.array([3.0, -2.0, 1.0, 4.0])
TARGETS = np.array([1.0, -1.0, 0.5])


def crossbar(backend, network=NETWORK, **keys):
    keys.setdefault("cells", {"temperature_k": KELVIN, "bandwidth_hz": HERTZ})
    if backend is SIMULATED:
        keys.setdefault("precision", "float64")
    device = backend.build(network, backend.options.model_validate(keys), Relaxation(None, 1e-12))
    generator = np.random.default_rng(3)
    device.program([generator.uniform(0.05, 1.0, shape) for shape in network.shapes])
    return device


def admittance(network, conductances, extra):
    """Siemens between the free nodes, from Kirchhoff's law alone; `extra` to ground at each."""
    matrix = np.diag(np.asarray(extra, dtype=float))
    nodes = [np.arange(network.free_nodes)[here] for here in network.slices]
    for layer, (g, post) in enumerate(zip(conductances, nodes, strict=True)):
        matrix[post, post] += g.sum(axis=0)
        if layer:
            pre = nodes[layer - 1]
            matrix[pre, pre] += g.sum(axis=1)
            matrix[np.ix_(pre, post)] -= g
            matrix[np.ix_(post, pre)] -= g.T
    return matrix


def covariance(network, conductances, volts, extra=0.0, clamped=False):
    """4 k T B Z, with nodes that a diode or a clamp holds as parts of ground."""
    matrix = admittance(network, conductances, np.broadcast_to(extra, volts.shape))
    free = (network.polarity == 0) | (network.polarity * volts > 0)
    if clamped:
        free[network.output_slice] = False
    out = np.zeros_like(matrix)
    out[np.ix_(free, free)] = WATTS * np.linalg.inv(matrix[np.ix_(free, free)])
    return out


def close(found, expected, reads):
    """Six deviations of every entry of a sample covariance of normal numbers."""
    spread = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / reads)
    assert np.all(np.abs(found - expected) <= 6 * spread + 1e-30)


@pytest.mark.parametrize("backend", [SIMULATED, CIRCUIT], ids=["simulated", "circuit"])
@pytest.mark.parametrize("phase", ["free", "spring", "clamp"])
def test_samples_of_one_image(backend, phase):
    device = crossbar(backend)
    device.clamp(INPUTS)
    true = crossbar(backend, cells=None)
    true.clamp(INPUTS)
    extra = np.zeros(8)
    for one in (device, true):
        if phase != "free":
            one.nudge_spring(0.7 if phase == "spring" else np.inf, TARGETS)
    if phase == "spring":
        extra[5:] = 0.7
    volts = true.read().mean
    expected = covariance(NETWORK, true.conductances(), volts, extra, phase == "clamp")
    held = np.diag(expected) == 0
    assert held.any()
    assert not held.all()
    reads = device.read(READS).volts
    np.testing.assert_array_equal(
        reads[:, held], np.broadcast_to(volts[held], reads[:, held].shape)
    )
    close(np.cov(reads.T), expected, READS)
    spread = np.sqrt(np.diag(expected) / READS)
    assert np.all(np.abs(reads.mean(axis=0) - volts) <= 6 * spread)


def test_sigma_adds_in_quadrature():
    """As an independent noise of each node, held ones included."""
    true = crossbar(CIRCUIT, cells=None)
    true.clamp(INPUTS)
    expected = covariance(NETWORK, true.conductances(), true.read().mean)
    sigma = float(np.sqrt(np.diag(expected).max()))
    device = crossbar(CIRCUIT, sigma_v=sigma)
    device.clamp(INPUTS)
    close(np.cov(device.read(READS).volts.T), expected + sigma**2 * np.eye(8), READS)


def test_reads_are_independent_of_each_other():
    device = crossbar(CIRCUIT)
    device.clamp(INPUTS)
    reads = device.read(READS).volts[:, -3:]
    reads = (reads - reads.mean(axis=0)) / reads.std(axis=0)
    assert np.abs((reads[1:] * reads[:-1]).mean(axis=0)).max() < 6 / np.sqrt(READS)


@pytest.mark.parametrize("backend", [SIMULATED, CIRCUIT], ids=["simulated", "circuit"])
def test_the_mean_of_reads_of_a_batch(backend):
    """`read_batch` gives means of N reads: the covariance over N, and none between images."""
    device, true = crossbar(backend), crossbar(backend, cells=None)
    images, count = 4000, 5
    batch = np.tile(INPUTS, (images, 1))
    found = device.read_batch(batch, count).mean
    volts = true.read_batch(INPUTS[None]).mean[0]
    expected = covariance(NETWORK, true.conductances(), volts) / count
    close(np.cov(found.T), expected, images)
    pairs = np.cov(found[::2].T, found[1::2].T)[:8, 8:]
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)) / (images / 2))
    assert np.all(np.abs(pairs) <= 6 * spread + 1e-30)


@pytest.mark.parametrize("statistic", ["mean", "variance", "samples"])
@pytest.mark.parametrize("count", [4, 4000])
def test_both_phases_of_a_batch(statistic, count):
    """Whether samples are kept or go by in blocks, and the phases' noise is not shared."""
    images = 3000 if count == 4 else 3
    device, true = crossbar(CIRCUIT), crossbar(CIRCUIT, cells=None)
    nudging = Nudging.of("positive", "spring", 0.7, "half-sum", 3)
    given = (np.tile(INPUTS, (images, 1)), np.tile(TARGETS, (images, 1)), nudging)
    pair = device.free_and_nudged(*given, count, statistic)
    quiet = true.free_and_nudged(*given)
    extra = np.zeros(8)
    differences = []
    for noisy, exact in ((pair.first, quiet.first), (pair.second, quiet.second)):
        expected = covariance(NETWORK, true.conductances(), exact.mean[0], extra)
        extra[5:] = 0.7
        off = noisy.mean - exact.mean
        differences.append(off)
        if images > 1000:
            close(np.cov(off.T), expected / count, images)
        else:
            assert np.all(np.abs(off) <= 6 * np.sqrt(np.diag(expected) / count))
        if statistic == "mean":
            continue
        spread = 6 * np.sqrt(2 / ((count - 1) * images))
        np.testing.assert_allclose(
            noisy.variance.mean(axis=0), np.diag(expected), rtol=spread, atol=1e-30
        )
    if images > 1000:
        both = [d / np.where(d.std(axis=0) > 0, d.std(axis=0), 1) for d in differences]
        assert np.abs((both[0] * both[1]).mean(axis=0)).max() < 6 / np.sqrt(images)


def test_blocks_hold_the_samples_whose_moments_were_given():
    device = crossbar(CIRCUIT, sigma_v=0.1)
    nudging = Nudging.of("positive", "spring", 0.7, "half-sum", 3)
    count = 6000
    pair = device.free_and_nudged(
        np.tile(INPUTS, (2, 1)), np.tile(TARGETS, (2, 1)), nudging, count, "samples"
    )
    blocks = list(pair.sample_blocks())
    assert len(blocks) > 1
    for phase, whole in enumerate((pair.first, pair.second)):
        samples = np.concatenate([block[phase].volts for block in blocks])
        assert samples.shape == (count, 2, 8)
        np.testing.assert_allclose(samples.mean(axis=0), whole.mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(samples.var(axis=0, ddof=1), whole.variance, rtol=1e-9)


def test_lines_and_meters_take_part():
    """A source's resistance lets its word line fluctuate; a meter carries noise away."""
    network = Network((2, 2), bias="none")
    device = crossbar(CIRCUIT, network, source_ohm=0.5, meter_ohm=2.0)
    device.clamp([1.0, -1.0])
    (g,) = device.conductances()
    # The four nodes: two word lines with 2 S to their sources, two outputs with 0.5 S to ground.
    matrix = np.block([[np.diag(g.sum(axis=1) + 2.0), -g], [-g.T, np.diag(g.sum(axis=0) + 0.5)]])
    expected = WATTS * np.linalg.inv(matrix)[2:, 2:]
    close(np.cov(device.read(READS).volts.T), expected, READS)


def test_a_junction_counts_as_its_slope_at_the_operating_point():
    keys = {"nonlinearity": "junction", "junction": {"saturation_a": 1e-3, "ideality": 20.0}}
    device, true = crossbar(CIRCUIT, **keys), crossbar(CIRCUIT, cells=None, **keys)
    device.clamp(INPUTS)
    true.clamp(INPUTS)
    volts = true.read().mean
    u = NETWORK.polarity * volts
    slope = np.where(NETWORK.polarity != 0, device.rectifier.current(u)[1], 0.0)
    matrix = admittance(NETWORK, true.conductances(), slope)
    close(np.cov(device.read(READS).volts.T), WATTS * np.linalg.inv(matrix), READS)


def test_bias_rows_are_ground_to_noise():
    network = Network((4, 3), bias="row", bias_v=2.0)
    device = crossbar(CIRCUIT, network)
    device.clamp(INPUTS)
    (g,) = device.conductances()
    close(np.cov(device.read(READS).volts.T), np.diag(WATTS / g.sum(axis=0)), READS)
