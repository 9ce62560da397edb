"""A run whose every number follows from the update, for the tests of run files.

As a program it writes such a run until it is killed: `run_writer.py MODE PATH`.
"""

import sys
import time
from pathlib import Path

import numpy as np

from hilep.config import Config
from hilep.runfile import RunFile

UPDATES = 1000000
EVERY = 2
LOOKS = 6
SAVES = 4


def config_of(updates=UPDATES, layers=(3, 4, 2)):
    return Config.model_validate(
        {
            "network": {"layers": list(layers)},
            "training": {"updates": updates, "log_every": EVERY, "evaluate_every": LOOKS},
        }
    )


def conductances_at(update, config):
    """Arrays as a device holds them: the post node runs slowest in memory."""
    return [
        np.asfortranarray(np.random.default_rng([update, *shape]).random(shape, dtype=np.float32))
        for shape in config.network.network().shapes
    ]


def bias_at(update, config):
    return np.arange(config.network.network().free_nodes) - 0.1 * update


def state_at(update):
    return {"generator": {"state": 2**127 + update, "inc": 3}, "seconds": 0.1 * update}


def row_at(update):
    return {"loss": 1 / update, "error": 0.5 / update, "rate": 1.0 + update}


def look_at(update):
    return {"accuracy": 1 / (1 + update), "loss": 0.1 + update, "silent": 0.25, "classes": update}


def create(path, config, overwrite=False):
    return RunFile.create(
        path,
        config=config,
        network=config.network.network(),
        dtype=np.dtype(np.float32),
        provenance={"device": {"description": "made up"}, "python": "3"},
        overwrite=overwrite,
    )


def save(run, update):
    run.save(
        update,
        conductances_at(update, run.config),
        bias_at(update, run.config),
        state_at(update),
    )


def step(run, update, note=lambda kind, update: None):
    """Do what a trainer does after an update, and tell `note` when each part is done."""
    if update and update % EVERY == 0:
        run.record(update, **row_at(update))
        note("row", update)
    if update % LOOKS == 0:
        run.record_evaluation(update, **look_at(update))
        note("look", update)
    if update % SAVES == 0:
        save(run, update)
        note("save", update)


def is_made_at(checkpoint, config):
    """Whether a checkpoint holds exactly what its update was saved with."""
    update = checkpoint.update
    return (
        all(
            have.dtype == want.dtype and np.array_equal(have, want)
            for have, want in zip(
                checkpoint.conductances, conductances_at(update, config), strict=True
            )
        )
        and np.array_equal(checkpoint.bias_currents, bias_at(update, config))
        and checkpoint.state == state_at(update)
    )


def rows_are_made(record):
    """Whether every row that is there holds what its update gives."""
    return all(
        getattr(table, name)[k] == value
        for table, made in ((record.curve, row_at), (record.evaluations, look_at))
        for k, update in enumerate(table.update.tolist())
        for name, value in made(update).items()
    )


def written(path, last=12, updates=30):
    """A run file with everything up to update `last` in it, closed."""
    with create(path, config_of(updates)) as run:
        for update in range(last + 1):
            step(run, update)
    return path


def _endless(path):
    print("ready", flush=True)
    with create(path, config_of(20000)) as run:
        for update in range(20001):
            step(run, update)
            if update == 20:
                print("under way", flush=True)
        time.sleep(60)


def _limited(path, limit, begun):
    """Write with a limit on the size of files, as on a disk that is full."""
    import resource

    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    from hilep.errors import StorageError

    if not begun:
        lower()
    try:
        with create(path, config_of(40)) as run:
            for update in range(13):
                if update == 9:
                    lower()
                step(run, update)
    except StorageError as error:
        print(error)
    else:
        print("no error")


if __name__ == "__main__":
    if sys.argv[1] == "endless":
        _endless(Path(sys.argv[2]))
    else:
        _limited(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[1] == "full-later")
