"""From a configuration to a trained crossbar with its run file, and on from a run file."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilep import backends, data
from hilep.callbacks import Callback, RawReading, Recording
from hilep.config import Config
from hilep.crossbar import Crossbar
from hilep.errors import ConfigError, RunFileError
from hilep.initial import initial_conductances
from hilep.provenance import provenance
from hilep.rawreads import RawReads, reads_folder
from hilep.reading import ProgramReport
from hilep.runfile import RunFile, read_run, require_vacant
from hilep.streams import stream
from hilep.trainer import Trainer
from hilep.verdict import Outcome


@dataclass(frozen=True)
class Experiment:
    """A crossbar, its data and its trainer, ready to run.

    Attributes:
        config: everything that was asked for.
        crossbar: programmed.
        dataset: loaded.
        trainer: at the update where the run begins.
        run: the open run file.
    """

    config: Config
    crossbar: Crossbar
    dataset: data.Dataset
    trainer: Trainer
    run: RunFile

    def execute(self, callbacks: tuple[Callback, ...] = ()) -> Outcome:
        """Train, record and close the run file.

        Args:
            callbacks: called after the run file has been written.
        """
        with self.run, self.crossbar:
            writers: list[Callback] = [Recording(self.run)]
            if self.config.training.keep_reads:
                # Reads go first: a checkpoint says that everything before it is kept.
                writers.insert(0, RawReading(RawReads(self.run.path, self.crossbar.network)))
            return self.trainer.run((*writers, *callbacks))


def prepare(config: Config, path: Path, overwrite: bool = False) -> Experiment:
    """Return a new experiment; everything that can be refused is refused before a file appears.

    Args:
        config: what to do.
        path: of the run file to create.
        overwrite: whether an existing file may be replaced.

    Raises:
        HilepError: for anything wrong with configuration, data, device or file.
    """
    path = Path(path)
    require_vacant(path, overwrite)
    if config.training.keep_reads and any(reads_folder(path).glob("*.h5")):
        raise RunFileError(
            f"{reads_folder(path)}: holds reads of another run, perhaps one still going on; give "
            "another name with --out"
        )
    options = backends.options(config).model_dump(mode="json")
    # Before the device is opened: data may take a download.
    dataset = data.load(config.data)
    with ExitStack() as unless_ready:
        crossbar = backends.crossbar(config, config.network.network())
        unless_ready.enter_context(crossbar)
        trainer = Trainer(crossbar, dataset, config.training)
        begin(crossbar, config)
        trainer.rehearse()
        run = RunFile.create(
            path,
            config=config,
            network=crossbar.network,
            dtype=crossbar.conductances()[0].dtype,
            provenance=provenance(
                {
                    **crossbar.snapshot(),
                    "options": options,
                    "data_sha256": dataset.fingerprint,
                }
            ),
            overwrite=overwrite,
            owing=crossbar.owed() is not None,
        )
        unless_ready.pop_all()
    return Experiment(config, crossbar, dataset, trainer, run)


def resume(path: Path, config: Config | None = None) -> Experiment:
    """Return the experiment in a run file, at its newest checkpoint.

    Args:
        path: of the run file.
        config: if given, has to equal the one in the file.

    Raises:
        RunFileError: where the file is not a run, holds no checkpoint that is whole, or belongs to
            another configuration or other data.
    """
    # What is refused is refused before `RunFile.resume` empties the rows after the checkpoint.
    path = Path(path)
    record = read_run(path)
    if config is not None:
        _same(config, record.config, path)
    if record.checkpoint is not None:
        _require_reads(path, record.config, record.checkpoint.update)
    dataset = data.load(record.config.data)
    recorded = str(record.provenance["device"].get("data_sha256"))
    if recorded != dataset.fingerprint:
        raise RunFileError(
            f"{path}: trained on other data: data.name = {record.config.data.name!r} has "
            f"SHA-256 {dataset.fingerprint[:12]}..., the run began with {recorded[:12]}..."
        )
    with ExitStack() as unless_ready:
        run = unless_ready.enter_context(RunFile.resume(path))
        crossbar = backends.crossbar(run.config, run.config.network.network())
        unless_ready.enter_context(crossbar)
        trainer = Trainer(crossbar, dataset, run.config.training)
        checkpoint = run.latest()
        if checkpoint is None:
            begin(crossbar, run.config)
            trainer.rehearse()
        else:
            bias = checkpoint.bias_currents if crossbar.network.bias == "current" else None
            crossbar.program(checkpoint.conductances, bias)
            if checkpoint.update == 0:
                trainer.rehearse()
            trainer.restore(checkpoint.update, checkpoint.state)
            if checkpoint.owed is not None:
                crossbar.owe(checkpoint.owed)
        unless_ready.pop_all()
    return Experiment(run.config, crossbar, dataset, trainer, run)


def begin(crossbar: Crossbar, config: Config) -> ProgramReport:
    """Program the conductances that a run begins with.

    Raises:
        ConfigError: for an initial scale that single precision does not hold.
    """
    section = config.network
    with np.errstate(over="ignore", invalid="ignore"):
        conductances = initial_conductances(
            crossbar.network,
            stream(config.training.seed, "initial"),
            section.initial,
            section.initial_scale_siemens,
        )
    if not all(np.isfinite(g).all() for g in conductances):
        raise ConfigError(
            "network.initial_scale_siemens: expected siemens that single precision holds, got "
            f"{section.initial_scale_siemens:g}"
        )
    return crossbar.program(conductances)


def _require_reads(path: Path, config: Config, updates: int) -> None:
    """Refuse to go on without the reads that the run has kept so far.

    Raises:
        RunFileError: where their folder is not beside the run file.
    """
    if config.training.keep_reads and updates and not any(reads_folder(path).glob("*.h5")):
        raise RunFileError(
            f"{reads_folder(path)}: the reads of the first {updates} updates are not there; move "
            "the folder together with its run file"
        )


def _same(given: Config, recorded: Config, path: Path) -> None:
    for section in ("data", "network", "device", "training"):
        here = getattr(given, section).model_dump(mode="json")
        there = getattr(recorded, section).model_dump(mode="json")
        for key in sorted(here.keys() | there.keys()):
            if here.get(key) != there.get(key):
                raise RunFileError(
                    f"{path}: belongs to another configuration: {section}.{key} is "
                    f"{there.get(key)!r} there and {here.get(key)!r} here"
                )
