"""Every way out of a bench leaves the outputs off, and no bad reading enters an update."""

import logging
import threading

import bench_fakes
import numpy as np
import pytest
from bench_cases import Case

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep.errors import BadInputError, HilepError
from hilep.instruments.errors import ComplianceError, InstrumentError, NotAnswering
from hilep.instruments.trips import InterlockError, OverRangeError
from hilep.nudging import Nudging

NUDGING = Nudging("current", (0.0, 1e-6))


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_outputs_are_off_after_any_exception(case, error):
    def work():
        with case.bench() as bench:
            case.started(bench)
            bench.nudge([1e-6, 1e-6])
            assert case.world.outputs_on()
            raise error

    with pytest.raises(error):
        work()
    assert case.world.outputs_on() == []
    assert [event[0] for event in case.world.events if event[1] == "close"]


def test_sources_are_switched_off_before_readers(case):
    with case.bench() as bench:
        case.started(bench)
        case.happened()
    order = [event[0] for event in case.happened() if event[1] == "safe"]
    assert order.index("daq1") > max(order.index("smu1"), order.index("smu2"))


def test_outputs_are_off_when_the_object_is_forgotten(case):
    bench = case.bench()
    case.started(bench)
    assert case.world.outputs_on()
    del bench
    assert case.world.outputs_on() == []


@pytest.mark.parametrize("fault", ["dead", "explodes"])
@pytest.mark.parametrize("name", ["smu1", "smu2", "daq1"])
def test_one_bad_instrument_does_not_keep_the_others_on(case, caplog, name, fault):
    with caplog.at_level(logging.ERROR, "hilep.instruments"), case.bench() as bench:
        case.started(bench)
        case.world.faults[name] = [fault]
        bench.safe()
        with pytest.raises(BadInputError):
            bench.read()
    assert not [line for line in case.world.outputs_on() if not line.startswith(name)]
    assert f"outputs not known to be off: {name}" in caplog.text


@pytest.mark.parametrize("strikes", [{1}, {2}, {3}, {1, 2}, {1, 2, 3, 4, 5}])
def test_a_second_ctrl_c_does_not_leave_an_output_on(case, monkeypatch, strikes):
    """The first wait is within the start of the thread that switches off, others for its end."""
    wait, waits = threading.Event.wait, []

    def interrupted(self, timeout=None):
        if threading.current_thread() is threading.main_thread():
            waits.append(self)
            if len(waits) in strikes:
                raise KeyboardInterrupt
        return wait(self, timeout)

    def work():
        with case.bench() as bench:
            case.started(bench)
            case.world.faults["smu1"] = ["slow"]
            monkeypatch.setattr(threading.Event, "wait", interrupted)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(waits) >= max(strikes)
    assert case.world.outputs_on() == []


@pytest.mark.parametrize("name", ["smu1", "smu2", "daq1"])
def test_an_instrument_that_is_dead_at_the_start_leaves_all_the_others_off(case, name):
    case.world.faults[name] = ["dead"]
    with pytest.raises(NotAnswering), case.bench():
        raise AssertionError("it was entered")
    others = {"smu1", "smu2", "daq1", "gates"} - {name}
    assert others <= {event[0] for event in case.world.events if event[1] == "safe"}
    case.world.faults.clear()
    with case.bench() as bench:
        case.started(bench)


FAULTS = [
    ("smu1", "compliance", ComplianceError, "input 0 (smu1.a) is at its limit of 0.001 A"),
    ("smu2", "compliance", ComplianceError, "output 0 (smu2.a) is at its limit of 20 V"),
    ("daq1", "overrange", OverRangeError, "output 1 (daq1.105): no good reading"),
    ("daq1", "invalid", OverRangeError, "hidden node 0 of layer 1 (daq1.101): no good reading"),
    ("smu2", "found off", InstrumentError, "output 0 (smu2.a): its output was found off"),
    ("smu1", "invalid", InstrumentError, "input 0 (smu1.a): invalid"),
    ("smu1", "dead", NotAnswering, "no answer"),
    ("smu2", "dead", NotAnswering, "no answer"),
    ("daq1", "dead", NotAnswering, "no answer"),
]


@pytest.mark.parametrize(("name", "fault", "error", "text"), FAULTS)
@pytest.mark.parametrize("phase", ["free", "nudged", "batch"])
def test_a_bad_reading_is_a_typed_error_and_never_enters_an_update(
    case, name, fault, error, text, phase
):
    bench, before = case.bench(), case.siemens()

    def spoil(*_):
        case.world.faults[name] = [fault]

    def work():
        with bench:
            case.started(bench)
            volts, targets = case.volts(3, seed=4), np.zeros((3, 2))
            if phase == "free":
                spoil()
                bench.read(4)
            elif phase == "batch":
                spoil()
                bench.read_batch(volts, 4)
            else:
                nudge = bench.session.station.nudge
                inject = nudge.inject
                nudge.inject = lambda amps: (spoil(), inject(amps))[1]
                bench.update([bench.free_and_nudged(volts, targets, NUDGING, 4)])

    with pytest.raises(error) as caught:
        work()
    assert text in str(caught.value)
    assert isinstance(caught.value, HilepError)
    assert "\n" not in str(caught.value)
    left = [line for line in case.world.outputs_on() if not line.startswith(name)]
    assert left == []
    for have, want in zip(bench.conductances(), before, strict=True):
        assert np.array_equal(have, want)


def test_compliance_names_limit_and_reading(case):
    with case.bench() as bench:
        case.started(bench)
        case.world.faults["smu2"] = ["compliance"]
        with pytest.raises(ComplianceError) as caught:
            bench.read()
        assert (caught.value.limit, caught.value.unit) == (20.0, "V")
        assert np.isfinite(caught.value.reading)


@pytest.mark.parametrize("verb", ["read", "read_batch", "free_and_nudged"])
def test_a_node_beyond_the_interlock_switches_off_at_once(case, verb):
    case.tables["interlock"]["max_node_v"] = 0.05
    with case.bench() as bench:
        case.started(bench)
        volts = np.ones((2, 3))
        bench.clamp(volts[0])
        calls = {
            "read": (bench.read, 4),
            "read_batch": (bench.read_batch, volts, 4),
            "free_and_nudged": (bench.free_and_nudged, volts, np.zeros((2, 2)), NUDGING),
        }
        call, *arguments = calls[verb]
        with pytest.raises(InterlockError) as caught:
            call(*arguments)
        assert abs(caught.value.reading) > caught.value.limit == 0.05
        assert case.world.outputs_on() == []
        with pytest.raises(BadInputError, match="clamp the inputs first"):
            bench.read()


def test_safe_from_another_thread_ends_what_is_going_on(case):
    case.tables["settle"]["seconds"] = 60.0
    with case.bench() as bench:
        case.started(bench)

        def meanwhile(seconds):
            thread = threading.Thread(target=bench.safe)
            thread.start()
            thread.join()

        bench.session.sleep = meanwhile
        with pytest.raises(HilepError):
            bench.read()
        assert case.world.outputs_on() == []


def test_the_nudge_is_released_after_an_error_between_phases(case):
    with case.bench() as bench:
        case.started(bench)
        with pytest.raises(BadInputError):
            bench.free_and_nudged(case.volts(2, seed=3), np.full((2, 2), 1e3), NUDGING)
        assert [case.world.level(line) for line in case.world.wiring["nudge"]] == [0.0, 0.0]
        bench.read()


def test_a_missing_supervisor_keeps_the_outputs_off(case, monkeypatch):
    from hilep.instruments import supervisor
    from hilep.instruments.trips import SupervisorError

    monkeypatch.setattr(supervisor, "READY", "something else")
    case.tables["interlock"]["supervisor"] = True
    with pytest.raises(SupervisorError), case.bench() as bench:
        bench.clamp(case.volts())
    assert not any("on" in event[1:2] for event in case.world.events)


@pytest.mark.parametrize("faults", [{}, {"smu2": ["dead"]}])
def test_the_supervisor_is_let_go_only_where_all_is_known_to_be_off(case, monkeypatch, faults):
    from hilep.instruments import connections

    told = []

    class Watching:
        def __init__(self, charges):
            self.names = sorted(charge.name for charge in charges)

        def require(self):
            pass

        def dismiss(self, goodbye):
            told.append((self.names, goodbye))

    monkeypatch.setattr(connections, "Supervisor", Watching)
    case.tables["interlock"]["supervisor"] = True
    with case.bench() as bench:
        case.started(bench)
        case.world.faults.update(faults)
    assert told == [(["daq1", "gates", "smu1", "smu2"], not faults)]
