"""One channel of a source-measure unit: its configuration and its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilep.errors import MissingExtraError

try:
    from pymeasure.instruments import Channel
except ImportError as error:
    raise MissingExtraError("a bench of instruments", "bench") from error

if TYPE_CHECKING:
    from hilep.instruments.smu import Setup
    from hilep.instruments.sourcemeter import SourceMeter


class SourceChannel(Channel):  # type: ignore[misc]
    """One channel of a source-measure unit, under its name."""

    parent: SourceMeter

    def source_voltage(
        self,
        limit_a: float,
        *,
        range_v: float,
        measure_range_a: float | None = None,
        nplc: float = 1.0,
        four_wire: bool = False,
    ) -> Setup:
        """Make it a source of 0 V with a current limit; its output goes or stays off.

        Args:
            limit_a: amperes it may drive.
            range_v: full scale of the fixed source range, volts.
            measure_range_a: full scale of the fixed measuring range, amperes; the smallest that
                holds the limit where None.
            nplc: power line cycles of a reading.
            four_wire: sense at the device.

        Raises:
            RangeLimitError: a value is beyond the model; nothing was sent.
            InstrumentError: the instrument refused, or keeps another limit.
        """
        return self.parent.configure(
            str(self.id), "V", limit_a, range_v, measure_range_a, nplc, four_wire
        )

    def source_current(
        self,
        limit_v: float,
        *,
        range_a: float,
        measure_range_v: float | None = None,
        nplc: float = 1.0,
        four_wire: bool = False,
    ) -> Setup:
        """Make it a source of 0 A with a voltage limit; its output goes or stays off.

        Arguments and errors are those of `source_voltage` with volts and amperes exchanged.
        """
        return self.parent.configure(
            str(self.id), "A", limit_v, range_a, measure_range_v, nplc, four_wire
        )

    def on(self) -> None:
        """Switch its output on, at 0 or at the level applied since it was configured.

        Raises:
            BadInputError: it was not configured, so that it has no limit.
            InstrumentError: the instrument refused, or the output is still off.
        """
        self.parent.switch(str(self.id), True)

    def off(self) -> None:
        """Switch its output off: the driver's off state, which its page names."""
        self.parent.switch(str(self.id), False)

    @property
    def setup(self) -> Setup | None:
        """How it is configured, None before that and after `safe`."""
        return self.parent.setup_of(str(self.id))
