"""`hilep plan`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilep.errors import BadInputError, HilepError

if TYPE_CHECKING:
    from hilep.calibration.calibration import Calibration
    from hilep.calibration.levers import Lever
    from hilep.calibration.plan import Known
    from hilep.config import Config

Number = float | None


def _volts(name: str, text: str) -> Any:
    return typer.Option(name, metavar="VOLTS", help=text)


def _seconds(name: str, text: str) -> Any:
    return typer.Option(name, metavar="SECONDS", help=text)


def _count(name: str, text: str) -> Any:
    return typer.Option(name, metavar="NUMBER", help=text)


def plan(
    config: Annotated[
        Path | None, typer.Argument(help="TOML file of the training to come.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    sigma: Annotated[Number, _volts("--sigma", "Sigma of single reads.")] = None,
    sigma_high: Annotated[Number, _volts("--sigma-high", "Its upper limit.")] = None,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="Calibration file, in place of --sigma.")
    ] = None,
    critical: Annotated[Number, _volts("--critical", "The critical sigma.")] = None,
    critical_low: Annotated[Number, _volts("--critical-low", "Its lower limit.")] = None,
    find_critical: Annotated[
        bool, typer.Option("--find-critical", help="Search the critical sigma of CONFIG's twin.")
    ] = False,
    threshold: Annotated[
        Number, _count("--threshold", "Accuracy that training has to reach [0.9].")
    ] = None,
    relative: Annotated[
        Number, _count("--relative", "The same, as a part of the mean accuracy at sigma 0.")
    ] = None,
    share: Annotated[
        Number,
        _count("--share", "Part of the trials that have to reach it, in place of their mean."),
    ] = None,
    trials: Annotated[
        int | None, _count("--trials", "Trials at each sigma [10; as many as --share needs].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder that keeps the trials and goes on there.")
    ] = None,
    read_s: Annotated[Number, _seconds("--read-s", "One read of all free nodes.")] = None,
    settling_s: Annotated[Number, _seconds("--settling-s", "Wait after a clamp or nudge.")] = None,
    write_s: Annotated[Number, _seconds("--write-s", "Programming the cells once.")] = None,
    closures_per_scan: Annotated[
        Number, _count("--closures-per-scan", "Closures of the busiest relay for one scan.")
    ] = None,
    scan_per_read: Annotated[
        bool, typer.Option("--scan-per-read", help="Relays switch for every single read.")
    ] = False,
    pulses_per_update: Annotated[
        Number, _count("--pulses-per-update", "Pulses that one update gives a cell.")
    ] = None,
    rated_closures: Annotated[
        Number, _count("--rated-closures", "Closures that a relay is rated for.")
    ] = None,
    rated_pulses: Annotated[Number, _count("--rated-pulses", "Pulses that a cell endures.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Say how many reads a training needs, and what that costs."""
    given = _Given(sigma, sigma_high, calibration, critical, critical_low, find_critical)
    given.check(config)
    told = {
        "threshold": threshold,
        "relative": relative,
        "share": share,
        "trials": trials,
        "out": out,
    }
    if not find_critical and any(value is not None for value in told.values()):
        names = ", ".join(f"--{name}" for name, value in told.items() if value is not None)
        raise BadInputError(f"{names}: only with --find-critical")
    if settings and config is None:
        raise BadInputError("--set: only with CONFIG")

    from hilep.calibration import calibrationfile
    from hilep.calibration.findcritical import described, find_critical_sigma, plain, say
    from hilep.calibration.plan import Known
    from hilep.calibration.plananswer import answer, tell
    from hilep.config import load

    measured = None if calibration is None else calibrationfile.read(calibration)
    network = None if config is None else load(config, settings or ())
    sigma_high_v = _sigma_high(given, measured)
    known = Known(
        read_s=read_s,
        settling_s=settling_s,
        write_s=write_s,
        closures_per_scan=closures_per_scan,
        scan_per_read=scan_per_read,
        pulses_per_update=pulses_per_update,
        rated_closures=rated_closures,
        rated_pulses=rated_pulses,
    )
    found = None
    low_v = critical if critical_low is None else critical_low
    if find_critical:
        assert network is not None
        found = find_critical_sigma(network, threshold, relative, share, trials, out)
        low_v = found.low_v
        say(described(found))
    if sigma_high_v is None:
        result = answer(None, None, low_v)
        result["verdict"] = "" if found is None else described(found)
        status = 0
    else:
        assert low_v is not None
        result = _planned(sigma_high_v, low_v, known, measured, network)
        if given.sigma is not None and given.sigma_high is None:
            result["notes"].append("sigma is its own upper limit: give --sigma-high, or calibrate")
        if given.critical is not None and given.critical_low is None:
            result["notes"].append("the critical sigma is its own lower limit: give --critical-low")
        tell(result)
        status = 1 if result["refusals"] else 0
    if as_json:
        result["critical"] = None if found is None else plain(found)
        print(json.dumps(result))
    return status


@dataclass(frozen=True, slots=True)
class _Given:
    """What the command line says of both sigmas."""

    sigma: float | None
    sigma_high: float | None
    calibration: Path | None
    critical: float | None
    critical_low: float | None
    find_critical: bool

    def check(self, config: Path | None) -> None:
        """Refuse what is missing, given twice or the wrong way round."""
        if self.sigma is not None and self.calibration is not None:
            raise BadInputError("--sigma: not with --calibration, which holds one")
        if self.critical is not None and self.find_critical:
            raise BadInputError("--critical: not with --find-critical, which searches it")
        if self.find_critical and config is None:
            raise BadInputError("--find-critical: expected CONFIG, the training to come")
        if self.sigma is None and self.calibration is None and not self.find_critical:
            raise BadInputError("plan: expected --sigma or --calibration")
        if self.critical is None and not self.find_critical:
            raise BadInputError("plan: expected --critical, or --find-critical with CONFIG")
        for name, base, limit, sign in (
            ("sigma-high", self.sigma, self.sigma_high, 1),
            ("critical-low", self.critical, self.critical_low, -1),
        ):
            option = name.partition("-")[0]
            if limit is not None and base is None:
                raise BadInputError(f"--{name}: only with --{option}")
            if limit is not None and base is not None and not sign * limit >= sign * base:
                side = "above" if sign > 0 else "below"
                raise BadInputError(
                    f"--{name}: expected a limit {side} --{option} {base:g}, got {limit:g}"
                )


def _sigma_high(given: _Given, measured: Calibration | None) -> float | None:
    if measured is None:
        return given.sigma if given.sigma_high is None else given.sigma_high
    if measured.sigma.pooled is None:
        why = "; ".join(measured.problems) or "no node could be judged"
        raise BadInputError(f"{given.calibration}: holds no sigma to plan from: {why}")
    return measured.sigma.pooled.high_v


def _planned(
    sigma_high_v: float,
    low_v: float,
    known: Known,
    measured: Calibration | None,
    network: Config | None,
) -> dict[str, Any]:
    """Return the answer of a plan, the levers with it."""
    from hilep.calibration.independence import unmeasured
    from hilep.calibration.plan import plan as planned
    from hilep.calibration.plan import pulled, strongest, verdict
    from hilep.calibration.plananswer import answer
    from hilep.config import Config

    independence, doubts = None, []
    if measured is not None:
        # What a calibration could not judge is not taken for granted.
        independence = measured.independence or unmeasured()
        doubts = [f"calibration: {problem}" for problem in measured.problems]
        interval = math.nan if measured.record is None else measured.record.interval_s
        if known.read_s is None and math.isfinite(interval):
            known = replace(known, read_s=interval)
        if known.settling_s is None:
            known = replace(known, settling_s=measured.settling_s)
        calibrated = Config.from_json(measured.config)
        if network is not None and network.network != calibrated.network:
            doubts.append("calibration: of another [network] than that of CONFIG")
        network = network or calibrated
    if network is not None:
        training = network.training
        known = replace(
            known,
            updates=training.updates,
            batch_size=training.batch_size,
            interleave=training.interleave,
        )
    outcome = planned(sigma_high_v, low_v, known, independence)
    levers, notes = _levers(network, low_v, outcome.reads, measured)
    each = [pulled(lever, outcome, sigma_high_v, low_v, known, independence) for lever in levers]
    result = answer(outcome, sigma_high_v, low_v, each)
    result["verdict"] = verdict(outcome, each)
    result["notes"] += [*notes, *doubts]
    best = strongest(each)
    result["strongest"] = None if best is None else best.lever.name
    return result


def _levers(
    network: Config | None, low_v: float, reads: int, measured: Calibration | None
) -> tuple[list[Lever], list[str]]:
    """Return the levers, and why some are not there."""
    from hilep.calibration.levers import computed_levers, measured_levers

    doubling = None
    steady = None if measured is None else measured.independence
    if steady is not None and steady.independent is False and steady.parts is not None:
        doubling = max(
            float(part.variance_v2(2 * reads) / part.variance_v2(reads)) for part in steady.parts
        )
    levers = computed_levers(doubling)
    if network is None:
        return levers, ["beta, conductance ratio and gain: not compared without CONFIG"]
    try:
        return [*measured_levers(network, low_v), *levers], []
    except HilepError as error:
        return levers, [f"beta, conductance ratio and gain: not compared: {error}"]
