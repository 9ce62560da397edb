"""Kinds of SCPI parameters: how each is read from a message and written in a response."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

from hilep.simulators.virtual.scpi_errors import ScpiError

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:\s*[Ee]\s*([+-]?\d+))?\s*([A-Za-z%/]*)")
_MULTIPLIERS = {
    "EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0,
    "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "F": 1e-15, "A": 1e-18,
}  # fmt: skip
INFINITY = 9.9e37
NOT_A_NUMBER = 9.91e37


class Kind(Protocol):
    """A kind of parameter with its default."""

    @property
    def default(self) -> Any:
        """The value after *RST."""

    def read(self, text: str) -> Any:
        """Return the value; raises ScpiError for one that is not of this kind."""

    def write(self, value: Any) -> str:
        """Return the response."""

    def named(self, text: str) -> Any:
        """Return what MINimum, MAXimum or DEFault stands for; raises ScpiError."""


def spelled(text: str, pattern: str) -> bool:
    """Return whether `text` is the short or the long form of a mnemonic such as "VOLTage"."""
    short = pattern.rstrip("abcdefghijklmnopqrstuvwxyz")
    return text.upper() in (short, pattern.upper())


def number(text: str, unit: str = "") -> float:
    """Return a decimal number, with a suffix of `unit` and its multipliers where it has one.

    IEEE 488.2, section 7.7.3: M is milli, except that MOHM and MHZ are mega. "#H", "#Q" and "#B"
    are hexadecimal, octal and binary.

    Raises:
        ScpiError: -121, -123, -131, -138, -128 or -104.
    """
    if text[:1] == "#" and text[1:2].upper() in ("H", "Q", "B"):
        try:
            return float(int(text[2:], {"H": 16, "Q": 8, "B": 2}[text[1].upper()]))
        except ValueError:
            raise ScpiError(-121) from None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ScpiError(-104 if text[:1] in "'\"(#" or text[:1].isalpha() else -121)
    digits, exponent, suffix = match.groups()
    if exponent and abs(int(exponent)) > 32000:
        raise ScpiError(-123)
    value = float(f"{digits}e{exponent or 0}")
    if not suffix:
        return value
    if not unit:
        raise ScpiError(-138)
    suffix, unit = suffix.upper(), unit.upper()
    multiplier = suffix[: -len(unit)] if suffix.endswith(unit) else None
    if multiplier is None or multiplier not in _MULTIPLIERS:
        raise ScpiError(-131)
    if multiplier == "M" and unit in ("OHM", "HZ"):
        return value * 1e6
    return value * _MULTIPLIERS[multiplier]


@dataclass(frozen=True)
class Number:
    """A number within bounds, or MINimum, MAXimum, DEFault, INFinity."""

    low: float
    high: float
    default: float
    unit: str = ""
    integer: bool = False
    style: str = ".6E"
    infinite: bool = False

    def named(self, text: str) -> float:
        """Return what a name stands for."""
        for name, value in (
            ("MINimum", self.low),
            ("MAXimum", self.high),
            ("DEFault", self.default),
        ):
            if spelled(text, name):
                return value
        if self.infinite and spelled(text, "INFinity"):
            return INFINITY
        raise ScpiError(-141 if text[:1].isalpha() else -104)

    def read(self, text: str) -> float:
        """Return the number; -222 outside the bounds."""
        if text[:1].isalpha():
            return self.named(text)
        value = number(text, self.unit)
        if self.infinite and value >= INFINITY:
            return INFINITY
        if not self.low <= value <= self.high:
            raise ScpiError(-222)
        return float(round(value)) if self.integer else value

    def write(self, value: float) -> str:
        """Return the response."""
        if self.integer and abs(value) < INFINITY:
            return str(round(value))
        return format(value, self.style)


@dataclass(frozen=True)
class Boolean:
    """ON, OFF, 1, 0; a number that is not 0 is ON."""

    default: bool = False

    def named(self, text: str) -> bool:
        """Return what DEFault stands for."""
        if spelled(text, "DEFault"):
            return self.default
        raise ScpiError(-141)

    def read(self, text: str) -> bool:
        """Return whether it is on."""
        if text.upper() in ("ON", "OFF"):
            return text.upper() == "ON"
        return round(number(text)) != 0 if not text[:1].isalpha() else self.named(text)

    def write(self, value: bool) -> str:
        """Return the response."""
        return "1" if value else "0"


@dataclass(frozen=True)
class Choice:
    """One of several mnemonics, kept and answered in the short form.

    Attributes:
        options: long forms with their capitals, such as "VOLTage".
        quoted: whether it is sent and answered as a string.
    """

    options: tuple[str, ...]
    default: str
    quoted: bool = False

    def named(self, text: str) -> str:
        """Return what DEFault stands for."""
        if spelled(text, "DEFault"):
            return self.default
        raise ScpiError(-224)

    def read(self, text: str) -> str:
        """Return the short form; -224 for another word."""
        if self.quoted:
            text = string(text)
        for option in self.options:
            if spelled(text, option):
                return shortened(option)
        return self.named(text)

    def write(self, value: str) -> str:
        """Return the response."""
        return f'"{value}"' if self.quoted else value


@dataclass(frozen=True)
class Span:
    """A range: the smallest of several that holds the number.

    Attributes:
        ranges: ascending.
        over: how far each reaches, as a factor.
        unit: of a suffix.
    """

    ranges: tuple[float, ...]
    over: float
    unit: str

    @property
    def default(self) -> float:
        """The largest range."""
        return self.ranges[-1]

    def named(self, text: str) -> float:
        """Return what a name stands for."""
        return Number(self.ranges[0], self.ranges[-1], self.default).named(text)

    def read(self, text: str) -> float:
        """Return the range; -222 where none holds the number."""
        size = abs(self.named(text) if text[:1].isalpha() else number(text, self.unit))
        held = next((r for r in self.ranges if size <= r * self.over * (1 + 1e-9)), None)
        if held is None:
            raise ScpiError(-222)
        return held

    def write(self, value: float) -> str:
        """Return the response."""
        return format(value, ".6E")


def shortened(option: str) -> str:
    """Return the short form of a mnemonic."""
    return re.sub("[a-z]+", "", option)


def string(text: str) -> str:
    """Return what is between the quotes; a doubled quote inside stands for one.

    Raises:
        ScpiError: -104 for what is not a string.
    """
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        raise ScpiError(-104)
    return text[1:-1].replace(text[0] * 2, text[0])


def channel_list(text: str) -> list[tuple[int, int]]:
    """Return the ranges of "(@101:110,201)" as (first, last) pairs, a single channel as a pair.

    Raises:
        ScpiError: -171 for anything else.
    """
    body = re.sub(r"\s", "", text)
    if not body.startswith("(@") or not body.endswith(")"):
        raise ScpiError(-171 if body.startswith("(") else -104)
    spans = []
    for item in filter(None, body[2:-1].split(",")):
        first, colon, last = item.partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            raise ScpiError(-171)
        spans.append((int(first), int(last if colon else first)))
    return spans


def finite_or_sentinel(value: float) -> float:
    """Return SCPI's 9.9e37 for infinities and 9.91e37 for what is not a number."""
    if math.isnan(value):
        return NOT_A_NUMBER
    return math.copysign(INFINITY, value) if math.isinf(value) else value
