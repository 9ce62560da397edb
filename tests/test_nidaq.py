"""An NI-DAQmx device: limits before anything, one call for all outputs, exact counts of inputs."""

import subprocess
import sys

import numpy as np
import pytest
from ni_lines import Divider

from hilep.errors import BadInputError, UnsupportedError
from hilep.instruments.errors import IdentityError, RangeLimitError
from hilep.instruments.status import SATURATED

pytest.importorskip("nidaqmx", reason="needs the bench extra")

from nidaqmx.errors import DaqError

from hilep.instruments.nidaq import NIDAQmx
from hilep.simulators.virtual.nidaqmx_device import VirtualDevice
from hilep.simulators.virtual.nidaqmx_interpreter import VirtualInterpreter, installed

STEP_V = 10 / 2**16
"""One step of an output on the range of 5 V."""


@pytest.fixture
def lines():
    return Divider()


@pytest.fixture
def driver(lines):
    with installed(VirtualInterpreter(lines)) as interpreter:
        yield interpreter
        assert interpreter.open_tasks == 0


@pytest.fixture
def device(driver):
    with NIDAQmx("Dev1", expect="PCIe-6363") as device:
        device.configure_outputs({"ao0": 1.0, "ao1": 0.5})
        device.configure(["ai0", "ai1"], range_v=1.0, rate_hz=1000)
        driver.calls.clear()
        yield device


def test_what_is_applied_is_read_through_the_circuit(device):
    device.apply({"ao0": 0.5, "ao1": -0.25})
    found = device.acquire(5)
    assert found.volts.shape == (5, 2)
    expected = np.broadcast_to([0.125, 0.5], (5, 2))
    np.testing.assert_allclose(found.volts, expected, atol=STEP_V)
    assert np.isnan(found.amps).all()
    assert (found.status == 0).all()
    assert found.levels == {"ao0": 0.5, "ao1": -0.25}
    assert found.outputs == {"ao0": True, "ao1": True}


def test_all_outputs_move_in_one_call_and_unnamed_ones_stay(device, driver, lines):
    device.apply({"ao1": 0.25})
    lines.log.clear()
    device.apply({"ao0": 0.5})
    assert driver.calls.count("write_analog_f64") == 2
    assert [channel for channel, _ in lines.log] == ["Dev1/ao0", "Dev1/ao1"]
    assert lines.driven["Dev1/ao1"] == pytest.approx(0.25, abs=STEP_V)


@pytest.mark.parametrize("samples", [1, 2, 7, 1000])
def test_any_number_of_samples_is_one_task_and_one_read(device, driver, samples):
    before = device.messages.queries
    found = device.acquire(samples)
    assert found.samples == samples
    assert driver.calls.count("read_analog_f64") == 1
    assert driver.calls.count("start_task") == 1
    assert device.messages.queries == before + 1


def test_more_than_a_buffer_is_several_reads_on_one_clock(device, driver, monkeypatch):
    monkeypatch.setattr("hilep.instruments.nidaq.FULL", 20)
    found = device.acquire(25)
    assert found.samples == 25
    assert driver.calls.count("read_analog_f64") == 3
    assert (np.diff(found.time_s[:, 0]) > 0).all()


def test_samples_keep_their_noise_and_their_order(driver, lines):
    lines.sigma_v = 1e-3
    with NIDAQmx("Dev1") as device:
        device.configure(["ai1", "ai0"], range_v=0.2)
        found = device.acquire(4000)
    expected = np.random.default_rng(1).standard_normal((4000, 2)) * 1e-3
    np.testing.assert_allclose(found.volts, expected, atol=0.4 / 2**16)


def test_times_follow_the_clock_and_the_converter(device):
    times = device.acquire(4).time_s
    np.testing.assert_allclose(np.diff(times, axis=0), 1e-3)
    np.testing.assert_allclose(times[:, 1] - times[:, 0], 1e-6)


def test_columns_come_in_the_order_asked_for(device):
    device.apply({"ao0": 0.5})
    found = device.acquire(2, ["ai1"])
    assert found.channels == ("ai1",)
    np.testing.assert_allclose(found.volts[:, 0], 0.5, atol=STEP_V)


def test_a_reading_at_an_end_of_the_range_is_saturated(driver, lines):
    with NIDAQmx("Dev1") as device:
        device.configure_outputs({"ao0": 5.0})
        device.configure(["ai0", "ai1"], range_v=1.0)
        for volts, end in ((3.0, 1.0), (-3.0, -1.0)):
            device.apply({"ao0": volts})
            found = device.acquire(3)
            assert (found.status == SATURATED).all()
            np.testing.assert_allclose(found.volts, end, atol=1e-4)
        device.apply({"ao0": 0.9})
        assert (device.acquire(3).status == 0).all()


@pytest.mark.parametrize(
    "levels",
    [
        {"ao0": 1.001},
        {"ao0": -2},
        {"ao1": 0.6},
        {"ao0": float("nan")},
        {"ao0": 0.9 * STEP_V},
        {"ao0": 0.1, "ao1": float("inf")},
    ],
)
def test_a_level_beyond_its_limit_or_below_a_step_is_never_written(device, driver, lines, levels):
    lines.log.clear()
    with pytest.raises(RangeLimitError, match=r"Dev1/ao[01]: "):
        device.apply(levels)
    assert lines.log == []
    assert not driver.calls
    device.apply({"ao0": 0.1})


def test_the_driver_holds_the_limit_as_well(device):
    from nidaqmx.errors import DaqError

    with pytest.raises(DaqError, match="-200561"):
        device._ao.write({"ao1": 0.6})


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), 10.5, 1e-5])
def test_a_missing_or_too_wide_limit_is_refused_before_any_task(driver, lines, limit):
    with NIDAQmx("Dev1") as device:
        driver.calls.clear()
        lines.log.clear()
        with pytest.raises(RangeLimitError, match="limit"):
            device.configure_outputs({"ao0": limit})
        assert lines.log == []
        assert "write_analog_f64" not in driver.calls


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"channels": ["ai0"], "range_v": 11}, "widest range is 10 V"),
        ({"channels": ["ai0"], "range_v": 0}, "range_v is 0"),
        ({"channels": ["ai0", "ai1"], "range_v": 1, "rate_hz": 600_000}, "up to 500000"),
        ({"channels": ["ai0"], "range_v": 1, "rate_hz": -1}, "rate_hz is -1"),
        ({"channels": [], "range_v": 1}, "at least one channel"),
        ({"channels": ["ai0", "ai0"], "range_v": 1}, "named twice"),
        ({"channels": ["ai32"], "range_v": 1}, "ai0 to ai31"),
        ({"channels": ["ai0"], "range_v": 1, "terminals": "rse"}, "expected one of differential"),
    ],
)
def test_inputs_that_cannot_be_are_one_line(driver, arguments, what):
    with NIDAQmx("Dev1") as device:
        driver.calls.clear()
        with pytest.raises(BadInputError, match=what):
            device.configure(**arguments)
        assert "create_task" not in driver.calls


def test_a_range_in_between_is_the_next_one_and_is_recorded(driver):
    with NIDAQmx("Dev1") as device:
        device.configure(["ai0"], range_v=0.6, terminals="referenced")
        settings = device.snapshot()["settings"]
    assert settings["range_v"] == 1.0
    assert settings["terminals"] == "referenced"


@pytest.mark.parametrize(
    ("word", "number"), [("differential", 10106), ("referenced", 10083), ("non-referenced", 10078)]
)
def test_terminals_reach_the_driver(driver, word, number):
    with NIDAQmx("Dev1") as device:
        device.configure(["ai0"], range_v=1.0, terminals=word)
        task = next(iter(driver._tasks.values()))
        assert [channel.terminals for channel in task.channels] == [number]


def test_an_nplc_is_refused_because_there_is_none(driver):
    with NIDAQmx("Dev1") as device, pytest.raises(UnsupportedError, match="rate_hz"):
        device.configure(["ai0"], range_v=1.0, nplc=1)


def test_safe_writes_zero_to_every_output_and_says_that_they_are_driven(device, lines):
    device.apply({"ao0": 0.5, "ao1": -0.25})
    report = device.safe()
    assert report.off is True
    assert "still driven" in report.text
    assert {f"Dev1/ao{n}": 0.0 for n in range(4)} == lines.driven
    device.apply({"ao0": 0.25})
    assert lines.driven["Dev1/ao0"] == pytest.approx(0.25, abs=STEP_V)
    assert lines.driven["Dev1/ao1"] == 0.0


def test_entering_and_leaving_write_zero(driver, lines):
    lines.driven["Dev1/ao3"] = 4.0
    with NIDAQmx("Dev1") as device:
        assert lines.driven["Dev1/ao3"] == 0.0
        device.configure_outputs({"ao0": 1.0})
        device.apply({"ao0": 1.0})
    assert lines.driven["Dev1/ao0"] == 0.0


def test_another_device_is_refused_and_nothing_is_written(driver, lines):
    with (
        pytest.raises(IdentityError, match="expected 'USB-6001'"),
        NIDAQmx("Dev1", expect="USB-6001"),
    ):
        pass
    assert lines.log == []


def test_identity_holds_the_serial_number_as_printed_on_the_device(driver):
    with NIDAQmx("Dev1", expect="01C2D3E4") as device:
        assert device.identity.serial == "01C2D3E4"
        assert device.identity.model == "PCIe-6363"


def test_a_device_without_outputs_is_safe(lines):
    reader = VirtualDevice(name="Dev1", product="USB-6210", outputs=0)
    with installed(VirtualInterpreter(lines, [reader])), NIDAQmx("Dev1") as device:
        assert device.safe().off is True


def test_the_package_itself_runs_on_the_virtual_driver(driver, lines):
    import nidaqmx

    with nidaqmx.Task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev1/ao0:1")
        assert task.write([1.0, 3.0]) == 1
    with nidaqmx.Task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev1/ai0, Dev1/ai1", min_val=-10, max_val=10)
        assert task.read() == pytest.approx([2.0, 1.0], abs=20 / 2**16)
        task.timing.cfg_samp_clk_timing(1000, samps_per_chan=4)
        read = task.read(nidaqmx.constants.READ_ALL_AVAILABLE)
        np.testing.assert_allclose(read, [[2.0] * 4, [1.0] * 4], atol=20 / 2**16)
    assert nidaqmx.system.System.local().devices.device_names == ["Dev1"]


DESCRIPTIVE = [
    "get_chan_attribute_double",
    "get_chan_attribute_int32",
    "get_timing_attribute_double",
    "set_timing_attribute_bool",
    "get_device_attribute_bool",
    "get_device_attribute_double",
    "get_device_attribute_uint32",
    "get_system_info_attribute_uint32",
]
"""What describes a device or a task; some devices lack one or the other."""


@pytest.mark.parametrize("missing", [[name] for name in DESCRIPTIVE] + [DESCRIPTIVE])
@pytest.mark.parametrize("error", [NotImplementedError, KeyError, "unsupported"])
def test_a_device_that_lacks_a_description_is_used_all_the_same(
    driver, monkeypatch, missing, error
):
    def refuse(*arguments):
        if error == "unsupported":
            raise DaqError("not supported by the device", -200452)
        raise error(arguments[-1])

    for name in missing:
        monkeypatch.setattr(type(driver), name, refuse)
    with NIDAQmx("Dev1") as device:
        device.configure_outputs({"ao0": 1.0, "ao1": 0.5})
        device.configure(["ai0", "ai1"], range_v=1.0)
        device.apply({"ao0": 0.5, "ao1": -0.25})
        found = device.acquire(3)
        np.testing.assert_allclose(found.volts, [[0.125, 0.5]] * 3, atol=2 * STEP_V)
        assert not found.status.any()
        assert device.snapshot()["settings"]["inputs"] == ["ai0", "ai1"]


def test_a_read_and_a_write_ask_the_driver_for_nothing_else(device, driver):
    device.apply({"ao0": 0.5})
    device.acquire(5)
    driver.calls.clear()
    device.apply({"ao0": 0.25})
    assert set(driver.calls) == {"write_analog_f64", "start_task"}
    driver.calls.clear()
    device.acquire(5)
    assert set(driver.calls) == {"start_task", "read_analog_f64", "stop_task"}


def test_importing_the_driver_loads_no_driver_library():
    code = "import sys, hilep.instruments.nidaq; sys.exit('nidaqmx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
