"""Gain and offset of sources and readers against a reference, with uncertainties and dates.

Uncertainties are propagated by the `uncertainties` package (GUM, JCGM 100:2008, 5.1 and 5.2).
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.corrections import Role
from hilep.errors import BadInputError, MissingExtraError


def _uncertainties() -> Any:
    try:
        import uncertainties.unumpy
    except ImportError as error:
        raise MissingExtraError("propagation of uncertainties", "calibration") from error
    return uncertainties


@dataclass(frozen=True, slots=True)
class ChannelCalibration:
    """output = gain * input + offset of one channel, in volts or in amperes.

    A reader's input is what is there and its output what it returns; a source's input is its
    setting and its output what is there.

    Attributes:
        channel: its name on the bench.
        gain: dimensionless.
        offset: in the channel's unit.
        covariance: of (gain, offset), (2, 2).
        degrees_of_freedom: effective, of gain and of offset (Welch-Satterthwaite); infinite where
            the reference's own uncertainty is all.
        residual_sd: sd of the points about the line, in the channel's unit.
        unit: "V" or "A".
        low: the smallest input of the comparison, in the channel's unit.
        high: the largest; between the two the line was seen to hold.
        reference: what it was compared with, with its serial number.
        measured: the date.
        expires: the date from which a warning is due.
        role: "reader" or "source".
    """

    channel: str
    gain: float
    offset: float
    covariance: Doubles
    degrees_of_freedom: tuple[float, float]
    residual_sd: float
    unit: str
    low: float
    high: float
    reference: str
    measured: datetime.date
    expires: datetime.date
    role: Role = "reader"

    @property
    def u_gain(self) -> float:
        """Standard uncertainty of the gain."""
        return math.sqrt(float(self.covariance[0, 0]))

    @property
    def u_offset(self) -> float:
        """Standard uncertainty of the offset, in the channel's unit."""
        return math.sqrt(float(self.covariance[1, 1]))

    def corrected(self, output: ArrayLike) -> Doubles:
        """Return (output - offset) / gain, in any shape.

        A reader's true values from what it returned; a source's settings from what is wanted.
        """
        values = np.asarray(output, dtype=np.float64)
        return np.asarray((values - self.offset) / self.gain, dtype=np.float64)

    def corrected_with_uncertainty(
        self, output: ArrayLike, u_output: ArrayLike = 0.0
    ) -> tuple[Doubles, Doubles]:
        """Return corrected values and their standard uncertainties, in any shape.

        Args:
            output: reads in the channel's unit.
            u_output: their standard uncertainty, such as sigma/sqrt(N).

        Raises:
            MissingExtraError: without the `uncertainties` package.
        """
        package = _uncertainties()
        values = np.asarray(output, dtype=np.float64)
        u = np.broadcast_to(np.asarray(u_output, dtype=np.float64), values.shape)
        gain, offset = package.correlated_values((self.gain, self.offset), self.covariance)
        true = (package.unumpy.uarray(values, u) - offset) / gain
        return package.unumpy.nominal_values(true), package.unumpy.std_devs(true)

    def warning(self, today: datetime.date) -> str | None:
        """Return one line where the calibration has expired or lies in the future, else None."""
        if today < self.measured:
            return f"channel {self.channel}: calibrated on {self.measured}, after today ({today})"
        if today >= self.expires:
            return (
                f"channel {self.channel}: calibrated on {self.measured}, expired on {self.expires}"
            )
        return None


def calibrate_channel(
    channel: str,
    inputs: ArrayLike,
    outputs: ArrayLike,
    *,
    role: Role,
    reference: str,
    measured: datetime.date,
    valid_days: int = 365,
    u_reference_gain: float = 0.0,
    u_reference_offset: float = 0.0,
    unit: str = "V",
) -> ChannelCalibration:
    """Return gain and offset of a channel from a line through its points, by least squares.

    Scatter about the line gives Type A uncertainty. The reference's own gain and offset errors are
    common to all points: no number of them averages these away, and they enter as Type B.

    Args:
        channel: its name on the bench.
        inputs: of a reader what the reference says is there, of a source its settings (points,).
        outputs: of a reader its reads, of a source what the reference reads (points,).
        role: "reader" or "source".
        reference: what it was compared with.
        measured: the date of the comparison.
        valid_days: until it expires.
        u_reference_gain: standard uncertainty of the reference's gain, relative.
        u_reference_offset: that of its offset, in the channel's unit.
        unit: "V" or "A".

    Raises:
        BadInputError: for fewer than three points, or all at one value, or a gain of zero.
        MissingExtraError: without the `uncertainties` package.
    """
    from scipy.stats import linregress

    package = _uncertainties()
    what = f"channel {channel}"
    x = checked(inputs, (None,), f"{what}: inputs").astype(np.float64)
    y = checked(outputs, x.shape, f"{what}: outputs").astype(np.float64)
    if x.size < 3 or not np.ptp(x) > 0:
        raise BadInputError(f"{what}: expected at least 3 points at different values, got {x.size}")
    if not (u_reference_gain >= 0 and u_reference_offset >= 0 and valid_days > 0):
        raise BadInputError(f"{what}: expected uncertainties >= 0 and valid_days > 0")
    if role not in ("reader", "source"):
        raise BadInputError(f'{what}: expected role "reader" or "source", got {role!r}')
    line = linregress(x, y)
    if line.slope == 0 or not math.isfinite(line.slope):
        raise BadInputError(f"{what}: its outputs do not change with its inputs")
    own = np.array(
        [
            [line.stderr**2, -x.mean() * line.stderr**2],
            [-x.mean() * line.stderr**2, line.intercept_stderr**2],
        ]
    )
    slope, intercept = package.correlated_values((line.slope, line.intercept), own)
    # The package warns of a variable without uncertainty: an exact one is a plain number.
    error_gain = package.ufloat(0.0, u_reference_gain) if u_reference_gain else 0.0
    error_offset = package.ufloat(0.0, u_reference_offset) if u_reference_offset else 0.0
    if role == "reader":
        gain: Any = slope / (1 + error_gain)
        offset: Any = intercept - gain * error_offset
    else:
        gain = slope * (1 + error_gain)
        offset = intercept * (1 + error_gain) + error_offset
    covariance = np.array(package.covariance_matrix([gain, offset]), dtype=np.float64)
    points = x.size - 2
    degrees = tuple(
        math.inf if share == 0 else float(points * (total / share) ** 2)
        for total, share in zip(np.diag(covariance), np.diag(own), strict=True)
    )
    residual = y - (line.slope * x + line.intercept)
    return ChannelCalibration(
        channel=channel,
        gain=float(line.slope),
        offset=float(line.intercept),
        covariance=covariance,
        degrees_of_freedom=(degrees[0], degrees[1]),
        residual_sd=math.sqrt(float((residual**2).sum()) / points),
        unit=unit,
        low=float(x.min()),
        high=float(x.max()),
        reference=reference,
        measured=measured,
        expires=measured + datetime.timedelta(days=valid_days),
        role=role,
    )


@dataclass(frozen=True, slots=True)
class ReleasedNudge:
    """The current that is left when a nudge is released.

    Attributes:
        amps: mean (outputs,).
        u_amps: standard uncertainty (outputs,), read noise and the reader's offset together.
        degrees_of_freedom: effective (outputs,).
        released: which outputs show no current, at the level asked for over all of them.
        share: |amps| plus its expanded uncertainty over the smallest nudge that counts (outputs,).
        channels: names of the outputs' channels; empty where they were not given.
    """

    amps: Doubles
    u_amps: Doubles
    degrees_of_freedom: Doubles
    released: tuple[bool, ...]
    share: Doubles
    channels: tuple[str, ...] = ()


def released_nudge(
    amps: ArrayLike,
    smallest_nudge_a: float,
    u_offset_a: float = 0.0,
    false_alarms: float = 0.01,
    channels: tuple[str, ...] = (),
) -> ReleasedNudge:
    """Judge the residual current of released nudges: it is a nudge in the free phase.

    Args:
        amps: reads of each output's current after release, amperes (n, outputs).
        smallest_nudge_a: amperes of the smallest nudge that training relies on.
        u_offset_a: standard uncertainty of the reader's offset, amperes.
        false_alarms: probability that any output is called not released without reason.
        channels: names of the outputs' channels.

    Raises:
        BadInputError: for fewer than two reads, reads not finite, or a nudge that is not positive.
    """
    from scipy.stats import t

    reads = checked(amps, (None, None), "released nudge: amperes").astype(np.float64)
    n, outputs = reads.shape
    if n < 2 or outputs == 0 or not smallest_nudge_a > 0 or not u_offset_a >= 0:
        raise BadInputError(
            "released nudge: expected at least 2 reads of an output, a smallest nudge above 0 A "
            f"and u_offset_a >= 0, got {reads.shape}, {smallest_nudge_a} and {u_offset_a}"
        )
    mean = reads.mean(axis=0)
    own = reads.var(axis=0, ddof=1) / n
    u = np.sqrt(own + u_offset_a**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(own > 0, (n - 1) * (u**2 / own) ** 2, np.inf)
    width = t.isf(false_alarms / (2 * outputs), degrees) * u
    released = np.abs(mean) <= width
    share = (np.abs(mean) + width) / smallest_nudge_a
    return ReleasedNudge(mean, u, degrees, tuple(bool(r) for r in released), share, channels)
