"""`hilep plan`: N first of all, costs only where they are known, and refusals in one line."""

from __future__ import annotations

import json
import math

import h5py
import numpy as np
import pytest
from command_line import SMALL, toml

from hilep.calibration.criticaltrials import Trial
from hilep.calibration.independence import independence
from hilep.calibration.levers import computed_levers, measured_levers
from hilep.calibration.plan import Known, plan, pulled, verdict
from hilep.cli import run
from hilep.config import load
from hilep.errors import BadInputError

COSTS = {"--read-s": 1e-3, "--settling-s": 0.05, "--write-s": 2.0}


def words(options):
    return [str(word) for pair in options.items() for word in pair]


def planned(capsys, *more, status=0):
    assert run(["plan", *map(str, more), "--json"]) == status
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def complaint(capsys, *more):
    assert run(["plan", *map(str, more)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(toml({**SMALL, "training.updates": "1000"}), encoding="utf-8")
    return path


def test_reads_come_first_and_nothing_is_guessed(capsys):
    answer, _ = planned(capsys, "--sigma", 1e-4, "--critical", 1e-5, *words(COSTS))
    assert next(iter(answer)) == "reads"
    assert answer["reads"] == 100
    assert answer["hours"] is answer["relay_closures"] is answer["pulses"] is None
    assert answer["verdict"].startswith("this bench can train this network with N = 100 reads")
    assert any("hours" in note for note in answer["notes"])


def test_n_comes_from_both_limits(capsys):
    options = {"--sigma": 1e-4, "--sigma-high": 2e-4, "--critical": 2e-5, "--critical-low": 1e-5}
    answer, _ = planned(capsys, *words(options))
    assert answer["reads"] == 400
    assert not any("own upper limit" in note for note in answer["notes"])


def test_costs_are_those_of_the_configuration(small, capsys):
    """1,000 updates of 4 images in two phases, N = 100; the sum by hand."""
    wear = {"--closures-per-scan": 2, "--pulses-per-update": 0.5}
    options = {"--sigma": 1e-4, "--critical": 1e-5, **COSTS, **wear}
    answer, _ = planned(capsys, small, *words(options))
    assert answer["hours"] * 3600 == pytest.approx(8000 * (0.05 + 0.1) + 2000)
    assert answer["relay_closures"] == 16_000
    assert answer["pulses"] == 500
    assert "53.3 min" in answer["verdict"]
    answer, _ = planned(capsys, small, "--scan-per-read", *words(options))
    assert answer["relay_closures"] == 1_600_000


def test_portions_of_the_configuration_are_counted(small, capsys):
    """Four portions: five settlings and scans per image in place of two, and as many reads."""
    turned = ["--set", "training.reads=100", "--set", "training.interleave=4"]
    options = {"--sigma": 1e-4, "--critical": 1e-5, **COSTS, "--closures-per-scan": 2}
    answer, _ = planned(capsys, small, *turned, *words(options))
    assert answer["hours"] * 3600 == pytest.approx(4000 * (5 * 0.05 + 200 * 1e-3) + 2000)
    assert answer["relay_closures"] == 4000 * 5 * 2
    assert not any("interleave" in note for note in answer["notes"])
    few, _ = planned(capsys, small, *turned, *words({**options, "--critical": 7e-5}))
    assert few["reads"] == 3
    assert any("training.interleave = 4 is more than N = 3" in note for note in few["notes"])
    assert few["hours"] * 3600 == pytest.approx(4000 * (4 * 0.05 + 6 * 1e-3) + 2000)


def test_a_plan_beyond_rated_life_is_refused(small, capsys):
    wear = {"--closures-per-scan": 1, "--rated-closures": 1e3}
    wear |= {"--pulses-per-update": 5, "--rated-pulses": 100}
    options = {"--sigma": 1e-4, "--critical": 1e-5, **wear}
    answer, err = planned(capsys, small, *words(options), status=1)
    assert len(answer["refusals"]) == 2
    assert answer["verdict"].startswith("cannot train")
    assert sum(line.startswith("hilep: refused: ") for line in err.splitlines()) == 2


def test_the_lever_that_lifts_a_refusal_is_named(small, capsys):
    options = {"--sigma": 1e-4, "--critical": 1e-5}
    options |= {"--closures-per-scan": 1, "--rated-closures": 5e5}
    # A nudge small beside what the network relaxes to is the linear regime, where beta helps.
    linear = ["--set", "training.beta_siemens=0.01", "--set", "training.relaxation_sweeps=60"]
    more = [*linear, "--scan-per-read", *words(options)]
    answer, _ = planned(capsys, small, *more, status=1)
    assert "It could with" in answer["verdict"]
    by_name = {lever["name"]: lever for lever in answer["levers"]}
    assert by_name["beta"]["feasible"]
    assert not by_name["N"]["feasible"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--critical", 1], "--sigma or --calibration"),
        (["--sigma", 1], "--critical"),
        (["--sigma", 1, "--critical", 1, "--calibration", "x.h5"], "--sigma: not with"),
        (["--sigma", 0, "--critical", 1], "expected sigma"),
        (["--sigma", 1, "--critical", "nan"], "critical sigma"),
        (["--sigma", 2, "--sigma-high", 1, "--critical", 1], "above --sigma"),
        (["--sigma", 2, "--critical", 1, "--critical-low", 3], "below --critical"),
        (["--sigma", 2, "--critical", 1, "--read-s", -1], "read_s"),
        (["--sigma", 2, "--critical", 1, "--read-s", "inf"], "read_s"),
        (["--sigma", 2, "--critical", 1, "--rated-pulses", 0], "rated_pulses"),
        (["--sigma", 2, "--critical", 1, "--trials", 5], "only with --find-critical"),
        (["--sigma", 2, "--critical", 1, "--set", "data.name=xor"], "only with CONFIG"),
        (["--find-critical"], "CONFIG"),
        (["--calibration", "no.h5", "--critical", 1], "not there"),
    ],
)
def test_what_contradicts_itself_is_one_line(options, expected, capsys):
    assert expected in complaint(capsys, *options)


def test_a_search_that_cannot_be_is_refused_before_it_trains(small, capsys):
    for more, expected in (
        (["--threshold", 2], "threshold"),
        (["--relative", 0.5, "--threshold", 0.5], "not with --relative"),
        (["--relative", 2], "--relative"),
        (["--share", 0.9, "--trials", 10], "at least 36"),
        (["--trials", 2], "at least 3"),
        (["--critical", 1], "not with --find-critical"),
    ):
        assert expected in complaint(capsys, small, "--find-critical", *more)


def test_a_threshold_never_reached_ends_with_status_1(small, tmp_path, capsys):
    """Twelve gentle updates teach nothing."""
    given = [small, "--find-critical", "--trials", 3, "--set", "training.updates=12"]
    assert run(["plan", *map(str, given), "--out", str(tmp_path / "kept")]) == 1
    assert "even at sigma = 0" in capsys.readouterr().err.splitlines()[-1]
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_a_search_is_kept_resumed_and_planned_from(small, tmp_path, capsys, monkeypatch):
    """Stopped at its fifteenth trial it goes on there, and in the end trains nothing again."""
    trained = []

    def falling(config, sigma_v, seed):
        trained.append((sigma_v, seed))
        if len(trained) == 15:
            raise KeyboardInterrupt
        return Trial(sigma_v, seed, (0.99 - 0.002 * seed) / (1 + 1e6 * sigma_v**2), "done")

    monkeypatch.setattr("hilep.calibration.criticaltrials._trained", falling)
    kept = tmp_path / "kept"
    given = [small, "--find-critical", "--relative", 0.8, "--trials", 5, "--out", kept]
    assert run(["plan", *map(str, given)]) == 1
    assert "the same command goes on" in capsys.readouterr().err
    assert len(list(kept.iterdir())) == 14
    first, err = planned(capsys, *given)
    assert first["reads"] is None
    assert len(set(trained)) == len(trained) - 1 == len(list(kept.iterdir()))
    # 1 / (1 + 1e6 sigma^2) = 0.8
    assert first["critical"]["low_v"] <= 5e-4 <= first["critical"]["high_v"]
    assert err.count("mean accuracy") > 3
    before = len(trained)
    sigma = 3 * first["critical"]["low_v"]
    second, _ = planned(capsys, *given, "--sigma", sigma)
    assert len(trained) == before
    assert second["critical"] == first["critical"]
    assert second["reads"] == 9


def test_a_calibration_gives_sigma_settling_and_updates(small, tmp_path, capsys):
    """N from the upper limit of the file's sigma; its independent reads reach as far as N."""
    out = tmp_path / "cal.h5"
    noisy = ["--set", "device.sigma_v=1e-3", "--set", "calibration.reads=2048"]
    assert run(["calibrate", str(small), *noisy, "--out", str(out), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    answer, _ = planned(
        capsys, "--calibration", out, "--critical", 4e-4, *words(COSTS), "--pulses-per-update", 1
    )
    high = measured["sigma_v_ci95"][1]
    assert answer["sigma_high_v"] == high
    assert answer["reads"] == math.ceil((high / 4e-4) ** 2)
    assert answer["hours"] > 0
    assert answer["pulses"] == 1000
    assert not any("another" in note for note in answer["notes"])
    other = ["--set", "network.layers=[4,5,2]", "--calibration", out, "--critical", 4e-4]
    assert any("another [network]" in note for note in planned(capsys, small, *other)[0]["notes"])
    beyond, _ = planned(capsys, "--calibration", out, "--critical", 1e-4, status=1)
    assert "longer" in beyond["refusals"][0]
    with h5py.File(out, "r+") as file:
        del file["independence"]
    unknown, _ = planned(capsys, "--calibration", out, "--critical", 4e-4, status=1)
    assert "eq. (11)" in unknown["refusals"][0], "what was not judged is not taken for granted"


def test_levers_follow_the_signal():
    """Law: the nudge goes as beta, so noise over signal as 1/beta^2 while it is small."""
    config = load(None, ["network.layers=[128,16,10]"])
    by_name = {lever.name: lever for lever in measured_levers(config, 1e-5)}
    assert by_name["beta"].noise_factor == pytest.approx(0.25, rel=1e-2)
    assert "window" not in by_name
    bench = load(None, ["network.layers=[128,16,10]", "device.backend=bench", "device.file=x"])
    assert {lever.source for lever in measured_levers(bench, 1e-5)} == {
        "measured on the ideal network"
    }


def test_doubled_aperture_halves_n_and_keeps_the_reading_time():
    known = Known(updates=10, batch_size=1, read_s=1.0, settling_s=0.0, write_s=0.0)
    before = plan(4e-3, 1e-3, known)
    levers = {lever.name: lever for lever in computed_levers()}
    aperture = pulled(levers["aperture"], before, 4e-3, 1e-3, known)
    assert aperture.reads == before.reads / 2 == 8
    assert aperture.hours == pytest.approx(before.hours)
    more = pulled(levers["N"], before, 4e-3, 1e-3, known)
    assert more.reads == 32
    assert more.hours == pytest.approx(2 * before.hours)
    volts = pulled(levers["volts"], before, 4e-3, 1e-3, known)
    assert volts.reads == 4


def test_more_reads_do_not_lift_a_refusal_of_dependent_ones():
    generator = np.random.default_rng(2)
    volts = generator.normal(size=1 << 13) + np.cumsum(0.05 * generator.normal(size=1 << 13))
    measured = independence(volts)
    before = plan(1.0, 0.02, Known(), measured)
    assert before.refusals
    each = [pulled(lever, before, 1.0, 0.02, Known(), measured) for lever in computed_levers()]
    by_name = {one.lever.name: one for one in each}
    assert not by_name["N"].feasible
    assert not by_name["aperture"].feasible
    assert verdict(before, each).startswith("cannot train")


@pytest.mark.parametrize("wrong", [{"read_s": math.nan}, {"rated_closures": 0.0}])
def test_costs_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(BadInputError):
        plan(1.0, 1.0, Known(**wrong))
