"""How the outputs are pulled towards their targets: the loss, the variant, the kind of nudge.

Sources: Scellier and Bengio, "Equilibrium Propagation" (2017), for the rule; Scellier, Ernoult,
Kendall and Kumar, "Energy-based learning algorithms for analog computing" (2023), for the negative
and centred variants; Movellan, "Contrastive Hebbian learning" (1991), for clamped outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hilep.arrays import Floats
from hilep.errors import BadInputError

Loss: TypeAlias = Literal["half-sum", "mean"]
Variant: TypeAlias = Literal["positive", "negative", "centered", "chl"]
NudgeKind: TypeAlias = Literal["current", "spring", "clamp"]


def loss_curvature(loss: Loss, outputs: int) -> float:
    """Return d2L/dy2 of the loss, dimensionless: the spring of a nudge is beta times this.

    "half-sum" is L = 1/2 sum (y - t)^2, curvature 1. "mean" is L = mean (y - t)^2 over the outputs,
    curvature 2 / n_out.
    """
    if loss == "half-sum":
        return 1.0
    if loss == "mean":
        return 2.0 / outputs
    raise BadInputError(f'training.loss: expected "half-sum" or "mean", got {loss!r}')


def loss_of(outputs: Floats, targets: Floats, loss: Loss) -> Floats:
    """Return the loss of each image in volts squared (batch,), from volts (batch, n_out)."""
    squares = ((outputs - targets) ** 2).sum(axis=-1)
    half: Floats = 0.5 * loss_curvature(loss, outputs.shape[-1]) * squares
    return half


@dataclass(frozen=True, slots=True)
class Nudging:
    """The two phases that an update contrasts.

    Attributes:
        kind: "current" injects strength * (target - output as read in the free phase);
            "spring" joins each output to its target through `strength` siemens;
            "clamp" holds the outputs at their targets (contrastive Hebbian learning).
        strengths: signed siemens of the first and second phase; 0 is the free phase, infinity
            the clamped one.
    """

    kind: NudgeKind
    strengths: tuple[float, float]

    @classmethod
    def of(
        cls, variant: Variant, kind: NudgeKind, beta_siemens: float, loss: Loss, outputs: int
    ) -> Nudging:
        """Return the nudging of a variant of Equilibrium Propagation.

        Args:
            variant: "positive" contrasts 0 and +beta, "negative" 0 and -beta, "centered" -beta
                and +beta, "chl" the free phase and clamped outputs.
            kind: see the class; "clamp" belongs to "chl" and to nothing else.
            beta_siemens: beta of F = E + beta L, greater than zero.
            loss: its curvature turns beta into a spring.
            outputs: number of output nodes.

        Raises:
            BadInputError: for a beta that is not positive and finite, or a kind that does not
                belong to the variant.
        """
        if not (math.isfinite(beta_siemens) and beta_siemens > 0):
            raise BadInputError(
                f"training.beta_siemens: expected a finite number > 0, got {beta_siemens}"
            )
        if kind not in ("current", "spring", "clamp"):
            raise BadInputError(
                f'training.nudging: expected "current", "spring" or "clamp", got {kind!r}'
            )
        if (variant == "chl") != (kind == "clamp"):
            raise BadInputError(
                'training.nudging: "clamp" and training.variant "chl" belong together, '
                f"got {kind!r} with {variant!r}"
            )
        spring = beta_siemens * loss_curvature(loss, outputs)
        strengths = {
            "positive": (0.0, spring),
            "negative": (0.0, -spring),
            "centered": (-spring, spring),
            "chl": (0.0, math.inf),
        }
        if variant not in strengths:
            raise BadInputError(
                'training.variant: expected "positive", "negative", "centered" or "chl", '
                f"got {variant!r}"
            )
        return cls(kind, strengths[variant])


def beta_difference(variant: Variant, beta_siemens: float) -> float:
    """Return the signed distance in beta between the two phases, siemens.

    For "chl" the phases lie infinitely far apart and beta only turns eta into eta / beta (eq. 12).

    Raises:
        BadInputError: for an unknown variant.
    """
    difference = {
        "positive": beta_siemens,
        "negative": -beta_siemens,
        "centered": 2.0 * beta_siemens,
        "chl": beta_siemens,
    }
    if variant not in difference:
        raise BadInputError(f"training.variant: expected one of {', '.join(difference)}")
    return difference[variant]
