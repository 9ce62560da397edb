"""How a run ended, and what is wrong with one: limits, numbers not finite, a dead network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilep.crossbar import Crossbar
from hilep.data import Dataset
from hilep.errors import DivergedError, LimitError
from hilep.evaluation import Evaluation
from hilep.reading import Contrast

ADVICE = "training.eta, beta or the voltages may be too large"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        verdict: "done", or "diverged at update ...", "dead: ..." or "interrupted at update ...".
        updates: updates done, those before a resume included.
        seconds: spent training and evaluating, those before a resume included.
        validation: the last look at the validation split, or None.
        test: the one look at the test split, or None where the run did not get there.
    """

    verdict: str
    updates: int
    seconds: float
    validation: Evaluation | None
    test: Evaluation | None

    @property
    def done(self) -> bool:
        """Whether the network was trained to the end and answers with more than one class."""
        return self.verdict == "done"


def check_volts(dataset: Dataset, limit: float) -> None:
    """Refuse samples, of any split, that would be clamped beyond `limit` volts.

    Raises:
        LimitError: naming the sample and its largest voltage.
    """
    if not math.isfinite(limit):
        return
    for name in ("train", "validation", "test"):
        split = getattr(dataset, name)
        if len(split) == 0:
            continue
        volts = split.volts_per_unit * np.abs(split.samples).max(axis=1)
        worst = int(volts.argmax())
        if volts[worst] > limit:
            raise LimitError(
                f"network.voltage_limit_v: sample {worst} of the {name} split asks for "
                f"{volts[worst]:.9g} V, the limit is {limit:.9g} V; see data.gamma_v"
            )


def verdict_of(test: Evaluation, classes: int) -> str:
    """Return "done", or how the network is dead although every voltage was finite."""
    if classes > 1 and test.images > 1 and test.classes == 1:
        return (
            f"dead: all {test.images} test images get the same answer; "
            f"{100 * test.silent:.0f} % of the hidden nodes are silent; a smaller training.eta "
            "or a network.g_min_siemens above 0 may help"
        )
    return "done"


def require_finite(crossbar: Crossbar, update: int) -> None:
    """Refuse to keep a state from which a resume could only diverge again.

    Raises:
        DivergedError: naming the layer.
    """
    held = {f"a conductance of layer {k}": g for k, g in enumerate(crossbar.conductances())}
    for what, values in {**held, "a bias current": crossbar.bias_currents()}.items():
        if not math.isfinite(float(values.sum(dtype=np.float64))):
            raise DivergedError(update, f"{what} is not finite; {ADVICE}")


def where_not_finite(crossbar: Crossbar, contrast: Contrast) -> str:
    """Return where the first non-finite voltage stands."""
    network = crossbar.network
    for phase, reading in (("first", contrast.first), ("second", contrast.second)):
        bad = np.argwhere(~np.isfinite(reading.mean))
        if bad.size:
            image, node = (int(k) for k in bad[0])
            layer = next(k for k, s in enumerate(network.slices, start=1) if node < s.stop)
            inside = node - network.slices[layer - 1].start
            return (
                f"node {inside} of layer {layer} reads {reading.mean[image, node]} V in the "
                f"{phase} phase, the update was not applied; {ADVICE}"
            )
    return f"the loss is not finite, the update was not applied; {ADVICE}"
