"""A bench of every family of socket instruments around a 2-2-2 network, and a run to disturb.

The instruments are virtual and stay; each run opens them anew over sockets, as a lab's does. What
is asked about their outputs is asked of the circuit that they are wired to.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from fault_bench import DRIVERS, OUTPUTS, TIMEOUT_S, UPDATES, config, tables, written

from hilep import experiment
from hilep.callbacks import Callback
from hilep.instruments import arming, locks
from hilep.instruments.benchfile import BenchFile
from hilep.runfile import Checkpoint, read_run
from hilep.simulators.virtual.faults import Fault
from hilep.simulators.virtual.twin import Resources, twin

PARTS = ("switching on", "step", "test", "switching off")
"""Of a run: until the outputs are on and read back, the update, the test split, the end."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: which instrument's, its number there, its text, and in what part of the run."""

    instrument: str
    number: int
    text: str
    part: str

    @property
    def answered(self) -> bool:
        """Whether the instrument answers it."""
        return "?" in self.text or "print(" in self.text or self.text.startswith("hilep_")


@dataclass
class Course:
    """What came of a run.

    Attributes:
        messages: in the order in which they arrived.
        read: the messages during which something was measured, as (instrument, number).
        contrasts: the readings that updates were made of, each the means of both phases.
        error: what ended it; None where it went to its end.
    """

    messages: list[Message] = field(default_factory=list)
    read: list[tuple[str, int]] = field(default_factory=list)
    contrasts: list[np.ndarray[Any, Any]] = field(default_factory=list)
    error: BaseException | None = None


class Rig:
    """The virtual instruments, the bench file of their resources, and a run at its first update.

    Args:
        resources: what serves them.
        folder: for its files.
        supervised: whether a second process switches off when a run dies.
        timeout_s: of every instrument.

    Attributes:
        clean: the undisturbed run.
        asked: what cells should be after each update, siemens, one array per layer.
    """

    def __init__(
        self, resources: Resources, folder: Path, supervised: bool, timeout_s: float
    ) -> None:
        self.resources, self.folder, self.world = resources, folder, resources.world
        self.strike: Callable[[Message], Fault | None] | None = None
        self.spoil: Callable[[str, Any], Any] | None = None
        self.course = Course()
        self.clean = Course()
        self._counting, self._part = False, PARTS[0]
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        given = tables({name: resources[name] for name in DRIVERS}, supervised, timeout_s)
        file = BenchFile.load(written(folder / "bench.toml", given))
        arming.arm(file, {"passed": True})
        self.config = config(folder)
        for name, server in resources.servers.items():
            server.fault = lambda number, text, name=name: self._arrived(name, text)
            self._tap(name, resources.instruments[name])

    # A run, undisturbed or not -----------------------------------------------------------------

    def prepare(self) -> None:
        """Train the first update, and learn what the second one says to the instruments."""
        path = self.folder / "first.h5"
        prepared = experiment.prepare(self.config, path, overwrite=True)
        prepared.execute((_StopAfter(1),))
        self._first, self._held = path, self.world.siemens()
        self.asked = {1: _asked(path)}
        clean = self.fresh(self.folder / "clean.h5")
        self.clean = self.run(clean)
        if self.clean.error is not None:
            raise self.clean.error
        self.asked[UPDATES] = _asked(clean)

    def fresh(self, path: Path) -> Path:
        """Put a run file at `path` as it was after the first update; return its name."""
        shutil.copyfile(self._first, path)
        return path

    def run(
        self,
        path: Path,
        strike: Callable[[Message], Fault | None] | None = None,
        spoil: Callable[[str, Any], Any] | None = None,
    ) -> Course:
        """Go on from the first update to the end, counting messages once the bench is open.

        Args:
            path: of the run file.
            strike: called with each message; returns what goes wrong with it.
            spoil: called with an instrument's name and what it measured; returns it, or otherwise.

        Raises:
            HilepError: the run file does not resume.
        """
        self.course = course = Course()
        self.restore()
        resumed = experiment.resume(path)
        try:
            self._watch(resumed.crossbar)
            self.listen(strike, spoil)
            resumed.execute()
        except BaseException as error:
            course.error = error
        finally:
            self.rest()
        return course

    def restore(self) -> None:
        """Put the cells to where they were after the first update."""
        self.world.write(self._held)

    def listen(
        self,
        strike: Callable[[Message], Fault | None] | None = None,
        spoil: Callable[[str, Any], Any] | None = None,
    ) -> None:
        """Number the messages of each instrument from here on; the arguments are those of `run`."""
        with self._lock:
            self._numbers = dict.fromkeys(DRIVERS, 0)
            self._counting, self.strike, self.spoil = True, strike, spoil

    def rest(self) -> None:
        """Let messages pass uncounted and unspoiled."""
        with self._lock:
            self._counting = False
            self.strike = self.spoil = None

    def resume(self, path: Path) -> Any:
        """Train what is left of a run file, undisturbed; return the outcome."""
        return experiment.resume(path).execute()

    @property
    def on_at_all(self) -> set[str]:
        """The outputs that there are, as `on` names them."""
        nodes, names = self.world.nodes.index, self.world.nodes.names
        return {names[nodes[terminal]] for own in OUTPUTS.values() for terminal in own}

    def differences(self, saved: Checkpoint) -> list[str]:
        """Return what of a checkpoint is not that of the undisturbed run, or not in the cells."""
        found = []
        asked = self.asked[saved.update]
        for g, owed, want in zip(saved.conductances, saved.owed or [], asked, strict=True):
            if not np.allclose(g + owed, want, rtol=1e-6):
                found.append(f"update {saved.update} asks for {(g + owed).tolist()}")
        if saved.update == UPDATES and not self.as_recorded(saved):
            found.append("cells are not as recorded")
        return found

    def as_recorded(self, saved: Checkpoint) -> bool:
        """Return whether the cells are what a checkpoint says."""
        pairs = zip(saved.conductances, self.world.siemens(), strict=True)
        return all(np.allclose(have, want, rtol=0.02) for have, want in pairs)

    def on(self, besides: set[str]) -> set[str]:
        """Return what is on in the circuit, apart from the outputs of some instruments."""
        nodes, names = self.world.nodes.index, self.world.nodes.names
        theirs = {names[nodes[t]] for name in besides for t in OUTPUTS.get(name, ())}
        return self.world.driven - theirs

    # Inside ------------------------------------------------------------------------------------

    def _arrived(self, name: str, text: str) -> Fault | None:
        with self._lock:
            if not self._counting:
                return None
            message = Message(name, self._numbers[name], text, self._part)
            self._numbers[name] += 1
            self.course.messages.append(message)
            return self.strike(message) if self.strike is not None else None

    def _watch(self, crossbar: Any) -> None:
        read, update, close = crossbar.free_and_nudged, crossbar.update, crossbar.close
        snapshots = crossbar.session.snapshots

        def reading(*arguments: Any) -> Any:
            contrast = read(*arguments)
            self.course.contrasts.append(np.stack([contrast.first.mean, contrast.second.mean]))
            return contrast

        def updating(*arguments: Any) -> Any:
            report = update(*arguments)
            self._part = PARTS[2]
            return report

        def closing() -> None:
            self._part = PARTS[3]
            close()

        def switched_on() -> Any:
            found = snapshots()
            self._part = PARTS[1]
            return found

        self._part = PARTS[0]
        crossbar.free_and_nudged, crossbar.update, crossbar.close = reading, updating, closing
        crossbar.session.snapshots = switched_on

    def _tap(self, name: str, instrument: Any) -> None:
        """Let `spoil` see what an instrument measures."""

        def tapped(measure: Callable[..., Any]) -> Callable[..., Any]:
            def measured(*arguments: Any, **keywords: Any) -> Any:
                found = measure(*arguments, **keywords)
                if self._counting:
                    self.course.read.append((name, self._numbers[name] - 1))
                return found if self.spoil is None else self.spoil(name, found)

            return measured

        for channel in _channels(instrument):
            channel.sample = tapped(channel.sample)
        if hasattr(instrument, "scanner"):
            instrument.scanner.sweep = tapped(instrument.scanner.sweep)


@contextmanager
def rig(folder: Path, supervised: bool = False, timeout_s: float = TIMEOUT_S) -> Iterator[Rig]:
    """Serve the instruments and prepare a run; arming and locks are kept in `folder`."""
    with ExitStack() as during:
        # No mocks: they keep every call.
        armed, locked = (partial(Path, folder / name) for name in ("armed", "locks"))
        during.enter_context(mock.patch.object(arming, "records", armed))
        during.enter_context(mock.patch.object(locks, "lock_folder", locked))
        twins = {name: f"GPIB0::{place}::INSTR" for place, name in enumerate(DRIVERS, 1)}
        file = BenchFile.load(written(folder / "twin.toml", tables(twins, supervised, timeout_s)))
        np.savez(
            folder / "data.npz",
            x=np.array([[0.0, 0.3], [1.0, 0.6], [0.2, 1.0], [0.9, 0.0]]),
            y=np.array([0, 1, 0, 1]),
            x_test=np.array([[0.1, 0.8]]),
            y_test=np.array([0]),
        )
        served = during.enter_context(twin(file, config(folder).network.network()))
        made = Rig(served, folder, supervised, timeout_s)
        made.prepare()
        yield made


class _StopAfter(Callback):
    def __init__(self, update: int) -> None:
        self.update = update

    def on_update(self, trainer: Any) -> None:
        if trainer.update == self.update:
            trainer.stop()


def _asked(path: Path) -> list[Any]:
    saved = read_run(path).checkpoint
    assert saved is not None
    assert saved.owed is not None
    return [g + owed for g, owed in zip(saved.conductances, saved.owed, strict=True)]


def _channels(instrument: Any) -> list[Any]:
    if hasattr(instrument, "smus"):
        return [smu.channel for smu in instrument.smus]
    if hasattr(instrument, "channels"):
        return list(instrument.channels.values())
    return [instrument.channel] if hasattr(instrument, "channel") else []
