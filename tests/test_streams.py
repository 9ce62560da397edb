"""No two random streams of a run share numbers, although their seeds are usually equal."""

from __future__ import annotations

import numpy as np
import pytest

from hilep.network import Network
from hilep.simulators.cells.draws import draws
from hilep.simulators.noise import ReadNoise
from hilep.streams import stream


@pytest.mark.parametrize("seed", [0, 1, 2**64])
def test_streams_of_equal_seeds_differ(seed):
    streams = {
        "split": stream(seed, "split"),
        "initial": stream(seed, "initial"),
        **{f"order {epoch}": stream(seed, "order", epoch) for epoch in range(20)},
        **{
            f"noise {name}": generator
            for name, generator in ReadNoise(
                Network((2, 1)), 1.0, stream(seed, "noise")
            ).streams.items()
        },
        **{
            f"cells {kind} {layer}": draws(seed, kind, layer)
            for kind in ("window", "gain", "pulses", "ageing", "faults")
            for layer in range(3)
        },
        **{
            f"cells operation {layer} {count}": draws(seed, "operation", layer, count)
            for layer in range(3)
            for count in (0, 1, 5, 2**32 + 1, 2**32 + 5)
        },
        **{
            f"cells flicker {octave} {slot}": draws(seed, "flicker", 0, octave, slot)
            for octave in range(3)
            for slot in (0, 1, 5, 2**32, 2**33 + 1)
        },
        "plain": np.random.default_rng(seed),
    }
    first = {
        name: generator.bit_generator.random_raw(4).tolist() for name, generator in streams.items()
    }
    seen = [tuple(draws) for draws in first.values()]
    assert len(set(seen)) == len(seen)


def test_the_same_seed_and_purpose_give_the_same_stream():
    a, b = stream(3, "order", 1), stream(3, "order", 1)
    np.testing.assert_array_equal(a.random(5), b.random(5))
