"""Laws of the voltages: Kirchhoff's current law and the diodes, in every phase.

The true voltages come from `hilep.testing.equilibrium`, which shares no code with any simulator.
"""

from __future__ import annotations

import numpy as np

from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.testing.specimen import Specimen


class EquilibriumLaws(Specimen):
    """Laws of where a network settles. All compare means of `reads` reads."""

    def check_volts(self, device: Crossbar, inputs: np.ndarray, **nudge: object) -> None:
        """Check the mean reading against the equilibrium under `nudge`."""
        true = self.expected(device, inputs, **nudge)  # type: ignore[arg-type]
        off_by = self.off_by(self.read_mean(device), true)
        network = device.network
        what = f"layers {network.layers}, {network.diodes} diodes, bias {network.bias!r}"
        assert off_by <= self.allowance(self.reads), f"off by {off_by} V: {what}"

    def test_the_free_phase_is_the_equilibrium(self) -> None:
        """Every free node is where Kirchhoff's law and its diode put it, biases included."""
        for network in self.networks():
            generator = np.random.default_rng(31)
            with self.programmed(network, generator) as device:
                for _ in range(2):
                    inputs = self.draw_volts(network.inputs, generator)
                    device.clamp(inputs)
                    self.check_volts(device, inputs)
                device.clamp(np.zeros(network.inputs))
                self.check_volts(device, np.zeros(network.inputs))

    def test_a_nudge_current_moves_the_equilibrium(self) -> None:
        """A positive ampere flows into its output; what is returned is what was achieved."""
        for network in self.networks():
            generator = np.random.default_rng(32)
            with self.programmed(network, generator) as device:
                inputs = self.draw_volts(network.inputs, generator)
                device.clamp(inputs)
                for _ in range(2):
                    asked = self.draw_amps(network.outputs, generator)
                    achieved = device.nudge(asked)
                    assert achieved.shape == (network.outputs,)
                    off_by = self.off_by(achieved, asked)
                    assert off_by <= self.tolerance * self.siemens * self.volts
                    self.check_volts(device, inputs, amps=achieved)

    def test_a_spring_moves_the_equilibrium(self) -> None:
        """A spring is a conductance to its target; a weak negative one pushes away from it."""
        for network in self.networks():
            generator = np.random.default_rng(33)
            with self.programmed(network, generator) as device:
                if not device.has_spring:
                    continue
                inputs = self.draw_volts(network.inputs, generator)
                targets = self.draw_volts(network.outputs, generator)
                device.clamp(inputs)
                for factor in (0.5, 20.0, -0.25):
                    spring = factor * self.siemens
                    device.nudge_spring(spring, targets)
                    self.check_volts(device, inputs, spring_siemens=spring, targets=targets)

    def test_an_infinite_spring_clamps_the_outputs(self) -> None:
        """Outputs are at their targets and hidden nodes at the equilibrium that leaves them."""
        for network in self.networks():
            generator = np.random.default_rng(34)
            with self.programmed(network, generator) as device:
                if not device.has_spring:
                    continue
                inputs = self.draw_volts(network.inputs, generator)
                device.clamp(inputs)
                for _ in range(2):
                    targets = self.draw_volts(network.outputs, generator)
                    device.nudge_spring(np.inf, targets)
                    self.check_volts(device, inputs, spring_siemens=np.inf, targets=targets)

    def test_every_way_to_the_free_phase_is_the_same(self) -> None:
        """`nudge(None)`, a nudge of zero and a new clamp all release a nudge of any kind."""
        for network in self.networks():
            generator = np.random.default_rng(35)
            with self.programmed(network, generator) as device:
                inputs = self.draw_volts(network.inputs, generator)
                amps = 2.0 * self.draw_amps(network.outputs, generator)
                device.clamp(inputs)
                kinds = ["current", "spring", "clamp"] if device.has_spring else ["current"]
                for kind in kinds:
                    for release in ("None", "zero", "clamp"):
                        if kind == "current":
                            device.nudge(amps)
                        else:
                            spring = np.inf if kind == "clamp" else self.siemens
                            device.nudge_spring(spring, amps / self.siemens)
                        device.read()
                        if release == "None":
                            achieved = device.nudge(None)
                            assert achieved.shape == (network.outputs,)
                            assert not achieved.any()
                        elif release == "zero":
                            device.nudge(np.zeros(network.outputs))
                        else:
                            device.clamp(inputs)
                        self.check_volts(device, inputs)

    def test_programming_between_reads_shows_in_the_next_one(self) -> None:
        """Inputs and nudge stay, conductances are new: the next read is the new equilibrium."""
        for network in self.networks():
            generator = np.random.default_rng(36)
            with self.programmed(network, generator) as device:
                inputs = self.draw_volts(network.inputs, generator)
                device.clamp(inputs)
                device.read()
                device.program(self.draw_siemens(network, generator))
                self.check_volts(device, inputs)
                achieved = device.nudge(self.draw_amps(network.outputs, generator))
                device.read()
                bias = self.draw_bias(network, generator)
                device.program(self.draw_siemens(network, generator), bias)
                self.check_volts(device, inputs, amps=achieved)

    def test_an_output_follows_its_own_current(self) -> None:
        """The diagonal of the resistance matrix is positive, whatever the diodes do.

        The network's energy is convex, so a larger current into a node raises its voltage.
        """
        for network in self.networks():
            volts, amps = self.responses(network, 37)
            step = 2.0 * amps
            true, measured = volts
            for k in range(network.outputs):
                rise = measured[0, k, k] - measured[1, k, k]
                least = true[0, k, k] - true[1, k, k]
                assert least > 0
                assert rise > 0 or least < 2 * self.allowance(self.reads), f"output {k}"
                assert abs(rise - least) <= 2 * self.allowance(self.reads), f"{rise / step} ohm"

    def test_outputs_are_reciprocal(self) -> None:
        """Away from diode switching, output k answers to output l as l answers to k."""
        for network in self.networks():
            (_, measured), _ = self.responses(network, 38)
            rise = measured[0] - measured[1]
            off_by = self.off_by(rise, rise.T)
            assert off_by <= 4 * self.allowance(self.reads), f"layers {network.layers}"

    def responses(self, network: Network, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], float]:
        """Return output volts under +amps and -amps into one output at a time.

        The step is halved until no diode switches under any of them.

        Returns:
            (true volts, mean reads), each (sign, into, output), and amps.
        """
        generator = np.random.default_rng(seed)
        with self.programmed(network, generator) as device:
            inputs = self.draw_volts(network.inputs, generator)
            device.clamp(inputs)
            hidden = slice(0, network.output_slice.start)
            free = self.expected(device, inputs)[hidden] == 0
            amps = self.small_step * self.siemens * self.volts
            for _ in range(40):
                nudges = amps * np.stack([np.eye(network.outputs), -np.eye(network.outputs)])
                true = np.array(
                    [[self.expected(device, inputs, amps=one) for one in side] for side in nudges]
                )
                if ((true[..., hidden] == 0) == free).all():
                    break
                amps /= 2
            measured = np.empty((*nudges.shape[:2], network.free_nodes))
            for sign, side in enumerate(nudges):
                for k, one in enumerate(side):
                    device.nudge(one)
                    measured[sign, k] = self.read_mean(device)
            out = network.output_slice
            return (true[..., out], measured[..., out]), amps
