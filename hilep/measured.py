"""What a calibration file says of a device, as the keys of a simulated one that resembles it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilep.errors import BadInputError

if TYPE_CHECKING:
    import h5py

SCHEMA = "hilep-calibration"
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
        import h5py

        what = f"calibration file {path}"
        try:
            with h5py.File(path, "r", locking=False) as file:
                if file.attrs.get("schema") != SCHEMA:
                    raise BadInputError(f"{what}: expected a file that `hilep calibrate` wrote")
                if "sigma/pooled" not in file:
                    raise BadInputError(f"{what}: holds no sigma, expected at least one good node")
                pooled = float(file["sigma/pooled/sigma_v"][()])
                states = file["sigma/states"].asstr()[()]
                each = file["sigma/per_node/sigma_v"][()]
                sigma = np.where(np.isin(states, _GOOD), each, pooled)
                cells = _cells(file["conductance"]) if "conductance" in file else {}
        except BadInputError:
            raise
        except FileNotFoundError as error:
            raise BadInputError(f"{what}: not there") from error
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise BadInputError(f"{what}: damaged, or of another version: {error}") from error
        return cls(sigma.tolist(), pooled, cells)


def _cells(group: h5py.Group) -> dict[str, Any]:
    keys = ("write_noise_siemens", "write_noise_relative", "device_spread_relative")
    numbers = {key: float(group[key][()]) for key in keys}
    found: dict[str, Any] = {key: one for key, one in numbers.items() if math.isfinite(one)}
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
