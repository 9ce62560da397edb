"""Calls of the nidaqmx package, with what it raises said in the errors of this package."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hilep.errors import HilepError, MissingExtraError
from hilep.instruments import taps
from hilep.instruments.errors import InstrumentError, NotAnswering

T = TypeVar("T")

# nidaqmx.error_codes.DAQmxErrors: time-outs of reads, writes and waits, then devices that are gone.
_NOT_ANSWERING = frozenset(
    {
        -200284,  # SAMPLES_NOT_YET_AVAILABLE
        -200292,  # SAMPLES_CAN_NOT_YET_BE_WRITTEN
        -200221,  # TIMEOUT_EXCEEDED
        -200560,  # WAIT_UNTIL_DONE_DOES_NOT_INDICATE_DONE
        -201250,  # NETWORK_STATUS_TIMED_OUT
        -200220,  # INVALID_DEVICE_ID
        -200045,  # DEVICE_REMOVED
        -201003,  # DEV_CANNOT_BE_ACCESSED
        -88705,  # DRIVER_DEVICE_GUID_NOT_FOUND_ROUTING
        -50401,  # PAL_COMMUNICATIONS_FAULT
        -200194,  # HW_UNEXPECTEDLY_POWERED_OFF_AND_ON
        -201252,  # NETWORK_TARGET_UNREACHABLE
        -201253,  # NETWORK_STATUS_DOWN
        -201390,  # NETWORK_STATUS_CONNECTION_LOST
    }
)


def module(name: str) -> Any:
    """Return a module of the nidaqmx package.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        found = importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("an NI-DAQmx device", "bench") from error
    if taps.some():
        from hilep.instruments.nidaq_tapped import tapped

        return tapped(name, found)
    return found


def told(ask: Callable[[], T], otherwise: T) -> T:
    """Return what `ask` finds, or `otherwise` where this device or package has no such property.

    Only for properties that describe a device: a device that is gone is still raised.
    """
    errors = module("nidaqmx.errors")
    try:
        return ask()
    except errors.Error as error:
        if getattr(error, "error_code", None) in _NOT_ANSWERING:
            raise
    except (AttributeError, KeyError, NotImplementedError):
        pass
    return otherwise


@contextlib.contextmanager
def spoken(
    instrument: str, command: str, failed: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Raise what nidaqmx raises in this block as an InstrumentError.

    Args:
        instrument: what the error calls the device.
        command: what was being done.
        failed: called with the reason before the error is raised.

    Raises:
        NotAnswering: a time-out, or the device is gone.
        InstrumentError: anything else, the lack of NI's driver included.
    """
    errors = module("nidaqmx.errors")
    try:
        yield
    except errors.Error as error:
        code = getattr(error, "error_code", None)
        kind = NotAnswering if code in _NOT_ANSWERING else InstrumentError
        # The package adds "Task Name" and "Status Code" on lines of their own.
        words = " ".join(str(error).split("\n\n")[0].split())
        raised = kind(words, instrument=instrument, command=command, code=code)
        if failed is not None:
            failed(str(raised))
        raise raised from error
    except HilepError:
        raise
    except BaseException as error:
        # Ctrl-C inside a write leaves it open which of the two levels is there.
        if failed is not None:
            failed(str(error) or type(error).__name__)
        raise
