"""The base of every VISA driver: identity, transactions, poisoned sessions, and safe ends.

A driver is a pymeasure `Instrument` and works alone in a script::

    with Keithley2450("TCPIP0::192.0.2.10::5025::SOCKET", expect="2450") as smu:
        ...

Entering identifies the instrument, switches its outputs off and empties its error queue. Leaving,
however that happens, switches them off again and closes the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from hilep.errors import BadInputError
from hilep.instruments.errors import (
    IdentityError,
    InstrumentError,
    NotAnswering,
    StateUnknownError,
)
from hilep.instruments.exchange import Exchanges
from hilep.instruments.identity import Identity as Identity
from hilep.instruments.identity import mentions
from hilep.instruments.kept import Kept
from hilep.instruments.values import number as number

if TYPE_CHECKING:
    from pymeasure.adapters import Adapter


@dataclass(frozen=True, slots=True)
class SafeReport:
    """What `safe` did. `off` is True or False where the outputs were read back, else None."""

    off: bool | None
    text: str


class BenchInstrument(Exchanges):
    """An instrument whose state is known, or that refuses to go on.

    A message that brings no whole and sensible answer poisons the session: everything but `safe`
    then raises StateUnknownError until `recover` has succeeded. A session that was not started is
    poisoned too.

    Args:
        adapter: a VISA resource name, or a pymeasure adapter that is open already.
        name: what errors call it; the driver's class and the resource where None.
        expect: text that must appear in `*IDN?`, such as a model or a serial number.
        timeout_s: seconds to wait for an answer beyond what a measurement itself takes.
        line_hz: frequency of the mains, 50 or 60.
        visa: keywords of pymeasure's `VISAAdapter` and pyvisa's `open_resource`. Without
            `visa_library`, an installed VISA is used, else pyvisa-py.
    """

    models: ClassVar[tuple[str, ...]] = ()
    """Parts of `*IDN?` of which one must appear; empty where any will do."""

    off_words: ClassVar[str] = "outputs off"
    """What `safe` reports: outputs that cannot be switched off say where they are instead."""

    def __init__(
        self,
        adapter: str | Adapter,
        name: str | None = None,
        *,
        expect: str | None = None,
        timeout_s: float = 5.0,
        line_hz: int = 50,
        **visa: Any,
    ) -> None:
        if line_hz not in (50, 60):
            raise BadInputError(f"line_hz is {line_hz}, expected 50 or 60")
        super().__init__(adapter, name, timeout_s=timeout_s, **visa)
        self.expect = expect
        self.line_hz = line_hz
        self._idn = ""

    # What a driver states about itself.

    def off_messages(self) -> Sequence[str]:
        """Return the messages that switch every output off, whatever state it is in."""
        return ()

    def read_outputs(self) -> dict[str, bool]:
        """Ask whether each output is on. A reader has none."""
        return {}

    def check(self) -> None:
        """Refuse an instrument that is in a wrong language or mode; called before anything is sent.

        Only queries that every mode understands may be used.
        """

    def prepare(self) -> None:
        """Set the formats that the driver relies on; called at the start, outputs off."""

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` sets and a reading or an output depends on: it is read back."""
        return ()

    def settings(self) -> dict[str, Any]:
        """Ask for every setting, as plain JSON values by name."""
        return {}

    # Start, end and recovery.

    def start(self) -> Self:
        """Identify, switch off, empty the error queue and prepare.

        Raises:
            IdentityError: it is another instrument; nothing but `*IDN?` was sent to it.
            BadInputError: it is in another language or mode; only questions were sent to it.
            StateUnknownError: its outputs cannot be made off.
            NotAnswering: it does not answer.
            InstrumentError: it refused a setting or keeps another one.
        """
        with self.transaction():
            self.session.clear_interface()
            self._poison = None
            self._idn = self.query("*IDN?").strip()
            self._check_whom()
            report = self.safe()
            if report.off is not True:
                raise StateUnknownError(report.text, instrument=self.name)
            self._empty_errors()
            self.prepare()
            self.drain_errors("the start")
            self.compare(self.kept_from_start())
        return self

    def recover(self) -> dict[str, bool]:
        """Make a poisoned session usable: fresh, in step, outputs read back, errors emptied.

        Outputs and levels stay as they are.

        Returns:
            Whether each output is on.

        Raises:
            StateUnknownError: any of it failed; the session stays poisoned.
        """
        with self.transaction():
            if self._closed or not self._idn:
                raise self._refusal("")
            reason = self._poison
            try:
                self._resynchronise()
                outputs = self.read_outputs()
                self._empty_errors()
            except InstrumentError as error:
                self._poison = f"{reason or 'recovery'}; then {error}"
                raise self._refusal("") from error
            return outputs

    def safe(self) -> SafeReport:
        """Switch every output off: first, unconditionally and without a question; then verify.

        It goes out of a poisoned session as well, and where another holds the lock. It never
        raises because of an instrument.
        """
        if self._closed:
            return SafeReport(None, f"{self.name}: the session is closed")
        if self._poison is not None and not self._idn:
            return SafeReport(None, f"{self.name}: never identified, so nothing was sent to it")
        try:
            self._lock.acquire(1.0)
        except Exception as error:
            # The answer that the holder waits for must not be taken from it: no questions here.
            sent = self._send_off()
            self._poison = self._poison or "switched off by safe() while in use elsewhere"
            return SafeReport(None, f"{self.name}: {sent}; not verified, {error}")
        try:
            return self._safe()
        finally:
            self._lock.release()

    def shutdown(self) -> None:
        """Switch off and close. It may be called again."""
        if not self._closed:
            self.last_report = self.safe()
            self._closed = True
            self.session.close()
        super().shutdown()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.shutdown()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    @property
    def identity(self) -> Identity:
        """Maker, model, serial number and firmware, as found at the start."""
        fields = [part.strip() for part in self._idn.split(",", 3)]
        return Identity(*fields, *[""] * (4 - len(fields)))

    def answer_if_any(self, text: str) -> str | None:
        """Ask what not every firmware knows; None where it stays silent, in a session made fresh.

        Raises:
            NotAnswering: it answers nothing else either.
        """
        with self.transaction():
            try:
                return self.query(text).strip()
            except NotAnswering:
                self._resynchronise()
                return None

    def snapshot(self) -> dict[str, Any]:
        """Return identity, connection and every setting read back, as plain JSON values."""
        with self.transaction():
            found = self.identity
            return {
                "driver": type(self).__name__,
                "resource": self.resource,
                "maker": found.maker,
                "model": found.model,
                "serial": found.serial,
                "firmware": found.firmware,
                "line_hz": self.line_hz,
                "outputs": self.read_outputs(),
                "settings": self.settings(),
            }

    # Inside.

    def _check_whom(self) -> None:
        """Refuse before anything but questions was sent, and so that nothing will be."""
        try:
            self._check_identity()
            self.check()
        except BadInputError as error:
            self._poison = str(error)
            self._idn = ""
            raise

    def _check_identity(self) -> None:
        found = self._idn
        wrong = None
        if found.count(",") < 3:
            wrong = "expected four fields in *IDN?"
        elif self.expect is not None and not mentions(found, self.expect):
            wrong = f"expected {self.expect!r} in *IDN?"
        elif self.models and not any(model in self.identity.model.upper() for model in self.models):
            wrong = f"expected one of {', '.join(self.models)} in *IDN?"
        if wrong is not None:
            raise IdentityError(f"{wrong}, found {found!r}", instrument=self.name)

    def _resynchronise(self) -> None:
        self.session.resynchronise(self._idn)
        self.adapter = self.session.adapter
        self._poison = None

    def _send_off(self) -> str:
        sent = "off was sent"
        for message in self.off_messages():
            try:
                self.session.write(message)
                self.messages.writes += 1
            except Exception as error:
                sent = f"off could not be sent: {error}"
        return sent

    def _safe(self) -> SafeReport:
        sent = self._send_off()
        trouble = ""
        for _ in range(2):
            try:
                if self._poison is not None or sent != "off was sent":
                    self._resynchronise()
                    sent = self._send_off()
                outputs = self.read_outputs()
            except Exception as error:
                trouble = str(error)
                self._poison = self._poison or trouble
                continue
            on = [name for name, state in outputs.items() if state]
            if not on:
                return SafeReport(True, f"{self.name}: {self.off_words}, read back")
            trouble = f"still on: {', '.join(on)}"
            self._send_off()
        off = False if trouble.startswith("still on") else None
        return SafeReport(off, f"{self.name}: {sent}; {trouble}")
