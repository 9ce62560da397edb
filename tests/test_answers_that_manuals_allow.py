"""Answers that a manual allows but ours does not give: spaces, signs, letters, identities."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import virtual_bench

from hilep.instruments import locks
from hilep.instruments.errors import IdentityError, InstrumentError
from hilep.simulators.virtual.server import InstrumentServer
from hilep.simulators.virtual.world import Drive

pytest.importorskip("pymeasure", reason="needs the bench extra")

from hilep.instruments.keithley2400 import Keithley2400
from hilep.instruments.keithley2450 import Keithley2450
from hilep.instruments.keithley2600 import Keithley2600
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.keysight34970a import Keysight34970A
from hilep.instruments.keysightb2900 import KeysightB2900

SMUS = {
    "2400": Keithley2400,
    "2450": Keithley2450,
    "2600": Keithley2600,
    "B2900": KeysightB2900,
}
SCANNERS = {"DAQ6510": KeithleyDAQ6510, "34970A": Keysight34970A, "DAQ970A": Keysight34970A}
DRIVERS = {**SMUS, **SCANNERS}


def spaced(answer: str) -> str:
    return answer.replace(",", ", ")


def unsigned(answer: str) -> str:
    return re.sub(r"(?<![0-9.eE])\+(?=[0-9])", "", answer)


def signed(answer: str) -> str:
    return re.sub(r"(^|[,;\t])(?=[0-9])", r"\1+", answer)


def lower(answer: str) -> str:
    return re.sub(r"E([+-]\d)", r"e\1", answer).replace("No error", "no error")


def bare(answer: str) -> str:
    return re.sub(r'"No error[^"]*"', '"No error"', answer)


def padded(answer: str) -> str:
    return f" {answer} \r"


VARIANTS = [spaced, unsigned, signed, lower, bare, padded]


class Varied:
    """An instrument whose answers are changed on their way."""

    def __init__(self, instrument, change: Callable[[str], str]) -> None:
        self._instrument, self._change = instrument, change

    def __getattr__(self, name: str):
        return getattr(self._instrument, name)

    def answer(self, message: str) -> bytes:
        given = self._instrument.answer(message)
        lines = given.decode().split("\n")
        return "\n".join(self._change(line) if line else line for line in lines).encode()


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


@contextmanager
def met(name: str, change: Callable[[str], str], world=None, **keywords) -> Iterator:
    """A started driver that hears its virtual instrument's answers changed."""
    if name == "2600":
        pytest.importorskip("lupa", reason="needs the bench extra")
    instrument = Varied(virtual_bench.built(name, world), change)
    with (
        InstrumentServer(instrument) as server,
        DRIVERS[name](server.resource, timeout_s=1.0, **keywords) as driver,
    ):
        yield driver


@pytest.mark.parametrize("change", VARIANTS)
@pytest.mark.parametrize("name", SMUS)
def test_a_source_meter_understands_every_form_of_an_answer(name, change):
    if name == "2600" and change is signed:
        pytest.skip("its numbers are formatted by the driver's own functions")
    with met(name, change) as smu:
        at = next(iter(smu.channels))
        smu.channels[at].source_voltage(1e-4, range_v=1.0 if name == "2600" else 2.0)
        smu.channels[at].on()
        smu.apply({at: 0.5})
        got = smu.acquire(3)
        np.testing.assert_allclose(got.amps, 0.5 / virtual_bench.LOAD_OHMS, rtol=1e-3)
        assert not got.status.any()
        smu.zero()
        assert smu.pulse(at, 0.5, 0.01, 1e-4).samples == 1
        assert smu.snapshot()["outputs"][at] is True
        assert set(smu.recover()) == set(smu.channels)


@pytest.mark.parametrize("change", VARIANTS)
@pytest.mark.parametrize("name", SCANNERS)
def test_a_scanner_understands_every_form_of_an_answer(name, change):
    world = virtual_bench.load()
    world.drive("a", Drive("volts", 0.3, 1.0))
    with met(name, change, world) as daq:
        daq.configure(["101", "102"], 1.0)
        np.testing.assert_allclose(daq.acquire(3).volts[:, 0], 0.3, atol=1e-4)
        daq.close(["201"], hot=True)
        assert daq.closed == ("201",)
        daq.open_all(hot=True)
        assert daq.closed == ()
        assert daq.relay_cycles(["201"])["201"] >= 1
        assert daq.snapshot()["settings"]


@pytest.mark.parametrize("change", [spaced, signed, lower, padded])
@pytest.mark.parametrize("name", DRIVERS)
def test_an_error_is_found_in_every_form_of_the_queue(name, change):
    with met(name, change) as driver:
        driver.command("no_such_thing()" if name == "2600" else ":NO:SUCH:THING 1")
        with pytest.raises(InstrumentError) as caught:
            driver.drain_errors("a test")
        assert caught.value.code is not None
        assert caught.value.code < 0
        driver.drain_errors("a test")


class Silent(Varied):
    """An instrument that does not know some of the questions."""

    def __init__(self, instrument, unknown: tuple[str, ...]) -> None:
        super().__init__(instrument, lambda answer: answer)
        self._unknown = unknown

    def answer(self, message: str) -> bytes:
        known = not message.startswith(self._unknown)
        return super().answer(message if known else ":NO:SUCH:THING?")


@pytest.mark.parametrize("name", ["2450", "DAQ6510"])
def test_without_a_choice_of_languages_it_speaks_its_own(name):
    instrument = Silent(virtual_bench.built(name), ("*LANG?", ":SYST:LFR?"))
    with (
        InstrumentServer(instrument) as server,
        DRIVERS[name](server.resource, timeout_s=0.3) as driver,
    ):
        driver.drain_errors("the start")
        assert driver.poisoned is None


@pytest.mark.parametrize("name", ["2450", "DAQ6510"])
def test_one_that_answers_nothing_in_its_language_is_not_used(name):
    instrument = Silent(virtual_bench.built(name), ("*LANG?", ":"))
    with (
        InstrumentServer(instrument) as server,
        pytest.raises(InstrumentError),
        DRIVERS[name](server.resource, timeout_s=0.3),
    ):
        pass


@pytest.mark.parametrize("expect", ["model 2450", "MODEL  2450", "MODEL 2450, 04000001"])
def test_an_identity_is_compared_without_case_and_space(expect):
    with met("2450", lambda answer: answer, expect=expect) as smu:
        assert smu.identity.serial == "04000001"


def test_another_identity_is_refused():
    with pytest.raises(IdentityError), met("2450", spaced, expect="MODEL 2451"):
        pass


LIMITS = {"V": (1e-6, 1e-4, 1e-2), "A": (0.1, 1.0, 10.0)}


@pytest.mark.parametrize("name", SMUS)
def test_any_configuration_may_follow_any_other(name):
    """A range of before refuses no limit, and no error is left behind."""
    volts = (6.0, 40.0) if name == "2600" else (2.0, 20.0)
    cases = [("V", span, limit) for span in volts for limit in LIMITS["V"]]
    cases += [("A", span, limit) for span in (1e-6, 1e-2) for limit in LIMITS["A"]]
    generator = np.random.default_rng(3)
    pairs = [(a, b) for a in range(len(cases)) for b in range(len(cases))]
    with met(name, lambda answer: answer) as smu:
        at = next(iter(smu.channels))
        channel = smu.channels[at]
        for first, second in generator.permutation(pairs)[:60]:
            for case in (cases[first], cases[second]):
                quantity, span, limit = case
                if quantity == "V":
                    channel.source_voltage(limit, range_v=span, nplc=0.01)
                else:
                    channel.source_current(limit, range_a=span, nplc=0.01)
                channel.on()
                smu.apply({at: 0.8 * span})
        smu.drain_errors("the last one")
