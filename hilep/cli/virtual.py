"""`--virtual`: a command runs on the virtual twin of a bench in place of its instruments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilep.errors import BadInputError

if TYPE_CHECKING:
    from hilep.config import Config

VirtualOption = Annotated[
    bool,
    typer.Option("--virtual", help="Run on the bench's virtual twin; sets device.virtual = true."),
]


def loaded(config: Path | None, settings: Sequence[str], virtual: bool) -> Config:
    """Return the configuration of a command that takes CONFIG, `--set` and `--virtual`.

    Args:
        config: the file, or None for the defaults.
        settings: what `--set` overrides.
        virtual: whether `--virtual` was given, which sets `device.virtual = true`.

    Raises:
        BadInputError: `--virtual` for a backend that has no key `virtual`.
        ConfigError: see `hilep.config.load`.
    """
    from hilep.config import load

    read = load(config, settings)
    if not virtual:
        return read
    from hilep import backends

    name = read.device.backend
    if "virtual" not in backends.backend(name).options.model_fields:
        given = "" if config is None else f" in {config}"
        raise BadInputError(
            f'--virtual: device.backend is "{name}"{given}, expected "bench": of its instruments '
            "there is a virtual twin"
        )
    return load(config, [*settings, "device.virtual=true"])
