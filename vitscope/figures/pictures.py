"""Pictures: the few images that a figure shows, taken out of the data so that it can be drawn again."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vitscope.errors import ImageError
from vitscope.figures.montage import picture_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from vitscope.analysis.outcomes import Outcomes
    from vitscope.figures.montage import Images

__all__ = ["Pictures", "blanked", "pictures"]

_SIDE = 1024  # pixels: as fine as print in a picture of three inches
_LONG = 3.0  # times its shorter side: a long picture is cut, not reduced, and its size is written beside


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images by their index in the predictions, to be called with it.

    Attributes:
        held: The images; None where a file cannot be read.
    """

    held: Mapping[int, NDArray[np.uint8] | None]

    def __call__(self, index: int) -> NDArray[np.uint8]:
        """Return an image.

        Raises:
            ImageError: Its file could not be read.
        """
        found = self.held[index]
        if found is None:
            raise ImageError(f"image {index} could not be read")
        return found


def pictures(images: Images, indices: Iterable[int]) -> Pictures:
    """Take some images out of the data; those larger than any print are reduced."""
    return Pictures({index: _reduced(picture_at(images, index)) for index in dict.fromkeys(indices)})


def _reduced(pixels: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    if pixels is None:
        return None
    short, long = sorted(pixels.shape[:2])
    if long <= _SIDE or long > _LONG * short:
        return np.ascontiguousarray(pixels)
    size = [max(1, round(side * _SIDE / long)) for side in (pixels.shape[1], pixels.shape[0])]
    return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BOX))


def blanked(rows: Outcomes, shown: Iterable[int] = ()) -> Outcomes:
    """Return outcomes that say only what figures of images ask for, so that a file of them is small.

    Labels, predictions and what is finite are whole; confidences are those of the images shown, and all else
    is 0.
    """
    changes: dict[str, Any] = {}
    kept = ("labels", "predicted", "finite")
    for item in fields(rows):
        value = getattr(rows, item.name)
        if isinstance(value, np.ndarray) and item.name not in kept:
            changes[item.name] = np.zeros_like(value)
    place = np.fromiter(shown, dtype=np.int64)
    changes["confidence"][place] = rows.confidence[place]
    bins = rows.class_bins
    changes["class_bins"] = type(bins).empty(0, bins.bins)
    return replace(rows, **changes)
