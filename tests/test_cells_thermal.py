"""Thermal noise of conductances and networks, and cells whose current is not linear.

Each random test is seeded; its threshold is stated with the chance that a correct program fails it
for a fresh seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilep.errors import BadInputError
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.cells.thermal import ThermalNoise

NOISE = ThermalNoise(300.0, 1e4)


def test_one_resistor_has_the_textbook_noise():
    """1 kilo-ohm at 300 K in 10 kHz: sqrt(4 k T R B) is 0.4070 microvolts."""
    volts = NOISE.deviation([[1e-3]])[0]
    assert volts == pytest.approx(np.sqrt(4 * 1.380649e-23 * 300 * 1e3 * 1e4), rel=1e-14)
    assert volts == pytest.approx(0.40704e-6, rel=1e-4)
    # Open-circuit volts over ohms are short-circuit amperes.
    assert NOISE.amps(1e-3) == pytest.approx(volts * 1e-3, rel=1e-14)


def random_network(generator, free, sources):
    """Conductances between free nodes, and from free nodes to sources."""
    joined = np.triu(10 ** generator.uniform(-7, -3, (free, free)), 1)
    return joined + joined.T, 10 ** generator.uniform(-7, -3, (free, sources))


@pytest.mark.parametrize("seed", range(4))
def test_a_network_has_the_sum_of_its_resistors_own_noise(seed):
    """Every resistor a current source of 4 k T G B at its ends, sent through the resistances."""
    joined, sources = random_network(np.random.default_rng(seed), 6, 3)
    admittance = np.diag(joined.sum(axis=1) + sources.sum(axis=1)) - joined
    ohms = np.linalg.inv(admittance)
    covariance = np.zeros((6, 6))
    for i in range(6):
        for g in sources[i]:
            covariance += NOISE.amps(g) ** 2 * np.outer(ohms[:, i], ohms[:, i])
        for j in range(i):
            transfer = ohms[:, i] - ohms[:, j]
            covariance += NOISE.amps(joined[i, j]) ** 2 * np.outer(transfer, transfer)
    np.testing.assert_allclose(NOISE.covariance(admittance), covariance, rtol=1e-9)
    np.testing.assert_allclose(
        NOISE.deviation(admittance), np.sqrt(np.diagonal(covariance)), rtol=1e-9
    )


def test_a_divider_has_the_noise_of_its_resistors_in_parallel():
    volts = NOISE.deviation([[1e-6 + 3e-6]])[0]
    assert volts == pytest.approx(np.sqrt(NOISE.watts / 4e-6), rel=1e-14)


def test_draws_have_the_covariance():
    """40,000 draws: each entry within 5 of its standard errors (21 entries, chance about 1e-5)."""
    joined, sources = random_network(np.random.default_rng(5), 6, 2)
    admittance = np.diag(joined.sum(axis=1) + sources.sum(axis=1)) - joined
    wanted = NOISE.covariance(admittance)
    drawn = NOISE.draw(admittance, 40_000, np.random.default_rng(6))
    got = drawn.T @ drawn / len(drawn)
    own = np.diagonal(wanted)
    error = np.sqrt((np.outer(own, own) + wanted**2) / len(drawn))
    assert (np.abs(got - wanted) < 5 * error).all()


def test_noise_scales_with_temperature_and_bandwidth():
    admittance = [[2e-6, -1e-6], [-1e-6, 3e-6]]
    quiet = ThermalNoise(75.0, 1e4).deviation(admittance)
    np.testing.assert_allclose(NOISE.deviation(admittance), 2 * quiet, rtol=1e-14)
    assert not ThermalNoise(300.0, 0.0).deviation(admittance).any()


def test_what_is_no_network_is_refused():
    for wrong in (
        [[1.0, 0.5], [0.2, 1.0]],
        [[1.0, -1.0], [-1.0, 1.0]],
        [[1.0, 0.0], [0.0, 0.0]],
        [[1.0, 0.0]],
        [[np.nan]],
    ):
        with pytest.raises(BadInputError) as error:
            NOISE.covariance(wrong)
        assert "\n" not in str(error.value)
    with pytest.raises(BadInputError, match="temperature_k"):
        ThermalNoise(-1.0, 1.0)


# The sinh law ---------------------------------------------------------------------------------


@given(reduced=st.floats(-100, 100), scale=st.floats(0.05, 10), siemens=st.floats(1e-9, 1.0))
def test_the_current_is_the_slope_of_the_content_and_its_slope_is_the_derivative(
    reduced, scale, siemens
):
    """Simpson's rule over a small step is exact to the fourth order of the step."""
    law, volts = SinhLaw(scale), reduced * scale
    h = 1e-3 * scale
    left, middle, right = (float(law.current(volts + k * h, siemens)[0]) for k in (-1, 0, 1))
    work = float(law.content(volts + h, siemens) - law.content(volts - h, siemens))
    size = siemens * scale**2 * np.cosh(volts / scale)
    assert work == pytest.approx((left + 4 * middle + right) * h / 3, abs=1e-13 * size)
    slope = float(law.current(volts, siemens)[1])
    assert slope == pytest.approx((right - left) / (2 * h), rel=1e-6)


@given(volts=st.floats(-1e-4, 1e-4), siemens=st.floats(0, 1.0))
def test_small_volts_meet_an_ohmic_cell(volts, siemens):
    """To the first digit that the cubic term reaches: v^2 / 6 v0^2."""
    law = SinhLaw(0.5)
    amps, slope = law.current(volts, siemens)
    allowed = (volts / 0.5) ** 2 + 1e-15
    assert amps == pytest.approx(siemens * volts, rel=allowed, abs=5e-324)
    assert slope == pytest.approx(siemens, rel=allowed, abs=5e-324)
    assert law.content(volts, siemens) == pytest.approx(
        siemens * volts**2 / 2, rel=allowed, abs=1e-320
    )


def test_absurd_volts_give_infinities_without_a_warning():
    law = SinhLaw(0.1)
    volts = np.array([-1e5, 1e5, 1e308, -1e308])
    amps, slope = law.current(volts, 1e-6)
    np.testing.assert_array_equal(amps, [-np.inf, np.inf, np.inf, -np.inf])
    assert np.isposinf(slope).all()
    assert np.isposinf(law.content(volts, 1e-6)).all()
    # A cell that is not there carries nothing, whatever the trial voltage.
    assert not law.current(volts, 0.0)[0].any()
    assert not law.current(volts, 0.0)[1].any()
    assert not law.content(volts, 0.0).any()


def test_the_law_broadcasts_and_is_odd():
    law = SinhLaw(0.3)
    volts, siemens = np.linspace(-1, 1, 5)[:, None], np.array([1e-6, 2e-6, 0.0])
    amps, slope = law.current(volts, siemens)
    assert amps.shape == slope.shape == law.content(volts, siemens).shape == (5, 3)
    np.testing.assert_array_equal(amps, -amps[::-1])
    np.testing.assert_array_equal(slope, slope[::-1])
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(BadInputError, match="nonlinearity_v"):
            SinhLaw(wrong)
