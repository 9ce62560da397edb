"""The bench file: read, checked in itself and against a network, and known by its hash."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from hilep.config import Section, first_error
from hilep.errors import BadInputError, ConfigError
from hilep.instruments import drivers
from hilep.instruments.benchsections import (
    HiddenSection,
    InstrumentSection,
    InterlockSection,
    LockSection,
    RolesSection,
    SettleSection,
)
from hilep.instruments.wiring import Line

_UNITS = {"v": "volts > 0", "a": "amperes > 0", "siemens": "siemens > 0", "s": "seconds >= 0"}
_MEANINGS = {
    "channels": 'a list such as ["smu1.a", "smu1.b"]',
    "nplc": "power line cycles > 0",
    "seconds": "seconds",
    "driver": "the name of a driver",
    "resource": "a VISA resource name",
    "kind": '"direct" or "pulses"',
    "tolerance": "a fraction between 0 and 1",
}


class Sections(Section):
    """The whole of a bench file. See `docs` of each section's class."""

    instruments: dict[str, InstrumentSection]
    roles: RolesSection
    hidden: HiddenSection | None = None
    settle: SettleSection
    interlock: InterlockSection
    lock: LockSection = LockSection()
    virtual: dict[str, Any] = Field(default_factory=dict)
    """What the bench's virtual twin is made of; checked by the twin."""

    @model_validator(mode="after")
    def _consistent(self) -> Sections:
        self._require_distinct_resources()
        self._require_known_channels()
        self._require_distinct_channels()
        self._require_compared_channels()
        roles = self.roles
        if self.interlock.max_node_v > roles.nodes.range_v:
            raise ValueError(
                f"interlock.max_node_v: {self.interlock.max_node_v:g} V, expected at most "
                f"roles.nodes.range_v = {roles.nodes.range_v:g} V, beyond which nothing is seen"
            )
        fed = [] if roles.supply is None else roles.supply.channels
        for channel in [] if self.hidden is None else self.hidden.supply:
            if channel not in fed:
                raise ValueError(
                    f"hidden.supply: {channel} is not in roles.supply.channels, expected one of "
                    f"{', '.join(fed) or 'them, but there is no roles.supply'}"
                )
        return self

    def sources(self) -> Iterator[tuple[str, str]]:
        """Yield key and channel of everything but the readers."""
        roles = self.roles
        yield from (("roles.clamp.channels", name) for name in roles.clamp.channels)
        yield from (("roles.clamp.bias_channels", name) for name in roles.clamp.bias_channels)
        yield from (("roles.nudge.channels", name) for name in roles.nudge.channels)
        if roles.supply is not None:
            yield from (("roles.supply.channels", name) for name in roles.supply.channels)
        for key, names in roles.program.channels.items():
            yield from ((f"roles.program.{key}", name) for name in names)
        if roles.reference is not None:
            yield "roles.reference.channel", roles.reference.channel
            yield from (("roles.reference.paths", name) for name in roles.reference.paths.values())

    def _require_distinct_resources(self) -> None:
        seen: dict[str, str] = {}
        if not self.instruments:
            raise ValueError("instruments: none, expected at least one")
        for name, section in self.instruments.items():
            resource = section.resource.strip().upper()
            if resource in seen:
                raise ValueError(
                    f"instruments.{name}.resource: {section.resource} is that of "
                    f"instruments.{seen[resource]}, expected one instrument for each"
                )
            seen[resource] = name

    def _require_known_channels(self) -> None:
        nodes = (("roles.nodes.channels", name) for name in self.roles.nodes.channels)
        for key, channel in (*self.sources(), *nodes):
            if Line.of(channel).instrument not in self.instruments:
                offered = ", ".join(self.instruments)
                raise ValueError(f"{key}: {channel} is of no instrument, expected one of {offered}")

    def _require_compared_channels(self) -> None:
        roles = self.roles
        known = [*roles.clamp.channels, *roles.clamp.bias_channels, *roles.nudge.channels]
        known += roles.nodes.channels
        for channel in [] if roles.reference is None else roles.reference.paths:
            if channel not in known:
                raise ValueError(
                    f"roles.reference.paths: {channel} clamps, nudges and reads nothing, expected "
                    f"one of {', '.join(known)}"
                )

    def _require_distinct_channels(self) -> None:
        used: dict[str, str] = {}
        for key, channel in self.sources():
            if channel in used:
                raise ValueError(
                    f"{key}: {channel} is used in {used[channel]} already, expected each once"
                )
            used[channel] = key
        nudge, nodes = self.roles.nudge, self.roles.nodes.channels
        own = {
            channel: nodes[len(nodes) - len(nudge.channels) + place]
            for place, channel in enumerate(nudge.channels)
            if len(nodes) - len(nudge.channels) + place >= 0
        }
        for channel in nodes:
            if own.get(channel) == channel and used.get(channel) == "roles.nudge.channels":
                # An SMU that nudges an output can read it as well.
                if nudge.release == "high-z":
                    raise ValueError(
                        f'roles.nudge.release: "high-z" opens {channel}, which reads its output; '
                        'expected "zero-current"'
                    )
            elif channel in used:
                raise ValueError(
                    f"roles.nodes.channels: {channel} is used in {used[channel]} already, "
                    "expected each once"
                )
            used[channel] = "roles.nodes.channels"


@dataclass(frozen=True, slots=True)
class BenchFile:
    """A bench file that is right in itself.

    Attributes:
        path: where it was read.
        text: all of it.
        sha256: of its bytes, hexadecimal; what arming goes by.
        sections: what it says.
    """

    path: Path
    text: str
    sha256: str
    sections: Sections

    @classmethod
    def load(cls, path: str | Path) -> BenchFile:
        """Read and check a bench file; no instrument is spoken to.

        Raises:
            ConfigError: one line with file, key and what was expected.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            text = content.decode("utf-8-sig")
            tables = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from error
        try:
            sections = Sections.model_validate(tables)
        except ValidationError as error:
            raise ConfigError(f"{path}: {_complaint(error)}") from error
        for name, section in sections.instruments.items():
            key = f"instruments.{name}.driver"
            try:
                drivers.entry(drivers.GROUP, section.driver, key)
            except BadInputError as error:
                raise ConfigError(f"{path}: {error}") from error
        return cls(path, text, hashlib.sha256(content).hexdigest(), sections)

    def reading_with(self, settings: Mapping[str, float]) -> BenchFile:
        """Return this file with other settings in `[roles.nodes]`.

        Raises:
            ConfigError: one line with file, key and what was expected.
        """
        for key in settings.keys() - {"nplc", "rate_hz", "range_v", "delay_s"}:
            raise self.error(f"roles.nodes.{key}", "no setting, expected nplc, rate_hz or range_v")
        nodes = self.sections.roles.nodes
        try:
            nodes = type(nodes).model_validate({**nodes.model_dump(), **settings})
        except ValidationError as error:
            raise ConfigError(f"{self.path}: roles.nodes.{_complaint(error)}") from error
        roles = self.sections.roles.model_copy(update={"nodes": nodes})
        return replace(self, sections=self.sections.model_copy(update={"roles": roles}))

    def error(self, key: str, message: str) -> ConfigError:
        """Return the error to raise about `key`."""
        return ConfigError(f"{self.path}: {key}: {message}")


def _complaint(error: ValidationError) -> str:
    details = error.errors()[0]
    # The tag of a union of models stands in the location without being a key.
    keys = [str(part) for part in details["loc"] if part not in ("direct", "pulses")]
    if details["type"] == "missing":
        name = keys[-1]
        meaning = _MEANINGS.get(name) or _UNITS.get(name.rpartition("_")[2]) or "it to be given"
        return f"{'.'.join(keys)}: missing, expected {meaning}"
    if details["type"] == "union_tag_not_found":
        return f"{'.'.join(keys)}.kind: missing, expected {_MEANINGS['kind']}"
    if details["type"] == "union_tag_invalid":
        tag = (details.get("ctx") or {}).get("tag")
        return f"{'.'.join(keys)}.kind: expected {_MEANINGS['kind']}, got {tag!r}"
    if details["type"] == "extra_forbidden":
        return f"{'.'.join(keys)}: unknown key"
    if details["type"] == "value_error":
        message = details["msg"].removeprefix("Value error, ")
        # A section's own check begins with the key below it; a channel's begins with "expected".
        joint = ": " if message.startswith("expected") else "."
        return f"{'.'.join(keys)}{joint}{message}" if keys else message
    return (
        first_error(error)
        .replace("program.direct.", "program.")
        .replace("program.pulses.", "program.")
    )
