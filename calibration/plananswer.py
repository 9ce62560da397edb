"""What `hilep plan` answers: as JSON, and as lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hilep.calibration.findcritical import say
from hilep.calibration.plan import Plan, PulledLever, duration


def answer(
    outcome: Plan | None,
    sigma_high_v: float | None,
    critical_low_v: float | None,
    levers: Sequence[PulledLever] = (),
) -> dict[str, Any]:
    """Return what `--json` prints; keys are the same whether or not there is a plan."""
    return {
        "reads": None if outcome is None else outcome.reads,
        "hours": None if outcome is None else outcome.hours,
        "relay_closures": None if outcome is None else outcome.relay_closures,
        "pulses": None if outcome is None else outcome.pulses,
        "verdict": "",
        "refusals": [] if outcome is None else list(outcome.refusals),
        "notes": [] if outcome is None else list(outcome.notes),
        "sigma_high_v": sigma_high_v,
        "critical_low_v": critical_low_v,
        "strongest": None,
        "levers": [
            {
                **asdict(each.lever),
                "reads": each.reads,
                "hours": each.hours,
                "feasible": each.feasible,
            }
            for each in levers
        ],
        "critical": None,
    }


def tell(result: dict[str, Any]) -> None:
    """Say a plan on standard error, the verdict last."""
    for lever in result["levers"]:
        if lever["reads"] is not None:
            hours = "" if lever["hours"] is None else f", {duration(lever['hours'])}"
            say(f"{lever['name']}: {lever['change']}: N = {lever['reads']}{hours}")
    for line in result["notes"]:
        say(f"hilep: {line}")
    for line in result["refusals"]:
        say(f"hilep: refused: {line}")
    say(result["verdict"])
