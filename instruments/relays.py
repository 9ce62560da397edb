"""Relay cards behind a reader: routing that is counted, read back, and never done hot.

A relay lives for far fewer closures under a load than without one (Keysight 34970A/34972A User's
Guide, section "Relay Life and Preventative Maintenance"). So a path that is closed already is not
closed again, and nothing switches unless it is known that no source drives the lines.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from hilep.errors import BadInputError
from hilep.instruments.errors import InstrumentError
from hilep.instruments.instrument import BenchInstrument, SafeReport


class HotSwitchError(InstrumentError):
    """A relay was asked to switch while a source drives its lines, or may do so."""


class RelayCards(BenchInstrument):
    """An instrument with multiplexer and matrix cards. Channels are numbers such as "101".

    Attributes:
        cold: tells whether no source drives the lines that the cards switch. While it is None,
            only `hot=True` switches.
        closures: how often each channel was closed in this session, sweeps of a scan included.
    """

    channel_form: ClassVar[re.Pattern[str]] = re.compile(r"[1-3]\d\d")
    """What the number of a channel looks like: its slot, and two digits."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.cold: Callable[[], bool] | None = None
        self.closures: Counter[str] = Counter()
        self._paths: set[str] = set()
        self._routed: set[str] = set()
        self._scanned: tuple[str, ...] = ()

    @property
    def closed(self) -> tuple[str, ...]:
        """The channels that are closed as paths, in order; a scan's own are not among them."""
        return tuple(sorted(self._paths))

    @abstractmethod
    def switching(self, opened: Sequence[str], made: Sequence[str]) -> str:
        """Return the message that opens and then closes channels, either of which may be none."""

    @abstractmethod
    def closed_query(self, channels: Sequence[str]) -> str:
        """Return the query of which of `channels` are closed."""

    @abstractmethod
    def closed_in(self, answer: str, channels: Sequence[str]) -> set[str]:
        """Return those of `channels` that are closed by the answer to `closed_query`."""

    @abstractmethod
    def cycles_query(self, channels: Sequence[str]) -> str:
        """Return the query of the relays' own counters."""

    def close(self, paths: Iterable[str], *, hot: bool = False) -> None:
        """Close `paths` and leave the others as they are; what is closed stays closed, uncounted.

        Args:
            paths: channels.
            hot: switch even though a source may drive the lines.

        Raises:
            BadInputError: no such channel, or one of the scan list.
            HotSwitchError: it is not known that no source drives the lines; nothing was sent.
            InstrumentError: a relay did not follow.
        """
        wanted = self.checked_channels(paths)
        self._switch((), [path for path in wanted if path not in self._paths], hot)

    def open(self, paths: Iterable[str], *, hot: bool = False) -> None:
        """Open `paths`. Raises as `close` does."""
        wanted = self.checked_channels(paths)
        self._switch([path for path in wanted if path in self._paths], (), hot)

    def connect(self, paths: Iterable[str], *, hot: bool = False) -> None:
        """Make `paths` the only closed ones: others open first, then what is missing closes."""
        wanted = self.checked_channels(paths)
        self._switch(
            [path for path in self.closed if path not in wanted],
            [path for path in wanted if path not in self._paths],
            hot,
        )

    def open_all(self, *, hot: bool = False) -> None:
        """Open every path that is closed. Raises as `close` does."""
        self._switch(self.closed, (), hot)

    def relay_cycles(self, channels: Iterable[str]) -> dict[str, int]:
        """Ask the cards how often each relay has closed in its life."""
        asked = self.checked_channels(channels)
        query = self.cycles_query(asked)
        found = self.numbers_in(self.query(query), len(asked), query)
        return {channel: int(cycles) for channel, cycles in zip(asked, found, strict=True)}

    def checked_channels(self, channels: Iterable[str]) -> tuple[str, ...]:
        """Return `channels` as numbers.

        Raises:
            BadInputError: none, one twice, or no number of a channel.
        """
        found = tuple(str(channel) for channel in channels)
        if not found:
            raise BadInputError(f"{self.name}: expected at least one channel")
        if len(set(found)) != len(found):
            twice = next(channel for channel in found if found.count(channel) > 1)
            raise BadInputError(f"{self.name}: channel {twice} is named twice")
        for channel in found:
            if not self.channel_form.fullmatch(channel):
                raise BadInputError(
                    f"{self.name}: no channel {channel!r}, expected a slot and two digits, as 101"
                )
        return found

    def read_outputs(self) -> dict[str, bool]:
        """Ask whether the paths that were ever closed are closed, as "relay 101"."""
        if not self._routed:
            return {}
        asked = sorted(self._routed)
        self._paths = self.closed_in(self.query(self.closed_query(asked)), asked)
        return {f"relay {channel}": channel in self._paths for channel in asked}

    def safe(self) -> SafeReport:
        """End the scan and open every relay, driven or not: an open path can carry nothing.

        A bench switches its sources off first, so that no relay opens hot.
        """
        report = super().safe()
        if report.off is True:
            self._paths.clear()
        return report

    def _switch(self, opened: Sequence[str], made: Sequence[str], hot: bool) -> None:
        scanned = [channel for channel in (*opened, *made) if channel in self._scanned]
        if scanned:
            raise BadInputError(f"{self.name}: channel {scanned[0]} is in the scan list")
        if not opened and not made:
            return
        self._require_cold(hot)
        touched = [*opened, *made]
        text = f"{self.switching(opened, made)};{self.closed_query(touched)};{self.error_query}"
        with self.transaction():
            self._routed.update(touched)
            answer, entry = self.answer_and_entry(self.query(text), text)
            now = self.closed_in(answer, touched)
            self._paths = (self._paths - set(touched)) | now
            self.closures.update(path for path in made if path in now)
            if entry[0]:
                self.raise_entry(entry, text)
            if now != set(made):
                stuck = ", ".join(sorted(now ^ set(made)))
                raise InstrumentError(f"relay {stuck} did not follow", instrument=self.name)

    def _require_cold(self, hot: bool) -> None:
        if hot:
            return
        if self.cold is None:
            raise HotSwitchError(
                "not known whether a source drives the lines: set cold, or say hot=True",
                instrument=self.name,
            )
        if not self.cold():
            raise HotSwitchError("a source drives the lines", instrument=self.name)

    def answer_and_entry(self, text: str, command: str) -> tuple[str, tuple[int, str]]:
        """Return the data and the error entry of an answer made of both; else poison.

        An instrument that refuses a query answers the others: then the entry says why.

        Raises:
            InstrumentError: there is no data, and the entry is an error.
        """
        answer, separator, last = text.partition(";")
        if separator and not _looks_like_an_entry(answer):
            return answer, self.entry_in(last)
        if _looks_like_an_entry(text):
            entry = self.entry_in(text)
            if entry[0]:
                self.raise_entry(entry, command)
        raise self.garbled(command, f"expected data and an error entry, got {text[:40]!r}")


def listed(channels: Iterable[str]) -> str:
    """Return an SCPI channel list."""
    return f"(@{','.join(channels)})"


def _looks_like_an_entry(text: str) -> bool:
    return re.match(r'\s*[+-]?\d+\s*,\s*"', text) is not None
