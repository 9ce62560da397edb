"""Gains and offsets put into the channels of a virtual bench come back, and applying them helps."""

import contextlib
import datetime
import json

import numpy as np
import pytest
import virtual_files
from virtual_files import NETWORK, bench_file, direct, siemens

from hilep.calibration.measurechannels import compare_channel, levels_of, measure_channels
from hilep.config import load
from hilep.corrections import ChannelLine, Corrections
from hilep.data.dataset import Dataset, Split
from hilep.errors import BadInputError, UnsupportedError
from hilep.testing import equilibrium
from hilep.trainer import Trainer

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.nudging import Nudging
from hilep.simulators.virtual.twin import twin

DAY = datetime.date(2026, 3, 1)
CLAMPS = [f"card.ao{k}" for k in range(4)]
NUDGES = ["smu1.a", "smu1.b"]
NODES = [f"card.ai{k}" for k in range(5)]


@pytest.fixture(autouse=True)
def _drivers(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


def imperfect(seed=3):
    """Gains within some percent and offsets, by channel: of readers and of sources."""
    generator = np.random.default_rng(seed)

    def drawn(channels, spread, offset):
        gains = 1 + spread * generator.standard_normal(len(channels))
        offsets = offset * generator.standard_normal(len(channels))
        return dict(zip(channels, gains.tolist(), strict=True)), dict(
            zip(channels, offsets.tolist(), strict=True)
        )

    readers = drawn(NODES, 0.02, 2e-3)
    clamps, nudges = drawn(CLAMPS, 0.02, 2e-3), drawn(NUDGES, 0.03, 2e-8)
    return readers, ({**clamps[0], **nudges[0]}, {**clamps[1], **nudges[1]})


def tables(spoiled=True, **virtual):
    given = direct(NETWORK)
    given["instruments"]["ref1"] = {"driver": "keithley2450", "resource": "GPIB0::2::INSTR"}
    given["instruments"]["relays"] = {
        "driver": "keithleydaq6510", "resource": "GPIB0::3::INSTR", "expect": "DAQ6510",
    }  # fmt: skip
    given["roles"]["reference"] = {
        "channel": "ref1.a",
        "paths": {c: f"relays.{101 + k}" for k, c in enumerate([*CLAMPS, *NUDGES, *NODES])},
        "range_v": 2.0, "limit_a": 1e-4, "range_a": 1e-6, "limit_v": 2.0,
    }  # fmt: skip
    given["roles"]["nodes"]["range_v"] = 2.0
    readers, sources = imperfect()
    given["virtual"] = {"ni_noise_v": 1e-5, "contact_ohm": 1e-3, **virtual}
    if spoiled:
        given["virtual"] |= {
            "gains": readers[0], "offsets": readers[1],
            "source_gains": sources[0], "source_offsets": sources[1],
        }  # fmt: skip
    return given


@contextlib.contextmanager
def on_twin(folder, given):
    served = []

    @contextlib.contextmanager
    def kept(file, network):
        with twin(file, network) as resources:
            served.append(resources)
            yield resources

    with Bench(bench_file(folder, given), NETWORK, twin=kept) as bench:
        yield bench, served[0]
        bench.session.end()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """All channels of the bench, compared."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        virtual_files.installed(folder, patch)
        patch.setattr(locks, "lock_folder", lambda: folder)
        with on_twin(folder, tables()) as (bench, _):
            return measure_channels(bench.channel_comparison(), today=DAY)


def corrections(found):
    lines = {"reader": {}, "source": {}}
    for one in found.channels:
        lines[one.role][one.channel] = ChannelLine(
            one.channel, one.role, one.gain, one.offset, one.unit, one.expires
        )
    return Corrections("cal.h5", "0" * 64, lines["reader"], lines["source"])


def test_what_was_put_into_the_channels_comes_back(measured):
    """22 numbers, each within 4 standard uncertainties: a false alarm in fewer than 1 of 400."""
    (gains, offsets), (source_gains, source_offsets) = imperfect()
    assert measured.problems == ()
    assert len(measured.channels) == 11
    for one in measured.channels:
        given = (gains, offsets) if one.role == "reader" else (source_gains, source_offsets)
        assert abs(one.gain - given[0][one.channel]) < 4 * one.u_gain, one
        assert abs(one.offset - given[1][one.channel]) < 4 * one.u_offset, one
        assert one.u_gain < 1e-3
        assert "2450" in one.reference
        assert one.expires == DAY + datetime.timedelta(days=365)
    assert measured.released.channels == tuple(NUDGES)
    assert measured.released.released == (False, False)
    left = [source_offsets[channel] for channel in NUDGES]
    np.testing.assert_allclose(measured.released.amps, left, atol=2e-10)


def contrast_error(bench, world):
    """How far the contrast of two phases lies from that of the ideal network, relative."""
    inputs, targets = np.array([[0.7, -0.4], [-0.3, 0.8]]), np.array([[0.2, -0.2], [-0.2, 0.3]])
    nudging = Nudging.of("positive", "current", 2e-6, "mean", 2)
    found = bench.free_and_nudged(inputs, targets, nudging, samples=4)
    error = scale = 0.0
    for k, (row, aim) in enumerate(zip(inputs, targets, strict=True)):
        free = equilibrium(NETWORK, world.siemens(), None, row)
        amps = nudging.strengths[1] * (aim - free[NETWORK.output_slice])
        nudged = equilibrium(NETWORK, world.siemens(), None, row, amps=amps)
        ideal = edges(NETWORK, row, nudged) - edges(NETWORK, row, free)
        given = found.inputs[k]
        seen = edges(NETWORK, given, found.second.mean[k])
        seen -= edges(NETWORK, given, found.first.mean[k])
        error += float(((seen - ideal) ** 2).sum())
        scale += float((ideal**2).sum())
    return np.sqrt(error / scale)


def edges(network, inputs, free):
    """Squared drops of volts of all cells: eq. (2), whose contrast the learning rule takes."""
    bias = network.bias_volts
    before, parts, start = np.concatenate([inputs, bias]), [], 0
    for width in network.layers[1:]:
        after = free[start : start + width]
        parts.append(((before[:, None] - after) ** 2).ravel())
        before, start = np.concatenate([after, bias]), start + width
    return np.concatenate(parts)


def test_applying_them_makes_reads_sets_and_the_gradient_right(tmp_path, measured):
    """Errors of some percent and 2 mV become those of steps and noise."""
    conductances = siemens(NETWORK, low=1e-6, high=9e-6)
    inputs, amps = np.array([0.7, -0.4]), np.array([4e-7, -3e-7])
    errors = {}
    for applied in (False, True):
        with on_twin(tmp_path, tables()) as (bench, resources):
            if applied:
                bench.apply_corrections(corrections(measured))
            bench.program(conductances)
            world = resources.world
            bench.clamp(inputs)
            free = bench.read(4)
            achieved = bench.nudge(amps)
            nudged = bench.read(4)
            true = [
                equilibrium(NETWORK, world.siemens(), None, inputs),
                equilibrium(NETWORK, world.siemens(), None, inputs, amps=amps),
            ]
            errors[applied] = {
                "free": np.abs(free.mean - true[0]).max(),
                "nudged": np.abs(nudged.mean - true[1]).max(),
            }
            if applied:
                np.testing.assert_allclose(achieved, amps, atol=1e-10)
                bench.nudge(None)
                again = bench.read(4)
                np.testing.assert_allclose(again.mean, free.mean, atol=2e-4)
                assert bench.snapshot()["corrections"]["sources"]["smu1.a"]["unit"] == "A"
            errors[applied]["contrast"] = contrast_error(bench, world)
    for name in ("free", "nudged", "contrast"):
        assert errors[True][name] < errors[False][name] / 5, name
    assert errors[True]["free"] < 3e-4


def taught(inputs):
    """Samples whose targets another conductance of the same network reaches."""
    teacher = siemens(NETWORK, seed=7, low=5e-7, high=9e-6)
    outputs = [equilibrium(NETWORK, teacher, None, row)[NETWORK.output_slice] for row in inputs]
    split = Split(
        inputs.astype(np.float32), np.arange(len(inputs)), np.float32(1), False, np.stack(outputs)
    )
    return Dataset("taught", ("left", "right"), split, split, split)


def test_applying_them_improves_training(tmp_path):
    """Readers are 5 % and 20 mV off, and known to be: the same start and updates end nearer the
    targets, as the true volts have it.
    """
    inputs = np.array([[0.7, -0.4], [-0.3, 0.8], [0.5, 0.6], [-0.7, -0.5]])
    dataset = taught(inputs)
    targets = dataset.train.targets(np.arange(len(inputs)))
    settings = ["beta_siemens=2e-6", "updates=80", "batch_size=4", "eta=4e-9"]
    training = load(None, [f"training.{one}" for one in settings]).training

    def cost(held):
        found = [equilibrium(NETWORK, held, None, row)[NETWORK.output_slice] for row in inputs]
        return float(((np.stack(found) - targets) ** 2).mean())

    generator = np.random.default_rng(11)
    gains = 1 + 0.05 * generator.standard_normal(len(NODES))
    offsets = 0.02 * generator.standard_normal(len(NODES))
    fine = tables(
        spoiled=False,
        gains=dict(zip(NODES, gains.tolist(), strict=True)),
        offsets=dict(zip(NODES, offsets.tolist(), strict=True)),
    )
    readers = {
        name: ChannelLine(name, "reader", gain, offset, "V", DAY)
        for name, gain, offset in zip(NODES, gains.tolist(), offsets.tolist(), strict=True)
    }
    fine["roles"]["program"]["tolerance"] = 0.005
    ends = {}
    for applied in (False, True):
        with on_twin(tmp_path, fine) as (bench, _):
            if applied:
                bench.apply_corrections(Corrections("cal.h5", "0" * 64, readers, {}))
            bench.program(siemens(NETWORK, seed=1, low=2e-6, high=6e-6))
            begun = cost(bench.conductances())
            Trainer(bench, dataset, training).run()
            ends[applied] = cost(bench.conductances())
    assert ends[False] < begun
    assert ends[True] < ends[False] / 3


def test_what_is_there_stays_within_the_limits(tmp_path, measured):
    """A clamp whose gain is below 1 is set to more than `max_v`, so that `max_v` is there."""
    with on_twin(tmp_path, tables()) as (bench, resources):
        bench.apply_corrections(corrections(measured))
        bench.program(siemens(NETWORK))
        for volts in ([1.0, 1.0], [-1.0, -1.0]):
            bench.clamp(volts)
            bench.read()
            world = resources.world
            there = world.measure(["x0", "x1"], 0.0, np.random.default_rng(0)).volts[0]
            np.testing.assert_allclose(there, volts, atol=4e-4)
            assert np.abs(there).max() < 1 + 1e-4


def test_a_lab_script_compares_with_two_functions():
    generator = np.random.default_rng(5)
    level = [0.0]

    def set_level(volts):
        level[0] = volts
        return volts

    def read(reads):
        return 1.01 * level[0] - 0.003 + 1e-4 * generator.standard_normal(reads)

    found = compare_channel(
        "daq1.101", set_level, read, levels_of(0.5, 21), 4,
        role="reader", reference="SMU 12345", measured=DAY, u_reference_gain=1e-4,
    )  # fmt: skip
    assert abs(found.gain - 1.01) < 4 * found.u_gain
    assert abs(found.offset + 0.003) < 4 * found.u_offset
    assert found.u_gain > 1e-4
    assert level == [0.0]


def test_levels_are_uneven_and_within_their_ends():
    levels = levels_of(2.0, 33)
    gaps = np.diff(levels)
    assert np.abs(levels).max() <= 2.0
    assert (gaps > 0).all()
    assert gaps.max() > 1.5 * gaps.min()
    assert np.ptp(levels) > 3.8


def test_what_cannot_be_compared_is_refused(tmp_path, measured):
    without = tables()
    del without["roles"]["reference"]
    with (
        on_twin(tmp_path, without) as (bench, _),
        pytest.raises(UnsupportedError, match=r"roles\.reference: missing"),
    ):
        bench.channel_comparison()
    with on_twin(tmp_path, tables()) as (bench, _):
        bench.apply_corrections(corrections(measured))
        with pytest.raises(BadInputError, match="without corrections"):
            bench.channel_comparison()
        other = ChannelLine("smu1.a", "source", 1.0, 0.0, "V", DAY)
        with pytest.raises(BadInputError, match=r"smu1\.a: calibrated as a source of V"):
            bench.apply_corrections(Corrections("cal.h5", "", {}, {"smu1.a": other}))
        with pytest.raises(BadInputError, match="none of its channels"):
            bench.apply_corrections(Corrections("cal.h5", "", {"daq9.101": other}, {}))


def test_a_channel_that_nobody_has_is_one_line(tmp_path):
    from hilep.errors import ConfigError

    given = tables()
    given["roles"]["reference"]["paths"]["smu9.a"] = "relays.130"
    with pytest.raises(ConfigError, match=r"roles\.reference\.paths: smu9\.a"):
        bench_file(tmp_path, given)


def test_what_has_expired_is_one_line():
    lines = {
        name: ChannelLine(name, "reader", 1.0, 0.0, "V", DAY + datetime.timedelta(days=day))
        for name, day in (("daq1.101", 3), ("daq1.102", 1), ("daq1.103", 30))
    }
    found = Corrections("cal.h5", "", lines, {})
    assert found.expired(DAY) is None
    assert "1 of 3 channels" in found.expired(DAY + datetime.timedelta(days=1))
    late = found.expired(DAY + datetime.timedelta(days=3))
    assert "2 of 3 channels has expired, that of daq1.102 on 2026-03-02" in late


# Through the command ------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path):
    """A configuration on the virtual bench of the exclusive or."""
    from hilep.network import Network

    network = Network((4, 2, 2), "split", "row", bias_v=0.5, g_min_siemens=1e-7, g_max_siemens=1e-5)
    given = direct(network)
    given["instruments"]["smu1"]["expect"] = "2602B"
    for name in ("ref1", "relays"):
        given["instruments"][name] = tables()["instruments"][name]
    given["roles"]["reference"] = {
        **tables()["roles"]["reference"],
        "paths": {"card.ao0": "relays.101", "card.ai3": "relays.102", "smu1.a": "relays.103"},
    }
    given["virtual"] = {"source_gains": {"smu1.a": 0.9}, "gains": {"card.ai3": 1.02}}
    (tmp_path / "bench.toml").write_text(virtual_files.written(given))
    values = {
        "data": {"name": "xor", "gamma_v": 0.5, "target_v": 0.1},
        "network": {
            "layers": [4, 2, 2], "bias": "row", "bias_v": 0.5, "g_min_siemens": 1e-7,
            "g_max_siemens": 1e-5, "initial_scale_siemens": 1e-5,
        },
        "device": {"backend": "bench", "file": str(tmp_path / "bench.toml"), "virtual": True},
        "training": {"beta_siemens": 1e-6, "eta": 1e-10, "updates": 2},
        "calibration": {
            "pairs": 20, "reads": 64, "settling": False, "channels": True, "channel_levels": 7,
        },
    }  # fmt: skip
    path = tmp_path / "run.toml"
    path.write_text(virtual_files.written(values))
    return path


def answer(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_command_measures_channels_and_a_later_run_applies_them(config, tmp_path, capsys):
    from hilep import backends
    from hilep.cli import run
    from hilep.config import load

    out = tmp_path / "cal.h5"
    assert run(["calibrate", str(config), "--out", str(out), "--json"]) == 0
    assert not any(line.startswith("channels") for line in answer(capsys)["problems"])
    found = Corrections.load(out)
    assert set(found.readers) == {"card.ai3"}
    assert set(found.sources) == {"card.ao0", "smu1.a"}
    assert found.sources["smu1.a"].gain == pytest.approx(0.9, rel=1e-3)
    from hilep.calibration.calibrationfile import read

    whole = read(out)
    assert [one.role for one in whole.channels] == ["source", "reader", "source"]
    assert whole.released.channels == ("smu1.a",)
    assert whole.released.released == (True,)
    applied = load(config, [f"device.calibration={json.dumps(str(out))}"])
    with backends.crossbar(applied, applied.network.network()) as bench:
        bench.program([np.full(shape, 5e-6) for shape in bench.network.shapes])
        bench.clamp(np.zeros(4))
        assert bench.nudge([5e-7, 0.0])[0] == pytest.approx(5e-7, rel=1e-3)
        assert bench.snapshot()["corrections"]["path"] == str(out)
        assert bench.session.station.sources.settings(bench.session.station.nudge.lines)[
            0
        ] == pytest.approx(5e-7 / 0.9, rel=1e-2)


def test_a_run_with_an_expired_calibration_says_so_once(config, tmp_path, capsys, caplog):
    import h5py

    from hilep import backends
    from hilep.cli import run
    from hilep.config import load

    out = tmp_path / "cal.h5"
    assert run(["calibrate", str(config), "--out", str(out), "--json"]) == 0
    with h5py.File(out, "r+") as file:
        del file["channels/0/expires"]
        file["channels/0/expires"] = "2020-01-01"
    applied = load(config, [f"device.calibration={json.dumps(str(out))}"])
    caplog.clear()
    backends.crossbar(applied, applied.network.network())
    [record] = [one for one in caplog.records if "expired" in one.getMessage()]
    assert "1 of 3 channels has expired, that of card.ao0 on 2020-01-01" in record.getMessage()
    with h5py.File(out, "r+") as file:
        del file["channels"]
    with pytest.raises(BadInputError, match="holds no gains and offsets"):
        backends.crossbar(applied, applied.network.network())


def test_a_device_without_a_reference_says_so_in_one_line(tmp_path, capsys):
    from command_line import settings

    from hilep.cli import run

    path = tmp_path / "small.toml"
    path.write_text("")
    values = {
        "device.sigma_v": "1e-4", "calibration.pairs": "20", "calibration.reads": "64",
        "calibration.channels": "true",
    }  # fmt: skip
    words = [*settings(values), "--out", str(tmp_path / "cal.h5"), "--json"]
    assert run(["calibrate", str(path), *words]) == 0
    [line] = [one for one in answer(capsys)["problems"] if one.startswith("channels")]
    assert "no reference to compare channels with" in line
