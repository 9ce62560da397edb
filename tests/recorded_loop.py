"""A bench on loopback that is recorded until somebody kills it."""

import sys
from pathlib import Path

import numpy as np
from bench_loopback import NETWORK

from hilep.instruments.benchfile import BenchFile
from hilep.instruments.recording import RecordedBench


def run(bench_file, recording):
    """Read for ever, and say once that it has begun."""
    file = BenchFile.load(bench_file)
    with RecordedBench(file, NETWORK, Path(recording), unchecked=True) as bench:
        bench.program([np.full((2, 2), 1e-6)])
        bench.clamp([0.5, -0.5])
        bench.read()
        print("reading", flush=True)
        while True:
            bench.read(3)


if __name__ == "__main__":
    run(*sys.argv[1:])
