"""Which wires are swapped, open or shorted: the fewest faults that explain what was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.instruments.wiringmodel import OPEN, Wires, WiringModel

_GAIN = 0.8
"""A fault is believed if it leaves less than this part of the misfit."""

_SUSPECTS = 24
"""How many channels are suspected at once, the worst first: pairs are tried."""

_LEADING = 4
"""How many explanations are followed up."""


@dataclass(frozen=True)
class Responses:
    """What the nodes answered to each channel in turn, at both signs.

    Attributes:
        driven: channel that was driven (rows,).
        levels: its volts or amperes (rows,).
        volts: of each reader over what it showed before (rows, n_free); NaN where a source met its
            limit.
        relative: how far a response may be off, as a fraction.
        floor_v: how far it may be off besides (n_free,).
    """

    driven: NDArray[np.int64]
    levels: Doubles
    volts: Doubles
    relative: float
    floor_v: Doubles

    @property
    def polarity(self) -> NDArray[np.int64]:
        """Sign of the side to which each reader's node moves freely (n_free,), 0 for both.

        A driven conductance moves every node to its own side, so that a rectifier shows as a
        response to one sign that is smaller than the response to the other.
        """
        size = np.nan_to_num(np.abs(self.volts))
        up, down = size[self.levels > 0].sum(axis=0), size[self.levels < 0].sum(axis=0)
        least, most = np.minimum(up, down), np.maximum(up, down)
        count = max(1, len(self.levels) // 2)
        one_sided = (least < 0.7 * most) & (most > count * self.floor_v)
        return np.where(one_sided, np.where(up > down, 1, -1), 0).astype(np.int64)

    def misfit(self, expected: Doubles) -> Doubles:
        """Return how far each response is from `expected`, 1 where it is just bearable."""
        return misfit(expected, self.volts, self.relative, self.floor_v)


def misfit(expected: Doubles, found: Doubles, relative: float, floor_v: Doubles) -> Doubles:
    """Return the difference of two tables of responses over what is bearable; 0 where NaN."""
    size = np.fmax(np.abs(expected), np.abs(found))
    scale = np.fmax(size, 0.05 * size.max(axis=0, initial=0.0, where=np.isfinite(size)))
    off = np.abs(expected - found) / (relative * scale + floor_v)
    bearable: Doubles = np.nan_to_num(off, nan=0.0)
    return bearable


def explained(model: WiringModel, responses: Responses, wires: Wires) -> tuple[Wires, Doubles]:
    """Return the wires that explain the responses, and what misfit is left (rows, n_free).

    Faults are added one at a time while something misfits. The few that explain most are followed
    up, as one fault may look like another until both are known.

    Args:
        model: the circuit.
        responses: what was read.
        wires: as known so far.
    """
    polarity = responses.polarity

    def left(candidate: Wires) -> Doubles:
        expected = model.answers(
            candidate, responses.driven, responses.levels, responses.volts, polarity
        )
        return responses.misfit(expected)

    best = wires, left(wires)
    tried, leading = {wires}, [best]
    for _ in model.lines:
        if best[1].max(initial=0.0) <= 1.0:
            break
        further = []
        for known, off in leading:
            for candidate in _candidates(model, responses, known, off):
                if candidate not in tried:
                    tried.add(candidate)
                    further.append((candidate, left(candidate)))
        leading = sorted(further, key=lambda one: _score(one[1]))[:_LEADING]
        if not leading or _score(leading[0][1]) > _GAIN * _score(best[1]):
            break
        best = leading[0]
    return best


def indistinct(
    model: WiringModel, levels: Doubles, relative: float, floor_v: float
) -> list[tuple[int, int]]:
    """Return the pairs of like channels whose exchange these cells would not show.

    Args:
        model: the circuit.
        levels: of each driving channel, volts or amperes (drives,).
        relative: how far a response may be off, as a fraction.
        floor_v: how far it may be off besides, volts.
    """
    driven = np.arange(model.drives)
    right = model.answers(model.right, driven, levels)
    floors = np.full(right.shape[1], floor_v)
    pairs = []
    for group in _alike(model):
        for first, second in combinations(group, 2):
            other = model.answers(model.right.swapped(first, second), driven, levels)
            if misfit(other, right, relative, floors).max() < 1.5:
                pairs.append((first, second))
    return pairs


def _alike(model: WiringModel) -> list[range]:
    ends = (0, model.clamps, model.drives, len(model.lines))
    return [range(first, last) for first, last in pairwise(ends)]


def _score(off: Doubles) -> float:
    return float(np.square(off[off > 1.0]).sum() + 1e-3 * np.square(off).sum())


def _candidates(
    model: WiringModel, responses: Responses, wires: Wires, off: Doubles
) -> Iterator[Wires]:
    """Yield the wires with one fault more, at channels with something that misfits."""
    suspects = _suspects(model, responses, off)
    for first, second in combinations(suspects, 2):
        if wires.at[first] != wires.at[second]:
            yield wires.swapped(first, second)
    for channel in suspects:
        if wires.at[channel] == OPEN:
            continue
        yield wires.opened(channel)
        if model.first_free <= wires.at[channel] < model.first_output:
            yield from (wires.opened(channel, polarity) for polarity in (1, -1))
    places = sorted({wires.at[channel] for channel in suspects} | {OPEN})
    for low, high in combinations(places, 2):
        if (high, low) not in wires.joined and (low != OPEN or high >= model.first_free):
            yield wires.shorted(high, low)


def _suspects(model: WiringModel, responses: Responses, off: Doubles) -> list[int]:
    """Return the channels with something that misfits, no more than the worst `_SUSPECTS`."""
    square = np.square(off)
    blame = dict.fromkeys(range(len(model.lines)), 0.0)
    for row, channel in enumerate(responses.driven.tolist()):
        if off[row].max(initial=0.0) > 1.0:
            blame[channel] += float(square[row].mean())
    for column, channel in enumerate(model.readers.tolist()):
        if off[:, column].max(initial=0.0) > 1.0:
            blame[channel] += float(square[:, column].mean())
    ranked = sorted((channel for channel, much in blame.items() if much), key=lambda k: -blame[k])
    return sorted(ranked[:_SUSPECTS])
