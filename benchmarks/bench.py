"""What a training update on a bench costs beside the VISA messages that it needs.

    python benchmarks/bench.py [--rounds 40] [--case direct] [--how answer] [--json]

An update is both phases of a batch, the rule, and the programming of the cells. Its messages are
recorded, and sent again at once with plain pyvisa: over the same connections, in the same order,
every answer awaited and none looked at. Both are timed in turns; printed are medians, their ratio,
and what hilep adds to a message. The instruments are in a process of their own and

* answer, at once: what they once answered is played back, so that two programs are compared;
* compute: they are virtual and solve their circuit, but a measurement takes no time;
* measure: they are virtual, and a measurement takes the time that it takes on a bench.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from bench_files import CASES, Case
from bench_servers import computing, playing

from hilep.instruments.bench import Bench
from hilep.instruments.session import Session
from hilep.nudging import Nudging
from hilep.reading import LayerUpdate, Update
from hilep.rule import LearningRule

UPDATES = 2
"""Of a round, so that cells go up and down again."""
HOW = ("answer", "compute", "measure")
MEASURING = 4
"""Rounds where a measurement takes its time, which is seconds."""


class Recorder:
    """Every call of pyvisa on the connections of a bench, in order, while it is entered.

    Attributes:
        connections: by instrument.
        calls: (instrument, text) of a write, (instrument, None) of a read.
        answers: what each instrument answered to each message, None to a command.
    """

    def __init__(self, connections: dict[str, Any]) -> None:
        self.connections = connections
        self.calls: list[tuple[str, str | None]] = []
        self.answers: dict[str, list[str | None]] = {name: [] for name in connections}

    def __enter__(self) -> Recorder:
        for name, connection in self.connections.items():
            self._tap(name, connection)
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.connections.values():
            del connection.write, connection.read

    def replay(self) -> None:
        """Send and read what was noted, with plain pyvisa."""
        for name, text in self.calls:
            if text is None:
                self.connections[name].read()
            else:
                self.connections[name].write(text)

    def _tap(self, name: str, connection: Any) -> None:
        write, read = connection.write, connection.read

        def writing(text: str) -> Any:
            self.calls.append((name, text))
            self.answers[name].append(None)
            return write(text)

        def reading() -> Any:
            answer = read()
            self.calls.append((name, None))
            self.answers[name][-1] = answer
            return answer

        connection.write, connection.read = writing, reading


def rounds(bench: Bench, case: Case) -> Callable[[], None]:
    """Return what takes a round of updates: the same images, targets and steps each time."""
    network = case.network
    generator = np.random.default_rng(0)
    images = generator.uniform(-0.5, 0.5, (case.batch, network.inputs))
    targets = generator.choice([-case.target_v, case.target_v], (case.batch, network.outputs))
    # Updates by the rule alone would write other cells each time.
    none = [1e-30] * len(network.shapes)
    rule = LearningRule(network, case.beta, none, none)
    nudging = Nudging("current", (0.0, case.beta))
    up, down = (
        Update(
            tuple(
                LayerUpdate(np.ones((1, rows)), np.full((1, columns), step))
                for rows, columns in network.shapes
            )
        )
        for step in (case.step, -case.step)
    )

    def take() -> None:
        for step in (up, down):
            contrast = bench.free_and_nudged(images, targets, nudging)
            bench.update([*rule.blocks(contrast), step])

    return take


def timed(act: Callable[[], None]) -> float:
    """Return the seconds that `act` takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def sessions(bench: Bench) -> dict[str, Session]:
    """Return the sessions of an open bench, by instrument."""
    assert bench.session.connections is not None
    return {name: one.session for name, one in bench.session.connections.instruments.items()}


@contextmanager
def played(bench: Bench, recorder: Recorder) -> Iterator[None]:
    """Let the instruments say what they said before, at once; theirs are the connections."""
    assert bench.session.connections is not None
    instruments = bench.session.connections.instruments
    own = sessions(bench)
    with playing(recorder.answers) as resources:
        for name, resource in resources.items():
            instruments[name].session = Session(resource, own[name].timeout_s, {})
        recorder.connections = {k: one.adapter.connection for k, one in sessions(bench).items()}
        try:
            yield
        finally:
            for name, session in own.items():
                instruments[name].session.close()
                instruments[name].session = session


def measured(case: Case, how: str, count: int, folder: Path) -> dict[str, Any]:
    """Return medians per update of `count` rounds in turns, and how many messages that is."""
    file = case.file(folder / "bench.toml", how == "measure")
    with ExitStack() as during:
        bench = Bench(file, case.network, twin=lambda *_: computing(file.path, case.network))
        during.callback(bench.session.end)
        bench.open()
        low = case.network.g_min_siemens
        # Pulsed cells are new and there already: no pulse has to be waited for.
        bench.program([np.full(shape, low + case.step) for shape in case.network.shapes])
        take = rounds(bench, case)
        take()
        with Recorder(
            {name: one.adapter.connection for name, one in sessions(bench).items()}
        ) as said:
            take()
        if how == "answer":
            during.enter_context(played(bench, said))
            take()
        whole, bare = [], []
        for _ in range(count):
            whole.append(timed(take))
            bare.append(timed(said.replay))
    messages = sum(text is not None for _, text in said.calls) / UPDATES
    ours, theirs = (float(np.median(one)) / UPDATES for one in (whole, bare))
    return {
        "instruments": how,
        "ms_per_update": 1e3 * ours,
        "ms_of_its_messages": 1e3 * theirs,
        "ratio": ours / theirs,
        "messages_per_update": messages,
        "us_added_to_a_message": 1e6 * (ours - theirs) / messages,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--case", choices=tuple(CASES))
    parser.add_argument("--how", choices=HOW)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    for name in (told.case,) if told.case else CASES:
        case = CASES[name]()
        for how in (told.how,) if told.how else HOW:
            count = MEASURING if how == "measure" else told.rounds
            with tempfile.TemporaryDirectory() as folder:
                found = {"case": name, **measured(case, how, count, Path(folder))}
            if told.json:
                print(json.dumps(found), flush=True)
                continue
            print(
                f"{name:7}{how:8}{found['messages_per_update']:6.0f} messages"
                f"{found['ms_per_update']:10.2f} ms per update"
                f"{found['ms_of_its_messages']:10.2f} ms for its messages"
                f"{found['ratio']:8.3f}{found['us_added_to_a_message']:8.0f} us added to each",
                flush=True,
            )


if __name__ == "__main__":
    main()
