"""Configuration: TOML sections, validated strictly, every error one line that names the key."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from hilep.calibrationsection import CalibrationSection
from hilep.errors import ConfigError
from hilep.estimators import Estimator
from hilep.initial import Initial
from hilep.network import Bias, Network
from hilep.nudging import Loss, NudgeKind, Variant
from hilep.rule import Reduction
from hilep.schedule import Schedule, ScheduleKind
from hilep.section import Count as Count
from hilep.section import Nodes, PerLayer
from hilep.section import NotNegative as NotNegative
from hilep.section import Positive as Positive
from hilep.section import Section as Section

_TYPES = {kind.__name__ for kind in (bool, int, float, str, list, dict)}


class DataSection(Section):
    """`[data]`: which images or samples, and how they become volts. See `docs/data.md`."""

    name: str = "digits"
    file: str | None = None
    cache: str | None = None
    gamma_v: Positive = 50.0
    doubled: bool = True
    downsample: Count = 1
    target_v: Positive = 1.0
    target_off_v: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0


class NetworkSection(Section):
    """`[network]`: see `hilep.network.Network` and `hilep.initial`."""

    layers: Annotated[list[Nodes], Field(min_length=2)] = Field(default=[128, 256, 10])
    diodes: str | list[str | list[int]] = "split"
    bias: Bias = "current"
    bias_v: Positive = 1.0
    g_min_siemens: NotNegative = 0.0
    g_max_siemens: Annotated[float, Field(gt=0, allow_inf_nan=True)] = math.inf
    voltage_limit_v: Annotated[float, Field(gt=0)] = math.inf
    current_limit_a: Annotated[float, Field(gt=0)] = math.inf
    voltage_gain: Positive = 1.0
    current_gain: Positive = 1.0
    initial: Initial = "clipped-uniform"
    initial_scale_siemens: Positive = 1.0

    def network(self) -> Network:
        """Return the network that this section describes."""
        return Network(
            layers=tuple(self.layers),
            diodes=self.diodes,
            bias=self.bias,
            bias_v=self.bias_v,
            g_min_siemens=self.g_min_siemens,
            g_max_siemens=self.g_max_siemens,
            voltage_limit_v=self.voltage_limit_v,
            current_limit_a=self.current_limit_a,
            voltage_gain=self.voltage_gain,
            current_gain=self.current_gain,
        )


class DeviceSection(BaseModel):
    """`[device]`: which backend; every other key is that backend's own and checked by it."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    backend: str = "simulated"

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys that belong to the backend."""
        return dict(self.__pydantic_extra__ or {})


class TrainingSection(Section):
    """`[training]`: the rule, how often it is applied, and what is recorded meanwhile."""

    updates: Count = 12000
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    beta_siemens: Positive = 1.0
    eta: PerLayer = Field(default=[2e-2])
    eta_bias: PerLayer | None = None
    variant: Variant = "positive"
    nudging: NudgeKind = "current"
    loss: Loss = "mean"
    reduction: Reduction = "sum"
    reads: Count = 1
    interleave: Count = 1
    estimator: Estimator = "square-of-means"
    schedule: ScheduleKind = "cosine"
    schedule_end: NotNegative = 0.0
    schedule_steps: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[0.5, 0.75])
    schedule_factor: Positive = 0.1
    relaxation_sweeps: Count | None = None
    relaxation_tolerance: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Count | None = None
    evaluate_every: Count | None = None
    evaluation_reads: Count = 1
    checkpoint_seconds: NotNegative = 10.0
    keep_reads: bool = False

    @model_validator(mode="after")
    def _one_way_to_relax(self) -> TrainingSection:
        if self.relaxation_sweeps is not None and self.relaxation_tolerance is not None:
            raise ValueError("give relaxation_sweeps or relaxation_tolerance, not both")
        return self

    @model_validator(mode="after")
    def _a_read_in_each_portion(self) -> TrainingSection:
        if self.interleave > self.reads:
            raise ValueError(
                f"training.interleave: expected 1 to training.reads ({self.reads}), "
                f"got {self.interleave}"
            )
        return self

    def sweeps(self, hidden_layers: int) -> int | None:
        """Return the sweeps of each relaxation; None with a tolerance.

        Unless told, 5 for each hidden layer: the paper's Table II for its one. Fewer do not carry
        the nudge to the first layer of a deep network; `docs/physics.md` has figures.
        """
        if self.relaxation_tolerance is not None:
            return None
        if self.relaxation_sweeps is not None:
            return self.relaxation_sweeps
        return 5 * max(1, hidden_layers)

    @property
    def logged_every(self) -> int:
        """Updates between rows of the training curve; 200 rows unless told."""
        return self.log_every or max(1, self.updates // 200)

    @property
    def evaluated_every(self) -> int:
        """Updates between looks at the validation split; a tenth of the run unless told."""
        return self.evaluate_every or max(1, self.updates // 10)

    def rates(self) -> Schedule:
        """Return the learning-rate schedule."""
        return Schedule(
            self.schedule,
            self.updates,
            self.schedule_end,
            tuple(self.schedule_steps),
            self.schedule_factor,
        )

    def per_layer(self, layers: int) -> tuple[list[float], list[float]]:
        """Return eta (S^2/V^2) and eta_bias (S^2) of each layer.

        Without `eta_bias` the biases take eta's number, as in the paper, where volts and siemens
        have no units.

        Raises:
            ConfigError: for a list that is neither one value nor one per layer.
        """
        out = []
        for name, values in (("eta", self.eta), ("eta_bias", self.eta_bias or self.eta)):
            if len(values) not in (1, layers):
                raise ConfigError(
                    f"training.{name}: expected one value, or one per layer ({layers}), "
                    f"got {len(values)}"
                )
            out.append(values * layers if len(values) == 1 else values)
        return out[0], out[1]


class Config(Section):
    """A whole configuration file."""

    data: DataSection = DataSection()
    network: NetworkSection = NetworkSection()
    device: DeviceSection = DeviceSection()
    training: TrainingSection = TrainingSection()
    calibration: CalibrationSection = CalibrationSection()

    @field_validator("network")
    @classmethod
    def _is_a_network(cls, section: NetworkSection) -> NetworkSection:
        section.network()
        return section

    def to_json(self) -> str:
        """Return the configuration as JSON text, every default written out."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, allow_nan=True)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the configuration that `to_json` wrote."""
        return validated(json.loads(text), "configuration in the run file")


def load(path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Read a TOML file, apply `section.key=value` overrides and validate.

    Args:
        path: the file, or None for the defaults: handwritten digits on a simulated crossbar.
        overrides: values are read as TOML and, failing that, as plain text.

    Raises:
        ConfigError: one line with file, key and what was expected.
    """
    tables: dict[str, Any] = {}
    overrides = list(overrides)
    source = " with ".join([str(path)] * (path is not None) + ["--set"] * bool(overrides))
    if path is not None:
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from error
    for override in overrides:
        key, equals, text = override.partition("=")
        *sections, name = (part.strip() for part in key.split("."))
        if not (equals and sections and all(sections) and name):
            raise ConfigError(f"--set {override}: expected section.key=value")
        value = _read(text)
        table = tables
        for depth, section in enumerate(sections, start=1):
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigError(
                    f"--set {override}: {'.'.join(sections[:depth])} is not a section"
                )
        table[name] = value
    return validated(tables, source)


def _read(text: str) -> Any:
    """Return the one TOML value in `text`, or else the text."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return table["value"] if len(table) == 1 else text.strip()


def validated(tables: dict[str, Any], source: str) -> Config:
    """Return the configuration held in `tables`.

    Raises:
        ConfigError: with `source`, key and expectation, for the first thing that is wrong.
    """
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(f"{source}: {first_error(error)}") from error


def first_error(error: ValidationError, section: str = "") -> str:
    """Return pydantic's first complaint as one line: key, what was wrong, what was given."""
    details = error.errors()[0]
    location: Sequence[int | str] = [section, *details["loc"]] if section else details["loc"]
    if details["type"] == "extra_forbidden":
        return f"{'.'.join(map(str, location))}: unknown key"
    # Branches of a union put their type's name in the location; keys and indices are enough.
    key = ".".join(
        str(part)
        for part in location
        if isinstance(part, int) or (part.isidentifier() and part not in _TYPES)
    )
    if details["type"] == "model_type":
        return f"{key}: expected a section, got {details['input']!r:.60}"
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "value_error":
        return message if message.startswith(key) else f"{key}: {message}"
    return f"{key}: {message[0].lower()}{message[1:]}, got {details['input']!r:.60}"
