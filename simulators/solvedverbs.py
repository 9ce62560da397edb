"""The four verbs of a crossbar whose true voltages are computed and whose reads are drawn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.errors import BadInputError, UnsupportedError
from hilep.limits import within_limit
from hilep.network import Network
from hilep.reading import Reading
from hilep.simulators.cells.thermal import ThermalNoise
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.imperfect import ImperfectCells
from hilep.simulators.noise import Disturbance, ReadNoise
from hilep.simulators.programmed import ProgrammedCrossbar
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.solver import Holder
from hilep.simulators.thermal import disturbance


class SolvedVerbs(ProgrammedCrossbar):
    """The verbs on a `Holder` of conductances, with read noise; override `settled` and `ports`.

    A nudged phase begins from the free state, as in the paper.

    Args:
        network: layers, diodes, biases and limits.
        noise: how reads differ from the true voltages.
        solver: holds the conductances.
        cells: see `ProgrammedCrossbar`.
        thermal: noise of the conductances themselves, shared between nodes, in every read.

    Raises:
        UnsupportedError: for thermal noise in a network with amplifiers.
    """

    has_spring: ClassVar[bool] = True
    has_amplifiers: ClassVar[bool] = True
    rectifier: Rectifier = IdealDiode()

    def __init__(
        self,
        network: Network,
        noise: ReadNoise,
        solver: Holder,
        cells: ImperfectCells | None = None,
        thermal: ThermalNoise | None = None,
    ) -> None:
        if thermal is not None and network.amplified:
            raise UnsupportedError(
                "device.cells.bandwidth_hz: no thermal noise is known for a network with amplifiers"
            )
        super().__init__(network, solver, cells)
        self.noise = noise
        self.thermal = thermal
        self._inputs: Floats | None = None
        self._pull: Pull | None = None
        self._drive: Drive | None = None
        self._free: Doubles | None = None
        self._volts: Doubles | None = None

    def forget(self) -> None:
        """Drop voltages that were found with other conductances."""
        self._drive = self._volts = None

    def settled(self, drive: Drive, pull: Pull | None, start: Doubles | None) -> Doubles:
        """Return the true volts (batch, n_free) in a phase.

        Args:
            drive: the clamped inputs.
            pull: what a nudge does to the outputs; None is the free phase.
            start: the volts of the free phase, to begin a nudged one from.
        """
        raise NotImplementedError

    def ports(self) -> PortNetwork:
        """Return the linear part of the circuit, for thermal noise."""
        raise NotImplementedError

    @property
    def in_turn(self) -> bool:
        """Whether images have to be gone through one by one, because time matters."""
        return self.cells is not None and self.cells.moving

    # The four verbs -------------------------------------------------------------------------------

    def clamp(self, volts: ArrayLike) -> None:
        """See `Crossbar.clamp`."""
        row = checked(volts, (self.network.inputs,), "clamp volts")
        within_limit(row, self.network.voltage_limit_v, "clamp", "V")
        self._inputs = row[None, :].copy()
        self._pull = self._drive = self._volts = None

    def nudge(self, amps: ArrayLike | None) -> Doubles:
        """See `Crossbar.nudge`; an ideal source achieves what is asked."""
        if amps is None:
            self._set_pull(None)
            return np.zeros(self.network.outputs)
        current = checked(amps, (self.network.outputs,), "nudge amps").astype(np.float64)
        within_limit(current, self.network.current_limit_a, "nudge", "A")
        self._set_pull(Pull(current[None, :].copy()))
        return current

    def nudge_spring(self, siemens: float, volts: ArrayLike) -> None:
        """See `Crossbar.nudge_spring`; negative siemens are allowed while an equilibrium exists."""
        if np.isnan(siemens) or siemens == -np.inf:
            raise BadInputError(f"nudge_spring: expected siemens, got {siemens}")
        targets = checked(volts, (self.network.outputs,), "nudge_spring volts")
        self._set_pull(Pull.spring(siemens, targets[None, :]))

    def read(self, samples: int = 1) -> Reading:
        """See `Crossbar.read`."""
        return self._read(samples, "first" if self._pull is None else "second")

    def _read(self, samples: int, stream: str) -> Reading:
        count = checked_count(samples)
        self._require_programmed("read")
        if self._inputs is None:
            raise BadInputError("read: clamp the inputs first")
        self._catch_up()
        true = self.present(self._inputs, self._pull)
        if self.cells is not None:
            self.cells.read(count)
        volts, inputs = true[0], self._inputs[0]
        shared = self._disturbance(true, self._pull)
        if shared is None:
            return self.noise.samples(volts, count, stream, inputs)
        return self.noise.samples(
            volts, count, stream, inputs, lambda n, generator: shared(n, generator)[:, 0]
        )

    def _catch_up(self) -> None:
        """Let the solver have what cells that move by themselves conduct by now."""
        if self._programmed and self.cells is not None and self.cells.moving:
            self.solver.load(self.cells.siemens())
            self.forget()

    def present(self, inputs: Floats, pull: Pull | None) -> Doubles:
        """Return the true volts (1, n_free) that a read meets now.

        Args:
            inputs: the clamped volts (1, n_in).
            pull: of the nudge that is on, or None.
        """
        if self._drive is None:
            self._drive = self.solver.forward(inputs)
            self._free = self.settled(self._drive, None, None)
        if self._volts is None:
            self._volts = self.settled(self._drive, pull, self._free)
        return self._volts

    def safe(self) -> None:
        """Release the nudge and the inputs; a simulated crossbar has no output to switch off."""
        self._inputs = self._pull = self._drive = self._volts = None

    def _set_pull(self, pull: Pull | None) -> None:
        self._require_programmed("nudge")
        if pull is not None and pull.siemens < 0:
            pull.require_equilibrium(self.solver.output_siemens())
        self._pull = pull
        self._volts = None

    def _disturbance(self, volts: Doubles, pull: Pull | None) -> Disturbance | None:
        if self.thermal is None:
            return None
        return disturbance(self.thermal, self.network, self.ports(), self.rectifier, volts, pull)

    def state(self) -> dict[str, Any]:
        """Return the state of the noise streams, and of cells that are not ideal."""
        return {**super().state(), "noise": self.noise.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up noise and cells where `state` found them."""
        super().restore(state)
        self.noise.restore(state["noise"])

    def snapshot(self) -> dict[str, Any]:
        """Return how this crossbar is simulated."""
        converter = self.noise.converter
        return {
            "description": self.description,
            "solver": self.solver.name,
            "precision": str(self.solver.conductances[0].dtype),
            "sigma_v": self.noise.sigma_v.tolist(),
            "clamped_sigma_v": self.noise.clamped_sigma_v,
            "converter_step_v": None if converter is None else converter.step_v,
            "reads": "drawn as mean and variance unless every sample is needed",
            "cells": None if self.cells is None else self.cells.snapshot(),
        }
