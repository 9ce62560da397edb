"""Who may use a bench and when: arming, locks, and the backend by its name."""

import threading

import bench_fakes
import numpy as np
import pytest
from bench_cases import NETWORK, Case

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep import backends, config
from hilep.errors import BadInputError, UnsupportedError
from hilep.instruments import arming
from hilep.instruments.errors import InstrumentError
from hilep.instruments.trips import NotArmedError
from hilep.nudging import Nudging


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(arming, "records", lambda: tmp_path / "armed")


def test_outputs_need_a_passing_check_of_this_very_file(tmp_path):
    case = Case(tmp_path)
    bench = case.bench(unchecked=False)
    with pytest.raises(NotArmedError, match="hilep bench check") as caught, bench:
        raise AssertionError("it was entered")
    assert caught.value.exit_status == 2
    with pytest.raises(NotArmedError):
        bench.clamp(case.volts())
    assert case.world.events == []
    arming.arm(bench.file, {"passed": True})
    with bench:
        bench.clamp(case.volts())
    assert arming.armed(bench.file)["result"] == {"passed": True}
    case.tables["interlock"]["max_node_v"] = 49.0
    with pytest.raises(NotArmedError), case.bench(unchecked=False):
        raise AssertionError("another file was armed")
    arming.disarm(bench.file)
    with pytest.raises(NotArmedError), bench:
        raise AssertionError("it was disarmed")


def test_another_run_on_an_instrument_is_refused_until_it_ends(tmp_path):
    case = Case(tmp_path)
    with case.bench() as first:
        case.started(first)
        events = len(case.world.events)
        second = case.bench()
        with pytest.raises(InstrumentError, match="another run has fake"), second:
            raise AssertionError("it was entered")
        assert len(case.world.events) == events
        first.read()
    with second:
        case.started(second)


def test_threads_cannot_interleave_set_settle_and_read(tmp_path):
    case = Case(tmp_path, layout="one")
    images = [case.volts(4, seed=seed) for seed in range(4)]
    targets, nudging = np.zeros((4, 2)), Nudging("current", (0.0, 1e-6))
    with case.bench() as bench:
        bench.program(case.siemens())
        alone = [bench.free_and_nudged(volts, targets, nudging) for volts in images]
        found = {}

        def take(number):
            found[number] = [
                bench.free_and_nudged(images[number], targets, nudging) for _ in range(5)
            ]

        threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, expected in enumerate(alone):
        for contrast in found[number]:
            assert np.array_equal(contrast.first.mean, expected.first.mean)
            assert np.array_equal(contrast.second.mean, expected.second.mean)
            assert np.array_equal(contrast.inputs, expected.inputs)


def test_nobody_else_gets_at_an_instrument_between_set_and_read(tmp_path):
    case = Case(tmp_path)
    case.tables["settle"]["seconds"] = 60.0
    free = []

    def try_all(seconds):
        def attempt():
            for instrument in case.world.instruments.values():
                free.append(instrument.lock.acquire(blocking=False))

        other = threading.Thread(target=attempt)
        other.start()
        other.join()

    with case.bench() as bench:
        bench.program(case.siemens())
        bench.session.sleep = try_all
        bench.free_and_nudged(case.volts(1), np.zeros((1, 2)), Nudging("current", (0.0, 1e-6)))
    assert free == [False] * 8


def test_the_backend_is_found_by_name_and_takes_a_file(tmp_path):
    case = Case(tmp_path)
    case.file()
    keys = {"backend": "bench", "file": str(case.path)}
    made = backends.crossbar(config.Config.model_validate({"device": keys}), NETWORK)
    assert made.description == "bench bench.toml, 4 instruments"
    assert made.network is NETWORK
    with pytest.raises(BadInputError, match=r"device\.files: unknown key"):
        backends.crossbar(config.Config.model_validate({"device": keys | {"files": "x"}}), NETWORK)


def test_a_bench_has_no_springs(tmp_path):
    bench = Case(tmp_path).bench()
    assert not bench.has_spring
    with pytest.raises(UnsupportedError):
        bench.require(Nudging("spring", (0.0, 1e-6)))
