"""The backend "bench": its keys in `[device]` and how they become a crossbar."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from hilep.backends import Backend, Relaxation
from hilep.config import Section
from hilep.corrections import Corrections
from hilep.crossbar import Crossbar
from hilep.measured import holds_channels, stuck_siemens
from hilep.network import Network

if TYPE_CHECKING:
    from hilep.instruments.bench import Bench

log = logging.getLogger("hilep.instruments")


class BenchOptions(Section):
    """Keys of `[device]` for `backend = "bench"`.

    Attributes:
        file: the bench file, relative to where the command is run; a replay can do without.
        virtual: run against the bench's virtual twin in place of its instruments.
        record: file to append every message to, relative to where the command is run.
        replay: recording to run from in place of any instrument.
        replay_part: which part of it, from 1 on: there is one for each run that it records.
        replay_in_real_time: whether messages wait until the time at which they were recorded.
        calibration: calibration file whose gains and offsets correct every read and set, and
            whose stuck cells are left alone, relative to where the command is run.
    """

    # The others are checked by what this one is, so it comes first.
    replay: Annotated[str, Field(min_length=1)] | None = None
    replay_part: Annotated[int, Field(ge=1)] = 1
    replay_in_real_time: bool = False
    file: Annotated[str, Field(validate_default=True)] = ""
    virtual: bool = False
    record: Annotated[str, Field(min_length=1)] | None = None
    calibration: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("file")
    @classmethod
    def _file_of_a_bench(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("replay") is None:
            raise ValueError("missing, expected a bench file")
        return value

    @field_validator("virtual", "record")
    @classmethod
    def _no_instruments(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("replay") is not None:
            raise ValueError("expected it not given with replay, which needs no instruments")
        return value


def build(network: Network, options: BenchOptions, relaxation: Relaxation) -> Crossbar:
    """Return the bench that `options` describe; it settles by itself."""
    if options.calibration is None:
        return _bench(network, options)
    stuck = stuck_siemens(options.calibration)
    corrections = None
    if stuck is None or holds_channels(options.calibration):
        corrections = Corrections.load(options.calibration)
    bench = _bench(network, options)
    if stuck is not None:
        bench.leave_alone(stuck)
        count = sum(int(np.isfinite(part).sum()) for part in stuck)
        if count:
            log.warning("hilep: %s: %d stuck cells are left alone", options.calibration, count)
    if corrections is not None:
        bench.apply_corrections(corrections)
        late = corrections.expired(datetime.date.today())
        if late is not None:
            log.warning("hilep: warning: %s", late)
    return bench


def _bench(network: Network, options: BenchOptions) -> Bench:
    from hilep.instruments.bench import Bench
    from hilep.instruments.benchfile import BenchFile
    from hilep.instruments.twins import installed_twin

    file = BenchFile.load(options.file) if options.file else None
    if options.replay is not None:
        from hilep.instruments.replaying import ReplayedBench

        return ReplayedBench.load(
            options.replay,
            network,
            file=file,
            part=options.replay_part,
            real_time=options.replay_in_real_time,
        )
    assert file is not None
    twin = installed_twin("device.virtual") if options.virtual else None
    if options.record is not None:
        from hilep.instruments.recording import RecordedBench

        return RecordedBench(file, network, Path(options.record), twin=twin)
    return Bench(file, network, twin=twin)


BENCH = Backend(BenchOptions, build)
