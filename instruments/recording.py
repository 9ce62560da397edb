"""Records what goes over the line of every instrument of a bench, as it happens.

    with RecordedBench(BenchFile.load("bench.toml"), network, Path("session.hilep")) as bench:
        ...

A message is in the file before it goes out, and an answer once it has come. Losing the file never
keeps a message from an instrument: the run ends at its next clamp, with its outputs off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from hilep.instruments import taps
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.benchsession import Twin
from hilep.instruments.recordedfailures import failure_of
from hilep.instruments.recordwriter import RecordWriter
from hilep.instruments.stations import driver_classes
from hilep.instruments.twins import served
from hilep.network import Network

if TYPE_CHECKING:
    from pymeasure.adapters import Adapter


class Recorder:
    """The tap on one instrument that writes down what it hears.

    Args:
        instrument: its name in the bench file.
        writer: of the recording.
    """

    def __init__(self, instrument: str, writer: RecordWriter) -> None:
        self.instrument = instrument
        self.writer = writer

    def said(self, did: str, content: bytes = b"", fields: dict[str, Any] | None = None) -> None:
        """Append a message."""
        self.writer.append(self.instrument, did, content, fields)

    @contextlib.contextmanager
    def failures(self, did: str) -> Iterator[None]:
        """Append how this block fails, if it does."""
        try:
            yield
        except BaseException as error:
            self.said("failed", b"", {"what": did, **failure_of(error)})
            raise

    def opened(self, connect: Callable[[], Adapter]) -> Adapter:
        """Return the adapter that `connect` opens, recorded."""
        from hilep.instruments.recordedadapter import RecordingAdapter

        self.said("open")
        with self.failures("open"):
            return RecordingAdapter(connect(), self)

    def asked(self, request: dict[str, Any], act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what `act` does, recorded."""
        self.said("ask", b"", request)
        with self.failures("ask"):
            answer = act()
        self.said("answer", b"", answer)
        return answer

    def calls(self, path: str) -> bool | None:
        """Leave it to the driver."""
        return None

    def plain(self, text: str) -> str:
        """Return `text`."""
        return text


class RecordedBench(Bench):
    """A bench whose every message is recorded; otherwise as any other.

    Args:
        file: of the bench.
        network: what it wires.
        path: of the recording; to one that is there, another part is appended.
        twin: as for a `Bench`; its virtual instruments are recorded.
        unchecked: as for a `Bench`.

    Raises:
        ConfigError: an instrument's driver has a connection of its own.
        RecordingError: `path` is there, and is no recording.
        StorageError: `path` cannot be written.
    """

    def __init__(
        self,
        file: BenchFile,
        network: Network,
        path: Path,
        *,
        twin: Twin | None = None,
        unchecked: bool = False,
    ) -> None:
        require_recordable(file)
        self.writer = RecordWriter(path)
        writer = self.writer
        recorders = {name: Recorder(name, writer) for name in file.sections.instruments}
        self._recorders = recorders

        @contextlib.contextmanager
        def recorded(file: BenchFile, network: Network) -> Iterator[Mapping[str, str]]:
            assert twin is not None
            with served(twin, file, network) as resources:
                _listen(recorders, resources)
                writer.begin(file, dict(resources))
                yield resources

        super().__init__(file, network, twin=recorded if twin else None, unchecked=unchecked)
        if twin is None:
            resources = {name: one.resource for name, one in file.sections.instruments.items()}
            _listen(recorders, resources)
            writer.begin(file, resources)

    def clamp(self, volts: ArrayLike) -> None:
        """Hold the inputs at `volts`, unless the recording has lost messages (StorageError)."""
        self.writer.require()
        super().clamp(volts)


def require_recordable(file: BenchFile) -> None:
    """Refuse a driver that does not speak through a session of this package.

    Raises:
        ConfigError: it has a connection of its own.
    """
    from hilep.instruments.exchange import Exchanges
    from hilep.instruments.nidaq_session import NISession

    for name, driver in driver_classes(file).items():
        if not (isinstance(driver, type) and issubclass(driver, (Exchanges, NISession))):
            raise file.error(
                f"instruments.{name}.driver",
                f"{file.sections.instruments[name].driver!r} has a connection of its own and "
                "cannot be recorded, expected a driver on hilep's BenchInstrument or NIDAQmx",
            )


def _listen(recorders: Mapping[str, Recorder], resources: Mapping[str, str]) -> None:
    for name, recorder in recorders.items():
        taps.register(resources[name], recorder)
