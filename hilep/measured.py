"""What a calibration file says of a device, as the keys of a simulated one that resembles it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError

if TYPE_CHECKING:
    import h5py

SCHEMA = "hilep-calibration"
VERSION = 1
_GOOD = ("good", "quantised")


@dataclass(frozen=True, slots=True)
class MeasuredDevice:
    """A device as its calibration found it.

    Attributes:
        sigma_v: of each free node, volts; the pooled one where a node's own could not be judged.
        pooled_v: over all nodes, volts.
        cells: keys of `[device.cells]`; empty where conductances were not measured.
    """

    sigma_v: list[float]
    pooled_v: float
    cells: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> MeasuredDevice:
        """Read `/sigma` and `/conductance` of a calibration file.

        Raises:
            BadInputError: the file cannot be read, is no calibration, or has no sigma.
        """
        with _opened(path) as file:
            if "sigma/pooled" not in file:
                raise BadInputError(
                    f"calibration file {path}: holds no sigma, expected at least one good node"
                )
            pooled = float(file["sigma/pooled/sigma_v"][()])
            states = file["sigma/states"].asstr()[()]
            each = file["sigma/per_node/sigma_v"][()]
            sigma = np.where(np.isin(states, _GOOD), each, pooled)
            cells = _cells(file["conductance"]) if "conductance" in file else {}
        return cls(sigma.tolist(), pooled, cells)


def stuck_siemens(path: str | Path) -> list[Doubles] | None:
    """Return what stuck cells hold, NaN for the others, siemens (n_pre, n_post) for each layer.

    None where the file holds no conductances.

    Raises:
        BadInputError: the file cannot be read, or is no calibration.
    """
    with _opened(path) as file:
        if "conductance" not in file:
            return None
        layers = file["conductance/layers"]
        found = []
        for number in range(len(layers)):
            layer = layers[str(number)]
            held = np.maximum(layer["stuck_siemens"][()], 0.0)
            found.append(np.where(layer["stuck"][()] != 0, held, np.nan))
        return found


def holds_channels(path: str | Path) -> bool:
    """Return whether a calibration file holds gains and offsets; raises as `stuck_siemens`."""
    with _opened(path) as file:
        return bool(len(file.get("channels", ())))


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    import h5py

    what = f"calibration file {path}"
    try:
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs.get("schema") != SCHEMA:
                raise BadInputError(f"{what}: expected a file that `hilep calibrate` wrote")
            if (version := file.attrs.get("version")) != VERSION:
                raise BadInputError(f"{what}: version {version}, expected {VERSION}")
            yield file
    except BadInputError:
        raise
    except FileNotFoundError as error:
        raise BadInputError(f"{what}: not there") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{what}: damaged, or of another version: {error}") from error


def _cells(group: h5py.Group) -> dict[str, Any]:
    keys = ("write_noise_siemens", "write_noise_relative", "device_spread_relative")
    numbers = {key: float(group[key][()]) for key in keys}
    found: dict[str, Any] = {key: one for key, one in numbers.items() if math.isfinite(one)}
    found |= _drift(group) | _pulses(group)
    stuck = []
    for name, layer in group["layers"].items():
        held = layer["stuck_siemens"][()]
        for row, column in np.argwhere(layer["stuck"][()] != 0).tolist():
            # A read of next to nothing may come out below 0 S.
            siemens = max(float(held[row, column]), 0.0)
            stuck.append([float(name), float(row), float(column), siemens])
    if stuck:
        found["stuck_cells"] = stuck
    return found


def _drift(group: h5py.Group) -> dict[str, Any]:
    """Return the power law of cells that are seen to drift by one."""
    kept = group.get("retention")
    if kept is None or ("power_law" in kept and kept["power_law"].asstr()[()] == "no"):
        return {}
    reference = float(kept["reference_s"][()])
    if not (float(kept["exponent_low"][()]) > 0 and math.isfinite(reference) and reference > 0):
        return {}
    return {
        "drift_exponent": float(kept["exponent"][()]),
        "drift_spread": float(kept["exponent_spread"][()]),
        "drift_reference_s": reference,
    }


def _pulses(group: h5py.Group) -> dict[str, Any]:
    """Return the response to pulses, where all of it is known."""
    if "curves" not in group:
        return {}
    keys = {"pulses": "pulses"} | {
        f"pulse_{name}": name
        for name in ("nonlinearity_up", "nonlinearity_down", "asymmetry", "cycle_noise")
    }
    numbers = {key: float(group["curves"][name][()]) for key, name in keys.items()}
    return numbers if all(map(math.isfinite, numbers.values())) else {}
