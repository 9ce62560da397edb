"""Virtual twins of a bench: what serves one, and that it stands for every instrument."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from hilep.instruments import drivers
from hilep.instruments.benchfile import BenchFile
from hilep.network import Network

Twin: TypeAlias = Callable[[BenchFile, Network], AbstractContextManager[Mapping[str, str]]]
"""Serves the virtual twin of a bench and gives the resources to open, by instrument."""


def installed_twin(key: str) -> Twin:
    """Return the installed twin.

    Raises:
        BadInputError: there is none, or it cannot be imported; the message begins with `key`.
    """
    twin: Twin = drivers.loaded(drivers.TWINS, "default", key)
    return twin


@contextmanager
def served(twin: Twin, file: BenchFile, network: Network) -> Iterator[Mapping[str, str]]:
    """Serve a twin until the block ends, and give its resources.

    Raises:
        ConfigError: an instrument has none: the bench's own, which nothing has armed, would be
            opened in its place.
    """
    with twin(file, network) as resources:
        for name in file.sections.instruments:
            if name not in resources:
                raise file.error(
                    f"instruments.{name}", "the virtual twin has none, expected one for each"
                )
        yield resources
