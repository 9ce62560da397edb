"""The critical sigma of a configuration's twin, with what a person sees meanwhile."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from hilep.calibration.criticalsearch import search
from hilep.calibration.criticalsigma import Criterion, CriticalSigma
from hilep.calibration.criticaltrials import Trial, Trials, twin
from hilep.calibration.progress import Progress
from hilep.cli.termination import terminable
from hilep.config import Config
from hilep.errors import BadInputError, InterruptedRunError


def find_critical_sigma(
    network: Config,
    threshold: float | None,
    relative: float | None,
    share: float | None,
    trials: int | None,
    out: Path | None,
) -> CriticalSigma:
    """Return the critical sigma of the configuration's simulated twin.

    Args:
        network: the training; its own sigma, if any, is where the search begins.
        threshold: accuracy to reach; 0.9 unless given.
        relative: the same as a part of the mean accuracy at sigma 0, in its place.
        share: of the trials that have to reach it, or None for their mean accuracy.
        trials: at each sigma; None for 10, or as many as `share` needs.
        out: folder that keeps trials, or None.

    Raises:
        BadInputError: for a number outside its range, or too few trials.
        UnsupportedError: for a device whose read noise cannot be set.
        NoCriticalSigmaError: see `hilep.calibration.criticalsearch.search`.
        InterruptedRunError: when stopped; finished trials are kept in `out`.
    """
    if threshold is not None and relative is not None:
        raise BadInputError("--threshold: not with --relative")
    if relative is not None and not 0 < relative <= 1:
        raise BadInputError(f"--relative: expected a part in (0, 1], got {relative}")
    wanted = Criterion(0.9 if threshold is None else threshold, share)
    trials = max(10, wanted.least_trials) if trials is None else trials
    if trials < wanted.least_trials:
        raise BadInputError(
            f"--trials: expected at least {wanted.least_trials} for these options, got {trials}"
        )
    # What cannot have its noise set is refused before anything is trained.
    twin(network, 0.0, 0)
    start = network.device.options.get("sigma_v")
    if not (isinstance(start, float) and start > 0):
        start = 1e-3 * abs(network.data.target_v - network.data.target_off_v) or 1e-3
    try:
        with terminable(), Progress() as progress:
            tried = Trials(network, out, _Told(trials, progress.show))
            if relative is not None:
                wanted = Criterion(relative * float(tried(0.0, trials).mean()), share)
            return search(tried, start, trials, wanted)
    except KeyboardInterrupt as error:
        kept = (
            "nothing was kept; --out keeps trials"
            if out is None
            else f"the trials in {out} are kept; the same command goes on"
        )
        raise InterruptedRunError(f"stopped; {kept}") from error


class _Told:
    """Says what each sigma gave, and draws the trials of the one in progress."""

    def __init__(self, trials: int, show: Callable[[str, int, int], None]) -> None:
        self._trials = trials
        self._show = show
        self._of: dict[float, list[float]] = {}

    def __call__(self, trial: Trial) -> None:
        so_far = self._of.setdefault(trial.sigma_v, [])
        so_far.append(trial.accuracy)
        self._show(f"sigma {trial.sigma_v:.3g} V", len(so_far), self._trials)
        if len(so_far) == self._trials:
            say(
                f"sigma {trial.sigma_v:.4g} V: mean accuracy "
                f"{100 * sum(so_far) / len(so_far):.2f} %, lowest {100 * min(so_far):.2f} %, "
                f"{len(so_far)} trials"
            )


def described(found: CriticalSigma) -> str:
    """Return a critical sigma in words."""
    high = "" if math.isinf(found.high_v) else f" to {found.high_v:.4g}"
    what = (
        f"mean accuracy {found.threshold:.4g}"
        if found.share is None
        else f"accuracy {found.threshold:.4g} in {100 * found.share:g} % of trainings"
    )
    return (
        f"the critical sigma for {what} is {found.sigma_v:.4g} V, "
        f"{100 * found.confidence:g} % from {found.low_v:.4g}{high} V "
        f"({found.trials} trials at {found.evaluated.size} sigmas)"
    )


def plain(found: CriticalSigma) -> dict[str, Any]:
    """Return a critical sigma as plain JSON values; an infinite limit is null."""
    plain = {field.name: getattr(found, field.name) for field in fields(found)}
    for name in ("evaluated", "means", "reached"):
        plain[name] = plain[name].tolist()
    plain["high_v"] = plain["high_v"] if math.isfinite(plain["high_v"]) else None
    return plain


def say(line: str) -> None:
    """Write a line to standard error."""
    print(line, file=sys.stderr)
