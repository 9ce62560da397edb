"""Certified answers: NIST's Statistical Reference Datasets, and the data set of NIST SP 1065."""

from __future__ import annotations

import math

import allantools
import numpy as np
import pytest

from hilep.calibration.allan import allan_deviation, mean_difference_deviation
from hilep.calibration.autocorrelation import autocorrelation
from hilep.calibration.channels import calibrate_channel
from hilep.calibration.intervals import c4
from hilep.calibration.settling import step_response
from hilep.calibration.sigma import sigma_of_reads

LEW = """
-213 -564 -35 -15 141 115 -420 -360 203 -338 -431 194 -220 -513 154 -125 -559 92 -21 -579 -52 99
-543 -175 162 -457 -346 204 -300 -474 164 -107 -572 -8 83 -541 -224 180 -420 -374 201 -236 -531 83
27 -564 -112 131 -507 -254 199 -311 -495 143 -46 -579 -90 136 -472 -338 202 -287 -477 169 -124 -568
17 48 -568 -135 162 -430 -422 172 -74 -577 -13 92 -534 -243 194 -355 -465 156 -81 -578 -64 139 -449
-384 193 -198 -538 110 -44 -577 -6 66 -552 -164 161 -460 -344 205 -281 -504 134 -28 -576 -118 156
-437 -381 200 -220 -540 83 11 -568 -160 172 -414 -408 188 -125 -572 -32 139 -492 -321 205 -262 -504
142 -83 -574 0 48 -571 -106 137 -501 -266 190 -391 -406 194 -186 -553 83 -13 -577 -49 103 -515 -280
201 300 -506 131 -45 -578 -80 138 -462 -361 201 -211 -554 32 74 -533 -235 187 -372 -442 182 -147
-566 25 68 -535 -244 194 -351 -463 174 -125 -570 15 72 -550 -190 172 -424 -385 198 -218 -536 96
"""

LOTTERY = """
162 671 933 414 788 730 817 33 536 875 670 236 473 167 877 980 316 950 456 92 517 557 956 954 104
178 794 278 147 773 437 435 502 610 582 780 689 562 964 791 28 97 848 281 858 538 660 972 671 613
867 448 738 966 139 636 847 659 754 243 122 455 195 968 793 59 730 361 574 522 97 762 431 158 429
414 22 629 788 999 187 215 810 782 47 34 108 986 25 644 829 630 315 567 919 331 207 412 242 607 668
944 749 168 864 442 533 805 372 63 458 777 416 340 436 140 919 350 510 572 905 900 85 389 473 758
444 169 625 692 140 897 672 288 312 860 724 226 884 508 976 741 476 417 831 15 318 432 241 114 799
955 833 358 935 146 630 830 440 642 356 373 271 715 367 393 190 669 8 861 108 795 269 590 326 866 64
523 862 840 219 382 998 4 628 305 747 247 34 747 729 645 856 974 24 568 24 694 608 480 410 729 947
293 53 930 223 203 677 227 62 455 387 318 562 242 428 968
"""

MAVRO = """
180 170 180 190 180 170 150 140 150 150 170 180 180 190 190 210 200 160 140 130 130 150 150 160 150
140 130 140 150 140 150 160 150 160 190 200 200 210 220 230 240 250 270 260 260 260 270 260 250 240
"""
"""Hundred-thousandths above 2."""

MICHELSO = """
85 74 90 107 93 85 95 98 98 88 100 98 93 65 76 81 100 100 96 96 96 94 96 94 88 80 85 88 90 84 83 79
81 88 88 83 80 79 76 80 88 88 88 86 72 72 62 86 97 95 88 91 85 87 84 84 85 84 84 84 89 81 81 82 80
77 76 74 75 76 91 92 89 86 88 72 84 85 85 78 89 84 78 81 76 81 79 81 82 85 87 87 81 74 81 94 95 80
81 87
"""
"""Hundredths above 299."""

NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6
778.9 777.0 559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6
557.7 556.0 228.3 228.1 998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1
888.0 887.2 998.5 999.0 778.9 779.0 10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9
0.2 0.5
"""
"""y and x by turns."""


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=float)


def alternating(middle: str, below: str, above: str) -> np.ndarray:
    """NumAcc2 to 4 by their rule: the mean, then 500 pairs about it."""
    return np.array([float(middle)] + [float(below), float(above)] * 500)


UNIVARIATE = {
    "Lew": (numbers(LEW), 200, -177.435, 277.332168044316, -0.307304800605679),
    "Lottery": (numbers(LOTTERY), 218, 518.958715596330, 291.699727470969, -0.120948622967393),
    "Mavro": (
        np.array([float(f"2.00{n}") for n in MAVRO.split()]),
        50,
        2.001856,
        0.000429123454003053,
        0.937989183438248,
    ),
    "Michelso": (
        np.array([round(299 + int(n) / 100, 2) for n in MICHELSO.split()]),
        100,
        299.8524,
        0.0790105478190518,
        0.535199668621283,
    ),
    "NumAcc1": (np.array([10000001.0, 10000003.0, 10000002.0]), 3, 10000002.0, 1.0, -0.5),
    "NumAcc2": (alternating("1.2", "1.1", "1.3"), 1001, 1.2, 0.1, -0.999),
    "NumAcc3": (alternating("1000000.2", "1000000.1", "1000000.3"), 1001, 1000000.2, 0.1, -0.999),
    "NumAcc4": (
        alternating("10000000.2", "10000000.1", "10000000.3"),
        1001,
        10000000.2,
        0.1,
        -0.999,
    ),
}


@pytest.mark.parametrize("name", UNIVARIATE)
def test_nist_univariate(name):
    """Mean, standard deviation and lag 1 to 13 digits, as far as the decimals fit in float64."""
    data, n, mean, deviation, lag_1 = UNIVARIATE[name]
    # NumAcc3 and 4: 1000000.1 is stored to 1e-10, of which 0.1 is the standard deviation.
    tolerance = max(1e-13, 4 * np.spacing(abs(mean)) / deviation)
    found = sigma_of_reads(data[:, None], step_v=0.0)
    s = math.sqrt(found.per_node.variance_v2[0])
    assert data.size == n
    assert data.mean() == pytest.approx(mean, rel=1e-13)
    assert s == pytest.approx(deviation, rel=tolerance)
    assert found.per_node.sigma_v[0] * c4(found.per_node.degrees_of_freedom[0]) == pytest.approx(s)
    assert autocorrelation(data, 1)[1] == pytest.approx(lag_1, rel=max(tolerance, 1e-12))
    if n > 20:
        by_transform = autocorrelation(data, 12)[1]
        assert by_transform == pytest.approx(lag_1, rel=max(tolerance, 1e-9))


def test_nist_norris_gain_and_offset():
    import datetime

    y, x = numbers(NORRIS).reshape(-1, 2).T
    assert x.size == 36
    found = calibrate_channel(
        "ozone", x, y, role="reader", reference="Norris", measured=datetime.date(2026, 1, 1)
    )
    assert found.gain == pytest.approx(1.00211681802045, rel=1e-12)
    assert found.offset == pytest.approx(-0.262323073774029, rel=1e-10)
    assert found.u_gain == pytest.approx(0.429796848199937e-3, rel=1e-10)
    assert found.u_offset == pytest.approx(0.232818234301152, rel=1e-10)
    assert found.residual_sd == pytest.approx(0.884796396144373, rel=1e-11)
    assert found.degrees_of_freedom == pytest.approx((34, 34))


def test_nist_boxbod_time_constant():
    """y = b1 (1 - exp(-b2 x)) is a step from 0 to b1 with the time constant 1 / b2."""
    x = np.array([1.0, 2, 3, 5, 7, 10])
    y = np.array([109.0, 149, 149, 191, 213, 224])
    found = step_response(x, y, constants=1, initial_v=0.0)
    tau = 1 / 5.4723748542e-01
    assert found.final_v == pytest.approx(2.1380940889e02, rel=1e-7)
    assert found.u_final_v == pytest.approx(1.2354515176e01, rel=1e-5)
    assert found.time_constants_s[0] == pytest.approx(tau, rel=1e-7)
    assert found.u_time_constants_s[0] == pytest.approx(1.0455993237e-01 * tau**2, rel=1e-5)
    assert found.residual_sd_v == pytest.approx(1.7088072423e01, rel=1e-9)
    assert found.degrees_of_freedom == 4


def sp1065() -> np.ndarray:
    """The 1000-point set of NIST SP 1065, 12.4, from its congruential generator."""
    n, out = 1234567890, []
    for _ in range(1000):
        out.append(n / 2147483647)
        n = 16807 * n % 2147483647
    return np.array(out)


def test_sp1065_allan_deviations():
    data = sp1065()
    expected = {1: 2.922319e-1, 10: 9.159953e-2, 100: 3.241343e-2}
    for reads, deviation in expected.items():
        assert mean_difference_deviation(data, reads) == pytest.approx(deviation, rel=2e-7)
    # Not overlapping: means of blocks, and their successive differences.
    for reads, deviation in {1: 2.922319e-1, 10: 9.965736e-2, 100: 3.897804e-2}.items():
        means = data.reshape(-1, reads).mean(axis=1)
        assert mean_difference_deviation(means, 1) == pytest.approx(deviation, rel=2e-7)


@pytest.mark.parametrize("power", [0, -1, -2])
def test_allan_against_allantools(power):
    """Deviations to rounding; limits where both use the same number of degrees of freedom."""
    generator = np.random.default_rng(12)
    data = generator.normal(size=2048)
    if power == -2:
        data = np.cumsum(data)
    elif power == -1:
        filtered = np.fft.rfft(data)
        filtered[1:] /= np.sqrt(np.arange(1, filtered.size))
        data = np.fft.irfft(filtered)
    noise = {0: "white", -1: "flicker", -2: "random walk"}[power]
    found = allan_deviation(data, noise=noise)
    taus, deviation, _, _ = allantools.oadev(data, data_type="freq", taus=found.reads)
    assert taus == pytest.approx(found.reads)
    assert found.deviation_v == pytest.approx(deviation, rel=1e-12)
    assert set(allan_deviation(data).noise[:5]) == {noise}
    for reads, nu, low, high in zip(
        found.reads, found.degrees_of_freedom, found.low_v, found.high_v, strict=True
    ):
        if reads > 1:
            simple = allantools.edf_simple(data.size + 1, int(reads), power)
            assert nu == pytest.approx(max(simple, 1), rel=1e-12)
        # Greenhall's full theory is of noise averaged over each interval, the closed forms of
        # reads: at N = 1 that makes up to 31 %, then 16 % and less.
        full = allantools.edf_greenhall(power, 2, int(reads), data.size + 1, overlapping=True)
        assert nu == pytest.approx(full, rel=0.2 if reads > 1 else 0.35)
        centre = float(mean_difference_deviation(data, int(reads)))
        limits = allantools.confidence_interval(centre, nu, ci=0.95)
        assert (low, high) == pytest.approx(limits, rel=1e-9)
