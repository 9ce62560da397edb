"""The laws of rectifiers, against their defining equations in decimal arithmetic."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from hilep.simulators.circuit.rectifiers import (
    IdealDiode,
    JunctionDiode,
    PrecisionRectifier,
    Rectifier,
)

JUNCTIONS = [
    JunctionDiode(),
    JunctionDiode(1e-18, 2.0, series_ohm=1e6),
    JunctionDiode(1e-6, 1e-4, series_ohm=1e-3),
    JunctionDiode(1e-6, 1.0, series_ohm=1e6, leakage_siemens=1e-9),
    JunctionDiode(1e-12, 1.0, series_ohm=1e-30, bias_v=0.6),
    JunctionDiode(1e-9, 1.5, leakage_siemens=1e-6, bias_v=-0.3),
]
PRECISION = [
    PrecisionRectifier(),
    PrecisionRectifier(on_ohm=1e-9, off_siemens=1e-6, offset_v=1e-3, bias_v=0.4),
]


def inverted(diode: JunctionDiode, u: float) -> Decimal:
    """i at u, by bisection of the defining equation in q = j / saturation_a, to 50 digits."""
    drop = Decimal(diode.bias_v - u)
    slope, saturation = Decimal(diode.slope_v), Decimal(diode.saturation_a)
    series, leakage = Decimal(diode.series_ohm), Decimal(diode.leakage_siemens)

    def high(log_q: Decimal, sign: int) -> bool:
        q = sign * log_q.exp()
        return slope * (1 + q).ln() + series * saturation * q > drop

    if drop == 0:
        return Decimal(0)
    sign = 1 if drop > 0 else -1
    low, top = Decimal(-800), Decimal(800) if sign > 0 else Decimal("-1e-50")
    for _ in range(200):
        middle = (low + top) / 2
        # A larger |q| is a larger drop forward, a smaller one in reverse.
        if high(middle, sign) == (sign > 0):
            top = middle
        else:
            low = middle
    return saturation * sign * low.exp() + leakage * drop


@pytest.mark.parametrize("diode", JUNCTIONS)
def test_a_junctions_current_solves_its_equation(diode):
    scale = diode.slope_v
    drops = np.concatenate([[1e-18, 1e-9, 1e-3, 0.02, 0.3, 1.0, 3.0, 20.0], [-1e-12, -0.1, -2.0]])
    u = diode.bias_v - scale * drops
    current, _ = diode.current(u)
    with localcontext() as context:
        context.prec = 60
        expected = np.array([float(inverted(diode, float(x))) for x in u])
    assert current == pytest.approx(expected, rel=2e-14, abs=0)


@pytest.mark.parametrize("law", [*JUNCTIONS, *PRECISION])
def test_the_slope_is_the_currents_derivative_and_i_the_contents(law):
    scale = law.slope_v if isinstance(law, JunctionDiode) else 0.1
    u = law.corner_v - scale * np.array([-30.0, -3.0, -0.5, -0.01, 0.01, 0.7, 4.0, 25.0])
    step = 1e-4 * scale
    up, down = law.current(u + step)[0], law.current(u - step)[0]
    current, slope = law.current(u)
    rounding = 1e-14 * np.abs(current) / step
    # A reverse current has no slope left that its own digits show.
    assert np.all(np.abs((down - up) / (2 * step) - slope) <= 1e-6 * slope + 10 * rounding)
    work = (law.content(u - step) - law.content(u + step)) / (2 * step)
    digits = 1e-14 * law.content(u) / step
    assert np.all(np.abs(work - current) <= 1e-6 * np.abs(current) + 10 * digits)


@pytest.mark.parametrize("law", [*JUNCTIONS, *PRECISION])
def test_the_current_never_increases_and_the_content_is_convex(law):
    u = law.corner_v + np.linspace(-30, 30, 4001) * (
        law.slope_v if isinstance(law, JunctionDiode) else 0.1
    )
    current, slope = law.current(u)
    content = law.content(u)
    assert (np.diff(current) <= 0).all()
    assert (slope >= 0).all()
    assert (content >= 0).all()
    bent = content[:-2] - 2 * content[1:-1] + content[2:]
    assert (bent >= -1e-14 * content[1:-1].max()).all()


def test_the_content_keeps_its_digits_near_the_corner():
    for diode in JUNCTIONS:
        drop = diode.slope_v * np.array([1e-12, -1e-12])
        _, slope = diode.current(np.full(2, diode.bias_v))
        at = diode.bias_v - drop
        half = 0.5 * slope * (diode.bias_v - at) ** 2
        assert diode.content(at) == pytest.approx(half, rel=1e-9, abs=0)


def test_series_resistance_towards_0_is_no_series_resistance():
    u = -0.0259 * np.array([-20.0, -1.0, -1e-9, 1e-9, 0.3, 5.0, 20.0])
    plain = JunctionDiode()
    for ohms in (1e-6, 1e-30, 1e-200):
        other = JunctionDiode(series_ohm=ohms)
        drop = ohms * np.abs(plain.current(u)[0]) / plain.slope_v
        for mine, theirs in zip(other.current(u), plain.current(u), strict=True):
            assert np.all(np.abs(mine - theirs) <= (2 * drop + 1e-14) * np.abs(theirs))
        assert other.content(u) == pytest.approx(plain.content(u), rel=1e-6)


def test_absurd_volts_give_infinity_without_series_resistance_and_a_line_with_it():
    u = np.array([-500.0, 500.0])
    current, slope = JunctionDiode().current(u)
    assert np.isposinf([current[0], slope[0], JunctionDiode().content(u)[0]]).all()
    assert current[1] == -1e-12
    limited, conductance = JunctionDiode(series_ohm=2.0).current(u)
    assert limited[0] == pytest.approx((500 - 0.9) / 2, rel=1e-3)
    assert conductance[0] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(
    "law", [IdealDiode(0.3), *JUNCTIONS, PrecisionRectifier(1e-6, 0.0, 1e-3, 0.2), *PRECISION]
)
def test_a_balanced_node_meets_kirchhoffs_law(law: Rectifier):
    generator = np.random.default_rng(0)
    siemens = 10.0 ** generator.uniform(-9, 3, 400)
    amps = siemens * generator.normal(0, 10.0 ** generator.uniform(-3, 2.7, 400))
    u = law.balanced(amps, siemens)
    assert np.isfinite(u).all()
    if isinstance(law, IdealDiode):
        assert np.array_equal(u, np.maximum(law.bias_v, amps / siemens))
        return
    current, slope = law.current(u)
    off = np.abs(current + amps - siemens * u)
    scale = np.abs(current) + np.abs(amps) + siemens * np.abs(u)
    # The law's own slope times the rounding of u is all that may be left; at a corner the steeper.
    steepest = np.maximum(slope, law.current(u - 1e-15 * (abs(law.corner_v) + np.abs(u)))[1])
    rounding = 1e-15 * steepest * (np.abs(u) + abs(law.corner_v))
    assert np.all(off <= 1e-13 * scale + rounding)


def test_a_lone_node_is_decided_only_where_its_rectifier_carries_the_current():
    none = np.zeros(3)
    amps = np.array([-1e-9, 0.0, 1e-9])
    ideal = IdealDiode(0.2).balanced(amps, none)
    assert ideal[0] == 0.2
    assert np.isnan(ideal[1:]).all()
    diode = JunctionDiode(saturation_a=1e-10, series_ohm=3.0, bias_v=0.5)
    junction = diode.balanced(amps, none)
    assert diode.current(junction[:2])[0] == pytest.approx(-amps[:2], rel=1e-13)
    assert np.isnan(junction[2])
    leaky = JunctionDiode(leakage_siemens=1e-9).balanced(amps, none)
    assert np.isfinite(leaky).all()
    assert np.isfinite(PrecisionRectifier(off_siemens=1e-9).balanced(amps, none)).all()
    assert np.isnan(PrecisionRectifier().balanced(amps, none)).tolist() == [False, True, True]
