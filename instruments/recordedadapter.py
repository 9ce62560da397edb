"""pymeasure adapters that record a line, and that play a recorded one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymeasure.adapters import Adapter

if TYPE_CHECKING:
    from hilep.instruments.playing import Player
    from hilep.instruments.recording import Recorder


class RecordingAdapter(Adapter):  # type: ignore[misc]
    """Passes everything on to another adapter, and writes it down.

    Args:
        inner: opened; it is closed with this one.
        recorder: of the instrument.
    """

    def __init__(self, inner: Adapter, recorder: Recorder) -> None:
        super().__init__()
        self.resource_name = getattr(inner, "resource_name", "")
        self._inner = inner
        self._recorder = recorder
        self._open = True
        self.connection = _Connection(inner.connection, recorder)

    def close(self) -> None:
        """Close the connection."""
        if self._open:
            self._open = False
            self._recorder.said("close")
            self._inner.close()

    def __del__(self) -> None:
        # When garbage is collected is no matter of the session.
        if getattr(self, "_open", False):
            self._open = False
            self._inner.close()

    def flush_read_buffer(self) -> None:
        """Forget what has come."""
        self._recorder.said("clear")
        with self._recorder.failures("clear"):
            self._inner.flush_read_buffer()

    def _write(self, command: str, **keywords: Any) -> None:
        self._recorder.said("write", command.encode())
        with self._recorder.failures("write"):
            self._inner.write(command, **keywords)

    def _write_bytes(self, content: bytes, **keywords: Any) -> None:
        self._recorder.said("write", content)
        with self._recorder.failures("write"):
            self._inner.write_bytes(content, **keywords)

    def _read(self, **keywords: Any) -> str:
        with self._recorder.failures("read"):
            answer: str = self._inner.read(**keywords)
        self._recorder.said("read", answer.encode())
        return answer

    def _read_bytes(self, count: int, break_on_termchar: bool = False, **keywords: Any) -> bytes:
        with self._recorder.failures("read"):
            answer: bytes = self._inner.read_bytes(count, break_on_termchar, **keywords)
        self._recorder.said("read", bytes(answer))
        return answer


class _Connection:
    """A connection whose `clear` is recorded."""

    def __init__(self, inner: Any, recorder: Recorder) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_recorder", recorder)

    def clear(self) -> None:
        self._recorder.said("clear")
        with self._recorder.failures("clear"):
            self._inner.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)


class ReplayAdapter(Adapter):  # type: ignore[misc]
    """Answers from a recording, provided that it is asked what was asked then.

    Args:
        player: of the instrument.
    """

    def __init__(self, player: Player) -> None:
        super().__init__()
        self.resource_name = player.resource
        self._player = player
        self._open = True
        self.connection = _Nothing(player)

    def close(self) -> None:
        """Close the connection, as the recorded session did."""
        if self._open:
            self._open = False
            self._player.said("close")

    def __del__(self) -> None:
        """Do nothing: there is nothing to close."""

    def flush_read_buffer(self) -> None:
        """Forget what has come, as the recorded session did."""
        self._player.said("clear")

    def _write(self, command: str, **_: Any) -> None:
        self._player.said("write", command.encode())

    def _write_bytes(self, content: bytes, **_: Any) -> None:
        self._player.said("write", content)

    def _read(self, **_: Any) -> str:
        return self._player.heard().decode()

    def _read_bytes(self, count: int, break_on_termchar: bool = False, **_: Any) -> bytes:
        return self._player.heard(count)


class _Nothing:
    """Stands for the connection of an instrument that is not there."""

    timeout: float | None = None

    def __init__(self, player: Player) -> None:
        self._player = player

    def clear(self) -> None:
        self._player.said("clear")
