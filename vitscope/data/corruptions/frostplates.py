"""Synthetic panes of frost: ferns of ice under thin clouds, drawn once and cut into pieces."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.data.corruptions.levels import Values

__all__ = ["PLATES", "crop_plate", "frost_plate"]

_SIDE = 640
_DEPTH = 4.0  # how soon overlapping ice looks no whiter
_SLOPE = 1.4  # of the clouds' spectrum


class _Pane(NamedTuple):
    """One pane: its colour and contrast in grey levels, and what grows on it.

    Attributes:
        colour: The mean of red, green and blue.
        contrast: The standard deviation.
        ferns: How many.
        length: Of a fern's stem, in pixels.
        clouds: The share of the variance that is clouds, not ferns.
    """

    colour: tuple[float, float, float]
    contrast: float
    ferns: int
    length: float
    clouds: float


# Colours and contrasts were measured on the five photographs of the authors' code, of which two are the same.
_PANES = (
    _Pane((78, 149, 166), 17, 3000, 40, 0.60),
    _Pane((201, 205, 214), 21, 4000, 45, 0.35),
    _Pane((201, 205, 214), 21, 9000, 28, 0.35),
    _Pane((138, 153, 165), 28, 16000, 12, 0.35),
    _Pane((112, 123, 135), 43, 4500, 26, 0.45),
)
PLATES = len(_PANES)
"""How many panes there are."""


def crop_plate(
    plate: int, corner: tuple[float, float], *, size: tuple[int, int], step: int
) -> NDArray[np.float32]:
    """Cut a piece out of a pane; panes go on without a seam, so every piece has its full size.

    Args:
        plate: Which pane, in 0 … `PLATES` − 1.
        corner: Where the upper left corner is, as shares of the pane's sides, in [0, 1).
        size: Rows and columns of the piece.
        step: Every how many pixels of the pane one is taken.

    Returns:
        Grey levels, `[channel, row, column]`.
    """
    rows, columns = (
        (int(share * _SIDE) + step * np.arange(length)) % _SIDE
        for share, length in zip(corner, size, strict=True)
    )
    return frost_plate(plate)[:, rows[:, None], columns]


@cache
def frost_plate(plate: int) -> Values:
    """Return one pane: grey levels `[channel, row, column]`, the same in every process."""
    pane = _PANES[plate]
    random = np.random.Generator(np.random.PCG64(plate))
    ice = _standard(np.log1p(_DEPTH * _ferns(random, pane)))
    field = np.sqrt(1 - pane.clouds) * ice + np.sqrt(pane.clouds) * _standard(_clouds(random))
    colour = np.array(pane.colour)[:, None, None]
    return np.asarray((colour + pane.contrast * _standard(field)).clip(0, 255), dtype=np.float32)


def _standard(field: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((field - field.mean()) / field.std())


def _clouds(random: np.random.Generator) -> NDArray[np.float64]:
    """Return noise whose amplitude falls as 1/f^1.4, without a seam."""
    spectrum = np.fft.rfft2(random.standard_normal((_SIDE, _SIDE)))
    down, across = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf
    return np.asarray(np.fft.irfft2(spectrum / frequency**_SLOPE, s=(_SIDE, _SIDE)))


def _ferns(random: np.random.Generator, pane: _Pane) -> NDArray[np.float64]:
    """Draw ferns: stems at random places and angles, each with branches at 60° that shorten to the tip."""
    count = pane.ferns
    stem = pane.length * random.uniform(0.4, 1.6, count)
    angle = random.uniform(0, 2 * np.pi, count)
    start = random.uniform(0, _SIDE, (count, 2))
    light = random.uniform(0.05, 1, count) ** 2
    lines = [(start, angle, stem, light)]
    for share in np.arange(0.1, 0.95, 0.1):
        node = start + (share * stem)[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        for side in (-1, 1):
            turned = angle + side * np.pi / 3 + random.normal(0, 0.05, count)
            lines.append((node, turned, 0.35 * stem * (1 - share), 0.6 * light))
    field = np.zeros(_SIDE * _SIDE)
    for places, angles, lengths, lights in lines:
        field += _line_light(places, angles, lengths=lengths, lights=lights)
    return np.asarray(ndimage.gaussian_filter(field.reshape(_SIDE, _SIDE), 0.5, mode="wrap"))


def _line_light(
    places: NDArray[np.float64],
    angles: NDArray[np.float64],
    *,
    lengths: NDArray[np.float64],
    lights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how much light lines leave on the pane, point by point, half a pixel apart: `[pixel]`."""
    steps = np.arange(0, lengths.max(), 0.5)
    drawn = steps < lengths[:, None]
    rows = (places[:, :1] + np.sin(angles)[:, None] * steps).astype(int) % _SIDE
    columns = (places[:, 1:] + np.cos(angles)[:, None] * steps).astype(int) % _SIDE
    # Lines thin out towards their tips.
    light = lights[:, None] * (1 - steps / lengths[:, None]) * drawn
    place = (rows * _SIDE + columns).ravel()
    return np.asarray(np.bincount(place, weights=light.ravel(), minlength=_SIDE * _SIDE), dtype=np.float64)
