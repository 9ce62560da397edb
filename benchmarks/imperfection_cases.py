"""The imperfections that `imperfections.py` goes through: settings, severities and their units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FULL_SCALE_V = 5.0
G_MAX_SIEMENS = 1e-4
PAPER_FULL_SCALE_V, PAPER_G_MAX_SIEMENS = 50.0, 0.25
"""The same network in the paper's units."""
WINDOW = 200.0
DAY_S = 86400.0
BIASED_V = 0.45
OWED = ", deadband_siemens=0.0"
ALONE, BOTH = ("trained",), ("trained", "transferred")


def bench(
    full_scale_v: float = FULL_SCALE_V,
    g_max_siemens: float = G_MAX_SIEMENS,
    eta_factor: float = 1.0,
) -> list[str]:
    """Return the settings of the ideal run by the exact scaling law: conductances by a, volts by s.

    Without arguments that are the paper's, 5 V and 100 uS: a = 4e-4, s = 0.1.
    """
    a, s = g_max_siemens / PAPER_G_MAX_SIEMENS, full_scale_v / PAPER_FULL_SCALE_V
    rates = [1e-2 * eta_factor, 4e-2 * eta_factor]
    return [
        "network.layers=[128,64,10]",
        f"network.g_max_siemens={g_max_siemens}",
        f"network.g_min_siemens={g_max_siemens / WINDOW}",
        f"network.initial_scale_siemens={a}",
        f"data.gamma_v={full_scale_v}",
        f"data.target_v={s}",
        f"training.beta_siemens={a}",
        f"training.eta={[eta * a * a / (s * s) for eta in rates]}",
        f"training.eta_bias={[eta * a * a for eta in rates]}",
        "training.batch_size=4",
        "training.updates=2000",
    ]


@dataclass(frozen=True)
class Case:
    """One imperfection.

    Attributes:
        unit: of the severity, as an axis label.
        severities: mildest first.
        settings: those beside `bench`, from a severity.
        modes: see the module.
        seeds: at the most; fewer where a run is slow.
        volts: whether the severity is the full scale of the inputs.
        factors: learning rates tried.
        wait_s: time from the last update to the evaluation, from a severity.
    """

    unit: str
    severities: tuple[float, ...]
    settings: Callable[[float], list[str]]
    modes: tuple[str, ...] = BOTH
    seeds: int = 5
    volts: bool = False
    factors: tuple[float, ...] = (1.0,)
    wait_s: float = 0.0


def cells(text: str) -> Callable[[float], list[str]]:
    """Return the settings of `[device.cells]`, with {x} for the severity."""
    return lambda x: ["device.cells={" + text.format(x=repr(x), part=repr(0.3 * x)) + "}"]


def device(*texts: str) -> Callable[[float], list[str]]:
    return lambda x: [f"device.{text.format(x=repr(x))}" for text in texts]


def circuit(*texts: str) -> Callable[[float], list[str]]:
    return device("backend=circuit", *texts)


def together(programming: str) -> Callable[[float], list[str]]:
    """Return the settings of everything that stands still, mild (1) or realistic (2).

    Args:
        programming: "pulses", open loop, or "write", closed loop with errors owed.
    """

    def settings(level: float) -> list[str]:
        mild = level == 1
        if programming == "pulses":
            bend, spread, noise = (0.5, 0.05, 0.1) if mild else (2.0, 0.2, 0.3)
            written = (
                f"pulses={10000 if mild else 1000}, pulse_nonlinearity_up={bend}, "
                f"pulse_nonlinearity_down={bend}, pulse_cycle_noise={noise}, "
                f"pulse_device_spread={spread}"
            )
        else:
            written = f"write_noise_relative={0.01 if mild else 0.03}" + OWED
        stuck, gains = (0.001, 0.01) if mild else (0.01, 0.1)
        ohms, offset = (0.1, 1e-4) if mild else (1.0, 1e-3)
        return [
            "device.backend=circuit",
            f"device.word_ohm={ohms}",
            f"device.bit_ohm={ohms}",
            f"device.source_ohm={1.0 if mild else 10.0}",
            f"device.meter_ohm={1e7 if mild else 1e6}",
            "device.nonlinearity=precision",
            f"device.precision={{offset_v={offset}}}",
            f"device.sigma_v={1e-6 if mild else 1e-5}",
            f"device.adc_bits={18 if mild else 16}",
            "device.adc_range_v=1.0",
            f"device.cells={{programming='{programming}', bandwidth_hz=1e6, {written}, "
            f"device_spread_relative={gains}, stuck_low={stuck}, stuck_high={stuck}}}",
        ]

    return settings


STEPS = "programming='pulses', pulses="
EACH_MS = "read_s=1e-3, update_s=1e-3"
WRITE_NOISE = (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3)
SPREADS = (0.01, 0.03, 0.1, 0.3, 0.6)
LEVELS = (65536, 4096, 1024, 256, 64, 16)
SCALES_V = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0)
CASES = {
    "ideal": Case("", (0.0,), lambda x: [], ALONE),
    "ideal, settled": Case("", (0.0,), lambda x: ["training.relaxation_tolerance=1e-7"], ALONE),
    "linear": Case("", (0.0,), lambda x: ["network.diodes=none"], ALONE, factors=(1.0, 0.2, 0.1)),
    "write noise": Case(
        "write noise / conductance", WRITE_NOISE, cells("write_noise_relative={x}")
    ),
    "device spread": Case("spread of write gains", SPREADS, cells("device_spread_relative={x}")),
    "levels": Case("levels", LEVELS, cells("levels={x}")),
    "write noise, owed": Case(
        "write noise / conductance", WRITE_NOISE, cells("write_noise_relative={x}" + OWED), ALONE
    ),
    "device spread, owed": Case(
        "spread of write gains", SPREADS, cells("device_spread_relative={x}" + OWED), ALONE
    ),
    "levels, owed": Case("levels", LEVELS, cells("levels={x}" + OWED), ALONE),
    "pulses": Case(
        "pulses across the window", (1e5, 1e4, 3e3, 1e3, 300.0, 100.0), cells(STEPS + "{x}"), ALONE
    ),
    "pulse nonlinearity": Case(
        "nonlinearity, 1000 pulses",
        (0.5, 1.0, 2.0, 4.0, 8.0),
        cells(STEPS + "1000, pulse_nonlinearity_up={x}, pulse_nonlinearity_down={x}"),
        ALONE,
    ),
    "pulse nonlinearity, slow": Case(
        "nonlinearity, 1000 pulses",
        (1.0, 2.0),
        cells(STEPS + "1000, pulse_nonlinearity_up={x}, pulse_nonlinearity_down={x}"),
        ALONE,
        factors=(0.3,),
    ),
    "pulse asymmetry": Case(
        "known asymmetry, 1000 pulses",
        (0.1, 0.3, 0.5, 0.8),
        cells(STEPS + "1000, pulse_asymmetry={x}"),
        ALONE,
    ),
    "pulse spread": Case(
        "spread of pulse sizes, 1000 pulses",
        (0.1, 0.3, 1.0, 3.0),
        cells(STEPS + "1000, pulse_device_spread={x}"),
        ALONE,
    ),
    "pulse cycle noise": Case(
        "noise of a pulse, 1000 pulses",
        (0.3, 1.0, 3.0, 10.0),
        cells(STEPS + "1000, pulse_cycle_noise={x}"),
        ALONE,
    ),
    "stuck low": Case("cells stuck at g_min", (0.01, 0.03, 0.1, 0.3, 0.5), cells("stuck_low={x}")),
    "stuck high": Case(
        "cells stuck at g_max", (1e-3, 3e-3, 0.01, 0.03, 0.1), cells("stuck_high={x}")
    ),
    "dead rows": Case("dead rows", (0.01, 0.03, 0.1, 0.2, 0.3), cells("dead_rows={x}")),
    "stuck low, slow": Case(
        "cells stuck at g_min", (0.3, 0.5), cells("stuck_low={x}"), ALONE, factors=(0.3,)
    ),
    "dead rows, slow": Case(
        "dead rows", (0.1, 0.2, 0.3), cells("dead_rows={x}"), ALONE, factors=(0.3,)
    ),
    "dead columns": Case("dead columns", (0.01, 0.03, 0.1, 0.2, 0.3), cells("dead_columns={x}")),
    "read noise": Case(
        "sigma of a read (V)", (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3), device("sigma_v={x}")
    ),
    "converter": Case(
        "bits over ±1 V", (18, 16, 14, 12, 10, 8), device("adc_bits={x}", "adc_range_v=1.0")
    ),
    "thermal noise": Case("bandwidth (Hz)", (1e4, 1e6, 1e8, 1e10, 1e12), cells("bandwidth_hz={x}")),
    "drift": Case(
        "exponent of drift, a day after the last write",
        (0.02, 0.05, 0.1, 0.2, 0.4),
        cells("drift_exponent={x}, drift_spread={part}"),
        wait_s=DAY_S,
    ),
    "retention": Case(
        "time constant (s), updates of 9 ms",
        (1000.0, 100.0, 30.0, 10.0, 3.0, 1.0),
        cells("retention_s={x}, " + EACH_MS),
    ),
    "flicker": Case(
        "flicker / conductance",
        (1e-5, 1e-4, 1e-3, 1e-2, 0.1),
        cells("flicker_relative={x}, flicker_period_s=1e-3, " + EACH_MS),
    ),
    "meters": Case(
        "meter resistance (ohm)", (1e6, 1e5, 1e4, 1e3, 100.0), circuit("meter_ohm={x}"), seeds=3
    ),
    "meters, fast": Case(
        "meter resistance (ohm)",
        (100.0,),
        circuit("meter_ohm={x}"),
        ALONE,
        seeds=3,
        factors=(100.0,),
    ),
    "offset": Case(
        "offset of precision rectifiers (V)",
        (1e-3, 1e-2, 0.03, 0.1, 0.3),
        circuit("nonlinearity=precision", "precision={{offset_v={x}}}"),
        seeds=3,
    ),
    "junctions": Case(
        "full scale of the inputs (V)",
        SCALES_V,
        circuit("nonlinearity=junction"),
        volts=True,
    ),
    "junctions, slow": Case(
        "full scale of the inputs (V)",
        SCALES_V[:4],
        circuit("nonlinearity=junction"),
        ALONE,
        volts=True,
        factors=(0.2,),
    ),
    "biased junctions": Case(
        "full scale of the inputs (V)",
        SCALES_V,
        circuit("nonlinearity=junction", f"junction={{{{bias_v={BIASED_V}}}}}"),
        volts=True,
    ),
    "biased junctions, slow": Case(
        "full scale of the inputs (V)",
        SCALES_V[:2],
        circuit("nonlinearity=junction", f"junction={{{{bias_v={BIASED_V}}}}}"),
        ALONE,
        volts=True,
        factors=(0.2,),
    ),
    "sources": Case(
        "source resistance (ohm)", (10.0, 100.0, 1e3, 3e3), circuit("source_ohm={x}"), seeds=3
    ),
    "lines": Case(
        "ohms per segment of word and bit lines",
        (0.1, 1.0, 3.0, 10.0, 30.0),
        circuit("word_ohm={x}", "bit_ohm={x}"),
        seeds=3,
    ),
    "together": Case("1 mild, 2 realistic", (1, 2), together("pulses"), seeds=3),
    "together, written": Case("1 mild, 2 realistic", (1, 2), together("write"), seeds=3),
    "curved cells": Case(
        "v0 of the cells (V)", (20.0, 5.0, 2.0), circuit("cells={{nonlinearity_v={x}}}"), seeds=3
    ),
}
