"""The virtual instrument that stands behind each driver of a bench file.

A lab gives the virtual one of its own driver in the entry-point group
`hilep.virtual_instruments`, under the driver's name: it is called as `Build` says, and returns what
an `InstrumentServer` serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import numpy as np

from hilep.errors import ConfigError
from hilep.simulators.virtual.bench_wires import BenchWires
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.options import VirtualSection
from hilep.simulators.virtual.source_channel import SourceChannel
from hilep.simulators.virtual.world import World

GROUP = "hilep.virtual_instruments"
"""Entry points of a lab's own virtual instruments."""

NI_DRIVER = "nidaqmx"
"""Its virtual instrument is not on a socket: see `nidaqmx_lines`."""

CHANNELS = {"keithley2400": "a", "keithley2450": "a", "keithley2600": "ab", "keysightb2900": "12"}
"""The channels of each source meter."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What an instrument is built from: world, clock, wires, options and mains."""

    world: World
    clock: Clock
    wires: BenchWires
    options: VirtualSection

    def converter(self, given: Converter) -> Converter:
        """Return a converter with the noise and steps of the options."""
        factor = self.options.noise
        step = given.step if self.options.steps else 0.0
        return replace(given, noise=given.noise * factor, floor=given.floor * factor, step=step)


Build: TypeAlias = Callable[[Bench, str, np.random.Generator, str | None, int], Any]
"""Makes an instrument from bench, its name there, a generator of noise, `expect` and `line_hz`."""


def built(
    bench: Bench,
    name: str,
    driver: str,
    expect: str | None,
    line_hz: int,
    generator: np.random.Generator,
) -> Any:
    """Return the virtual instrument of one section of a bench file.

    Args:
        bench: what it is wired to.
        name: of the instrument in the bench file.
        driver: its driver's name.
        expect: text that *IDN? must have: a model, or else it becomes the serial number.
        line_hz: mains frequency.
        generator: draws the noise of its readings.

    Raises:
        ConfigError: no virtual instrument for this driver, or none that answers as expected.
    """
    kinds: dict[str, Build] = {
        "keithley2400": _keithley2400,
        "keithley2450": _keithley2450,
        "keithley2600": _keithley2600,
        "keysightb2900": _keysightb2900,
        "keithleydaq6510": _keithleydaq6510,
        "keysight34970a": _keysight34970a,
    }
    build = kinds.get(driver) or _installed(name, driver, (*kinds, NI_DRIVER))
    instrument = build(bench, name, generator, expect, line_hz)
    if expect is not None and expect not in instrument.identity:
        instrument.serial = expect
    if instrument.identity.count(",") != 3:
        raise ConfigError(f"instruments.{name}.expect: no virtual {driver} answers {expect!r}")
    return instrument


def _installed(name: str, driver: str, own: tuple[str, ...]) -> Build:
    found = entry_points(group=GROUP)
    for point in found.select(name=driver):
        try:
            build: Build = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"instruments.{name}.driver: the virtual {driver!r} cannot be loaded: {error}"
            ) from error
        return build
    raise ConfigError(
        f"instruments.{name}.driver: no virtual instrument for {driver!r}, expected one of "
        f"{', '.join((*own, *sorted(found.names)))}"
    )


def _source(bench: Bench, name: str, channels: dict[str, SourceChannel]) -> None:
    for letter, channel in channels.items():
        line = f"{name}.{letter}"
        gain = bench.options.gains.get(line, 1.0)
        offset = bench.options.offsets.get(line, 0.0)
        channel.volts = replace(channel.volts, gain=gain, offset=offset)
        channel.source_gain = bench.options.source_gains.get(line, 1.0)
        channel.source_offset = bench.options.source_offsets.get(line, 0.0)
        if not bench.options.steps:
            channel.source_step = 0.0


def _keithley2400(
    bench: Bench, name: str, generator: np.random.Generator, expect: str | None, line_hz: int
) -> Any:
    from hilep.simulators.virtual.keithley2400 import AMPS, VOLTS, Keithley2400

    made = Keithley2400(
        bench.world,
        bench.wires.terminal(f"{name}.a"),
        bench.clock,
        generator,
        volts=bench.converter(VOLTS),
        amps=bench.converter(AMPS),
        line_hz=line_hz,
    )
    _name_model(made, expect, ("2401", "2400"), "MODEL {}")
    _source(bench, name, {"a": made.channel})
    return made


def _keithley2450(
    bench: Bench, name: str, generator: np.random.Generator, expect: str | None, line_hz: int
) -> Any:
    from hilep.simulators.virtual.keithley2450 import AMPS, VOLTS, Keithley2450

    made = Keithley2450(
        bench.world,
        bench.wires.terminal(f"{name}.a"),
        bench.clock,
        generator,
        volts=bench.converter(VOLTS),
        amps=bench.converter(AMPS),
        line_hz=line_hz,
    )
    _source(bench, name, {"a": made.channel})
    return made


def _keithley2600(
    bench: Bench, name: str, generator: np.random.Generator, expect: str | None, line_hz: int
) -> Any:
    from hilep.simulators.virtual.keithley2600 import Keithley2600
    from hilep.simulators.virtual.keithley2600_models import NUMBERS, model

    number = next((n for n in NUMBERS if expect is not None and n in expect), "2602")
    suffix = "A" if expect is not None and f"{number}A" in expect else "B"
    kind = model(number)
    letters = "ab"[: kind.channels]
    made = Keithley2600(
        bench.world,
        [bench.wires.terminal(f"{name}.{letter}") for letter in letters],
        bench.clock,
        generator,
        volts=bench.converter(kind.volts),
        amps=bench.converter(kind.amps),
        line_hz=line_hz,
        model=f"{number}{suffix}",
        areas=kind.areas,
    )
    _source(bench, name, {x: smu.channel for x, smu in zip(letters, made.smus, strict=True)})
    return made


def _keysightb2900(
    bench: Bench, name: str, generator: np.random.Generator, expect: str | None, line_hz: int
) -> Any:
    from hilep.simulators.virtual.keysightb2900 import AMPS, VOLTS, KeysightB2900

    models = ("B2901A", "B2911A", "B2912A", "B2902A")
    model = next((m for m in models if expect is not None and m[:-1] in expect), "B2902A")
    fine = model.startswith("B291")
    amps = replace(AMPS, ranges=(1e-8, *AMPS.ranges)) if fine else AMPS
    letters = "1" if model in ("B2901A", "B2911A") else "12"
    made = KeysightB2900(
        bench.world,
        [bench.wires.terminal(f"{name}.{letter}") for letter in letters],
        bench.clock,
        generator,
        volts=bench.converter(VOLTS),
        amps=bench.converter(amps),
        line_hz=line_hz,
    )
    made.model = model  # type: ignore[misc]
    channels = {letter: made.channels[int(letter)] for letter in letters}
    _source(bench, name, channels)
    return made


def _keithleydaq6510(
    bench: Bench, name: str, generator: np.random.Generator, expect: str | None, line_hz: int
) -> Any:
    from hilep.simulators.virtual.keithleydaq6510 import VOLTS, KeithleyDAQ6510

    return _scanner(KeithleyDAQ6510, VOLTS, bench, name, generator, line_hz)


def _keysight34970a(
    bench: Bench, name: str, generator: np.random.Generator, expect: str | None, line_hz: int
) -> Any:
    from hilep.simulators.virtual.keysight34970a import DAQ970A, VOLTS, Keysight34970A

    new = expect is not None and "DAQ97" in expect
    made = _scanner(DAQ970A if new else Keysight34970A, VOLTS, bench, name, generator, line_hz)
    models = ("DAQ973A", "DAQ970A") if new else ("34972A", "34970A")
    _name_model(made, expect, models, "{}")
    return made


def _scanner(
    kind: Any,
    volts: Converter,
    bench: Bench,
    name: str,
    generator: np.random.Generator,
    line_hz: int,
) -> Any:
    terminals = {int(c): t for c, t in bench.wires.channels_of(name).items()}
    options = bench.options
    return kind(
        bench.world,
        terminals,
        bench.clock,
        generator,
        matrix={int(c): pair for c, pair in bench.wires.paths_of(name).items()},
        volts=bench.converter(volts),
        line_hz=line_hz,
        gains={
            c: options.gains[f"{name}.{c}"] for c in terminals if f"{name}.{c}" in options.gains
        },
        offsets={
            c: options.offsets[f"{name}.{c}"] for c in terminals if f"{name}.{c}" in options.offsets
        },
    )


def _name_model(made: Any, expect: str | None, models: tuple[str, ...], form: str) -> None:
    model = next((m for m in models if expect is not None and m in expect), models[-1])
    made.model = form.format(model)
