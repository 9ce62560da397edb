"""The network a crossbar realises: its layers, diodes, biases and limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hilep.errors import BadInputError

Bias: TypeAlias = Literal["none", "current", "row"]
Diodes: TypeAlias = str | Sequence[str | Sequence[int]]

BIAS_ROWS = 2
"""A bias by clamped rows needs both signs of its voltage, because conductances are not negative."""
MOST_GAIN = 1e100
"""Gains beyond this, or below its reciprocal, leave the range of float64 when they are squared."""


def diode_polarities(diodes: Diodes, hidden: Sequence[int]) -> tuple[NDArray[np.int8], ...]:
    """Return the diode polarity of each hidden node, one array (n,) per hidden layer.

    Args:
        diodes: "relu" (every hidden node held at or above 0 V), "split" (the first half at or
            above 0 V, the second half at or below), "none" (linear), or a list with one such
            word, or one list of +1, -1 and 0, per hidden layer.
        hidden: nodes in each hidden layer.

    Raises:
        BadInputError: for an unknown word, another number of layers or nodes, or another polarity.
    """
    if isinstance(diodes, str):
        diodes = [diodes] * len(hidden)
    if len(diodes) != len(hidden):
        raise BadInputError(
            f"network.diodes: expected one entry per hidden layer ({len(hidden)}), "
            f"got {len(diodes)}"
        )
    polarities = []
    for layer, (wanted, nodes) in enumerate(zip(diodes, hidden, strict=True)):
        where = f"network.diodes[{layer}]"
        if wanted == "relu":
            polarity = np.ones(nodes, dtype=np.int8)
        elif wanted == "split":
            polarity = np.ones(nodes, dtype=np.int8)
            polarity[(nodes + 1) // 2 :] = -1
        elif wanted == "none":
            polarity = np.zeros(nodes, dtype=np.int8)
        elif isinstance(wanted, str):
            raise BadInputError(
                f'{where}: expected "relu", "split", "none" or a list of +1, -1 and 0, '
                f"got {wanted!r}"
            )
        else:
            if len(wanted) != nodes or any(p not in (-1, 0, 1) for p in wanted):
                raise BadInputError(f"{where}: expected {nodes} entries of +1, -1 or 0")
            polarity = np.asarray(wanted, dtype=np.int8)
        polarity.setflags(write=False)
        polarities.append(polarity)
    return tuple(polarities)


@dataclass(frozen=True, eq=False)
class Network:
    """A layered network of conductances, as eq. (6) of the paper describes it.

    Layer 0 is clamped; the nodes of all later layers float and are called free. Adjacent layers are
    joined by an array of conductances (n_pre, n_post). Hidden nodes carry an ideal diode each;
    outputs are linear.

    Args:
        layers: nodes per layer, inputs first, outputs last; at least two layers.
        diodes: see `diode_polarities`.
        bias: "none"; "current" (a current into each free node, amperes); or "row" (two clamped
            nodes, at plus and minus `bias_v`, appended to the pre side of every layer's array).
        bias_v: volts of the bias rows.
        g_min_siemens, g_max_siemens: the conductance window.
        voltage_limit_v: largest magnitude a clamp may set.
        current_limit_a: largest magnitude a nudge may inject.
        voltage_gain: A of the bidirectional amplifier between each hidden node, at V, and the lines
            that it drives in the next array, which are then at A * V. Bias rows have none.
        current_gain: B of the same amplifier: where those lines draw the current I, the hidden node
            gives B * I. A = B = 1 is a wire.

    Raises:
        BadInputError: for any value outside its meaning.
    """

    layers: tuple[int, ...]
    diodes: Diodes = "split"
    bias: Bias = "current"
    bias_v: float = 1.0
    g_min_siemens: float = 0.0
    g_max_siemens: float = math.inf
    voltage_limit_v: float = math.inf
    current_limit_a: float = math.inf
    voltage_gain: float = 1.0
    current_gain: float = 1.0
    polarities: tuple[NDArray[np.int8], ...] = field(init=False)

    def __post_init__(self) -> None:
        layers = tuple(int(n) for n in self.layers)
        if len(layers) < 2 or min(layers) < 1 or layers != tuple(self.layers):
            raise BadInputError(
                f"network.layers: expected at least two whole numbers >= 1, got {self.layers}"
            )
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "polarities", diode_polarities(self.diodes, layers[1:-1]))
        if self.bias not in ("none", "current", "row"):
            raise BadInputError(
                f'network.bias: expected "none", "current" or "row", got {self.bias!r}'
            )
        if not (math.isfinite(self.bias_v) and self.bias_v > 0):
            raise BadInputError(f"network.bias_v: expected volts > 0, got {self.bias_v}")
        if not 0 <= self.g_min_siemens < self.g_max_siemens:
            raise BadInputError(
                "network.g_min_siemens, g_max_siemens: expected 0 <= min < max, "
                f"got {self.g_min_siemens} and {self.g_max_siemens}"
            )
        for name in ("voltage_limit_v", "current_limit_a"):
            if not getattr(self, name) > 0:
                raise BadInputError(f"network.{name}: expected > 0, got {getattr(self, name)}")
        for name in ("voltage_gain", "current_gain"):
            gain = getattr(self, name)
            if not (math.isfinite(gain) and gain > 0):
                raise BadInputError(f"network.{name}: expected a finite number > 0, got {gain}")
        voltage, current = math.log(self.voltage_gain), math.log(self.current_gain)
        span = (len(layers) - 2) * abs(current - voltage)
        if max(abs(voltage), abs(current), span) > math.log(MOST_GAIN):
            raise BadInputError(
                f"network.voltage_gain, current_gain: expected them, and their ratio over all "
                f"{len(layers) - 2} hidden layers, within a factor of {MOST_GAIN:g} of 1, got "
                f"{self.voltage_gain} and {self.current_gain}"
            )

    @property
    def inputs(self) -> int:
        """Number of clamped input nodes."""
        return self.layers[0]

    @property
    def outputs(self) -> int:
        """Number of output nodes."""
        return self.layers[-1]

    @cached_property
    def free_nodes(self) -> int:
        """Number of nodes that float: hidden and outputs."""
        return sum(self.layers[1:])

    @cached_property
    def bias_rows(self) -> int:
        """Clamped rows appended to each layer's array for the bias: 0 or 2."""
        return BIAS_ROWS if self.bias == "row" else 0

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(n_pre, n_post) of each layer's conductances, bias rows included in n_pre."""
        return tuple((pre + self.bias_rows, post) for pre, post in pairwise(self.layers))

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where the nodes of layers 1, 2, ... stand among the free nodes."""
        ends = np.cumsum((0, *self.layers[1:])).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @property
    def output_slice(self) -> slice:
        """Where the outputs stand among the free nodes."""
        return self.slices[-1]

    @cached_property
    def polarity(self) -> NDArray[np.int8]:
        """Diode polarity of every free node (n_free,); 0, no diode, at the outputs."""
        return np.concatenate([*self.polarities, np.zeros(self.outputs, dtype=np.int8)])

    @cached_property
    def bias_volts(self) -> NDArray[np.float64]:
        """Volts of the bias rows, in the order in which they are appended."""
        return np.array([self.bias_v, -self.bias_v][: self.bias_rows], dtype=np.float64)

    @property
    def amplified(self) -> bool:
        """Whether amplifiers stand between the layers: any gain other than 1."""
        return self.voltage_gain != 1 or self.current_gain != 1

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """(B / A)**m of each free layer m = 0, 1, ..., and of the array that ends in it.

        Kirchhoff's law at the nodes of layer m times this is symmetric: with it the network has an
        energy. All are 1 without amplifiers.
        """
        ratio = self.current_gain / self.voltage_gain
        return tuple(ratio**m for m in range(len(self.layers) - 1))

    @cached_property
    def node_weights(self) -> NDArray[np.float64]:
        """`weights` at every free node (n_free,)."""
        return np.repeat(np.array(self.weights), self.layers[1:])

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """`weights` over that of the outputs, where a nudge enters the energy."""
        return tuple(weight / self.weights[-1] for weight in self.weights)

    def pre_gain(self, layer: int) -> float:
        """Return the gain from the nodes before array `layer` to its lines; 1 at the inputs."""
        return self.voltage_gain if layer else 1.0

    def window(self, dtype: type[np.floating]) -> tuple[np.floating, np.floating]:
        """Return g_min and g_max as `dtype` holds them, never outside the window.

        Raises:
            BadInputError: for a window so narrow that it holds no number of that precision.
        """
        low, high = dtype(self.g_min_siemens), dtype(self.g_max_siemens)
        # As Python floats: numpy would first round the bound to the other side's precision.
        if float(low) < self.g_min_siemens:
            low = np.nextafter(low, dtype(math.inf))
        if float(high) > self.g_max_siemens:
            high = np.nextafter(high, dtype(0))
        if low > high:
            raise BadInputError(
                f"network.g_min_siemens, g_max_siemens: no {np.dtype(dtype).name} number lies "
                f"between {self.g_min_siemens} and {self.g_max_siemens}"
            )
        return low, high

    def with_bias_rows(self, volts: NDArray[np.floating]) -> NDArray[np.floating]:
        """Append the bias rows' volts to a layer's volts (..., n_pre); no copy without rows."""
        if not self.bias_rows:
            return volts
        rows = np.broadcast_to(self.bias_volts, (*volts.shape[:-1], self.bias_rows))
        return cast(
            "NDArray[np.floating]", np.concatenate([volts, rows.astype(volts.dtype)], axis=-1)
        )
