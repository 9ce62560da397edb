"""The backend "bench": its keys in `[device]` and how they become a crossbar."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hilep.backends import Backend, Relaxation
from hilep.config import Section
from hilep.crossbar import Crossbar
from hilep.network import Network


class BenchOptions(Section):
    """Keys of `[device]` for `backend = "bench"`.

    Attributes:
        file: the bench file, relative to where the command is run.
        virtual: run against the bench's virtual twin in place of its instruments.
    """

    file: Annotated[str, Field(min_length=1)]
    virtual: bool = False


def build(network: Network, options: BenchOptions, relaxation: Relaxation) -> Crossbar:
    """Return the bench that `options` describe; it settles by itself."""
    from hilep.instruments import drivers
    from hilep.instruments.bench import Bench
    from hilep.instruments.benchfile import BenchFile

    file = BenchFile.load(options.file)
    twin = drivers.loaded(drivers.TWINS, "default", "device.virtual") if options.virtual else None
    return Bench(file, network, twin=twin)


BENCH = Backend(BenchOptions, build)
