"""Gains and offsets of a bench's channels from a calibration file, for every later read and set."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError

if TYPE_CHECKING:
    import h5py

Role: TypeAlias = Literal["reader", "source"]
SCHEMA = "hilep-calibration"
VERSION = 1


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """output = gain * input + offset of one channel.

    A reader's input is what is there and its output what it returns; a source's input is its
    setting and its output what is there.

    Attributes:
        channel: its name in the bench file.
        role: what the channel does.
        gain: dimensionless.
        offset: in the channel's unit.
        unit: "V" or "A".
        expires: the day from which it is to be measured again.

    Raises:
        BadInputError: for a gain that is zero or a number that is not finite.
    """

    channel: str
    role: Role
    gain: float
    offset: float
    unit: str
    expires: datetime.date

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain and math.isfinite(self.offset)):
            raise BadInputError(
                f"channel {self.channel}: expected a finite gain and offset, and a gain other than "
                f"0, got {self.gain} and {self.offset}"
            )

    def output(self, value: float) -> float:
        """Return what comes out for an input."""
        return self.gain * value + self.offset

    def input(self, value: float) -> float:
        """Return the input for which `value` comes out."""
        return (value - self.offset) / self.gain


@dataclass(frozen=True, slots=True)
class Corrections:
    """What a calibration file says of channels.

    Attributes:
        path: of the file.
        sha256: of its bytes, hexadecimal.
        readers, sources: by the channel's name in the bench file.
    """

    path: str
    sha256: str
    readers: Mapping[str, ChannelLine] = field(default_factory=dict)
    sources: Mapping[str, ChannelLine] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> Corrections:
        """Read `/channels` of a calibration file.

        Raises:
            BadInputError: the file cannot be read, is no calibration, or holds no channels.
        """
        import h5py

        what = f"calibration file {path}"
        try:
            sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except OSError as error:
            raise BadInputError(f"{what}: cannot be read: {error.strerror}") from error
        found: dict[Role, dict[str, ChannelLine]] = {"reader": {}, "source": {}}
        try:
            with h5py.File(path, "r", locking=False) as file:
                if file.attrs.get("schema") != SCHEMA:
                    raise BadInputError(f"{what}: expected a file that `hilep calibrate` wrote")
                if (version := file.attrs.get("version")) != VERSION:
                    raise BadInputError(f"{what}: version {version}, expected {VERSION}")
                if "channels" not in file or not len(file["channels"]):
                    raise BadInputError(
                        f"{what}: holds no gains and offsets; measure them with "
                        "calibration.channels = true"
                    )
                for group in file["channels"].values():
                    line = _line(group)
                    found[line.role][line.channel] = line
        except BadInputError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise BadInputError(f"{what}: damaged, or of another version: {error}") from error
        return cls(str(path), sha256, found["reader"], found["source"])

    def expired(self, today: datetime.date) -> str | None:
        """Return one line where any channel has expired, else None."""
        lines = [*self.readers.values(), *self.sources.values()]
        late = sorted((one.expires, one.channel) for one in lines if today >= one.expires)
        if not late:
            return None
        day, channel = late[0]
        return (
            f"{self.path}: the calibration of {len(late)} of {len(lines)} channels has expired, "
            f"that of {channel} on {day}; it is applied all the same"
        )

    def snapshot(self) -> dict[str, Any]:
        """Return all of it, as plain JSON values."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            **{
                name: {
                    channel: {
                        "gain": line.gain,
                        "offset": line.offset,
                        "unit": line.unit,
                        "expires": line.expires.isoformat(),
                    }
                    for channel, line in lines.items()
                }
                for name, lines in (("readers", self.readers), ("sources", self.sources))
            },
        }


def columns(lines: Mapping[str, ChannelLine], channels: list[str]) -> tuple[Doubles, Doubles]:
    """Return gains and offsets of readers (channels,): 1 and 0 where one is not known."""
    gains = [lines[one].gain if one in lines else 1.0 for one in channels]
    offsets = [lines[one].offset if one in lines else 0.0 for one in channels]
    return np.array(gains, np.float64), np.array(offsets, np.float64)


def _line(group: h5py.Group) -> ChannelLine:
    role = group["role"].asstr()[()]
    if role not in ("reader", "source"):
        raise ValueError(f"role {role!r}")
    return ChannelLine(
        group["channel"].asstr()[()],
        role,
        float(group["gain"][()]),
        float(group["offset"][()]),
        group["unit"].asstr()[()],
        datetime.date.fromisoformat(group["expires"].asstr()[()]),
    )
