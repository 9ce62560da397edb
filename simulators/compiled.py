"""How kernels are compiled: cached, without the interpreter's lock, sums free to be reordered.

Reassociation lets the compiler keep sums in vector registers. Nothing assumes that values are
finite, and every clip in a kernel is written so that a NaN stays a NaN. The cache knows only of
changes in a kernel's own file, so kernels that call each other stand in one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def compiled(kernel: _Kernel) -> _Kernel:
    """Return `kernel` compiled at its first call, and read from the cache after that."""
    return cast(
        "_Kernel", njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})(kernel)
    )
