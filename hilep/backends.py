"""Backends by name, from the entry-point group `hilep.backends`: a lab's own among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel, ValidationError

from hilep.config import Config, first_error
from hilep.crossbar import Crossbar
from hilep.errors import ConfigError
from hilep.network import Network

GROUP = "hilep.backends"


@dataclass(frozen=True, slots=True)
class Relaxation:
    """How long a simulator relaxes; a bench settles by itself and ignores it.

    Attributes:
        sweeps: sweeps of eq. (6), or None.
        tolerance: imbalance of currents to relax to, as a fraction of a node's currents, or None.
    """

    sweeps: int | None = 5
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.sweeps is not None and self.sweeps < 1:
            raise ConfigError(f"relaxation: expected sweeps >= 1, got {self.sweeps}")


@dataclass(frozen=True, slots=True)
class Backend:
    """What an entry point of `hilep.backends` refers to.

    Attributes:
        options: pydantic model of the keys that `[device]` takes besides `backend`.
        build: returns the crossbar from network, options and relaxation.
    """

    options: type[BaseModel]
    build: Callable[[Network, Any, Relaxation], Crossbar]


def backend(name: str) -> Backend:
    """Return the backend called `name`.

    Raises:
        ConfigError: for an unknown name, listing the known ones, or one that cannot be loaded.
    """
    found = entry_points(group=GROUP)
    matches = list(found.select(name=name))
    if not matches:
        known = ", ".join(sorted(found.names)) or "none is installed"
        raise ConfigError(f"device.backend: unknown backend {name!r}; known: {known}")
    try:
        loaded = matches[0].load()
    except ImportError as error:
        raise ConfigError(f"device.backend: {name!r} cannot be loaded: {error}") from error
    if not isinstance(loaded, Backend):
        raise ConfigError(
            f"device.backend: {name!r} refers to {matches[0].value}, which is no hilep Backend"
        )
    return loaded


def options(config: Config) -> BaseModel:
    """Return the backend's own keys of `[device]`, defaults filled in.

    Raises:
        ConfigError: for a key or value that the backend does not take.
    """
    try:
        return backend(config.device.backend).options.model_validate(config.device.options)
    except ValidationError as error:
        raise ConfigError(first_error(error, "device")) from error


def crossbar(config: Config, network: Network) -> Crossbar:
    """Return the crossbar that `[device]` describes.

    Raises:
        ConfigError: for a key or value that the backend does not take.
    """
    training = config.training
    relaxation = Relaxation(training.sweeps(len(network.layers) - 2), training.relaxation_tolerance)
    return backend(config.device.backend).build(network, options(config), relaxation)
