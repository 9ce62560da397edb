"""Laws: what is put into virtual instruments and their circuit comes back through the wire.

Every test that can fail by chance says how often it would if all were right; seeds are fixed, so
that it does not.
"""

import contextlib

import numpy as np
import pytest
import virtual_files
from virtual_files import bench_file, direct, siemens

from hilep.calibration.measuresettling import measure_step_responses, measure_suffices
from hilep.calibration.measuresigma import (
    measure_noise_apart,
    sigma_against,
    sigma_against_level,
    white_and_floor,
)
from hilep.calibration.measuring import paired_reads
from hilep.calibration.sigma import sigma_of_pairs
from hilep.errors import ConfigError, UnsupportedError
from hilep.instruments import locks
from hilep.network import Network

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments.bench import Bench
from hilep.simulators.virtual.keithleydaq6510 import VOLTS
from hilep.simulators.virtual.twin import twin

NETWORK = Network((2, 2, 1), "split", "none", g_min_siemens=1e-7, g_max_siemens=1e-5)
CELLS = siemens(NETWORK, low=2e-6, high=8e-6)
VOLTS_IN, AMPS = np.array([0.5, -0.3]), np.array([8e-7])
FARADS = 1e-9


@pytest.fixture(autouse=True)
def _drivers(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


@contextlib.contextmanager
def on_twin(folder, given, **virtual):
    """A programmed bench and the circuit of its twin."""
    served = []

    @contextlib.contextmanager
    def kept(file, network):
        with twin(file, network) as resources:
            served.append(resources)
            yield resources

    with Bench(bench_file(folder, {**given, "virtual": virtual}), NETWORK, twin=kept) as bench:
        bench.program(CELLS)
        yield bench, served[0].world
        bench.session.end()


def scanned(folder, **virtual):
    """Nodes on a scanner, cells set by voltages."""
    given = direct(NETWORK)
    given["instruments"]["daq1"] = {"driver": "keithleydaq6510", "resource": "GPIB0::9::INSTR"}
    given["roles"]["nodes"] = {
        "channels": ["daq1.101", "daq1.102", "daq1.103"],
        "range_v": 1.0,
        "nplc": 1.0,
        "delay_s": 0.0,
        "autozero": False,
    }
    return on_twin(folder, given, **{"kelvin": 0.0, **virtual})


def carded(folder, rate_hz=100_000.0, **virtual):
    """Nodes on a card that samples, cells set by voltages; the source that nudges reads fast."""
    given = direct(NETWORK)
    given["roles"]["nodes"]["rate_hz"] = rate_hz
    given["roles"]["nudge"]["nplc"] = 0.001
    return on_twin(folder, given, **virtual)


# Sigma --------------------------------------------------------------------------------------------


def test_a_sigma_set_in_the_card_comes_back_within_its_interval(tmp_path):
    """95 % intervals: a right one misses in 1 of 20 seeds, this seed does not."""
    with carded(tmp_path, ni_noise_v=3e-4, kelvin=0.0, seed=3) as (bench, _):
        reads = paired_reads(bench, VOLTS_IN, AMPS, 40, block=10)
    found = sigma_of_pairs(reads.free, reads.nudged, status=reads.status).pooled
    assert found.low_v < 3e-4 < found.high_v
    assert found.high_v / found.low_v < 1.2


def test_sigma_of_a_scanner_falls_with_its_aperture_as_set(tmp_path):
    """Noise of the converter times 1 / sqrt(NPLC) down to its floor; 1 in 50 seeds would miss."""
    noise = 100.0
    nplcs = [0.02, 0.2, 2.0, 12.0]
    with scanned(tmp_path, noise=noise, steps=False, seed=5) as (bench, _):
        table = sigma_against(bench, "nplc", nplcs, VOLTS_IN, AMPS, pairs=60)
    full = 1.0
    for nplc, found in zip(nplcs, table.pooled, strict=True):
        true = full * noise * max(VOLTS.floor, VOLTS.noise / np.sqrt(nplc))
        assert 0.75 < found.sigma_v / true < 1.3
    assert sum(
        found.low_v < full * noise * max(VOLTS.floor, VOLTS.noise / np.sqrt(n)) < found.high_v
        for n, found in zip(nplcs, table.pooled, strict=True)
    ) >= 3  # fmt: skip
    fit = white_and_floor(table, 50.0)
    white = full * noise * VOLTS.noise / np.sqrt(50.0)
    assert abs(fit.white_v_sqrt_s - white) < 3 * fit.u_white_v_sqrt_s
    assert fit.u_white_v_sqrt_s < 0.1 * white


def test_sigma_follows_the_range_and_not_the_level(tmp_path):
    with scanned(tmp_path, noise=100.0, steps=False, seed=6) as (bench, _):
        ranges = sigma_against(bench, "range_v", [10.0, 1.0], VOLTS_IN, AMPS, pairs=40)
        levels = sigma_against_level(bench, [0.0, 1.0], VOLTS_IN, AMPS, pairs=40)
        with pytest.raises(ConfigError, match=r"roles\.nodes\.channels"):
            bench.reading_with(channels=1)
        with pytest.raises(ConfigError, match="rate_hz"):
            bench.reading_with(rate_hz=1e3)
    wide, fine = ranges.pooled
    assert wide.sigma_v / fine.sigma_v == pytest.approx(10.0, rel=0.3)
    still, driven = levels.pooled
    # Two sigmas of 120 differences each differ by 35 % in less than 1 of 1,000.
    assert driven.sigma_v / still.sigma_v == pytest.approx(1.0, rel=0.35)


def test_thermal_noise_of_the_cells_is_told_from_the_reader_s(tmp_path):
    """At 3e8 K the network is loud: its part is found, and none is claimed at 0 K."""
    for kelvin, shows in ((3e8, True), (0.0, False)):
        with scanned(tmp_path, noise=30.0, kelvin=kelvin, steps=False) as (bench, _):
            found = measure_noise_apart(bench, VOLTS_IN, AMPS, pairs=60)
        assert found.shows is shows
        assert (found.low_v > 0) is shows
        assert found.low_v <= found.network_v <= found.high_v


# Settling -----------------------------------------------------------------------------------------


def modes(world):
    """Time constants (ascending) and modes of the free nodes, from the circuit's conductances."""
    point, free = world._solution(), world.nodes.free
    matrix = world._circuit.matrix
    held = ~np.isin(np.arange(len(matrix)), point.floating)
    moving = [node for node in free if not held[node]]
    rest = [n for n in point.floating if n not in moving]
    own = matrix[np.ix_(moving, moving)]
    across = matrix[np.ix_(moving, rest)]
    reduced = own - across @ np.linalg.solve(matrix[np.ix_(rest, rest)], across.T)
    return np.sort(FARADS / np.linalg.eigvalsh(reduced))


@pytest.fixture(scope="module")
def settling(tmp_path_factory):
    """Steps measured over a card of 100 kHz, and the time constants of its circuit."""
    folder = tmp_path_factory.mktemp("settling")
    with pytest.MonkeyPatch.context() as patch:
        virtual_files.installed(folder, patch)
        patch.setattr(locks, "lock_folder", lambda: folder)
        virtual = {"transients": True, "node_farads": FARADS, "kelvin": 0.0, "ni_noise_v": 2e-5}
        with carded(folder, **virtual) as (bench, world):
            found = measure_step_responses(
                bench, VOLTS_IN, AMPS, points=30, repeats=3, longest_s=3e-2
            )
            taus = modes(world)
            delay = found.delay(2e-5, 1)
            tests = [
                measure_suffices(
                    bench, VOLTS_IN, AMPS, at, 10 * delay.tolerance_v, later_s=3e-3,
                    pairs=15, block=20,
                )
                for at in (delay.high_s, 0.2 * delay.high_s)
            ]  # fmt: skip
            yield found, taus, delay, tests


def test_time_constants_over_the_wire_are_those_of_the_circuit(settling):
    found, taus, _, _ = settling
    assert {step.partition(",")[0] for step in found.steps} == {"clamp", "nudge"}
    for response in found.responses:
        assert response.time_constants_s[0] == pytest.approx(taus[-1], rel=0.05)


def test_the_delay_over_the_wire_is_that_of_the_circuit(settling):
    """Within 5 %: until the circuit's own exponentials leave a tenth of sigma."""
    found, taus, delay, _ = settling
    worst = 0.0
    for node in set(found.nodes):
        parts = [r for r, at in zip(found.responses, found.nodes, strict=True) if at == node]
        slow = sum(abs(r.amplitudes_v[0]) for r in parts)
        worst = max(worst, taus[-1] * np.log(slow / delay.tolerance_v))
    assert delay.delay_s == pytest.approx(worst, rel=0.05)
    assert delay.delay_s < delay.high_s < 1.05 * delay.delay_s


def test_a_delay_is_tested_over_the_wire(settling):
    """A fifth of the delay is refuted, the delay is not; each wrongly in at most 1 of 20."""
    _, _, _, tests = settling
    assert tests[0].verdict is not False
    assert tests[1].verdict is False


def test_what_a_short_wait_does_to_a_read(tmp_path):
    """A read after the bench file's wait of one time constant is a third of the step off."""
    given = direct(NETWORK)
    given["settle"]["seconds"] = 1e-4
    virtual = {"transients": True, "node_farads": FARADS, "kelvin": 0.0, "ni_noise_v": 0.0}
    with on_twin(tmp_path, given, **virtual) as (bench, _):
        bench.clamp(np.zeros(2))
        before = bench.read_after(1.0).mean
        bench.clamp(VOLTS_IN)
        short = bench.read().mean
        after = bench.read_after(1.0).mean
        moved = np.abs(after - before) > 0.01
        left = (after - short)[moved] / (after - before)[moved]
        assert moved.any()
        assert (left > 0.02).all()
        # Reads that are asked for too late come late, and say so.
        bench.clamp(np.zeros(2))
        first = bench.read_after(0.0)
        later = bench.read_after(0.0)
        assert first.delays_s[0] == pytest.approx(0.0)
        assert (later.delays_s[0] >= 1e-3).all()


def test_a_scanner_reads_one_node_after_the_other(tmp_path):
    """Later channels have waited longer, by the instrument's own clock."""
    virtual = {"transients": True, "node_farads": 1e-6, "noise": 0.0}
    with scanned(tmp_path, **virtual) as (bench, _):
        bench.clamp(VOLTS_IN)
        reading = bench.read_after(0.1, samples=3)
        assert (np.diff(reading.delays_s, axis=0) > 0.01).all()
        assert reading.delays_s[0] == pytest.approx(np.full(3, 0.1))


def test_a_device_without_such_reads_says_so():
    from hilep.backends import Relaxation
    from hilep.simulators.backend import SIMULATED

    device = SIMULATED.build(NETWORK, SIMULATED.options(), Relaxation())
    device.program(CELLS)
    for verb in (
        lambda: measure_step_responses(device, VOLTS_IN, AMPS),
        lambda: device.reading_with(nplc=1.0),
    ):
        with pytest.raises(UnsupportedError, match="SimulatedCrossbar"):
            verb()
