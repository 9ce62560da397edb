"""The grammar of SCPI: command patterns, compound messages and the path rule.

After "Standard Commands for Programmable Instruments", 1999, volume 1, section 6 ("Program
headers"), and IEEE 488.2-1992, section 7 ("Device listening formats").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from hilep.simulators.virtual.scpi_errors import ScpiError

_HEADER = re.compile(r"(\*[A-Z]+|:?[A-Z][A-Z0-9_]*(?::[A-Z][A-Z0-9_]*)*)(\??)", re.IGNORECASE)
_PATTERN = re.compile(r"\[|\]|:|#|\*?[A-Z]+[a-z]*|\d+")
_OPENING = {"'": "'", '"': '"', "(": ")"}
_LONGEST_MNEMONIC = 12
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Unit:
    """One program message unit.

    Attributes:
        header: upper case, absolute (":" first) or common ("*" first), without the "?".
        query: whether it ended with "?".
        parameters: as sent, without surrounding blanks.
    """

    header: str
    query: bool
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """What a command's handler is given.

    Attributes:
        suffixes: of each "#" in the pattern, None where none was sent.
        parameters: as sent.
    """

    suffixes: tuple[int | None, ...]
    parameters: tuple[str, ...]

    def take(self, least: int, most: int | None = None) -> tuple[str, ...]:
        """Return the parameters, after checking how many there are.

        Raises:
            ScpiError: -109 for too few, -108 for too many.
        """
        if len(self.parameters) < least:
            raise ScpiError(-109)
        if len(self.parameters) > (least if most is None else most):
            raise ScpiError(-108)
        return self.parameters


Setter: TypeAlias = Callable[[Call], None]
Getter: TypeAlias = Callable[[Call], str | bytes]


@dataclass(frozen=True, slots=True)
class Command:
    """A command and what it does; None where that form does not exist."""

    pattern: str
    setter: Setter | None
    getter: Getter | None


def split_outside(text: str, separator: str) -> list[str]:
    """Split at `separator`, except inside quotes and parentheses.

    Raises:
        ScpiError: -151 for a quote, -171 for a parenthesis that is not closed.
    """
    if not any(mark in text for mark in _OPENING):
        return text.split(separator)
    parts, closing, start = [], "", 0
    for at, character in enumerate(text):
        if closing:
            if character == closing:
                closing = ""
        elif character in _OPENING:
            closing = _OPENING[character]
        elif character == separator:
            parts.append(text[start:at])
            start = at + 1
    if closing:
        raise ScpiError(-171 if closing == ")" else -151)
    return [*parts, text[start:]]


def units(message: str) -> Iterator[Unit]:
    """Yield the units of a message, each header made absolute by the path rule.

    A header without a leading colon continues from the previous header less its last node. Common
    commands leave the path alone.

    Raises:
        ScpiError: a command error; what was yielded before it stands.
    """
    path = ""
    for text in split_outside(message, ";"):
        stripped = text.strip()
        if not stripped:
            continue
        unit, path = _unit(stripped, path)
        yield unit


@lru_cache(_REMEMBERED)
def _unit(text: str, path: str) -> tuple[Unit, str]:
    """Return a unit that continues from `path`, and the path that it leaves."""
    header, _, rest = text.replace("\t", " ").partition(" ")
    match = _HEADER.fullmatch(header)
    if match is None:
        printable = all(c.isalnum() or c in ":*?_" for c in header)
        raise ScpiError(-102 if printable else -101)
    name = match[1].upper()
    if not name.startswith("*"):
        name = name if name.startswith(":") else f"{path}:{name}"
        path = name.rpartition(":")[0]
    rest = rest.strip()
    parameters = tuple(p.strip() for p in split_outside(rest, ",")) if rest else ()
    if "" in parameters:
        raise ScpiError(-102)
    return Unit(name, bool(match[2]), parameters), path


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern such as "[:SENSe#]:VOLTage[:DC]:RANGe".

    A node is its capitals or the whole word and nothing between; brackets are optional; "#" is an
    optional numeric suffix.
    """
    pieces = []
    for token in _PATTERN.findall(pattern):
        if token == "[":
            pieces.append("(?:")
        elif token == "]":
            pieces.append(")?")
        elif token == "#":
            pieces.append(r"(\d+)?")
        elif token[-1].islower():
            short = token.rstrip("abcdefghijklmnopqrstuvwxyz")
            pieces.append(f"{re.escape(short)}(?:{token[len(short) :].upper()})?")
        else:
            pieces.append(re.escape(token))
    return re.compile("".join(pieces))


@dataclass
class Commands:
    """The commands that an instrument knows."""

    _known: list[tuple[re.Pattern[str], Command]] = field(default_factory=list)
    _found: dict[str, tuple[Command, tuple[int | None, ...]]] = field(default_factory=dict)

    def add(self, pattern: str, setter: Setter | None = None, getter: Getter | None = None) -> None:
        """Add a command; the first that was added wins."""
        self._known.append((compiled(pattern), Command(pattern, setter, getter)))

    def find(self, header: str) -> tuple[Command, tuple[int | None, ...]]:
        """Return the command of an absolute upper-case header and its numeric suffixes.

        Raises:
            ScpiError: -113 where there is none, -112 where a node is too long besides.
        """
        found = self._found.get(header)
        if found is None:
            for expression, command in self._known:
                if match := expression.fullmatch(header):
                    found = command, tuple(None if g is None else int(g) for g in match.groups())
                    break
            else:
                long = any(len(node) > _LONGEST_MNEMONIC for node in header.split(":"))
                raise ScpiError(-112 if long else -113)
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[header] = found
        return found

    @property
    def patterns(self) -> list[str]:
        """Every pattern, for documentation and tests."""
        return [command.pattern for _, command in self._known]
