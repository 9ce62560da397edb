"""Switches off every instrument of a bench file, whatever else is going on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hilep.errors import BadInputError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.stations import driver_classes


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of one instrument.

    Attributes:
        name: in the bench file.
        off: whether its outputs are off, as read back; None where that is not known.
        text: the same in words.
    """

    name: str
    off: bool | None
    text: str


def switch_off(file: BenchFile, resources: Mapping[str, str] | None = None) -> Iterator[Switched]:
    """Switch every instrument off, all at once, and yield what became of each, in order.

    No instrument keeps another one waiting, and none ends this. To one that answers as another
    instrument nothing but questions is sent.

    Args:
        file: the bench file.
        resources: those of a virtual twin, by instrument; the file's own where None.

    Raises:
        BadInputError: a driver cannot be loaded.
    """
    drivers = driver_classes(file)
    sections = file.sections.instruments
    at = {name: one.resource for name, one in sections.items()} if resources is None else resources
    with ThreadPoolExecutor(max_workers=max(1, len(drivers))) as pool:
        yield from pool.map(lambda name: _switched(file, name, at[name], drivers[name]), drivers)


def _switched(file: BenchFile, name: str, resource: str, driver: Any) -> Switched:
    section = file.sections.instruments[name]
    keywords = {"expect": section.expect, "timeout_s": section.timeout_s, **section.options}
    try:
        instrument = driver(resource, name, line_hz=section.line_hz, **keywords)
    except Exception as error:
        return Switched(name, None, str(error))
    trouble = ""
    try:
        try:
            instrument.start()
        except BadInputError as error:
            trouble = str(error)
        except Exception as error:
            trouble = str(error)
            _send_off(instrument)
    finally:
        with contextlib.suppress(Exception):
            instrument.shutdown()
    report = getattr(instrument, "last_report", None)
    off = None if report is None else report.off
    if off is True:
        return Switched(name, True, "off, read back")
    said = trouble or ("no report" if report is None else report.text)
    return Switched(name, off, said.removeprefix(f"{name}: "))


def _send_off(instrument: Any) -> None:
    """Send what switches it off, unasked: it may hear although it does not answer."""
    messages = getattr(instrument, "off_messages", None)
    session = getattr(instrument, "session", None)
    if messages is None or session is None:
        return
    for message in messages():
        with contextlib.suppress(Exception):
            session.write(message)
