"""Noise: Gaussian, shot, impulse and speckle.

Grey pictures have one channel, so their noise is grey; a grey picture that is stored in colour gets coloured
noise, as the authors' does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.corruptions.levels import Constants, truncated

if TYPE_CHECKING:
    from vitscope.data.corruptions.levels import Pixels
    from vitscope.data.corruptions.streams import Streams

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"]

_GAUSSIAN = Constants((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38))
_SHOT = Constants((500, 250, 100, 75, 50), (60, 25, 12, 5, 3))
_IMPULSE = Constants((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27))
_SPECKLE = Constants((0.06, 0.1, 0.12, 0.16, 0.2), (0.15, 0.2, 0.35, 0.45, 0.6))


def gaussian_noise(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Add to each channel of each pixel a normal value: x + σ·ε, clipped; σ on the scale 0 … 1."""
    values = streams.normal(pixels.shape[1:])
    values *= 255 * _GAUSSIAN.of(pixels, severity)
    values += pixels
    return truncated(values)


def shot_noise(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Count photons: Poisson(c·x)/c with x in 0 … 1, clipped; smaller c is less light."""
    photons = _SHOT.of(pixels, severity)
    means = np.arange(256) * (photons / 255)
    values = streams.poisson(means[pixels])
    values *= 255 / photons
    return truncated(values)


def impulse_noise(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Set a share of the values, each channel for itself, to 0 or 255 with equal chances."""
    share = _IMPULSE.of(pixels, severity)
    draws = streams.uniform(pixels.shape[1:])
    result = pixels.copy()
    result[draws < share / 2] = 0
    result[draws >= 1 - share / 2] = 255
    return result


def speckle_noise(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Add normal noise in proportion to the value: x + σ·x·ε, clipped."""
    values = streams.normal(pixels.shape[1:])
    values *= _SPECKLE.of(pixels, severity)
    values += 1
    values *= pixels
    return truncated(values)
