"""What goes wrong at an NI-DAQmx device ends in its own error, and in 0 V."""

from dataclasses import replace

import pytest
from ni_lines import Divider

from hilep.instruments.errors import (
    GarbledAnswerError,
    InstrumentError,
    NotAnswering,
    RangeLimitError,
    StateUnknownError,
)

pytest.importorskip("nidaqmx", reason="needs the bench extra")

from hilep.instruments.nidaq import NIDAQmx
from hilep.simulators.virtual.nidaqmx_interpreter import VirtualInterpreter, installed

NOT_YET, GONE, RESERVED = -200284, -200045, -50103


@pytest.fixture
def lines():
    return Divider()


@pytest.fixture
def driver(lines):
    with installed(VirtualInterpreter(lines)) as interpreter:
        yield interpreter
        assert interpreter.open_tasks == 0


@pytest.fixture
def device(driver, lines):
    with NIDAQmx("Dev1") as device:
        device.configure_outputs({"ao0": 1.0})
        device.configure(["ai0", "ai1"], range_v=1.0)
        device.apply({"ao0": 0.5})
        yield device
    assert set(lines.driven.values()) == {0.0}


@pytest.mark.parametrize("function", ["start_task", "read_analog_f64", "stop_task"])
@pytest.mark.parametrize(
    ("code", "kind"), [(NOT_YET, NotAnswering), (GONE, NotAnswering), (RESERVED, InstrumentError)]
)
def test_a_failed_read_is_named_and_poisons_until_recovered(device, driver, function, code, kind):
    driver.faults[function] = code
    with pytest.raises(kind, match=f"injected at {function}") as caught:
        device.acquire(3)
    assert caught.value.code == code
    assert caught.value.command == "acquire"
    for verb in (lambda: device.acquire(3), lambda: device.apply({"ao0": 0.1})):
        with pytest.raises(StateUnknownError, match="state unknown"):
            verb()
    device.recover()
    assert device.acquire(3).samples == 3


def test_a_failed_write_leaves_no_level_that_anyone_could_believe(device, driver, lines):
    driver.faults["write_analog_f64"] = GONE
    with pytest.raises(NotAnswering, match="after 'apply'"):
        device.apply({"ao0": 0.25})
    with pytest.raises(StateUnknownError):
        device.acquire(1)
    device.recover()
    assert lines.driven["Dev1/ao0"] == 0.0
    assert device.levels == {"ao0": 0.0}


def test_ctrl_c_inside_a_write_leaves_the_level_unknown(device, driver, lines, monkeypatch):
    def interrupted(channel, volts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lines, "drive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            device.apply({"ao0": 0.25})
    with pytest.raises(StateUnknownError):
        device.acquire(1)
    device.recover()
    assert device.levels == {"ao0": 0.0}


def test_a_refused_limit_leaves_the_outputs_as_they_were(device, lines):
    with pytest.raises(RangeLimitError):
        device.configure_outputs({"ao0": 100.0})
    device.apply({"ao0": 0.75})
    assert lines.driven["Dev1/ao0"] == pytest.approx(0.75, abs=1e-3)


def test_too_few_samples_are_no_acquisition(device, driver):
    driver.short = 1
    with pytest.raises(GarbledAnswerError, match="expected 5 samples, got 4"):
        device.acquire(5)
    with pytest.raises(StateUnknownError):
        device.acquire(5)


def test_safe_goes_out_of_a_poisoned_device(device, driver, lines):
    driver.faults["read_analog_f64"] = NOT_YET
    with pytest.raises(NotAnswering):
        device.acquire(3)
    assert device.safe().off is True
    assert lines.driven["Dev1/ao0"] == 0.0


def test_safe_reaches_the_outputs_past_a_task_that_fails(device, driver, lines):
    driver.faults["write_analog_f64"] = RESERVED
    assert device.safe().off is True
    assert lines.driven["Dev1/ao0"] == 0.0
    with pytest.raises(StateUnknownError):
        device.apply({"ao0": 0.1})


def test_safe_never_raises_and_says_so_when_the_device_is_gone(device, driver):
    attributes = dict(driver.devices)
    driver.devices.clear()
    driver.faults["write_analog_f64"] = GONE
    report = device.safe()
    assert report.off is None
    assert "could not be written" in report.text
    driver.devices.update(attributes)


def test_a_slow_clock_is_waited_for_and_a_stuck_one_is_not(driver):
    with NIDAQmx("Dev1", timeout_s=0.5) as device:
        device.configure(["ai0"], range_v=1.0, rate_hz=10)
        assert device.acquire(100).samples == 100
        device._ai.rate_hz = 1000.0
        with pytest.raises(NotAnswering, match="acquire"):
            device.acquire(100)


def test_recovery_refuses_another_device(device, driver):
    driver.faults["read_analog_f64"] = GONE
    with pytest.raises(NotAnswering):
        device.acquire(3)
    driver.devices["Dev1"] = replace(driver.devices["Dev1"], serial=7)
    with pytest.raises(StateUnknownError, match="another device"):
        device.recover()
    with pytest.raises(StateUnknownError):
        device.apply({"ao0": 0.1})


def test_inputs_in_use_elsewhere_are_named(driver):
    import nidaqmx

    with NIDAQmx("Dev1") as device, nidaqmx.Task() as other:
        device.configure(["ai0"], range_v=1.0)
        other.ai_channels.add_ai_voltage_chan("Dev1/ai5")
        other.timing.cfg_samp_clk_timing(1000)
        other.start()
        with pytest.raises(InstrumentError, match="reserved") as caught:
            device.acquire(2)
        assert caught.value.code == RESERVED


def test_a_device_that_does_not_exist_is_one_line(driver):
    with pytest.raises(InstrumentError, match="no device Dev7"), NIDAQmx("Dev7"):
        pass


def test_without_ni_s_driver_the_error_says_so(monkeypatch):
    import nidaqmx.utils
    from nidaqmx.errors import DaqNotFoundError

    def missing(*_):
        raise DaqNotFoundError("Could not find an installation of NI-DAQmx.")

    monkeypatch.setattr(nidaqmx.utils, "_select_interpreter", missing)
    with pytest.raises(InstrumentError, match="Could not find an installation"), NIDAQmx("Dev1"):
        pass


def test_a_device_that_was_not_started_or_is_closed_refuses(driver, lines):
    device = NIDAQmx("Dev1")
    with pytest.raises(StateUnknownError, match="not started"):
        device.apply({"ao0": 0.1})
    assert device.safe().off is None
    with device:
        pass
    lines.log.clear()
    with pytest.raises(StateUnknownError, match="closed"):
        device.acquire(1)
    assert lines.log == []


def _interrupted():
    with NIDAQmx("Dev1") as device:
        device.configure_outputs({"ao0": 1.0})
        device.apply({"ao0": 0.5})
        raise ZeroDivisionError


def test_an_exception_in_user_code_ends_in_zero_volts(driver, lines):
    with pytest.raises(ZeroDivisionError):
        _interrupted()
    assert set(lines.driven.values()) == {0.0}
