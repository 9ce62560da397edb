"""The bench in order: messages, sequence, what is recorded, writing, arming and locks."""

from collections import Counter

import bench_fakes
import numpy as np
import pytest
from bench_cases import NETWORK, Case, nothing_but

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep.errors import LimitError
from hilep.instruments import arming, roles
from hilep.instruments.errors import RangeLimitError
from hilep.network import Network
from hilep.nudging import Nudging


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(arming, "records", lambda: tmp_path / "armed")


def counts(world):
    return {name: Counter(one.messages) for name, one in world.instruments.items()}


def messages_of(case, layout, images, samples, variant):
    bench = case.bench()
    strengths = {"positive": (0.0, 1e-6), "centered": (-1e-6, 1e-6)}[variant]
    with bench:
        case.started(bench)
        bench.read()
        before = counts(case.world)
        bench.free_and_nudged(
            case.volts(images, seed=2),
            np.zeros((images, 2)),
            Nudging("current", strengths),
            samples,
        )
        after = counts(case.world)
    return {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize("layout", ["scanner", "own", "one"])
@pytest.mark.parametrize("samples", [1, 7, 1000, 2500])
@pytest.mark.parametrize("nodes", [2, 9])
def test_an_instrument_gets_one_write_and_one_query_in_each_phase(tmp_path, layout, samples, nodes):
    network = Network((3, nodes, 2), "split", "row", g_min_siemens=1e-7, g_max_siemens=1e-5)
    images, fulls = 4, -(-samples // 1000)
    case = Case(tmp_path, network, layout)
    sent = messages_of(case, layout, images, samples, "positive")
    readers = {"scanner": {"daq1"}, "own": {"daq1", "smu1"}, "one": {"daq1"}}[layout]
    for name, messages in sent.items():
        queries = 0 if name in ("gates", "out1") else 2 * images
        assert messages["query"] == queries * (fulls if name in readers else 1), name
        assert messages["configure"] == messages["switch"] == 0, name
    # The first image's free phase needs no release, and the last image's release has no phase.
    expected = {
        "scanner": {"smu1": images, "smu2": 2 * images},
        "own": {"out1": images, "smu1": 2 * images},
        "one": {"smu1": 2 * images + 1},
    }[layout]
    assert {name: m["write"] for name, m in sent.items() if m["write"]} == expected


def test_a_centred_nudge_takes_three_phases(tmp_path):
    sent = messages_of(Case(tmp_path), "scanner", 5, 1, "centered")
    assert sent["smu1"] == Counter(write=5, query=15)
    assert sent["smu2"] == Counter(write=15, query=15)
    assert sent["daq1"] == Counter(query=15)


def test_entering_identifies_and_switches_off_and_nothing_more(tmp_path):
    case = Case(tmp_path)
    with case.bench():
        events = case.happened()
        for name in case.world.instruments:
            assert [event for event in events if event[0] == name] == [
                (name, "identify"),
                (name, "safe"),
            ]


def test_limits_come_before_levels_and_levels_before_outputs(tmp_path):
    case = Case(tmp_path)
    case.tables["roles"]["supply"] = {
        "channels": ["smu1.p"],
        "volts": [0.3],
        "range_v": 2.0,
        "limit_a": 1e-3,
    }
    with case.bench() as bench:
        bench.clamp(case.volts())
        events = case.happened("smu1", "smu2")
    order = [event[1] for event in events if event[1] in ("limit", "level", "on")]
    configured = order[: order.index("on")]
    assert set(configured) == {"limit", "level"}
    assert set(order[len(configured) :]) == {"on"}
    for name in ("smu1", "smu2"):
        for channel in {e[2] for e in events if e[0] == name and e[1] == "on"}:
            steps = [e[1] for e in events if e[0] == name and e[2:] == (channel,)]
            assert steps == ["limit", "level", "on"]
    # Supplies are up before inputs are clamped, and inputs before the nudge can be.
    assert next(e for e in events if e[1] == "on") == ("smu1", "on", "p")
    applied = [event[2] for event in events if event[1] == "apply"]
    assert applied[0] == {"p": 0.3}
    assert case.world.outputs_on() == []


def test_bias_rows_are_at_their_volts(tmp_path):
    case = Case(tmp_path)
    with case.bench() as bench:
        bench.clamp(case.volts())
        plus, minus = case.tables["roles"]["clamp"]["bias_channels"]
        assert (case.world.level(plus), case.world.level(minus)) == (1.0, -1.0)


def test_the_nudge_is_released_before_inputs_change(tmp_path):
    case = Case(tmp_path)
    with case.bench() as bench:
        case.started(bench)
        bench.nudge([1e-6, -1e-6])
        case.happened()
        bench.clamp(case.volts(seed=5))
        writes = [event[0] for event in case.happened() if event[1] == "apply"]
    assert writes == ["smu2", "smu1"]


def test_what_the_sources_achieved_is_what_is_recorded(tmp_path):
    case = Case(tmp_path)
    case.world.faults["step"] = {"smu1": 0.01, "smu2": 1e-8}
    with case.bench() as bench:
        case.started(bench)
        images = case.volts(4)
        contrast = bench.free_and_nudged(
            images, np.full((4, 2), 0.5), Nudging("current", (0.0, 1e-6)), 2
        )
        assert np.allclose(contrast.inputs, np.round(images, 2), atol=1e-12)
        assert not np.allclose(contrast.inputs, images, atol=1e-6)
        steps = contrast.amps / 1e-8
        assert np.allclose(steps, np.round(steps), atol=1e-6)
        # A nudge below the source's step is 0, flagged and not refused.
        assert bench.nudge([1e-10, 2e-8]).tolist() == pytest.approx([0.0, 2e-8])
        nudge = bench.session.station.nudge
        assert nudge.vanished == 1
        assert nudge.snapshot()["vanished_nudges"] == 1


def test_a_level_that_one_instrument_refuses_leaves_the_others_as_they_were(tmp_path):
    case = Case(tmp_path)
    case.world.faults["smu1"] = ["refuses b"]
    with case.bench() as bench:
        case.world.faults.clear()
        case.started(bench)
        bench.nudge([1e-6, 1e-6])
        before = dict(case.world.levels)
        case.world.faults["smu1"] = ["refuses b"]
        with pytest.raises(RangeLimitError):
            bench.clamp(case.volts(seed=9))
        assert case.world.levels == before


def test_limits_of_the_bench_hold_besides_those_of_the_network(tmp_path):
    case = Case(tmp_path)
    case.tables["roles"]["clamp"]["max_v"] = 1.5
    case.tables["roles"]["nudge"]["max_a"] = 2e-6
    with case.bench() as bench:
        case.started(bench)
        with pytest.raises(LimitError, match=r"limit is 1\.5 V"):
            bench.clamp([1.6, 0.0, 0.0])
        with pytest.raises(LimitError, match=r"limit is 2e-06 A"):
            bench.nudge([3e-6, 0.0])


def test_settling_is_waited_for_once_after_each_change(tmp_path):
    case = Case(tmp_path)
    case.tables["settle"]["seconds"] = 60.0
    waits = []
    with case.bench() as bench:
        bench.session.sleep = waits.append
        case.started(bench)
        for _ in range(3):
            bench.read()
        assert len(waits) == 1
        bench.nudge([1e-6, 0.0])
        bench.read()
        bench.nudge([1e-6, 0.0])
        bench.read()
        assert len(waits) == 2
        bench.update([nothing_but(NETWORK, 0, 0, 0, 1e-7)])
        bench.read()
        assert len(waits) == 3
        # What the messages since the change took counts.
        assert all(50 < seconds <= 60 for seconds in waits)


def test_reads_carry_their_time_and_every_instrument_s_samples(tmp_path):
    import time

    case = Case(tmp_path)
    with case.bench() as bench:
        case.started(bench)
        begun = time.time()
        reading = bench.read(3)
        assert begun <= reading.time_s <= time.time()
        nodes = bench.session.station.nodes
        assert nodes.acquired["daq1"].time_s.shape == (3, 5)
        assert nodes.acquired["smu1"].samples == 1
        some = nodes.read([4, 0], 2)
        assert np.allclose(some.volts, reading.mean[[4, 0]], rtol=1e-12)


def test_snapshot_holds_the_file_and_every_instrument(tmp_path):
    case = Case(tmp_path)
    bench = case.bench()
    assert bench.state() == {}
    assert bench.snapshot()["file_sha256"] == bench.file.sha256
    with bench:
        bench.clamp(case.volts())
    kept = bench.snapshot()
    assert set(kept["instruments"]) == {"smu1", "smu2", "daq1", "gates"}
    assert set(kept["roles"]) == {"clamp", "nudge", "nodes", "program"}
    assert kept["file_text"] == case.path.read_text()


def test_the_roles_are_what_their_protocols_say(tmp_path):
    case = Case(tmp_path)
    case.tables["roles"]["supply"] = {
        "channels": ["smu1.p"],
        "volts": [0.3],
        "range_v": 2.0,
        "limit_a": 1e-3,
    }
    with case.bench() as bench:
        station = bench.session.station
        for role, protocol in (
            (station.clamp, roles.ClampSource),
            (station.nudge, roles.NudgeSource),
            (station.supply, roles.Supply),
            (station.nodes, roles.NodeVoltmeter),
            (station.programmer, roles.ConductanceProgrammer),
        ):
            assert isinstance(role, protocol)
        assert station.clamp.identity == {"smu1": "Fakes, F1, 0001, 1.0"}
        for instrument in case.world.instruments.values():
            assert isinstance(instrument, roles.Instrument)
