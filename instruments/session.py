"""One VISA session: open, write, read, time-outs and what a failed exchange leaves behind.

Terminations: a line feed ends every message and every answer, as IEEE 488.2 has it, on every bus.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.errors import BadInputError, HilepError, MissingExtraError
from hilep.instruments import taps
from hilep.instruments.errors import GarbledAnswerError, NotAnswering

try:
    import pyvisa
    from pymeasure.adapters import Adapter, VISAAdapter
except ImportError as error:
    raise MissingExtraError("a bench of instruments", "bench") from error

_QUIET_S = 0.1
"""A line silent for as long has nothing left to say."""


class Session:
    """Exchanges of bytes over a pymeasure adapter, with every failure named.

    Args:
        adapter: a VISA resource name, or a pymeasure adapter that is open already.
        timeout_s: seconds to wait for an answer where an exchange gives none.
        visa: keywords of pymeasure's `VISAAdapter` and of pyvisa's `open_resource`.

    Raises:
        NotAnswering: the resource cannot be opened.
        BadInputError: `adapter` is no VISA resource name.
    """

    def __init__(self, adapter: str | Adapter, timeout_s: float, visa: dict[str, Any]) -> None:
        self.resource = adapter if isinstance(adapter, str) else _resource_of(adapter)
        self.timeout_s = timeout_s
        self._own = isinstance(adapter, str)
        self._visa = {"write_termination": "\n", "read_termination": "\n", **visa}
        self._set_s: float | None = None
        self.adapter: Adapter = self._opened() if isinstance(adapter, str) else adapter

    def write(self, text: str) -> None:
        """Send `text`. Raises NotAnswering where the connection is gone."""
        try:
            self.adapter.write(text)
        except (pyvisa.errors.Error, OSError) as error:
            raise self._gone(error, text) from error

    def read(self, text: str, timeout_s: float | None = None) -> str:
        """Return the answer to `text`, without its line feed.

        Raises:
            NotAnswering: no whole answer within the time-out.
            GarbledAnswerError: the answer is not ASCII.
        """
        self._wait_up_to(timeout_s)
        try:
            answer: str = self.adapter.read()
        except UnicodeDecodeError as error:
            raise GarbledAnswerError(
                "the answer is not ASCII text", instrument=self.resource, command=text
            ) from error
        except (pyvisa.errors.Error, OSError) as error:
            raise self._gone(error, text) from error
        return answer.rstrip("\r\n")

    def read_block(
        self, text: str, dtype: str, timeout_s: float | None = None
    ) -> tuple[NDArray[Any], str]:
        """Return the numbers of an IEEE 488.2 definite-length block and the text behind it.

        The form is in IEEE 488.2-1992, section 8.7.9: "#", a digit, as many digits that count the
        bytes, the bytes. `dtype` states the byte order, such as "<f8".
        """
        self._wait_up_to(timeout_s)
        try:
            head = self.adapter.read_bytes(2)
            if head[:1] != b"#" or not b"1" <= head[1:] <= b"9":
                raise self._garbled(text, f"a block that starts with #1 to #9, not {head!r}")
            digits = self.adapter.read_bytes(int(head[1:]))
            if not digits.isdigit():
                raise self._garbled(text, f"the length of a block, not {digits!r}")
            body = self.adapter.read_bytes(int(digits))
            tail: str = self.adapter.read()
        except UnicodeDecodeError as error:
            raise self._garbled(text, "text behind the block") from error
        except (pyvisa.errors.Error, OSError) as error:
            raise self._gone(error, text) from error
        if len(body) != int(digits) or len(body) % np.dtype(dtype).itemsize:
            raise self._garbled(text, f"{int(digits)} bytes of {dtype}, not {len(body)}")
        return np.frombuffer(body, dtype), tail.rstrip("\r\n")

    def resynchronise(self, identity: str) -> None:
        """Open the session afresh until `*IDN?` is answered by `identity` and nothing else.

        A late answer of an exchange before can then not be taken for that of the next.

        Raises:
            NotAnswering: it does not answer at all, or never by itself alone.
        """
        self._refresh()
        for _ in range(3):
            self._discard()
            self.write("*IDN?")
            if self.read("*IDN?").strip() == identity and not self._discard():
                return
        raise NotAnswering("answers are out of step", instrument=self.resource, command="*IDN?")

    def clear_interface(self) -> None:
        """Forget what an earlier session may have left, where the bus can say so."""
        # pyvisa-py reads a socket until it is silent, which one closed at the far end never is.
        if not self.resource.upper().endswith("SOCKET"):
            with contextlib.suppress(Exception):
                self.adapter.connection.clear()

    def close(self) -> None:
        """Close the session; no harm where it is closed."""
        handle = None
        with contextlib.suppress(Exception):
            handle = self.adapter.connection.session
        with contextlib.suppress(Exception):
            self.adapter.close()
        with contextlib.suppress(Exception):
            _forget(self.adapter, handle)

    def _opened(self) -> Adapter:
        try:
            adapter = taps.opened(self.resource, self._connected)
        except HilepError:
            raise
        except (ValueError, AttributeError) as error:
            raise BadInputError(f"{self.resource}: cannot be opened by VISA: {error}") from error
        except Exception as error:  # pyvisa-py raises a bare Exception where nothing listens
            raise self._gone(error, "") from error
        self._set_s = None
        return adapter

    def _connected(self) -> Adapter:
        adapter = VISAAdapter(self.resource, **self._visa)
        if self.resource.upper().endswith("SOCKET"):
            _send_at_once(adapter.connection)
        return adapter

    def _refresh(self) -> None:
        if not self._own:
            reopen = getattr(self.adapter, "reopen", self.clear_interface)
            reopen()
            return
        self.clear_interface()
        self.close()
        self.adapter = self._opened()

    def _discard(self) -> bool:
        """Read until the line is silent; return whether anything came."""
        came = False
        for _ in range(50):
            try:
                self.read("", _QUIET_S)
            except GarbledAnswerError:
                pass
            except NotAnswering:
                return came
            came = True
        raise NotAnswering("it does not stop talking", instrument=self.resource)

    def _wait_up_to(self, timeout_s: float | None) -> None:
        wanted = self.timeout_s if timeout_s is None else timeout_s
        if wanted != self._set_s:
            self.adapter.connection.timeout = round(1000 * wanted)
            self._set_s = wanted

    def _gone(self, error: Exception, text: str) -> NotAnswering:
        waited = f"{self._set_s if self._set_s is not None else self.timeout_s:.3g} s"
        timed_out = getattr(error, "error_code", None) == pyvisa.constants.StatusCode.error_timeout
        what = f"no whole answer in {waited}" if timed_out else f"connection lost: {error}"
        return NotAnswering(what, instrument=self.resource, command=text)

    def _garbled(self, text: str, expected: str) -> GarbledAnswerError:
        return GarbledAnswerError(f"expected {expected}", instrument=self.resource, command=text)


def _send_at_once(connection: Any) -> None:
    """Without it a level and the read behind it wait for each other, 40 ms each time."""
    with contextlib.suppress(Exception):
        connection.set_visa_attribute(pyvisa.constants.ResourceAttribute.tcpip_nodelay, True)
    # pyvisa-py up to 0.8.1 knows the attribute and refuses to set it.
    with contextlib.suppress(Exception):
        interface = connection.visalib.sessions[connection.session].interface
        interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _forget(adapter: Adapter, handle: Any) -> None:
    """Drop what outlives a session: pyvisa-py 0.8.1 and pymeasure 0.16 keep some of each."""
    spare = [one for one in adapter.log.handlers if isinstance(one, logging.NullHandler)][1:]
    for handler in spare:
        adapter.log.removeHandler(handler)
    library = adapter.connection.visalib
    for name in ("sessions", "_last_status_in_session", "_ignore_warning_in_session"):
        getattr(library, name, {}).pop(handle, None)


def _resource_of(adapter: Adapter) -> str:
    name = getattr(adapter, "resource_name", "")
    return name if isinstance(name, str) else ""
