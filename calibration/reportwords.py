"""What a calibration says, in plain words and in short."""

from __future__ import annotations

import math

from hilep.calibration.calibration import Calibration
from hilep.config import Config
from hilep.report_text import quantity

Rows = list[tuple[str, str]]


def verdict(calibration: Calibration) -> tuple[str, str]:
    """Return the state by which the page colours its verdict, and the verdict in words."""
    if calibration.failed:
        return "failed", "The measurement did not come to its end: no verdict."
    if calibration.sigma.pooled is None:
        return "failed", "These data cannot carry a verdict."
    steady = calibration.independence
    if steady is None or steady.independent == "cannot tell":
        return "unfinished", "Whether reads average as 1/√N cannot be told from so few reads."
    if steady.independent is False:
        return "failed", "Reads are not independent: eq. (11) does not hold."
    return "done", "Reads are independent: means of N reads have sigma/√N."


def sentences(calibration: Calibration, config: Config) -> list[str]:
    """Return what follows for a training, one sentence each."""
    found = []
    steady = calibration.independence
    if steady is not None:
        line = f"More reads help up to N = {steady.max_useful_reads}"
        if steady.limited_by_record:
            line += ", as far as this record shows"
        planned = config.training.reads
        if planned > steady.max_useful_reads and not steady.limited_by_record:
            line += f"; the training plans N = {planned}"
        found.append(line + ".")
    if calibration.settling is not None and not calibration.settling.reads:
        found.append("No step is seen to settle: there is nothing to wait for.")
    elif calibration.settling_s is not None:
        found.append(f"Wait {quantity(calibration.settling_s, 's', 3)} after each step.")
    if calibration.problems:
        number = len(calibration.problems)
        found.append(f"{number} thing{'s are' if number > 1 else ' is'} wrong:")
    return found


def summary(calibration: Calibration, config: Config) -> Rows:
    """Return name and value of what a calibration has to say of itself."""
    reads, states = calibration.reads, calibration.sigma.states
    rows = [
        ("Network", "-".join(str(n) for n in config.network.layers)),
        ("Nodes", f"{len(states)}, {sum(calibration.sigma.usable)} of them usable"),
        ("Pairs", f"{reads.free.shape[0]} of free and nudged reads"),
        ("Record", _record(calibration)),
        ("Free to nudged", _seconds(reads.delay_s)),
        ("Nudge", _nudge(calibration)),
        ("Reads N", f"{config.training.reads} in each phase"),
    ]
    step = calibration.sigma.step_v[calibration.sigma.step_v > 0]
    rows.append(
        ("Converter's step", quantity(float(step.max()), "V", 4) if step.size else "does not show")
    )
    steady = calibration.independence
    if steady is not None:
        rows.append(("Independent", _word(steady.independent)))
        rows.append(("Tested up to N", str(steady.tested_reads)))
        if steady.parts:
            for name in ("white", "flicker", "walk", "drift", "burst"):
                worst = max(float(getattr(part, f"{name}_v")) for part in steady.parts)
                unit = {"walk": "V per √read", "drift": "V per read"}.get(name, "V")
                rows.append((f"{name.capitalize()} noise, worst node", quantity(worst, unit, 3)))
    if calibration.distribution is not None:
        tests = calibration.distribution
        for name, test in (("Gaussian", tests.normality), ("Same sigma", tests.homogeneity)):
            if test is not None:
                rows.append((name, f"{_word(test.holds)} ({test.test})"))
        rows.append(("Outliers", f"{len(tests.outliers)}, all kept"))
    return rows


def _record(calibration: Calibration) -> str:
    if calibration.record is None:
        return "none"
    text = f"{calibration.record.volts.shape[0]} reads of the free phase"
    interval = calibration.record.interval_s
    return f"{text}, {quantity(interval, 's', 3)} apart" if math.isfinite(interval) else text


def _seconds(value: float) -> str:
    return quantity(value, "s", 3) if math.isfinite(value) else "time not known"


def _nudge(calibration: Calibration) -> str:
    amps = calibration.reads.amps
    return f"up to {quantity(float(abs(amps).max()), 'A', 3)}" if amps.size else "none"


def _word(said: bool | str) -> str:
    return said if isinstance(said, str) else ("yes" if said else "no")
