"""Reads at known times after a step of the clamp or the nudge, and the times worth reading at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked, checked_count
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError

STEPS = ("clamp", "nudge")
VISIBLE = 8.0
"""Standard deviations by which a node has to move for its step to be seen."""
SETTLED = 0.03
"""Of a node's step: what counts as gone when the times to read at are looked for."""

BURST = 16
"""Reads in a row that tell how noisy they are."""
LATE = 1.02
"""Times its delay: a read that begins later, because the one before took so long, is not used."""


@dataclass(frozen=True, slots=True)
class StepReads:
    """Reads after one kind of step.

    Attributes:
        name: "clamp" or "nudge".
        delays_s: seconds from the step to the begin of each read (repeats, points, nodes).
        volts: what was read (repeats, points, nodes).
    """

    name: str
    delays_s: Doubles
    volts: Doubles

    @property
    def sd_v(self) -> Doubles:
        """Standard deviation of one read about the mean of its repeats (nodes,)."""
        repeats, points, _ = self.volts.shape
        apart = self.volts - self.volts.mean(axis=0)
        degrees = max(1, (repeats - 1) * points)
        return np.asarray(np.sqrt((apart**2).sum(axis=(0, 1)) / degrees))

    @property
    def moves(self) -> NDArray[np.bool_]:
        """Whether a step shows above the noise of its means, (nodes,)."""
        mean = self.volts.mean(axis=0)
        noise = self.sd_v / np.sqrt(self.volts.shape[0])
        return np.asarray(np.ptp(mean, axis=0) > np.maximum(VISIBLE * noise, 1e-9 * abs(mean[-1])))


def step_reads(
    device: Crossbar,
    volts: ArrayLike,
    amps: ArrayLike,
    delays_s: Sequence[float],
    *,
    rest_s: float,
    before: ArrayLike | None = None,
    repeats: int = 1,
) -> tuple[StepReads, StepReads]:
    """Step the clamp again and again, then the nudge, and read each time at growing delays.

    After one step as many delays are read as the device's reads leave time for; the others wait for
    the next one.

    Args:
        device: programmed.
        volts: inputs that the clamp steps to (n_in,).
        amps: amperes that the nudge steps to from 0 (n_out,).
        delays_s: seconds after the step, ascending.
        rest_s: seconds that the device rests before each step.
        before: inputs that the clamp steps from (n_in,); 0 V unless given.
        repeats: reads at each delay.

    Raises:
        UnsupportedError: the device has no reads at a stated time.
        BadInputError: for a wrong shape or count.
    """
    network = device.network
    after = checked(volts, (network.inputs,), "settling: input volts")
    current = checked(amps, (network.outputs,), "settling: nudge amps")
    start = np.zeros(network.inputs) if before is None else before
    first = checked(start, (network.inputs,), "settling: input volts before")

    def clamp() -> None:
        device.clamp(first)
        device.read_after(rest_s)
        device.clamp(after)

    def nudge() -> None:
        device.clamp(after)
        device.read_after(rest_s)
        device.nudge(current)

    count = checked_count(repeats)
    found = [
        _after(device, name, step, delays_s, count)
        for name, step in zip(STEPS, (clamp, nudge), strict=True)
    ]
    device.nudge(None)
    return found[0], found[1]


def _after(
    device: Crossbar, name: str, step: Callable[[], None], delays_s: Sequence[float], repeats: int
) -> StepReads:
    points = len(delays_s)
    shape = (repeats, points, device.network.free_nodes)
    times, found = np.empty(shape), np.empty(shape)
    done, takes = np.zeros(points, dtype=np.int64), 0.0
    while done.min() < repeats:
        step()
        last = -np.inf
        for point in np.flatnonzero(done == done.min()).tolist():
            if delays_s[point] < last + takes:
                continue
            reading = device.read_after(delays_s[point])
            assert reading.volts is not None
            assert reading.delays_s is not None
            began = float(reading.delays_s[0].min())
            late = last > -np.inf and began > LATE * delays_s[point]
            if late:
                takes = max(takes, began - last)
            else:
                times[done[point], point] = reading.delays_s[0]
                found[done[point], point] = reading.volts[0]
                done[point] += 1
            last = began
    return StepReads(name, times, found)


def worthwhile_delays(
    device: Crossbar,
    volts: ArrayLike,
    amps: ArrayLike,
    *,
    before: ArrayLike | None = None,
    shortest_s: float = 1e-9,
    longest_s: float = 1.0,
    points: int = 40,
) -> Doubles:
    """Return delays (points,) from where the first node begins to settle to where the last has.

    Two looks at half decades of delay, each after a rest of `longest_s`; delays that the device
    cannot reach are passed over.

    Raises:
        BadInputError: nodes still move between `longest_s` / 3 and `longest_s`.
    """
    if not 0 < shortest_s < longest_s < np.inf:
        raise BadInputError(
            f"settling: expected 0 < shortest_s < longest_s, got {shortest_s} and {longest_s}"
        )
    decades = int(np.ceil(2 * np.log10(longest_s / shortest_s)))
    ladder = longest_s * 10 ** (0.5 * np.arange(-decades, 1))
    device.clamp(volts)
    least = device.read_after(0.0).delays_s
    if least is not None:
        ladder = np.concatenate([[0.0], ladder[ladder > least[0].min()]])
    # Of reads close together: repeats of a step that has no time to end do not agree.
    close = device.read_after(longest_s, BURST).volts
    assert close is not None
    noise = close.std(axis=0, ddof=1)
    looks = step_reads(
        device, volts, amps, ladder.tolist(), rest_s=longest_s, before=before, repeats=2
    )
    begins, ends = [], []
    for look in looks:
        mean = look.volts.mean(axis=0)
        seen = np.ptp(mean, axis=0) > np.maximum(VISIBLE * noise, 1e-9 * abs(mean[-1]))
        if not seen.any():
            continue
        left = np.abs(mean - mean[-1])[:, seen] / np.ptp(mean[:, seen], axis=0)
        gone = SETTLED + 3 * noise[seen] / np.ptp(mean[:, seen], axis=0)
        moving = np.flatnonzero((left > gone).any(axis=1))
        ends.append(int(moving[-1]) + 1)
        begins.append(int(np.argmax((left < 1 - gone).any(axis=1))))
    # Only a simulated device can be read at 0 s, where everything is as it was before.
    if not ends or (max(ends) == 1 and ladder[1] < 4 * shortest_s):
        return np.zeros(0)
    if max(ends) >= ladder.size - 1:
        raise BadInputError(
            f"settling: nodes still move {ladder[-2]:.3g} s after a step; rest longer, longest_s > "
            f"{longest_s:g}"
        )
    first = ladder[max(min(begins) - 2, 1)]
    # What is left there, a few per cent, has to be gone for the fit to know where it ends.
    last = min(3 * ladder[max(ends)], longest_s)
    early = np.geomspace(min(first, last / 100), last, points // 2)
    late = np.linspace(0.0, last, points - early.size + 1)
    return np.unique(np.concatenate([early, late[:-1]]))
