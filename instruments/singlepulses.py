"""Single pulses to one cell, each followed by a read: its curve of potentiation and depression."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from hilep.arrays import Doubles
from hilep.instruments.pulseschedule import Schedule
from hilep.instruments.writeverify import SelectedCell


def single_pulses(
    cell: SelectedCell,
    directions: Iterable[int],
    increase: Schedule,
    decrease: Schedule,
    window: tuple[float, float],
    unanswered: Callable[[], int],
) -> Doubles:
    """Return what the cell conducts before and after each pulse, siemens (pulses + 1,).

    Every pulse is the first of its schedule. It ends, and the rest is NaN, where a read is beyond
    the reader's limits, where a pulse was not answered, because it may have been given or not, and
    where a pulse would drive a cell on that has left the window.

    Args:
        cell: selected.
        directions: +1 or -1 for each pulse.
        increase: pulses that raise its conductance.
        decrease: pulses that lower it.
        window: siemens that it should not leave.
        unanswered: how many pulses have not been answered so far.
    """
    wanted = list(directions)
    found = np.full(len(wanted) + 1, np.nan)
    before = unanswered()
    for place in range(len(found)):
        if place:
            up = wanted[place - 1] > 0
            last = found[place - 1]
            if last > window[1] if up else last < window[0]:
                break
            cell.pulse(*(increase if up else decrease).pulse(0))
        read = cell.read()
        if not read.good or unanswered() != before:
            break
        found[place] = read.siemens
    return found
