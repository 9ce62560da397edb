"""The errors that hilep raises, as one tree: what the caller can mend, and what went wrong.

The command line turns every `HilepError` into one line on standard error and its `exit_status`.
"""

from __future__ import annotations

from typing import ClassVar


class HilepError(Exception):
    """Root of the tree. `exit_status` is what the command line returns."""

    exit_status: ClassVar[int] = 1


class BadInputError(HilepError, ValueError):
    """Something the caller gave is wrong: the message says what, where, and what was expected."""

    exit_status: ClassVar[int] = 2


class ConfigError(BadInputError):
    """A configuration file, key or value is wrong."""


class DataError(BadInputError):
    """A data set is unknown, missing, truncated, or cannot be fetched."""


class LimitError(BadInputError):
    """A voltage, current or conductance lies outside the limits of the network."""


class RunFileError(BadInputError):
    """A file is not a run file of this version, or belongs to another run."""


class MissingExtraError(BadInputError):
    """An optional dependency is not installed; the message says what to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs an extra: python -m pip install "hilep[{extra}]"')


class UnsupportedError(BadInputError):
    """This backend cannot do what the configuration asks for."""


class DivergedError(HilepError):
    """Training met a non-finite voltage; the update was not applied.

    Attributes:
        update: the number of the update (from 0) that could not be applied.
    """

    def __init__(self, update: int, reason: str) -> None:
        super().__init__(f"diverged at update {update}: {reason}")
        self.update = update


class NotSettledError(HilepError):
    """Relaxation did not reach the stated tolerance within the allowed number of sweeps."""


class FloatingNodeError(NotSettledError):
    """No conductance joins a node to anything that would decide its voltage."""


class StorageError(HilepError):
    """The disk is full or the run file cannot be written; what was measured before is kept."""


class InterruptedRunError(HilepError):
    """The run was asked to stop; its last update is saved and the message says how to go on."""
