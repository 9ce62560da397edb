"""Virtual NI devices in place of the driver: who answers a task or a device of this process."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hilep.errors import ConfigError, MissingExtraError

try:
    import nidaqmx.utils
except ImportError as error:
    raise MissingExtraError("a virtual NI device", "bench") from error

if TYPE_CHECKING:
    from hilep.simulators.virtual.nidaqmx_interpreter import VirtualInterpreter

_TASK = -1
"""The handle that a task is given while it may still move to another interpreter."""

_installed: list[VirtualInterpreter] = []
_drivers: list[Callable[..., Any]] = []
_lock = threading.Lock()


@contextlib.contextmanager
def installed(interpreter: VirtualInterpreter) -> Iterator[VirtualInterpreter]:
    """Let tasks and devices of this process use `interpreter`, until the block ends.

    Several may be there at once and end in any order; each is asked for its own devices. The
    driver is back when the last one has ended.

    Raises:
        ConfigError: one of its devices is virtual already.
    """
    with _lock:
        twice = sorted(_names() & set(interpreter.devices))
        if twice:
            raise ConfigError(f"{', '.join(twice)}: virtual already in this process")
        if not _installed:
            _drivers.append(nidaqmx.utils._select_interpreter)
            nidaqmx.utils._select_interpreter = _select
        _installed.append(interpreter)
    try:
        yield interpreter
    finally:
        with _lock:
            _installed.remove(interpreter)
            if not _installed:
                nidaqmx.utils._select_interpreter = _drivers.pop()


def free_name(device: str) -> str:
    """Return `device`, or with a number after it where that name is virtual already."""
    with _lock:
        taken = _names()
    numbered = (f"{device}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([device], numbered) if name not in taken)


def _names() -> set[str]:
    return {name for interpreter in _installed for name in interpreter.devices}


def _select(*arguments: object, **keywords: object) -> Any:
    with _lock:
        return _installed[0] if len(_installed) == 1 else _Undecided(list(_installed))


class _Undecided:
    """What one task or device object asks: whoever has the device, once it is named.

    A task names no device before its first channel; until then it is the last interpreter's.
    """

    def __init__(self, among: Sequence[VirtualInterpreter]) -> None:
        self._among = among
        self._home = among[-1]
        self._name, self._task = "", _TASK

    def create_task(self, session_name: str) -> tuple[int, bool]:
        """DAQmxCreateTask."""
        self._name = session_name
        self._task, new = self._home.create_task(session_name)
        return _TASK, new

    def __getattr__(self, function: str) -> Any:
        if not callable(getattr(self._home, function)):
            return getattr(self._home, function)

        def ask(first: Any = None, *rest: Any) -> Any:
            if isinstance(first, str):
                return getattr(self._owner(first), function)(first, *rest)
            if first is None:
                return getattr(self._home, function)()
            if function in ("create_ai_voltage_chan", "create_ao_voltage_chan"):
                self._move(self._owner(rest[0]))
            return getattr(self._home, function)(self._task, *rest)

        return ask

    def _owner(self, physical: str) -> VirtualInterpreter:
        device = physical.partition("/")[0].strip()
        return next((one for one in self._among if device in one.devices), self._home)

    def _move(self, owner: VirtualInterpreter) -> None:
        if owner is not self._home:
            self._home.clear_task(self._task)
            self._home = owner
            self._task, _ = owner.create_task(self._name)
