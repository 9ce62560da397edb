"""What would change N most: the update's signal over its noise, with one thing changed at a time.

N reads divide the noise of an update by sqrt(N), so the N that is needed goes as the noise over the
signal, squared. Both are measured on the simulated twin, at the conductances that a run begins
with: the update of some images without read noise is the signal, what read noise adds to it the
noise, both of the array where noise weighs most. The ratio of two such figures is the factor by
which N changes; it says nothing of the accuracy that the changed network reaches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilep import backends, data
from hilep.arrays import Doubles
from hilep.calibration.criticaltrials import begun, twin
from hilep.config import Config, DeviceSection
from hilep.errors import HilepError
from hilep.nudging import Nudging, beta_difference
from hilep.rule import LearningRule

FACTOR = 2.0
IMAGES = 64
DRAWS = 16
"""Updates that are drawn with noise, for one figure: each has as many numbers as cells."""


class NoSignalError(HilepError):
    """The update without noise is zero: there is nothing to compare noise with."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One thing that could be changed.

    Attributes:
        name: what.
        change: by how much.
        noise_factor: what noise power over signal power is multiplied by; None where it could not
            be measured.
        read_time_factor: what the time of one read is multiplied by.
        reads_factor: what N itself is multiplied by where reads are the lever; 1 where N follows
            from the noise factor.
        source: how the factor is known, or why it is not.
    """

    name: str
    change: str
    noise_factor: float | None
    read_time_factor: float
    reads_factor: float
    source: str


def computed_levers(doubling: float | None = None) -> list[Lever]:
    """Return the levers whose effect follows without a twin: volts, aperture and N.

    Args:
        doubling: the variance of means of twice as many reads over that of as many as planned,
            from measured noise; 1/2, as for white noise, without.
    """
    factor = 1 / FACTOR if doubling is None else doubling
    how = "white noise" if doubling is None else "the calibration's noise parts"
    volts = "inputs, bias rows and targets doubled"
    return [
        Lever("volts", volts, FACTOR**-2, 1.0, 1.0, "scaling law"),
        # A read of twice the aperture is the mean of two.
        Lever("aperture", "NPLC doubled", factor, FACTOR, 1 / FACTOR, how),
        Lever("N", "N doubled", factor, 1.0, FACTOR, how),
    ]


def measured_levers(config: Config, sigma_v: float) -> list[Lever]:
    """Return the effect of beta, conductance ratio and gain, measured on the simulated twin.

    Args:
        config: the network and its training; its device is taken with another sigma, and a device
            whose sigma cannot be set, such as a bench, as the ideal network.
        sigma_v: of single reads in volts, near the critical one.

    Raises:
        HilepError: where the network as it is cannot be measured.
    """
    source = "measured on the twin"
    if "sigma_v" not in backends.backend(config.device.backend).options.model_fields:
        config = config.model_copy(update={"device": DeviceSection(backend="simulated")})
        source = "measured on the ideal network"
    before = _noise_over_signal(config, sigma_v)
    levers = []
    for name, change, changed, later in _changes(config):
        try:
            factor = _noise_over_signal(changed, sigma_v, later) / before
        except HilepError as error:
            levers.append(Lever(name, change, None, 1.0, 1.0, str(error)))
            continue
        levers.append(Lever(name, change, factor, 1.0, 1.0, source))
    return levers


def _changes(config: Config) -> list[tuple[str, str, Config, float]]:
    """Return name, words, changed configuration and factor on the later arrays of each lever."""
    network, data_, training = config.network, config.data, config.training
    more_beta = _with(config, "training", beta_siemens=FACTOR * training.beta_siemens)
    out = [("beta", "training.beta_siemens doubled", more_beta, 1.0)]
    if network.g_min_siemens > 0:
        wider = _with(config, "network", g_min_siemens=network.g_min_siemens / FACTOR)
        out.append(("window", "network.g_min_siemens halved", wider, 1.0))
    if len(network.layers) > 2:
        amplified = _with(
            _with(
                config,
                "network",
                voltage_gain=FACTOR * network.voltage_gain,
                current_gain=network.current_gain / FACTOR,
            ),
            "data",
            target_v=FACTOR * data_.target_v,
            target_off_v=FACTOR * data_.target_off_v,
        )
        ratio = "beta and the conductances of all arrays after the first doubled"
        gain = "network.voltage_gain and targets doubled, network.current_gain halved"
        out += [("conductance ratio", ratio, more_beta, FACTOR), ("gain", gain, amplified, 1.0)]
    return out


def _with(config: Config, section: str, **values: float) -> Config:
    changed = getattr(config, section).model_copy(update=values)
    return config.model_copy(update={section: changed})


def _noise_over_signal(config: Config, sigma_v: float, later: float = 1.0) -> float:
    """Return the power of an update's noise over that of its signal, of the worst array.

    Args:
        config: of the network.
        sigma_v: of single reads.
        later: what the conductances of all arrays after the first are multiplied by.
    """
    seed = config.training.seed
    quiet = _Updates(twin(config, 0.0, seed), later)
    noisy = _Updates(twin(config, sigma_v, seed), later)
    signal = quiet.draw()
    power = [0.0] * len(signal)
    for _ in range(DRAWS):
        for layer, draw in enumerate(noisy.draw()):
            power[layer] += float(np.square(draw - signal[layer]).sum()) / DRAWS
    strength = [float(np.square(one).sum()) for one in signal]
    for layer, (noise, wanted) in enumerate(zip(power, strength, strict=True)):
        if not (math.isfinite(noise) and wanted > 0):
            raise NoSignalError(f"the update of array {layer} without noise is 0 or not finite")
    return max(noise / wanted for noise, wanted in zip(power, strength, strict=True))


class _Updates:
    """Draws the update of one batch at the conductances that a run begins with."""

    def __init__(self, config: Config, later: float) -> None:
        training = config.training
        network = config.network.network()
        self._device = begun(config, later)
        self._nudging = Nudging.of(
            training.variant,
            training.nudging,
            training.beta_siemens,
            training.loss,
            network.outputs,
        )
        self._device.require(self._nudging)
        eta, eta_bias = training.per_layer(len(network.shapes))
        self._rule = LearningRule(
            network,
            beta_difference(training.variant, training.beta_siemens),
            eta,
            eta_bias,
        )
        split = data.load(config.data).train
        indices = np.arange(min(IMAGES, len(split)), dtype=np.int64)
        self._volts, self._targets = split.volts(indices), split.targets(indices)

    def draw(self) -> list[Doubles]:
        """Return one update, siemens, one array (n_pre, n_post) per layer."""
        contrast = self._device.free_and_nudged(self._volts, self._targets, self._nudging)
        (update,) = self._rule.blocks(contrast)
        return [layer.dense() for layer in update.layers]
