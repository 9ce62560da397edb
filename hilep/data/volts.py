"""From samples and labels to volts and targets."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.data.source import Samples
from hilep.errors import ConfigError, DataError


def block_mean(images: Samples, k: int, full_scale: float = 1.0) -> Samples:
    """Return the mean over blocks of k x k pixels, divided by `full_scale`.

    Args:
        images: (n, height, width).
        k: a divisor of height and width.
        full_scale: the pixel value that becomes 1.

    Returns:
        (n, height / k, width / k): float32 from uint8 pixels, float64 from others.
    """
    n, height, width = images.shape
    blocks = images.reshape(n, height // k, k, width // k, k)
    if images.dtype == np.uint8:
        # A sum of bytes is exact in float32 up to 256 x 256 pixels, so only the division rounds.
        sums = blocks.sum(axis=(2, 4), dtype=np.float32)
        return cast("Samples", sums / np.float32(k * k * full_scale))
    return cast("Samples", blocks.mean(axis=(2, 4), dtype=np.float64) / full_scale)


def unit_range(
    train: Samples, others: tuple[Samples, ...], together: bool
) -> tuple[NDArray[np.float32], ...]:
    """Map the training samples' range to 0 to 1, and the others by the same straight line.

    Values of the others may fall outside and are not clipped. A feature that is constant in
    training has no range to scale by and becomes 0 everywhere.

    Args:
        train: (n, ...).
        others: arrays whose samples have the same shape.
        together: True for one range over all features, as for the pixels of an image.

    Raises:
        DataError: a scaled value is too large for float32.
    """
    axis = None if together else 0
    values = train.astype(np.float64, copy=False)
    low, high = values.min(axis=axis), values.max(axis=axis)
    with np.errstate(over="ignore", invalid="ignore"):
        span = high - low
        divisor = np.where(span > 0, span, np.inf)
        scaled = tuple(((a - low) / divisor).astype(np.float32) for a in (values, *others))
    if not (np.isfinite(span).all() and all(np.isfinite(a).all() for a in scaled)):
        raise DataError("data: the range of the samples is too large for float32")
    return scaled


def volts_per_unit(gamma_v: float, full_scale: float) -> np.float32:
    """Return what a stored sample is multiplied by, so that full scale is not above `gamma_v`.

    Raises:
        ConfigError: float32 does not hold the product.
    """
    with np.errstate(over="ignore", under="ignore"):
        scale, limit = np.float32(gamma_v / full_scale), np.float32(gamma_v)
    limits = np.finfo(np.float32)
    if not (limits.tiny <= scale and limit <= limits.max):
        raise ConfigError(
            f"data.gamma_v: expected between {limits.tiny * full_scale:.2g} and "
            f"{limits.max:.2g} V, got {gamma_v}"
        )
    # One rounding step above gamma_v would break a voltage limit set to exactly gamma_v.
    while scale * np.float32(full_scale) > limit:
        scale = np.nextafter(scale, np.float32(0))
    return scale


def target_table(classes: int, target_v: float, target_off_v: float) -> Doubles:
    """Return the target volts of each class, (classes, n_out), one output per class.

    Raises:
        ConfigError: the two levels are the same.
    """
    if target_v == target_off_v:
        raise ConfigError(
            f"data.target_v, target_off_v: expected two different levels, got {target_v} twice"
        )
    table = np.full((classes, classes), target_off_v, dtype=np.float64)
    np.fill_diagonal(table, target_v)
    table.setflags(write=False)
    return table
