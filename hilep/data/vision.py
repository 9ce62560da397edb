"""MNIST, KMNIST and FashionMNIST through torchvision, kept in a cache folder."""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from gzip import BadGzipFile
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np

from hilep.data.source import Labels, Samples, Source
from hilep.errors import DataError, MissingExtraError

CLASS_NAMES = {"mnist": "MNIST", "kmnist": "KMNIST", "fashionmnist": "FashionMNIST"}
"""torchvision's class, which is also its folder's name, for each name in `[data]`."""

PIXELS = (28, 28)
CLASSES = 10


def cache_folder(cache: str | None) -> Path:
    """Return `cache`, else the environment's HILEP_DATA, else the user's cache folder."""
    chosen = cache or os.environ.get("HILEP_DATA")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("hilep"))


def images(name: str, cache: str | None) -> Source:
    """Return 28 x 28 images, downloaded into the cache folder unless they are there.

    Args:
        name: "mnist", "kmnist" or "fashionmnist".
        cache: see `cache_folder`.

    Raises:
        MissingExtraError: torchvision is not installed.
        DataError: the data cannot be downloaded, written or read.
    """
    class_name = CLASS_NAMES[name]
    reader = getattr(_datasets(name), class_name)
    root = cache_folder(cache)
    folder = root / class_name / "raw"
    where = f"data.name = {name!r}"
    try:
        # torchvision reports on standard output, which belongs to the caller's own results.
        with contextlib.redirect_stdout(sys.stderr):
            train = reader(root=str(root), train=True, download=True)
            test = reader(root=str(root), train=False, download=True)
        (x, y), (x_test, y_test) = _arrays(train), _arrays(test)
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        raise DataError(f"{where}: cannot download into {folder}: {_line(error)}") from error
    except (BadGzipFile, EOFError, zlib.error, AssertionError, LookupError) as error:
        raise DataError(_damaged(where, folder, error)) from error
    except (ValueError, TypeError) as error:
        raise DataError(_damaged(where, folder, error)) from error
    except OSError as error:
        reason = error.strerror or _line(error)
        raise DataError(f"data.cache: cannot use the folder {root}: {reason}") from error
    except RuntimeError as error:
        # torchvision collects the failures of all mirrors in a plain RuntimeError.
        if "download" in str(error):
            raise DataError(f"{where}: cannot download into {folder}: {_line(error)}") from error
        raise DataError(_damaged(where, folder, error)) from error
    return Source(x, y, tuple(reader.classes), full_scale=255.0, test=(x_test, y_test))


def _datasets(name: str) -> Any:
    """Return the module `torchvision.datasets`."""
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"data.name = {name!r}", "vision") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise DataError(
            f"data.name = {name!r}: torchvision is installed but does not import: {_line(error)}"
        ) from error
    return datasets


def _arrays(dataset: Any) -> tuple[Samples, Labels]:
    """Return images (n, 28, 28) and labels (n,), or raise ValueError for anything else."""
    x = np.asarray(dataset.data.numpy())
    y = np.asarray(dataset.targets.numpy()).astype(np.int64, copy=False)
    if x.dtype != np.uint8 or x.shape != (len(y), *PIXELS) or len(y) == 0:
        raise ValueError(f"{x.dtype} images of shape {x.shape} with {len(y)} labels")
    if y.min() < 0 or y.max() >= CLASSES:
        raise ValueError(f"labels from {y.min()} to {y.max()}")
    return x, y


def _damaged(where: str, folder: Path, error: BaseException) -> str:
    return f"{where}: a file in {folder} is damaged, delete that folder: {_line(error)}"


def _line(error: BaseException) -> str:
    """Return what the error says, on one line, and its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
