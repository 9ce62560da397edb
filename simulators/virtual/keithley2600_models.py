"""The models of the Keithley 2600 family: their ranges and what they can give.

After "Series 2600B System SourceMeter Instrument Reference Manual", 2600BS-901-01 Rev. F, and the
models' specifications ("Source specifications", "Maximum output power and source/sink limits").
"""

from __future__ import annotations

from dataclasses import dataclass

from hilep.simulators.virtual.converter import Converter

_LOW_AMPS = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@dataclass(frozen=True, slots=True)
class Model:
    """What one model has.

    Attributes:
        volts, amps: meters; their ranges are the sources' too.
        areas: (volts, amperes) of which one has to hold level and limit.
        channels: 1 or 2.
    """

    volts: Converter
    amps: Converter
    areas: tuple[tuple[float, float], ...]
    channels: int = 2


def model(number: str) -> Model:
    """Return the model with a number such as "2602"."""
    channels = 1 if number in ("2601", "2611", "2635") else 2
    if number.startswith("260"):
        volts = Converter(ranges=(0.1, 1.0, 6.0, 40.0), over=1.01)
        amps = Converter(ranges=(*_LOW_AMPS, 3.0), over=1.01)
        return Model(volts, amps, ((6.06, 3.03), (40.4, 1.01)), channels)
    fine = (1e-9, 1e-8) if number.startswith("263") else ()
    volts = Converter(ranges=(0.2, 2.0, 20.0, 200.0), over=1.01)
    amps = Converter(ranges=(*fine, *_LOW_AMPS, 1.5), over=1.01)
    return Model(volts, amps, ((20.2, 1.515), (202.0, 0.101)), channels)


NUMBERS = ("2601", "2602", "2604", "2611", "2612", "2614", "2634", "2635", "2636")
"""Of every model."""
