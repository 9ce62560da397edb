"""Data that need no download: scikit-learn's digits, iris and wine, and the exclusive or."""

from __future__ import annotations

import numpy as np

from hilep.data.source import Source


def digits() -> Source:
    """Return 1797 handwritten digits, 8 x 8 pixels from 0 to 16.

    Source: test part of the UCI data "Optical Recognition of Handwritten Digits".
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Source(
        x=bunch.images.astype(np.uint8),
        y=bunch.target.astype(np.int64),
        classes=tuple(str(name) for name in bunch.target_names),
        full_scale=16.0,
    )


def iris() -> Source:
    """Return 150 iris flowers, four lengths in centimetres, three species.

    Source: R. A. Fisher, Annals of Eugenics 7 (1936).
    """
    from sklearn.datasets import load_iris

    bunch = load_iris()
    return Source(
        x=bunch.data,
        y=bunch.target.astype(np.int64),
        classes=tuple(str(name) for name in bunch.target_names),
    )


def wine() -> Source:
    """Return 178 wines, 13 chemical measures, three cultivars. Source: the UCI data "Wine"."""
    from sklearn.datasets import load_wine

    bunch = load_wine()
    return Source(
        x=bunch.data,
        y=bunch.target.astype(np.int64),
        classes=tuple(str(name) for name in bunch.target_names),
    )


def xor() -> Source:
    """Return the four cases of the exclusive or; every split holds all four."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.uint8)
    y = np.array([0, 1, 1, 0], dtype=np.int64)
    return Source(x, y, classes=("0", "1"), full_scale=1.0, divisible=False)
