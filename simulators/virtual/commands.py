"""`hilep bench serve`: where a bench file and its virtual twin meet."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def serve(
    file: Annotated[Path, typer.Argument(metavar="BENCH", help="Bench file.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output.")
    ] = False,
) -> int:
    """Serve the virtual twin of a bench on loopback until Ctrl-C."""
    from hilep.instruments.benchfile import BenchFile
    from hilep.simulators.virtual.twin import file_network, twin
    from hilep.simulators.virtual.virtual_drivers import NI_DRIVER

    bench = BenchFile.load(file)
    sections = bench.sections.instruments
    with _until_stopped() as stopped, twin(bench, file_network(bench)) as resources:
        found = {
            name: None if sections[name].driver == NI_DRIVER else resource
            for name, resource in resources.items()
        }
        if as_json:
            print(json.dumps({"resources": found}), flush=True)
        else:
            for name, resource in found.items():
                print(f"{name} {resource or 'no socket: only within a program'}", flush=True)
        print("Ctrl-C ends it", file=sys.stderr, flush=True)
        # A wait without an end cannot be interrupted on Windows.
        while not stopped.wait(0.5):
            pass
    return 0


@contextlib.contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or termination sets, from before anything is served."""
    stopped = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, frame: stopped.set()) for kind in kinds]
    try:
        yield stopped
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
