"""The check that arms a bench file: identities, limits, channels, wiring, and every knee."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError, HilepError
from hilep.instruments.arming import arm, disarm
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.benchprobe import Probe
from hilep.instruments.benchsession import Twin
from hilep.instruments.cellcheck import TestCells, every_cell, prepared_cells
from hilep.instruments.connections import Connections
from hilep.instruments.errors import InUseError
from hilep.instruments.findings import Finding, passed
from hilep.instruments.kneecheck import knees
from hilep.instruments.stations import Station
from hilep.instruments.wiring import lines_of
from hilep.instruments.wiringfaults import indistinct
from hilep.instruments.wiringmodel import WiringModel
from hilep.instruments.wiringtest import WiringTest, low_levels
from hilep.network import Network

SEED = 20
"""Of the pattern that is written where the cells as found do not tell the lines apart."""


@dataclass
class CheckResult:
    """What a check of a bench came to.

    Attributes:
        file: as it was checked.
        virtual: whether it was the bench's virtual twin that was checked.
        findings: in the order in which they were made.
        off: whether every output was known to be off at the end.
        armed: whether the file is armed now.
    """

    file: BenchFile
    virtual: bool
    findings: list[Finding] = field(default_factory=list)
    off: bool = False
    armed: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and everything is off."""
        return bool(self.findings) and self.off and passed(self.findings)

    def plain(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "passed": self.passed,
            "armed": self.armed,
            "outputs_off": self.off,
            "bench": str(self.file.path),
            "sha256": self.file.sha256,
            "virtual": self.virtual,
            "findings": [finding.plain() for finding in self.findings],
        }


class CheckStopped(KeyboardInterrupt):
    """A check was stopped by Ctrl-C or termination; `result` says whether outputs are off."""

    def __init__(self, result: CheckResult) -> None:
        super().__init__()
        self.result = result


def check(
    file: BenchFile,
    network: Network,
    *,
    known: bool = False,
    twin: Twin | None = None,
    keep: bool = False,
) -> CheckResult:
    """Check a bench at low level, and arm its file if it passes.

    A file that does not pass loses what armed it, unless another run has its instruments. The check
    of a twin arms and disarms nothing.

    Args:
        file: checked in itself.
        network: what it wires.
        known: whether `network` is that of the run to come, polarities included.
        twin: serves virtual instruments in place of the file's.
        keep: leave cells that are written by pulses as they are.

    Raises:
        BadInputError: file and network do not belong together, an instrument is another one, or
            lacks a range or limit that the file asks for.
        InUseError: another run has an instrument.
        InstrumentError: an instrument stopped answering. Outputs are off. Where some
            cannot be opened at all, the findings say so of each, and nothing else is tested.
        CheckStopped: by Ctrl-C or termination. Outputs are off where its `result` says so.
    """
    result = CheckResult(file, twin is not None)
    disarms = twin is None
    bench = Bench(file, network, twin=twin, unchecked=True)
    try:
        try:
            try:
                with bench:
                    _Check(bench, known, keep, result.findings).run()
            except InUseError:
                disarms = False
                raise
            except HilepError:
                if not _unopened(bench.session.tried):
                    raise
                result.findings += _identified(file, bench.session.tried)
            _switched_off(result, bench.session.tried)
        finally:
            bench.session.end()
            if disarms and not result.passed:
                disarm(file)
        if twin is None and result.passed:
            arm(file, result.plain())
            result.armed = True
    except KeyboardInterrupt as error:
        result.armed = False
        if twin is None:
            disarm(file)
        _switched_off(result, bench.session.tried)
        raise CheckStopped(result) from error
    return result


def _unopened(tried: Connections | None) -> bool:
    """Whether instruments failed, not only the file that names them."""
    failures = [] if tried is None else tried.failures.values()
    return any(not isinstance(failure, BadInputError) for failure in failures)


def _identified(file: BenchFile, tried: Connections | None) -> Iterator[Finding]:
    """Yield which instrument each one is, or why that is not known."""
    assert tried is not None
    for name, section in file.sections.instruments.items():
        if name in tried.failures:
            yield Finding("identity", name, "failed", str(tried.failures[name]))
            continue
        identity, expect = tried.identities[name], section.expect
        found = f"{identity}; off" if expect else f"{identity}; off; no `expect` in the file"
        values = {"identity": identity, "expect": expect}
        yield Finding("identity", name, "note" if expect is None else "ok", found, values)


def _switched_off(result: CheckResult, tried: Connections | None) -> None:
    """Take up what switching off at the end came to."""
    reports = {} if tried is None else tried.reports
    names = result.file.sections.instruments
    result.off = all(name in reports and reports[name].off is True for name in names)
    for name, one in reports.items():
        if one.off is not True:
            result.findings.append(Finding("outputs", name, "failed", one.text))


class _Check:
    """The steps of a check on an open bench."""

    def __init__(self, bench: Bench, known: bool, keep: bool, findings: list[Finding]) -> None:
        self.bench, self.known, self.keep = bench, known, keep
        self.findings = findings
        roles = bench.file.sections.roles
        self.relative = 0.03 + 2.0 * roles.program.tolerance
        self.cells: TestCells | None = None

    def run(self) -> None:
        bench, sections = self.bench, self.bench.file.sections
        self._identities()
        with bench.session.turn(bench.safe) as station:
            bench.session.require_supervisor()
            # A range or limit that an instrument lacks is met before programming drives anything.
            station.configure()
            self.cells = prepared_cells(
                station,
                bench.network,
                sections.roles.program.tolerance,
                self.keep,
                self._tell_apart,
                np.random.default_rng(SEED),
            )
        self.findings.append(self.cells.finding())
        model = self._model(self.cells.siemens)
        probe = Probe(bench, self._ready)
        levels = low_levels(probe, model)
        probe.energise()
        self._limits()
        self._unclear(model, levels)
        wiring = WiringTest(probe, model, levels, self.relative)
        self.findings += wiring.run()
        if wiring.sound:
            self.findings += knees(probe, model, bench.network, self.relative + 0.07, self.known)
        elif sections.hidden is not None:
            text = "not swept, as the wiring is not as it should be"
            self.findings.append(Finding("knee", "hidden nodes", "note", text))

    def _identities(self) -> None:
        self.findings += _identified(self.bench.file, self.bench.session.tried)

    def _limits(self) -> None:
        """Say which limits the instruments took: one that they lack was refused before."""
        station = self.bench.session.station
        assert station is not None
        for line, source in station.sources.lines.items():
            other = "A" if source.quantity == "V" else "V"
            limit = "none to set" if source.limit is None else f"{source.limit:.3g} {other}"
            text = (
                f"limit {limit}, range {source.source_range:.3g} {source.quantity}, at most "
                f"{source.max_level:.3g} {source.quantity}: taken"
            )
            values = {"limit": source.limit, "range": source.source_range, "most": source.max_level}
            self.findings.append(Finding("limits", f"{source.node}, {line}", "ok", text, values))

    def _ready(self, station: Station) -> None:
        """Bring the cells back after a switching off, and close the paths of the network."""
        assert self.cells is not None
        if station.programmer.volatile:
            # Its channels are taken into use anew: a switching off may have come between.
            station.programmer.safe()
            asked = np.concatenate([array.ravel() for array in self.cells.siemens])
            tolerance = self.bench.file.sections.roles.program.tolerance
            station.programmer.program(every_cell(self.bench.network), asked, tolerance)
        else:
            station.programmer.connect()

    def _model(self, siemens: Sequence[Doubles]) -> WiringModel:
        roles = self.bench.file.sections.roles
        return WiringModel(
            self.bench.network,
            siemens,
            lines_of([*roles.clamp.channels, *roles.clamp.bias_channels]),
            lines_of(roles.nudge.channels),
            lines_of(roles.nodes.channels),
        )

    def _pairs(self, model: WiringModel, levels: Doubles) -> list[tuple[int, int]]:
        floor = 1e-4 * self.bench.file.sections.roles.nodes.range_v
        return indistinct(model, levels, self.relative, floor)

    def _tell_apart(self, siemens: Sequence[Doubles]) -> bool:
        model = self._model(siemens)
        return not self._pairs(model, low_levels(Probe(self.bench, self._ready), model))

    def _unclear(self, model: WiringModel, levels: Doubles) -> None:
        pairs = self._pairs(model, levels)
        for first, second in pairs:
            names = f"{model.label(first)} and {model.label(second)}"
            text = f"{names}: whether they are swapped does not show with these cells"
            subject = f"{model.lines[first]}, {model.lines[second]}"
            self.findings.append(Finding("wiring", subject, "note", text))
