"""A bench of instruments as a `Crossbar`.

    with Bench(BenchFile.load("bench.toml"), network) as bench:
        bench.program(conductances)
        bench.clamp(volts)
        reading = bench.read(samples=16)

Entering locks, opens and identifies every instrument and switches it off before anything else.
Outputs go on with the first clamp or nudge, and off on every way out. After that the same object
may be used again: it connects anew.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.errors import BadInputError
from hilep.instruments.benchcapabilities import BenchCapabilities
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.benchoutputs import BenchOutputs
from hilep.instruments.benchsession import BenchSession
from hilep.instruments.benchsession import Twin as Twin
from hilep.instruments.circuitchecks import check_network
from hilep.instruments.stations import check_kinds, driver_classes
from hilep.limits import checked_conductances, within_limit
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.reading import Contrast, ProgramReport, Reading, Statistic, Update


class Bench(BenchCapabilities):
    """The crossbar that a bench file describes.

    Args:
        file: checked in itself.
        network: what it wires; biases are rows or none, and there are no amplifiers.
        twin: serves virtual instruments in place of the file's; these need no arming.
        unchecked: allows outputs without a passing check, for the check itself.

    Raises:
        BadInputError: file and network do not belong together; no instrument is spoken to.

    Attributes:
        file: the bench file.
        session: the connections; its `station` holds the roles while they are open.
        outputs: whether they are on, and what is clamped and nudged.
    """

    def __init__(
        self,
        file: BenchFile,
        network: Network,
        *,
        twin: Twin | None = None,
        unchecked: bool = False,
    ) -> None:
        check_network(file, network)
        drivers = driver_classes(file)
        check_kinds(file, drivers)
        self.file = self._as_given = file
        self.network = network
        kind = "bench" if twin is None else "virtual bench"
        self.description = f"{kind} {file.path.name}, {len(drivers)} instruments"
        self.session = BenchSession(file, network, drivers, twin, unchecked)
        # Also where nobody left a `with` block: when this object or the interpreter ends.
        weakref.finalize(self, self.session.end)
        self.outputs = BenchOutputs(self.session)
        self._cells = self.outputs.cells
        self._inputs: list[Doubles] | None = None

    # The context: outputs are off at both ends ----------------------------------------------------

    def open(self) -> None:
        """Lock, open, identify and switch off every instrument, if that is not done yet.

        Raises:
            NotArmedError: this very file has not passed a check.
            InstrumentError: an instrument is in use, does not answer, or is another one.
        """
        self.session.open()

    def safe(self) -> None:
        """Switch every output off, at once and whatever else is going on."""
        self.outputs.forget()
        self.session.safe()

    def close(self) -> None:
        """Switch every output off, and close every session. The bench may be used again."""
        self.outputs.forget()
        self.session.close()

    def __enter__(self) -> Bench:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # The verbs ------------------------------------------------------------------------------------

    def program(
        self, conductances: Sequence[ArrayLike], bias_currents: ArrayLike | None = None
    ) -> ProgramReport:
        """Write every cell that is not within its tolerance; cells that failed are tried again.

        Clamps and nudges rest meanwhile as the way of programming asks, and come back with the next
        read.
        """
        arrays = checked_conductances(self.network, conductances)
        if (
            bias_currents is not None
            and checked(bias_currents, (self.network.free_nodes,), "program: bias currents").any()
        ):
            raise BadInputError(f"program: network.bias is {self.network.bias!r}, without currents")
        with self.session.turn(self.safe) as station:
            self._cells.ask(arrays)
            return self.outputs.write(station)

    def conductances(self) -> list[Floats]:
        """Return the conductances as last verified, within the window."""
        return self._cells.achieved()

    def bias_currents(self) -> Floats:
        """Return zeros: a bench has none."""
        return np.zeros(self.network.free_nodes)

    def clamp(self, volts: ArrayLike) -> None:
        """Hold the inputs at `volts` (n_in,), and release the nudge before that.

        Both are one write where an instrument has to do with both.
        """
        asked = checked(volts, (self.network.inputs,), "clamp volts").astype(np.float64)
        most = min(self.network.voltage_limit_v, self.file.sections.roles.clamp.max_v)
        within_limit(asked, most, "clamp", "V")
        with self.session.turn(self.safe) as station:
            self.outputs.clamp(station, asked)
            if self._inputs is not None:
                self._inputs.append(station.clamp.achieved())

    def nudge(self, amps: ArrayLike | None) -> Doubles:
        """Inject `amps` (n_out,) into the outputs; return the amperes achieved."""
        outputs = self.network.outputs
        if amps is None:
            if self.outputs.on:
                with self.session.turn(self.safe) as station:
                    self.outputs.release(station)
            return np.zeros(outputs)
        asked = checked(amps, (outputs,), "nudge amps").astype(np.float64)
        most = min(self.network.current_limit_a, self.file.sections.roles.nudge.max_a)
        within_limit(asked, most, "nudge", "A")
        with self.session.turn(self.safe) as station:
            return self.outputs.nudge(station, asked)

    def read(self, samples: int = 1) -> Reading:
        """Let the network settle, then read every free node `samples` times.

        Raises:
            ComplianceError: a source met its limit; the reading is not returned.
            OverRangeError: a sample is no good; the outputs are off.
            InterlockError: a node is beyond `interlock.max_node_v`; the outputs are off.
        """
        count = checked_count(samples)
        if not self._cells.programmed or self.outputs.volts is None:
            raise BadInputError("read: program the conductances and clamp the inputs first")
        with self.session.turn(self.safe) as station, self.outputs.steady():
            self.outputs.settle(station)
            readings = station.nodes.read(None, count)
        status = np.bitwise_or.reduce(readings.status, axis=0)
        reading = Reading.of_samples(readings.volts, time_s=self.session.time_s())
        return replace(reading, status=status) if status.any() else reading

    # What a bench does better ---------------------------------------------------------------------

    def read_batch(self, volts: ArrayLike, samples: int = 1) -> Reading:
        """Read the free phase of each image in turn, with the instruments kept throughout."""
        with self.session.turn(self.safe):
            return super().read_batch(volts, samples)

    def free_and_nudged(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        samples: int = 1,
        statistic: Statistic = "mean",
    ) -> Contrast:
        """See `interleaved`: one write in each phase."""
        return self.interleaved(volts, targets, nudging, samples, 1, statistic)

    def interleaved(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        samples: int,
        interleave: int,
        statistic: Statistic = "mean",
    ) -> Contrast:
        """Read both phases of each image with the instruments kept throughout.

        Inputs stay clamped between the phases, and the nudge is released in the next image's
        clamp, so that each instrument gets one write in each turn of a phase. `Contrast.inputs` are
        the volts that the sources achieved.
        """
        inputs = checked(volts, (None, self.network.inputs), "free_and_nudged volts")
        with self.session.turn(self.safe):
            achieved: list[Doubles] = []
            self._inputs = achieved
            try:
                contrast = super().interleaved(
                    inputs, targets, nudging, samples, interleave, statistic
                )
            finally:
                self._inputs = None
            return replace(contrast, inputs=np.stack(achieved))

    def update(
        self, blocks: Iterable[Update], next_volts: ArrayLike | None = None
    ) -> ProgramReport:
        """Add `blocks` to what the cells should be, and write those that a write can resolve.

        What is smaller is owed, and written once it has added up.
        """
        if not self._cells.wanted:
            raise BadInputError("update: program the conductances first")
        changes = [np.zeros(shape) for shape in self.network.shapes]
        for block in blocks:
            for change, layer in zip(changes, block.layers, strict=True):
                change += layer.dense()
        with self.session.turn(self.safe) as station:
            self._cells.add(changes)
            return self.outputs.write(station)

    def owed(self) -> list[Floats] | None:
        """Return what updates asked for and writes could not resolve yet, siemens."""
        return self._cells.owed()

    def owe(self, siemens: Sequence[ArrayLike]) -> None:
        """Owe `siemens` more: what `owed` returned with the conductances just programmed."""
        shapes = self.network.shapes
        if len(siemens) != len(shapes) or not self._cells.wanted:
            raise BadInputError(f"owe: expected {len(shapes)} layers, after program")
        pairs = zip(siemens, shapes, strict=True)
        self._cells.add([checked(part, shape, "owe: siemens") for part, shape in pairs])

    def snapshot(self) -> dict[str, Any]:
        """Return the bench file and every setting of every instrument when outputs went on."""
        applied = self.session.corrections
        return {
            **({} if applied is None else {"corrections": applied.snapshot()}),
            **({"stuck_cells": self._cells.stuck} if self._cells.stuck else {}),
            "description": self.description,
            "file": str(self.file.path),
            "file_sha256": self.file.sha256,
            "file_text": self.file.text,
            **self.outputs.snapshot,
        }
