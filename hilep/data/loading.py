"""From the `[data]` section to a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from hilep.config import DataSection
from hilep.data import arrays, embedded, vision
from hilep.data.dataset import Dataset, Split
from hilep.data.source import Labels, Rows, Samples, Source
from hilep.data.splits import hold_out
from hilep.data.volts import block_mean, target_table, unit_range, volts_per_unit
from hilep.errors import DataError
from hilep.streams import stream

EMBEDDED: dict[str, Callable[[], Source]] = {
    "digits": embedded.digits,
    "iris": embedded.iris,
    "wine": embedded.wine,
    "xor": embedded.xor,
}
FILE = "file"
NAMES = (*EMBEDDED, *vision.CLASS_NAMES, FILE)
"""What `data.name` may be."""


def load(section: DataSection) -> Dataset:
    """Return the data set that the section describes; the same section gives the same one.

    Raises:
        DataError: the data are unknown, missing, damaged, or cannot be divided or down-sampled.
        MissingExtraError: the data need torchvision.
        ConfigError: volts or targets that make no sense.
    """
    source = _down_sampled(_found(section), section)
    parts = _divided(source, section)
    image = (source.x.shape[1], source.x.shape[2]) if source.x.ndim == 3 else None
    full_scale = source.full_scale
    samples: tuple[Samples, ...] = tuple(x for x, _ in parts)
    if full_scale is None:
        samples = unit_range(samples[0], samples[1:], together=image is not None)
        full_scale = 1.0
    scale = volts_per_unit(section.gamma_v, full_scale)
    table = target_table(len(source.classes), section.target_v, section.target_off_v)
    train, validation, test = (
        Split(_compact(x), y, scale, section.doubled, table)
        for x, (_, y) in zip(samples, parts, strict=True)
    )
    return Dataset(section.name, source.classes, train, validation, test, image)


def _found(section: DataSection) -> Source:
    """Return the data as they are."""
    if section.name not in NAMES:
        raise DataError(f"data.name: expected one of {', '.join(NAMES)}; got {section.name!r}")
    if section.name == FILE:
        if not section.file:
            raise DataError("data.file: expected the path of an .npz file with data.name = 'file'")
        return arrays.from_file(Path(section.file).expanduser())
    if section.file is not None:
        raise DataError(f"data.file: only data.name = 'file' reads one, got {section.name!r}")
    if section.name in EMBEDDED:
        return EMBEDDED[section.name]()
    return vision.images(section.name, section.cache)


def _down_sampled(source: Source, section: DataSection) -> Source:
    """Return the data with blocks of pixels replaced by their mean."""
    k = section.downsample
    if k == 1:
        return source
    if source.x.ndim != 3:
        raise DataError(f"data.downsample: {section.name!r} has no images, expected 1, got {k}")
    height, width = source.x.shape[1:]
    if height % k or width % k:
        raise DataError(
            f"data.downsample: expected a divisor of {section.name!r}'s {height} x {width} "
            f"pixels, got {k}"
        )
    test = source.test
    scale = source.full_scale or 1.0
    return replace(
        source,
        x=block_mean(source.x, k, scale),
        test=None if test is None else (block_mean(test[0], k, scale), test[1]),
        full_scale=None if source.full_scale is None else 1.0,
    )


def _divided(source: Source, section: DataSection) -> tuple[tuple[Samples, Labels], ...]:
    """Return samples and labels of the training, validation and test split."""
    x, y = source.x, source.y
    if not source.divisible:
        return (x, y), (x, y), (x, y)
    generator = stream(section.seed, "split")
    # The test set is drawn first, so that it does not depend on the validation fraction.
    test = source.test
    if test is None:
        kept, held = hold_out(y, section.test_fraction, generator, "data.test_fraction")
        test = x[held], y[held]
        x, y = x[kept], y[kept]
    kept, held = hold_out(y, section.validation_fraction, generator, "data.validation_fraction")
    return (x[kept], y[kept]), (x[held], y[held]), test


def _compact(x: Samples) -> Rows:
    """Return samples as read-only rows (n, features), uint8 or float32."""
    rows = x.reshape(len(x), int(np.prod(x.shape[1:])))
    dtype = np.uint8 if rows.dtype == np.uint8 else np.float32
    compact = cast("Rows", np.ascontiguousarray(rows, dtype=dtype)).view()
    compact.setflags(write=False)
    return compact
