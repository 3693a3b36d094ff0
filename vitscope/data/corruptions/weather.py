"""Weather: snow, frost, fog and brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.corruptions.filters import directional_blur, separable, zoom_matrix
from vitscope.data.corruptions.frostplates import PLATES, crop_plate
from vitscope.data.corruptions.levels import Constants, is_small, luma, truncated

if TYPE_CHECKING:
    from vitscope.data.corruptions.levels import Pixels, Values
    from vitscope.data.corruptions.streams import Streams

__all__ = ["brightness", "fog", "frost", "snow"]

# Mean and deviation of the flakes, size, threshold, radius and sigma of motion, the picture's share.
_SNOW = Constants(
    (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
)
# The shares of the picture and of the frost.
_FROST = Constants(
    ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
)
# The thickness of the fog, and by how much each finer octave of it is weaker.
_FOG = Constants(
    ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
)
_BRIGHTNESS = Constants((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5))
_FROST_STEP = 5  # pixels of a plate to one of a small picture


def brightness(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Raise the value of HSV by a constant, up to white; hue and saturation stay.

    V' = min(V + c, 1) with V = max(R, G, B), so every channel is multiplied by V'/V and black becomes grey.
    """
    values = pixels.astype(np.float32)
    peak = values.max(axis=1, keepdims=True)
    raised = np.minimum(peak + np.float32(255 * _BRIGHTNESS.of(pixels, severity)), 255)
    dark = peak == 0
    return truncated(np.where(dark, raised, values * (raised / np.where(dark, 1, peak))))


def fog(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Add clouds and scale back: (x + c·f)·m/(m + c), m the picture's maximum, f a plasma in 0 … 1."""
    thickness, decay = _FOG.of(pixels, severity)
    height, width = pixels.shape[2:]
    side = max(2, 1 << (max(height, width) - 1).bit_length())
    clouds = _plasma(side, decay, streams)[:, None, :height, :width]
    values = pixels.astype(np.float32)
    peak = values.max(axis=(1, 2, 3), keepdims=True)
    values = values + np.float32(255 * thickness) * clouds
    values *= peak / (peak + np.float32(255 * thickness))
    return truncated(values)


def _plasma(side: int, decay: float, streams: Streams) -> Values:
    """Return clouds by the diamond-square algorithm on a torus: `[image, side, side]`, each from 0 to 1.

    From a single 0, squares and then diamonds are filled with the mean of their four corners and noise that
    is `decay²` times weaker each time the grid gets twice as fine. `side` is a power of two.
    """
    draws = streams.uniform((side * side - 1,)) * 2 - 1
    field = np.zeros((len(streams), side, side), dtype=np.float32)
    step, amplitude, used = side, 1.0, 0

    def noisy(corners: Values) -> Values:
        nonlocal used
        noise = draws[:, used : used + corners[0].size].reshape(corners.shape)
        used += corners[0].size
        return corners / 4 + np.float32(amplitude) * noise

    while step >= 2:
        half = step // 2
        corner = field[:, ::step, ::step]
        pair = corner + np.roll(corner, -1, axis=1)
        field[:, half::step, half::step] = noisy(pair + np.roll(pair, -1, axis=2))
        centre = field[:, half::step, half::step]
        upright = centre + np.roll(centre, 1, axis=1) + corner + np.roll(corner, -1, axis=2)
        field[:, ::step, half::step] = noisy(upright)
        level = centre + np.roll(centre, 1, axis=2) + corner + np.roll(corner, -1, axis=1)
        field[:, half::step, ::step] = noisy(level)
        step, amplitude = half, amplitude / decay**2
    field -= field.min(axis=(1, 2), keepdims=True)
    field /= field.max(axis=(1, 2), keepdims=True)
    return field


def snow(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Let blurred flakes fall on a picture that is whitened beforehand.

    Flakes are normal noise, enlarged, cut off below a threshold and smeared at a random angle within 45° of
    the vertical; they are added as they are and turned by 180°. The picture becomes
    c·x + (1 − c)·max(x, 1.5·luma + 0.5).

    *Differs*: both axes of the flakes are enlarged each by its own length; the authors' pictures are square.
    """
    mean, deviation, size, threshold, radius, sigma, share = _SNOW.of(pixels, severity)
    height, width = pixels.shape[2:]
    flakes = streams.normal((1, height, width)) * np.float32(deviation) + np.float32(mean)
    flakes = separable(flakes, zoom_matrix(height, size), zoom_matrix(width, size))
    flakes[flakes < threshold] = 0
    angles = streams.uniform((1,))[:, 0] * 90 - 135
    flakes = truncated(flakes * 255).astype(np.float32)
    flakes = truncated(directional_blur(flakes, angles, radius=int(radius), sigma=sigma)).astype(np.float32)
    values = pixels.astype(np.float32)
    whitened = np.maximum(values, luma(values) * 1.5 + 127.5)
    values = share * values + (1 - share) * whitened
    values += flakes
    values += flakes[:, :, ::-1, ::-1]
    return truncated(values)


def frost(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Add a random piece of a frosted pane: a·x + b·frost, clipped.

    *Differs*: the authors paste photographs of frost, which we do not ship; here the panes are synthetic
    (`frostplates`), five as there, with the mean colours and contrasts of those photographs. This
    kind is an imitation, where the others are implementations.
    """
    keep, add = _FROST.of(pixels, severity)
    step = _FROST_STEP if is_small(pixels) else 1
    height, width = pixels.shape[2:]
    choice = streams.integers(0, PLATES, (1,))[:, 0]
    corner = streams.uniform((2,))
    pieces = np.stack(
        [
            crop_plate(int(plate), (float(top), float(left)), size=(height, width), step=step)
            for plate, (top, left) in zip(choice, corner, strict=True)
        ]
    )
    if pixels.shape[1] == 1:
        pieces = luma(pieces)
    return truncated(keep * pixels.astype(np.float32) + add * pieces)
