"""Time of arrays with line resistance: against badcrossbar, and of the first layer's reduction.

    python benchmarks/lines.py [--json] [--rounds N] [--side N]

Both solve the same square array for all node voltages and all currents, all right-hand sides in one
call, factorisation included, on one thread and taken in turns in one process; medians are printed.
The reduction is what a circuit of 784 inputs and 128 hidden nodes costs after each update: the
admittance between the hidden nodes, and the currents of four images into them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
import warnings
from collections.abc import Callable
from statistics import median

# One thread, also in the libraries that numpy calls: read when these are first imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np

from hilep.simulators.circuit.lines import LineArray

IMAGES = (1, 16, 128)
NEEDED = 5.0
INPUTS, HIDDEN, BATCH = 784, 128, 4
WORD_OHM, BIT_OHM = 1.0, 1.5


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def badcrossbar_compute() -> Callable[..., object] | None:
    """Return its `compute`, quiet, or None where it is not installed."""
    with warnings.catch_warnings(record=True):
        try:
            from badcrossbar import compute
        except ImportError:
            return None
    logging.getLogger("badcrossbar").setLevel(logging.WARNING)
    return compute


def cells(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return generator.uniform(1e-6, 1e-4, shape)


def against_badcrossbar(side: int, rounds: int) -> list[dict[str, float]]:
    compute = badcrossbar_compute()
    if compute is None:
        return []
    generator = np.random.default_rng(0)
    g = cells(generator, (side, side))
    ohms = 1 / g
    rows = []
    for images in IMAGES:
        volts = generator.normal(size=(images, side))

        def ours(volts: np.ndarray = volts) -> object:
            return LineArray(g, WORD_OHM, BIT_OHM).solve(volts)

        def theirs(volts: np.ndarray = volts) -> object:
            return compute(volts.T, ohms, r_i_word_line=WORD_OHM, r_i_bit_line=BIT_OHM)

        a, b = ours(), theirs()
        pairs = (
            (a.word_volts, b.voltages.word_line),
            (a.bit_volts, b.voltages.bit_line),
            (a.cell_amps, b.currents.device),
            (a.word_amps, b.currents.word_line),
            (a.bit_amps, b.currents.bit_line),
        )
        off = [
            np.abs(one - np.reshape(other, (side, side, images)).transpose(2, 0, 1)).max()
            / np.abs(one).max()
            for one, other in pairs
        ]
        del a, b, pairs
        times = [(seconds_of(ours), seconds_of(theirs)) for _ in range(rounds)]
        quick, slow = (median(taken) for taken in zip(*times, strict=True))
        rows.append(
            {
                "images": images,
                "ms": 1e3 * quick,
                "badcrossbar_ms": 1e3 * slow,
                "ratio": slow / quick,
                "lowest": min(b / a for a, b in times),
                "highest": max(b / a for a, b in times),
                "difference": float(max(off)),
            }
        )
    return rows


def reduction(rounds: int) -> dict[str, float]:
    generator = np.random.default_rng(1)
    g = cells(generator, (INPUTS, HIDDEN))
    volts = generator.normal(size=(BATCH, INPUTS))

    def whole() -> None:
        array = LineArray(g, WORD_OHM, BIT_OHM)
        array.post_siemens  # noqa: B018
        array.inflow(volts)

    array = LineArray(g, WORD_OHM, BIT_OHM)
    whole()
    return {
        "seconds": median(seconds_of(whole) for _ in range(rounds)),
        "inflow_seconds": median(seconds_of(lambda: array.inflow(volts)) for _ in range(rounds)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--side", type=int, default=128, help="rows and columns of the array")
    told = parser.parse_args()
    rows = against_badcrossbar(told.side, told.rounds)
    first = reduction(told.rounds)
    if told.json:
        print(json.dumps({"side": told.side, "solve": rows, "reduction": first}))
        return
    print(f"one thread, medians of {told.rounds}, all node voltages and currents")
    if not rows:
        print("badcrossbar is not installed: nothing to compare with")
    for row in rows:
        print(
            f"{told.side} x {told.side}, {row['images']:3d} right-hand sides: {row['ms']:7.1f} ms, "
            f"badcrossbar {row['badcrossbar_ms']:7.1f} ms, ratio {row['ratio']:.1f} "
            f"({row['lowest']:.1f} to {row['highest']:.1f}, needed {NEEDED:g}), largest "
            f"difference {row['difference']:.1e} of the largest value"
        )
    print(
        f"{INPUTS} x {HIDDEN} reduced to its post ports with the inflow of {BATCH} images: "
        f"{first['seconds']:.3f} s, of which {first['inflow_seconds']:.3f} s for new images"
    )


if __name__ == "__main__":
    main()
