"""The exact scaling law: conductances by a, volts by s, currents by a s, eta by a^2 / s^2.

The same training follows, bit for bit, where a and s are powers of two.
"""

from __future__ import annotations

import numpy as np
import pytest
from circuits import SOLVERS, simulated

from hilep.initial import initial_conductances
from hilep.network import Network
from hilep.nudging import Nudging, beta_difference
from hilep.rule import LearningRule

LAYERS = (8, 7, 5, 3)


def trained(solver, a, s, *, bias, variant, kind, estimator, reads, clamped, dtype, updates=25):
    network = Network(
        LAYERS,
        "split",
        bias,
        bias_v=1.5 * s,
        g_min_siemens=2.0**-6 * a,
        g_max_siemens=0.75 * a,
        voltage_limit_v=64.0 * s,
        current_limit_a=1024.0 * a * s,
    )
    device = simulated(
        network,
        solver,
        sigma_v=0.02 * s,
        clamped_sigma_v=0.01 * s if clamped else 0.0,
        dtype=dtype,
        sweeps=5,
        seed=3,
    )
    generator = np.random.default_rng(4)
    device.program(initial_conductances(network, generator, "absolute-uniform", a, dtype))
    layers = len(network.shapes)
    nudging = Nudging.of(variant, kind, 0.125 * a, "mean", 3)
    eta, eta_bias = 2.0**-7 * a**2 / s**2, 2.0**-7 * a**2
    rule = LearningRule(
        network,
        beta_difference(variant, 0.125 * a),
        [eta, 2 * eta, eta],
        [eta_bias] * layers,
        estimator,
        "sum",
        reads,
    )
    outputs = []
    for _ in range(updates):
        half = generator.normal(0, 4, (4, 4))
        x = np.concatenate([half, -half], axis=1) * s
        t = np.eye(3)[generator.integers(0, 3, 4)] * s
        pair = device.free_and_nudged(x, t, nudging, reads, rule.statistic)
        outputs.append(pair.second.mean / s)
        device.update(rule.blocks(pair), None)
    conductances = [np.array(g, np.float64) / a for g in device.conductances()]
    clipped = sum(int((g <= 2.0**-6).sum() + (g >= 0.75).sum()) for g in conductances)
    return conductances, device.bias_currents() / (a * s), np.array(outputs), clipped


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("bias", "variant", "kind", "estimator", "reads", "clamped"),
    [
        ("current", "positive", "spring", "square-of-means", 1, False),
        ("row", "positive", "current", "mean-of-squares", 3, True),
        ("current", "centered", "current", "unbiased", 2, True),
        ("none", "negative", "current", "square-of-means", 5, False),
        ("current", "chl", "clamp", "square-of-means", 1, False),
    ],
)
@pytest.mark.parametrize(("a", "s"), [(2.0**-20, 2.0**-9), (2.0**5, 2.0**3), (1.0, 0.25)])
def test_scaled_training_is_the_same_training_bit_for_bit(
    solver, dtype, bias, variant, kind, estimator, reads, clamped, a, s
):
    told = {
        "bias": bias,
        "variant": variant,
        "kind": kind,
        "estimator": estimator,
        "reads": reads,
        "clamped": clamped,
        "dtype": dtype,
    }
    here = trained(solver, 1.0, 1.0, **told)
    there = trained(solver, a, s, **told)
    for g, h in zip(here[0], there[0], strict=True):
        np.testing.assert_array_equal(g, h)
    np.testing.assert_array_equal(here[1], there[1])
    np.testing.assert_array_equal(here[2], there[2])
    assert here[3] > 0, "no cell was clipped: the window was not part of this test"
    assert np.ptp(here[2][:, 0, -1]) > 0
