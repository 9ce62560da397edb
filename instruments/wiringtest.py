"""Drives every channel once at a low level, both signs, and says which wires are wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hilep.arrays import Doubles
from hilep.instruments.benchprobe import Probe, Probed
from hilep.instruments.findings import Finding
from hilep.instruments.wiring import Line
from hilep.instruments.wiringfaults import Responses, explained
from hilep.instruments.wiringmodel import OPEN, Wires, WiringModel

LOW = 0.1
"""The low level, as a fraction of what a clamp or a node may be at."""


def low_levels(probe: Probe, model: WiringModel) -> Doubles:
    """Return the level of each driving channel, volts or amperes (drives,).

    A nudge is such that its output moves by the same fraction of what its limit, the interlock and
    the reader allow.
    """
    sections = probe.bench.file.sections
    clamp, nudge = sections.roles.clamp, sections.roles.nudge
    most_v = min(clamp.max_v, probe.bench.network.voltage_limit_v)
    node_v = min(nudge.limit_v, sections.interlock.max_node_v, sections.roles.nodes.range_v)
    levels = np.full(model.drives, LOW * min(most_v, node_v))
    free = slice(model.first_free, None)
    ohms = np.linalg.inv(model.kirchhoff[free, free]).diagonal()
    most_a = min(nudge.max_a, probe.bench.network.current_limit_a)
    for channel in range(model.clamps, model.drives):
        node = model.right.at[channel] - model.first_free
        levels[channel] = min(most_a, LOW * node_v / ohms[node])
    return levels


@dataclass
class WiringTest:
    """The responses to every channel, and what they say.

    Args:
        probe: reads the bench.
        model: the circuit, with the cells' conductances.
        levels: of each driving channel (drives,).
        relative: how far a response may be off, as a fraction.

    Attributes:
        sound: whether every wire is as it should be.
    """

    probe: Probe
    model: WiringModel
    levels: Doubles
    relative: float
    sound: bool = False
    _wires: Wires = field(init=False)
    _findings: list[Finding] = field(init=False, default_factory=list)
    _told: set[int] = field(init=False, default_factory=set)

    def run(self) -> list[Finding]:
        """Return a finding for each channel, and one for each fault."""
        model, self._wires = self.model, self.model.right
        rest = {0: self.probe.read({})}
        base = self._base(rest[0])
        rest |= {sign: self.probe.read(self._all_at(sign * base)) for sign in (1, -1)}
        for found in rest.values():
            if found.trouble is not None:
                return [Finding("channel", "all alike", "failed", str(found.trouble))]
        driven, levels, volts = [], [], []
        for channel in range(model.drives):
            for sign in (1, -1):
                before = self._all_at(sign * base)
                level = sign * float(self.levels[channel])
                asked = before.get(model.lines[channel], 0.0) + level
                found = self.probe.read(before | {model.lines[channel]: asked})
                driven.append(channel)
                levels.append(level)
                volts.append(found.volts - rest[sign].volts)
                if found.trouble is not None:
                    self._trip(channel, asked, found)
                else:
                    self._check_level(channel, asked, found)
        reader_v = 1e-4 * self.probe.bench.file.sections.roles.nodes.range_v
        floor = reader_v + 5.0 * rest[0].spread_v / np.sqrt(self.probe.samples)
        responses = Responses(
            np.array(driven), np.array(levels), np.array(volts), self.relative, floor
        )
        self._wires, off = explained(model, responses, self._wires)
        self._name_faults()
        self._name_misfits(off, responses)
        self.sound = not self._findings
        return [*self._each(responses, off), *self._findings]

    def _base(self, rest: Probed) -> float:
        """Return the volts of all clamps from which a wire is told best.

        0, unless a hidden node is not at 0 V then: its rectifier conducts a little. All clamps
        moved to one side take the nodes of one polarity off their rectifiers altogether.
        """
        sections = self.probe.bench.file.sections
        hidden = np.abs(rest.volts[: self.model.first_output - self.model.first_free])
        conducting = 2e-4 * sections.roles.nodes.range_v + 5.0 * float(np.max(rest.spread_v))
        if not np.any(hidden > conducting):
            return 0.0
        # The levels are LOW of the same.
        return float(0.6 / LOW * self.levels[: self.model.clamps].min(initial=np.inf))

    def _all_at(self, volts: float) -> dict[Line, float]:
        return dict.fromkeys(self.model.lines[: self.model.clamps], volts)

    def _trip(self, channel: int, level: float, found: Probed) -> None:
        """Name what a source at its limit, or a node beyond, speaks of."""
        model, line = self.model, self.model.lines[channel]
        if channel in self._told:
            return
        unit = "V" if channel < model.clamps else "A"
        text = f"at {level:.3g} {unit}: {found.trouble}"
        if channel >= model.clamps and line in found.limited:
            self._wires = self._wires.opened(channel)
            text = f"{model.label(channel)} is open: {text}"
        blamed = [channel]
        if channel < model.clamps:
            partner = self._partner(channel, found)
            if partner is not None:
                text = f"{model.label(channel)} and {model.label(partner)} are shorted: {text}"
                blamed.append(partner)
            elif found.limited:
                text = f"{model.label(channel)} is shorted: {text}"
        self._told.update(blamed)
        self._fault(text, *blamed)

    def _partner(self, channel: int, found: Probed) -> int | None:
        """Return the other clamp that takes what the driven one gives."""
        amps = found.source_amps
        given = amps.get(self.model.lines[channel], 0.0)
        others = [k for k in range(self.model.clamps) if k != channel]
        taken = {k: -amps.get(self.model.lines[k], 0.0) * np.sign(given) for k in others}
        most = max(taken, key=lambda k: taken[k], default=None)
        return most if most is not None and taken[most] > 0.5 * abs(given) else None

    def _check_level(self, channel: int, level: float, found: Probed) -> None:
        line: Line = self.model.lines[channel]
        if channel >= self.model.clamps or line not in found.source_volts:
            return
        volts = found.source_volts[line]
        allowed = 0.05 * abs(level) + 1e-3 * self.probe.bench.file.sections.roles.clamp.range_v
        if np.isfinite(volts) and abs(volts - level) > allowed and channel not in self._told:
            self._told.add(channel)
            text = f"{self.model.label(channel)} is at {volts:.3g} V, asked for {level:.3g} V"
            self._fault(text, channel)

    def _name_faults(self) -> None:
        model, right = self.model, self.model.right.at
        at, done = self._wires.at, set(self._told)
        for channel, place in enumerate(at):
            if place == right[channel] or channel in done:
                continue
            done.add(channel)
            crossed = [
                k for k, other in enumerate(at) if (other, right[k]) == (right[channel], place)
            ]
            partners = [k for k in crossed if k not in done]
            if place == OPEN:
                self._fault(f"{model.label(channel)} is open: nothing is at its end", channel)
            elif partners:
                done.add(partners[0])
                names = f"{model.label(channel)} and {model.label(partners[0])}"
                self._fault(f"{names} are swapped", channel, partners[0])
            else:
                self._fault(f"{model.label(channel)} goes to {model.names[place]}", channel)
        for first, second in self._wires.joined:
            ends = sorted({first, second} - {OPEN})
            channels = [[k for k, place in enumerate(right) if place == end] for end in ends]
            labels = [
                f"{model.names[end]} ({', '.join(str(model.lines[k]) for k in here)})"
                for end, here in zip(ends, channels, strict=True)
            ]
            state = "are shorted" if len(ends) == 2 else "is shorted to ground"
            self._fault(f"{' and '.join(labels)} {state}", *(k for here in channels for k in here))

    def _name_misfits(self, off: Doubles, responses: Responses) -> None:
        """Say what no fault explains, once for each reader."""
        for node, reader in enumerate(self.model.readers.tolist()):
            row = int(off[:, node].argmax())
            if off[row, node] <= 1.0:
                continue
            wrong = self.model.label(int(responses.driven[row]))
            unit = "V" if responses.driven[row] < self.model.clamps else "A"
            self._fault(
                f"{self.model.label(reader)} answers {responses.volts[row, node]:.3g} V to "
                f"{responses.levels[row]:.3g} {unit} at {wrong}, which the conductances do not "
                "explain, nor any wire swapped, open or shorted",
                reader,
            )

    def _fault(self, text: str, *channels: int) -> None:
        lines = [str(self.model.lines[channel]) for channel in channels]
        self._findings.append(
            Finding("wiring", ", ".join(lines), "failed", text, {"channels": lines})
        )

    def _each(self, responses: Responses, off: Doubles) -> list[Finding]:
        """Return what every channel was seen to do."""
        blamed = {line for one in self._findings for line in one.values["channels"]}
        model, found = self.model, []
        for channel, line in enumerate(model.lines):
            values: dict[str, float] = {}
            parts = []
            if channel < model.drives:
                rows = np.flatnonzero(responses.driven == channel)
                unit = "v" if channel < model.clamps else "a"
                values[f"level_{unit}"] = float(self.levels[channel])
                part = np.abs(responses.volts[rows])
                values["response_v"] = float(np.nan_to_num(part).max())
                parts.append(f"{self.levels[channel]:.3g} {unit.upper()} of both signs moved")
                parts.append(f"nodes by up to {values['response_v']:.3g} V")
            else:
                column = np.flatnonzero(model.readers == channel)
                part = np.abs(responses.volts[:, column])
                values["response_v"] = float(np.nan_to_num(part).max())
                parts.append(f"moved by up to {values['response_v']:.3g} V")
            bad = str(line) in blamed
            what = f"{model.names[model.right.at[channel]]}, {line}"
            found.append(
                Finding("channel", what, "failed" if bad else "ok", " ".join(parts), values)
            )
        return found
