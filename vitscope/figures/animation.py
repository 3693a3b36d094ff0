"""An animation: rollout over its picture, layer by layer, as a GIF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vitscope.errors import InputError
from vitscope.figures.framing import framed
from vitscope.figures.lettering import shorten, text_width, worded
from vitscope.figures.montage import Sheet
from vitscope.figures.overlay import Scale, overlay, pixels, reduced, whole_pixels
from vitscope.figures.style import GREY, LIGHT, drawing, paper_style
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.records.heatmap import Heatmap

__all__ = ["draw_depths", "save_animation"]

_WIDTH = 3.2  # inches
_DPI = 150
_FINE = 480  # pixels of a picture's longer side in a frame
_WHITE = 255  # white's place in the palette
_STEP, _LAST = 500, 1800  # milliseconds of a frame, and of the last one, before it begins again


def draw_depths(
    depths: Sequence[Heatmap],
    picture: NDArray[np.uint8],
    *,
    image: int = 0,
    box: Box | None = None,
    prediction: tuple[str, float] | None = None,
) -> list[NDArray[np.uint8]]:
    """Draw a frame a depth: the map over the picture, and how many layers it has passed; one scale for all.

    Args:
        depths: Rollout through more and more layers; `options` names the `layers` that each has passed.
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        image: Which of the records' images it is.
        box: What the model saw of the picture; None for all of it.
        prediction: The predicted class's name and its confidence, 0 to 1.

    Returns:
        The frames, uint8 `[row, column, 3]`, all of one size.

    Raises:
        InputError: There is no depth, no such image, the picture is not an array of pixels, or the box is
            outside it.
    """
    if not depths or not 0 <= image < len(depths[0]):
        raise InputError(f"expected maps of at least one depth with an image {image}, got none")
    picture = pixels(picture)
    picture, box = _sized(*framed(picture, whole_pixels(picture, box))[:2])
    scale = Scale.of(*(depth.values[image] for depth in depths))
    overs = [overlay(picture, depth.values[image], box=box, scale=scale) for depth in depths]
    with paper_style(), drawing():  # for a screen: alike whatever the venue of the figures
        return [
            _frame(over, number, len(depths), scale, prediction) for number, over in enumerate(overs, start=1)
        ]


def _sized(picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box]:
    """Return the picture and its box at about the resolution of a frame, small pixels as squares."""
    times = _FINE // max(picture.shape[:2])
    if times < 2:
        return reduced(picture, box, _FINE)
    left, top, right, bottom = (times * edge for edge in box)
    return picture.repeat(times, axis=0).repeat(times, axis=1), (left, top, right, bottom)


def _frame(
    over: NDArray[np.uint8], number: int, count: int, scale: Scale, prediction: tuple[str, float] | None
) -> NDArray[np.uint8]:
    down = (_WIDTH - 0.1) * float(np.clip(over.shape[0] / over.shape[1], 0.4, 1.5))
    sheet = Sheet(down + 0.88, width=_WIDTH)
    middle = _WIDTH / 2
    sheet.text(middle, 0.14, f"Attention rollout, {number} of {count} layers", size=10, ha="center")
    if prediction is not None:
        tail = f" ({100 * prediction[1]:.1f} %)"
        room = 72 * (_WIDTH - 0.1) - text_width(f"predicted: {tail}", 8)
        line = f"predicted: {shorten(worded(prediction[0], 'class'), room, size=8)}{tail}"
        sheet.text(middle, 0.34, line, size=8, color=GREY, ha="center")
    sheet.picture(over, (0.05, 0.46, _WIDTH - 0.1, down), colour=LIGHT)
    _progress(sheet, number / count, down + 0.54)
    ends = " … ".join(scale.labels)
    sheet.text(middle, down + 0.72, f"one scale for all layers: {ends}", size=7, color=GREY, ha="center")
    return _rendered(sheet.figure)


def _progress(sheet: Sheet, share: float, y: float) -> None:
    for end, colour in ((1.0, LIGHT), (share, GREY)):
        sheet.ax.plot([0.05, 0.05 + end * (_WIDTH - 0.1)], [y, y], color=colour, linewidth=2)


def _rendered(figure: Figure) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    figure.savefig(stream, format="rgba", dpi=_DPI)
    width, height = (round(inches * _DPI) for inches in figure.get_size_inches())
    return np.frombuffer(stream.getvalue(), np.uint8).reshape(height, width, 4)[..., :3].copy()


def save_animation(frames: Sequence[NDArray[np.uint8]], path: Path) -> Path:
    """Write frames as a GIF that begins anew after its last frame, which stays longer than the others.

    All frames have one palette of 256 colours, so that what does not move does not flicker.

    Args:
        frames: uint8 `[row, column, 3]`, all of one size.
        path: The file, whole or not at all.

    Raises:
        InputError: There is no frame.
        EnvironmentFault: It cannot be written there.
    """
    if not frames:
        raise InputError("expected at least one frame, got none")
    together = Image.fromarray(np.concatenate(list(frames)))
    palette = together.quantize(_WHITE, method=Image.Quantize.MEDIANCUT)
    colours = (palette.getpalette("RGB") or [])[: 3 * _WHITE]
    palette.putpalette([*colours, *[255] * (768 - len(colours))])
    shown = [_in_colours(frame, palette) for frame in frames]
    with write_atomically(path) as temporary:
        shown[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=shown[1:],
            duration=[_STEP] * (len(shown) - 1) + [_LAST],
            loop=0,
            optimize=False,
            disposal=1,
        )
    return path


def _in_colours(frame: NDArray[np.uint8], palette: Image.Image) -> Image.Image:
    """Return a frame in the palette's colours, white as white: the nearest colour is often a light grey."""
    indexed = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    white = Image.fromarray((frame == 255).all(axis=2))
    indexed.paste(_WHITE, mask=white)
    return indexed
