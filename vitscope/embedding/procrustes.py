"""Procrustes: one embedding turned, mirrored, scaled and moved onto another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import orthogonal_procrustes

from vitscope.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["align_points"]


def align_points(
    points: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return points moved onto others of the same images, and the share of the others' variance left over.

    The orthogonal matrix R and scale s that minimise Σ‖s·x_i·R − y_i‖² of centred points; the residual is
    that minimum over Σ‖y_i‖², 0 to 1.

    *Source*: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".

    Args:
        points: `[image, axis]`.
        target: Of the same shape.

    Raises:
        InputError: The shapes differ, or one of both has all its points in one place.
    """
    if points.shape != target.shape:
        raise InputError(f"expected points {list(target.shape)}, got {list(points.shape)}")
    middle = target.mean(axis=0)
    moved, still = points - points.mean(axis=0), target - middle
    if not moved.any() or not still.any():
        raise InputError("expected points in more than one place")
    turn, gain = orthogonal_procrustes(moved, still)
    scale = gain / float((moved**2).sum())
    residual = float(1 - gain**2 / (float((moved**2).sum()) * float((still**2).sum())))
    return np.asarray(scale * moved @ turn + middle), max(residual, 0.0)
