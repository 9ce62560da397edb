"""A crossbar whose reads a test makes up, and that writes down what it was asked."""

import numpy as np

from hilep.arrays import checked
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.reading import ProgramReport, Reading


class NoisyCrossbar(Crossbar):
    """Reads come from `noise(generator, count, nudged)`, volts (count, nodes).

    Args:
        noise: draws them.
        layers: of the network.
        seed: of the generator.
        seconds: each verb takes this long on a clock of its own, and each read of N this much N
            times more; None for a device without time.
        status: status bits per node (nodes,), or None.
        fails_at: number of the read, from 0, that raises `failure`.
    """

    def __init__(
        self, noise, layers=(4, 6, 2), seed=0, seconds=None, status=None, fails_at=None,
        failure=None,
    ):  # fmt: skip
        self.network = Network(layers, bias="none")
        self.description = "made up"
        self.asked = []
        self._noise, self._generator = noise, np.random.default_rng(seed)
        self._seconds, self._now = seconds, 1e9
        self._status, self._fails_at, self._failure = status, fails_at, failure
        self._amps = None
        self._siemens = [np.full(shape, 0.5) for shape in self.network.shapes]

    def program(self, conductances, bias_currents=None):
        self._siemens = [np.array(g, float) for g in conductances]
        return ProgramReport(0)

    def conductances(self):
        return self._siemens

    def bias_currents(self):
        return np.zeros(self.network.free_nodes)

    def clamp(self, volts):
        checked(volts, (self.network.inputs,), "clamp volts")
        self.asked.append("clamp")
        self._amps = None

    def nudge(self, amps):
        self.asked.append("release" if amps is None else "nudge")
        self._amps = None if amps is None else np.array(amps, float)
        return np.zeros(self.network.outputs) if amps is None else self._amps

    def read(self, samples=1):
        reads = sum(word.startswith("read") for word in self.asked)
        self.asked.append(f"read {samples}")
        if reads == self._fails_at:
            raise self._failure
        volts = self._noise(self._generator, samples, self._amps is not None)
        time_s = np.nan
        if self._seconds is not None:
            self._now += self._seconds * (5 + samples)
            time_s = self._now
        reading = Reading.of_samples(np.asarray(volts, float), time_s=time_s)
        if self._status is None:
            return reading
        return Reading(
            reading.mean, samples, reading.volts, reading.variance, time_s=time_s,
            status=np.array(self._status, np.uint8),
        )  # fmt: skip

    def safe(self):
        self.asked.append("safe")


def white(sigma_v, nodes=8, nudged_sigma_v=None):
    """White reads about fixed volts, with another sigma in the nudged phase where that is given."""

    def noise(generator, count, nudged):
        sigma = nudged_sigma_v if nudged and nudged_sigma_v is not None else sigma_v
        return np.arange(nodes) / 10 + sigma * generator.standard_normal((count, nodes))

    return noise
