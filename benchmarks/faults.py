"""Every kind of fault at every message of a training step, over sockets; counts of safe ends.

    python benchmarks/faults.py [--out faults.jsonl] [--part step] [--kind garbage] [--limit 100]
    python benchmarks/faults.py --processes [--every 5]

A bench of six virtual instruments, one of each family that speaks over a socket, trains a 2-2-2
network whose cells are programmed by pulses. One undisturbed update tells which messages there are,
from the first output that goes on to the last session that closes. Then the update is repeated with
each kind of fault at each message at which it can happen.

After each, every output in reach has to be off in the simulated circuit, what was read has to be
what the undisturbed update read, the run file has to open with a whole checkpoint, and the next
case goes on from it. What is done already in `--out` is not done again. `--processes` does it for
processes that are interrupted, terminated and killed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from fault_kinds import KINDS, Case, Injector, cases
from fault_processes import SIGNALS, Processes
from fault_rig import PARTS, Rig, rig

TO_THE_END_EVERY = 10
"""Cases between two that are trained to the end, with the cells as the fault has left them."""


def done(out: Path) -> dict[Case, dict[str, Any]]:
    """Return the results that are in a file."""
    found = {}
    for line in out.read_text().splitlines() if out.exists() else []:
        record = json.loads(line)
        if "case" in record:
            found[Case(**record["case"])] = record
    return found


def enumerate_faults(made: Rig, todo: list[Case], out: Path) -> None:
    """Run cases, and add a line for each to a file."""
    injector, began = Injector(made), time.monotonic()
    with out.open("a") as stream:
        for number, case in enumerate(todo, 1):
            result, trouble = injector.run(case)
            if number % TO_THE_END_EVERY == 0:
                end = injector.to_the_end()
                print(json.dumps({"to_the_end": case.kind, "wrong": end}), file=stream)
                trouble = "; ".join(filter(None, [trouble, end]))
            print(json.dumps(result.record()), file=stream, flush=True)
            if trouble:
                print(json.dumps({"not_resumed": trouble, "before": number}), file=stream)
                print(f"NOT RESUMED before {case}: {trouble}", flush=True)
            if not result.good:
                print(f"NOT GOOD {result}", flush=True)
            if number % 25 == 0:
                each = (time.monotonic() - began) / number
                print(f"{number} of {len(todo)}, {each:.2f} s each", file=sys.stderr, flush=True)


def report(records: dict[Case, dict[str, Any]], kinds: tuple[str, ...], trouble: int) -> None:
    """Print the counts per kind."""
    injected, safe, right = Counter[str](), Counter[str](), Counter[str]()
    for case, record in records.items():
        injected[case.kind] += bool(record["injected"])
        safe[case.kind] += bool(record["injected"] and not record["on"])
        right[case.kind] += bool(record["injected"] and not record["wrong"])
    print(f"{'':26}{'injected':>10}{'safe ends':>11}{'right data':>12}")
    for kind in kinds:
        print(f"{kind:26}{injected[kind]:10}{safe[kind]:11}{right[kind]:12}")
    whole = (sum(count.values()) for count in (injected, safe, right))
    print("{:26}{:10}{:11}{:12}".format("all", *whole))
    ends = Counter(record["case"]["part"] for record in records.values() if record["injected"])
    print(", ".join(f"{part}: {ends[part]}" for part in PARTS if ends[part]))
    print(f"run files that did not resume: {trouble}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--kind", action="append", choices=(*KINDS, *SIGNALS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--processes", action="store_true")
    told = parser.parse_args()
    kinds = tuple(told.kind or (SIGNALS if told.processes else KINDS))
    # A process that was killed may leave one behind that still writes there.
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with folder as temporary, rig(Path(temporary), told.processes) as made:
        out = told.out or Path(temporary) / "faults.jsonl"
        parts = told.part or PARTS
        wanted = [case for case in cases(made.clean, kinds) if case.part in parts]
        # The update itself first.
        wanted.sort(key=lambda case: (case.part != "step", case.number, case.instrument))
        wanted = wanted[:: told.every]
        known = done(out)
        todo = [case for case in wanted if case not in known][: told.limit]
        print(f"{len(made.clean.messages)} messages, {len(wanted)} cases, {len(todo)} to do")
        if told.processes:
            Processes(made).enumerate(todo, out)
        else:
            enumerate_faults(made, todo, out)
        text = out.read_text() if out.exists() else ""
        records = {case: one for case, one in done(out).items() if case in set(wanted)}
        report(records, kinds, text.count('"not_resumed"'))
    bad = [one for one in records.values() if not one["injected"] or one["on"] or one["wrong"]]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
