"""CONFigure and MEASure of the Keysight 34970A, which put other settings to their defaults.

After "Agilent 34970A/34972A Data Acquisition / Switch Unit User's Guide", 34972-90001, chapter 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilep.simulators.virtual.keysight34970a_resolution import RESOLUTIONS, cycles_for
from hilep.simulators.virtual.parameters import Span, spelled
from hilep.simulators.virtual.scpi import Call

if TYPE_CHECKING:
    from hilep.simulators.virtual.keysight34970a import Keysight34970A

_OF_CHANNELS = ("range", "auto", "nplc", "delay", "auto delay", "autozero", "impedance")
_OF_ALL = ("UNIT", "TIME", "CHANnel", "ALARm", "source", "sweeps")


def add_configuring(of: Keysight34970A) -> None:
    """Add the commands to an instrument."""

    def configure(call: Call) -> None:
        """Set channels to DC volts with their defaults, and make them the scan list."""
        *given, channels = call.take(1, 3)
        chosen = of.listed(channels)
        span = None
        if given and not (spelled(given[0], "AUTO") or spelled(given[0], "DEFault")):
            span = Span(of.volts.ranges, of.volts.over, "V").read(given[0])
        nplc = 1.0
        if len(given) > 1 and not spelled(given[1], "DEFault"):
            nplc = cycles_for(given[1], span or of.volts.ranges[-1])
        for channel in chosen:
            for name in _OF_CHANNELS:
                of.restore(name, channel)
            if span is not None:
                of.values["range", channel], of.values["auto", channel] = span, False
            of.values["nplc", channel] = nplc
        for name in _OF_ALL:
            of.restore(name)
        of.scan = sorted(set(chosen))

    def configuration(call: Call) -> str:
        texts = call.take(0, 1)
        chosen = of.listed(texts[0]) if texts else of.scan
        fractions = dict(RESOLUTIONS)
        answers = []
        for channel in chosen:
            span = of.values["range", channel]
            resolution = span * fractions[of.values["nplc", channel]]
            answers.append(f'"VOLT {span:+.6E},{resolution:+.6E}"')
        return ",".join(answers)

    def measure(call: Call) -> str:
        configure(call)
        return of.readings.written(of.sweep(1))

    of.commands.add(":CONFigure:VOLTage[:DC]", configure)
    of.commands.add(":CONFigure", getter=configuration)
    of.commands.add(":MEASure:VOLTage[:DC]", getter=measure)
