"""False alarms of the independence verdict on white noise, counted.

    python benchmarks/independence_alarms.py [--records 20000]

For each length of record: how many verdicts are False, as a share with the 95 % limits of
Clopper and Pearson. Asked for are 1 % at most.
"""

from __future__ import annotations

import argparse
import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from scipy.stats import binomtest

from hilep.calibration.independence import independence

LENGTHS = (20, 32, 64, 100, 128, 256, 640, 2000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    records = parser.parse_args().records
    print(f"{'reads':>6} {'alarms':>7} {'of':>7} {'%':>7}   95 %")
    for n in LENGTHS:
        generator = np.random.default_rng(n)
        alarms = sum(
            independence(generator.normal(size=n), interval_s=0.003).independent is False
            for _ in range(records)
        )
        limits = binomtest(alarms, records).proportion_ci()
        shares = [100 * x for x in (alarms / records, limits.low, limits.high)]
        print(
            f"{n:6} {alarms:7} {records:7} {shares[0]:7.3f}   {shares[1]:.3f} to {shares[2]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
