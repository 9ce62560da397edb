"""Gains and offsets put into the channels of a virtual bench come back, and applying them helps."""

import contextlib
import datetime
import json

import numpy as np
import pytest
import virtual_files
from virtual_files import NETWORK, bench_file, direct, siemens

from hilep.calibration.measurechannels import compare_channel, levels_of, measure_channels
from hilep.corrections import ChannelLine, Corrections
from hilep.errors import BadInputError, UnsupportedError
from hilep.testing import equilibrium

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.instruments.errors import ComplianceError
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


@pytest.fixture
def measured(tmp_path):
    """All channels of the bench, compared."""
    with on_twin(tmp_path, tables()) as (bench, _):
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
        print(one.channel, one.gain, one.offset, one.u_gain, one.u_offset)
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
