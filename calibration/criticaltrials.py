"""Trials of a simulated twin at one sigma: each trained once, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hilep import __version__, backends, data
from hilep.arrays import Doubles
from hilep.config import Config, DeviceSection
from hilep.crossbar import Crossbar
from hilep.durable import replacing, storing
from hilep.errors import BadInputError, UnsupportedError
from hilep.initial import initial_conductances
from hilep.streams import stream
from hilep.trainer import Trainer

DECISIVE = {"data", "network", "device", "training"}
"""Sections of the configuration that decide how a trial ends."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training.

    Attributes:
        sigma_v: of single reads, volts.
        seed: of order, start, noise and split of the data.
        accuracy: on the test split; 0 where the run diverged.
        verdict: how it ended.
    """

    sigma_v: float
    seed: int
    accuracy: float
    verdict: str


def twin(config: Config, sigma_v: float, seed: int, reads: int = 1) -> Config:
    """Return the configuration of one trial.

    Training and evaluation take `reads` reads of `sigma_v`. Seeds of training, data and device are
    all `seed`. Nothing is looked at before the end, which no result depends on.

    Raises:
        UnsupportedError: for a backend whose read noise cannot be set.
    """
    section = config.device
    keys = backends.backend(section.backend).options.model_fields
    if "sigma_v" not in keys:
        raise UnsupportedError(
            f"device.backend: the read noise of {section.backend!r} cannot be set; a critical "
            'sigma is searched on a simulated twin, "simulated" or "circuit"'
        )
    options = {**section.options, "sigma_v": sigma_v}
    if "seed" in keys:
        options["seed"] = seed
    estimator = config.training.estimator
    training = {
        "reads": reads,
        "evaluation_reads": reads,
        # The unbiased estimator takes two reads, and from one all three are the same.
        "estimator": "square-of-means" if reads == 1 else estimator,
        "seed": seed,
        "keep_reads": False,
        "evaluate_every": config.training.updates,
        "log_every": config.training.updates,
        "checkpoint_seconds": 1e9,
    }
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"seed": seed}),
            "device": DeviceSection(backend=section.backend, **options),
            "training": config.training.model_copy(update=training),
        }
    )


class Trials:
    """Trains each trial once; with a folder, what is kept there is not trained again.

    Args:
        config: the network, its data and its training.
        folder: where each trial becomes a JSON file; None to keep them in memory.
        told: called after every trial.

    Raises:
        BadInputError: where the folder is a file.
    """

    def __init__(
        self,
        config: Config,
        folder: Path | None = None,
        told: Callable[[Trial], None] | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self._told = told
        self._known: dict[tuple[float, int, int], Trial] = {}
        if folder is not None:
            if folder.exists() and not folder.is_dir():
                raise BadInputError(f"{folder}: expected a folder for the trials")
            with storing(f"folder {folder}"):
                folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, sigma_v: float, trials: int) -> Doubles:
        """Return the accuracies (trials,) at a sigma, seeds 0 to trials - 1."""
        return np.array([self.trial(sigma_v, seed).accuracy for seed in range(trials)])

    def trial(self, sigma_v: float, seed: int, reads: int = 1) -> Trial:
        """Return one trial, trained unless it is kept."""
        known = self._known.get((sigma_v, seed, reads))
        if known is None:
            known = self._kept_or_trained(twin(self.config, sigma_v, seed, reads), sigma_v, seed)
            self._known[sigma_v, seed, reads] = known
            if self._told is not None:
                self._told(known)
        return known

    def _kept_or_trained(self, config: Config, sigma_v: float, seed: int) -> Trial:
        text = json.dumps(config.model_dump(mode="json", include=DECISIVE), sort_keys=True)
        path = None
        if self.folder is not None:
            key = hashlib.sha256(f"{__version__} {text}".encode()).hexdigest()
            path = self.folder / f"trial-{key[:32]}.json"
            if path.exists():
                return _read(path)
        trial = _trained(config, sigma_v, seed)
        if path is not None:
            record = {**asdict(trial), "hilep": __version__, "config": json.loads(text)}
            with storing(f"trial {path}"), replacing(path) as temporary:
                temporary.write_text(json.dumps(record) + "\n", encoding="utf-8")
        return trial


def begun(config: Config, later: float = 1.0) -> Crossbar:
    """Return the crossbar of a configuration with the conductances that a run begins with.

    Args:
        config: the whole configuration.
        later: what the conductances of all arrays after the first are multiplied by.

    Raises:
        HilepError: for anything wrong with network or device.
    """
    network, section = config.network.network(), config.network
    crossbar = backends.crossbar(config, network)
    start = initial_conductances(
        network,
        stream(config.training.seed, "initial"),
        section.initial,
        section.initial_scale_siemens,
    )
    factors = [1.0] + [later] * (len(start) - 1)
    crossbar.program(
        [
            np.clip(factor * g, *network.window(g.dtype.type))
            for factor, g in zip(factors, start, strict=True)
        ]
    )
    return crossbar


def _trained(config: Config, sigma_v: float, seed: int) -> Trial:
    # Without a run file: a trial is short, and its result is what is kept.
    outcome = Trainer(begun(config), data.load(config.data), config.training).run()
    accuracy = 0.0 if outcome.test is None else outcome.test.accuracy
    return Trial(sigma_v, seed, accuracy, outcome.verdict)


def _read(path: Path) -> Trial:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Trial(
            float(record["sigma_v"]),
            int(record["seed"]),
            float(record["accuracy"]),
            str(record["verdict"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path}: not a trial of this version; delete it: {error}") from error
