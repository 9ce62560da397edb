"""The fused pass over an array of conductances: update, clip, sum, and drive the next inputs.

Conductances are held with the post node first, (n_post, n_pre), so that the inner loop runs along
memory. A pass adds an update to one row, clips it, and while the row is still in a cache sums it
and multiplies it with the next inputs: one read and one write of the conductances per update. Sums
over nodes leave as float64; products inside a row are in the precision of the conductances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.simulators.compiled import compiled

ROWS = 8
"""Rows updated together: they stay in the second cache until they are summed."""
TILE = 784
"""Pre nodes of these rows updated together: all factors' parts stay in the first cache."""


@compiled
def update_row_mirrored(
    row: Floats,
    left: Floats,
    a0: np.floating[Any],
    a1: np.floating[Any],
    a2: np.floating[Any],
    a3: np.floating[Any],
    shift: np.floating[Any],
    low: np.floating[Any],
    high: np.floating[Any],
) -> None:
    """Add a rank-four update to one row whose second half sees the inputs with opposite sign."""
    half = row.size // 2
    plus = row[:half]
    minus = row[half:]
    x0 = left[0, :half]
    x1 = left[1, :half]
    x2 = left[2, :half]
    x3 = left[3, :half]
    for i in range(half):
        change = x0[i] * a0 + x1[i] * a1 + x2[i] * a2 + x3[i] * a3
        up = plus[i] + (shift + change)
        down = minus[i] + (shift - change)
        up = low if up < low else up
        down = low if down < low else down
        plus[i] = high if up > high else up
        minus[i] = high if down > high else down


@compiled
def add_four(
    row: Floats,
    left: Floats,
    r: int,
    at: int,
    a0: np.floating[Any],
    a1: np.floating[Any],
    a2: np.floating[Any],
    a3: np.floating[Any],
    shift: np.floating[Any],
    low: np.floating[Any],
    high: np.floating[Any],
) -> None:
    """Add a number and four terms of a low-rank update to part of a row and clip it."""
    x0 = left[r, at : at + row.size]
    x1 = left[r + 1, at : at + row.size]
    x2 = left[r + 2, at : at + row.size]
    x3 = left[r + 3, at : at + row.size]
    for i in range(row.size):
        g = row[i] + (shift + x0[i] * a0 + x1[i] * a1 + x2[i] * a2 + x3[i] * a3)
        g = low if g < low else g
        row[i] = high if g > high else g


@compiled
def add_one(
    row: Floats,
    x: Floats,
    a: np.floating[Any],
    shift: np.floating[Any],
    low: np.floating[Any],
    high: np.floating[Any],
) -> None:
    """Add a number and one term of a low-rank update to part of a row and clip it."""
    for i in range(row.size):
        g = row[i] + (shift + x[i] * a)
        g = low if g < low else g
        row[i] = high if g > high else g


@compiled
def clip_row(row: Floats, low: np.floating[Any], high: np.floating[Any]) -> None:
    """Clip one row to the conductance window; a NaN stays."""
    for i in range(row.size):
        g = row[i]
        g = low if g < low else g
        row[i] = high if g > high else g


@compiled
def drive_mirrored(row: Floats, inputs: Floats, b: int) -> tuple[np.floating[Any], ...]:
    """Return the row's sum and its products with four images whose halves have opposite signs."""
    half = row.size // 2
    plus = row[:half]
    minus = row[half:]
    x0 = inputs[b, :half]
    x1 = inputs[b + 1, :half]
    x2 = inputs[b + 2, :half]
    x3 = inputs[b + 3, :half]
    zero = row.dtype.type(0)
    total = zero
    s0 = zero
    s1 = zero
    s2 = zero
    s3 = zero
    for i in range(half):
        up = plus[i]
        down = minus[i]
        total += up + down
        net = up - down
        s0 += x0[i] * net
        s1 += x1[i] * net
        s2 += x2[i] * net
        s3 += x3[i] * net
    return total, s0, s1, s2, s3


@compiled
def drive_four(row: Floats, inputs: Floats, b: int) -> tuple[np.floating[Any], ...]:
    """Return the products of one row with four images."""
    x0 = inputs[b]
    x1 = inputs[b + 1]
    x2 = inputs[b + 2]
    x3 = inputs[b + 3]
    zero = row.dtype.type(0)
    s0 = zero
    s1 = zero
    s2 = zero
    s3 = zero
    for i in range(row.size):
        g = row[i]
        s0 += x0[i] * g
        s1 += x1[i] * g
        s2 += x2[i] * g
        s3 += x3[i] * g
    return s0, s1, s2, s3


@compiled
def drive_one(row: Floats, x: Floats) -> np.floating[Any]:
    """Return the product of one row with one image."""
    total = row.dtype.type(0)
    for i in range(row.size):
        total += x[i] * row[i]
    return total


@compiled
def row_sum(row: Floats) -> np.floating[Any]:
    """Return the sum of one row."""
    total = row.dtype.type(0)
    for i in range(row.size):
        total += row[i]
    return total


@compiled
def update_rows(
    g: Floats,
    first: int,
    end: int,
    left: Floats,
    right: Floats,
    shift: Floats,
    mirrored: bool,
    low: np.floating[Any],
    high: np.floating[Any],
) -> None:
    """Add a low-rank update to rows `first` to `end` and clip them to the window."""
    nodes = g.shape[1]
    rank = left.shape[0]
    row_type = g.dtype.type
    if mirrored:
        for j in range(first, end):
            update_row_mirrored(
                g[j], left, right[0, j], right[1, j], right[2, j], right[3, j], shift[j], low, high
            )
    elif rank > 0:
        # The window is closed for the last terms only: a sum may leave it on its way.
        # The last terms are written out, because a window chosen inside the loop is slower.
        open_low = row_type(-np.inf)
        open_high = row_type(np.inf)
        quads = (rank - 1) // 4
        for at in range(0, nodes, TILE):
            stop = min(at + TILE, nodes)
            for j in range(first, end):
                row = g[j, at:stop]
                add = shift[j]
                for quad in range(quads):
                    r = 4 * quad
                    add_four(
                        row,
                        left,
                        r,
                        at,
                        right[r, j],
                        right[r + 1, j],
                        right[r + 2, j],
                        right[r + 3, j],
                        add,
                        open_low,
                        open_high,
                    )
                    add = row_type(0)
                r = 4 * quads
                if r + 4 == rank:
                    add_four(
                        row,
                        left,
                        r,
                        at,
                        right[r, j],
                        right[r + 1, j],
                        right[r + 2, j],
                        right[r + 3, j],
                        add,
                        low,
                        high,
                    )
                else:
                    for one in range(r, rank - 1):
                        add_one(row, left[one, at:stop], right[one, j], add, open_low, open_high)
                        add = row_type(0)
                    one = rank - 1
                    add_one(row, left[one, at:stop], right[one, j], add, low, high)
    elif low > -np.inf or high < np.inf:
        for j in range(first, end):
            clip_row(g[j], low, high)


@compiled
def input_pass(
    g: Floats,
    left: Floats,
    right: Floats,
    shift: Floats,
    mirrored: bool,
    low: np.floating[Any],
    high: np.floating[Any],
    inputs: Floats,
    mirrored_inputs: bool,
    drive: Doubles,
    total: Doubles,
) -> None:
    """Update the first layer in place and form the next inputs' currents in the same pass.

    Args:
        g: siemens (n_post, n_pre), changed in place.
        left: factors (rank, n_pre); with rank 0 nothing is added.
        right: factors (rank, n_post).
        shift: a number to add to each row (n_post,).
        mirrored: the rank is 4 and the second half of `left` is the negative of the first.
        low: siemens, the lower end of the window to clip to after the update.
        high: its upper end.
        inputs: volts of the next batch (batch, n_pre).
        mirrored_inputs: the second half of `inputs` is the negative of the first.
        drive: out, amperes (batch, n_post).
        total: out, siemens (n_post,).
    """
    batch = inputs.shape[0]
    for j in range(g.shape[0]):
        if j % ROWS == 0:
            update_rows(g, j, min(j + ROWS, g.shape[0]), left, right, shift, mirrored, low, high)
        row = g[j]
        b = 0
        if mirrored_inputs and batch >= 4:
            while b + 4 <= batch:
                t, s0, s1, s2, s3 = drive_mirrored(row, inputs, b)
                drive[b, j] = s0
                drive[b + 1, j] = s1
                drive[b + 2, j] = s2
                drive[b + 3, j] = s3
                total[j] = t
                b += 4
        else:
            total[j] = row_sum(row)
            while b + 4 <= batch:
                s0, s1, s2, s3 = drive_four(row, inputs, b)
                drive[b, j] = s0
                drive[b + 1, j] = s1
                drive[b + 2, j] = s2
                drive[b + 3, j] = s3
                b += 4
        while b < batch:
            drive[b, j] = drive_one(row, inputs[b])
            b += 1


@compiled
def junction_pass(
    g: Floats,
    left: Floats,
    right: Floats,
    shift: Floats,
    low: np.floating[Any],
    high: np.floating[Any],
    total_pre: Doubles,
    total_post: Doubles,
) -> None:
    """Update a layer between free nodes in place and sum it over both of its sides.

    Args:
        g: siemens (n_post, n_pre), changed in place.
        left: factors (rank, n_pre).
        right: factors (rank, n_post).
        shift: a number to add to each row (n_post,).
        low: siemens, the lower end of the window.
        high: its upper end.
        total_pre: out, siemens (n_pre,).
        total_post: out, siemens (n_post,).
    """
    total_pre[:] = 0.0
    for j in range(g.shape[0]):
        if j % ROWS == 0:
            update_rows(g, j, min(j + ROWS, g.shape[0]), left, right, shift, False, low, high)
        row = g[j]
        total_post[j] = row_sum(row)
        for i in range(row.size):
            total_pre[i] += row[i]
