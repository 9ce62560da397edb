"""Blocks and number formats of responses (IEEE 488.2-1992, section 8.7.9 and 8.7.10)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal


def definite_block(data: bytes) -> bytes:
    """Return `data` with the header "#", the number of digits, and the number of bytes."""
    length = str(len(data)).encode()
    return b"#" + str(len(length)).encode() + length + data


def indefinite_block(data: bytes) -> bytes:
    """Return `data` with the header "#0"; the end of the message ends it."""
    return b"#0" + data


def packed(values: Sequence[float], bits: Literal[32, 64], swapped: bool) -> bytes:
    """Return IEEE 754 numbers, most significant byte first unless `swapped`."""
    return struct.pack(
        f"{'<' if swapped else '>'}{len(values)}{'f' if bits == 32 else 'd'}", *values
    )
