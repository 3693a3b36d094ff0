"""Planted patches: made images in which one patch, whose place is known, decides the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.imageset import ImageSet
from vitscope.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PlantedImages", "planted_images"]

_BRIGHT, _DARK, _TINT = 230, 25, 12
_NOISE = (88, 168)  # brightness of the background: half as far from the middle as the patches


_CLASSES = ("nothing", "horizontal stripes", "vertical stripes", "diagonal stripes", "checks")
_DISTRACTORS = 4


def _textures(side: int) -> list[NDArray[np.bool_]]:
    """Return where each class's texture is bright, from the second class on; all have a period of 4."""
    row, column = np.indices((side, side))
    return [row % 4 < 2, column % 4 < 2, (row + column) % 4 < 2, (row // 2 + column // 2) % 2 == 0]


def _distractors(side: int) -> list[NDArray[np.bool_]]:
    """Return where each distractor is bright: throughout, nowhere, above, at the left."""
    row, column = np.indices((side, side))
    return [row >= 0, row < 0, row < side // 2, column < side // 2]


@dataclass(frozen=True, eq=False)
class PlantedImages:
    """Images with one deciding patch each, or none.

    Attributes:
        images: Colour images; the label says which texture the deciding patch has, 0 that there is none.
        boxes: `[image, 4]`, the deciding patch: left, top, right and bottom in pixels, right and bottom
            exclusive; an empty box where there is none.
    """

    images: ImageSet
    boxes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def planted(self) -> NDArray[np.int64]:
        """The images that have a deciding patch."""
        return np.flatnonzero(self.images.labels)

    @property
    def area_share(self) -> float:
        """The patch's share of the image: how often a map that points anywhere points right."""
        rows, columns = self.images.common_size() or (1, 1)
        left, top, right, bottom = self.boxes[self.planted[:1]].T
        return float(((right - left) * (bottom - top)).sum() / (rows * columns))


def planted_images(
    count: int, *, size: int = 32, patch: int = 8, distractors: int = 2, split: str = "test", seed: int = 0
) -> PlantedImages:
    """Make images of which nothing but the texture of one patch tells the class.

    On a background of noise lie, without overlap, the deciding patch, of stripes in one of three directions
    or of checks, and distractors of the same size and contrast, bright or dark throughout or in halves,
    chosen without regard to the class. Patches have a random tint, and begin at multiples of half their side.
    Classes are equally frequent, in turn. The first is `nothing`, with distractors alone: without it a model
    could tell one texture by the lack of the three others, and that texture's own patch would decide nothing.

    An image depends on the seed and its number alone: fewer images are the first of more.

    *Source*: the idea of planted or "null" features is that of Yang and Kim 2019, arXiv 1907.09701.

    Args:
        count: The number of images, at least 1.
        size: Rows and columns of an image.
        patch: The side of a patch: a multiple of 4, at most a third of the image's.
        distractors: How many patches distract, 0 to 4.
        split: What the image set calls itself; give other splits other seeds.
        seed: A whole number ≥ 0.

    Raises:
        DataError: A number is out of range.
    """
    if count < 1 or patch < 4 or patch % 4 or 3 * patch > size or not 0 <= distractors <= _DISTRACTORS:
        raise DataError(
            f"expected at least 1 image, a patch of 4, 8, … pixels up to a third of the image and 0 to "
            f"{_DISTRACTORS} distractors, got {count}, {patch} of {size} and {distractors}"
        )
    made = [_image(number, size, patch, distractors, seed) for number in range(count)]
    labels = np.arange(count, dtype=np.int64) % len(_CLASSES)
    names = tuple(str(number) for number in range(count))
    pixels = np.stack([image for image, _ in made])
    images = ImageSet("planted patches", split, _CLASSES, labels, names, array=pixels)
    return PlantedImages(images, np.array([box for _, box in made], dtype=np.int64))


def _image(
    number: int, size: int, patch: int, distractors: int, seed: int
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """Return an image `[channel, row, column]` and the box of its deciding patch."""
    random = np.random.default_rng((seed, number))
    image = random.integers(*_NOISE, size=(3, size, size), endpoint=True).astype(np.uint8)
    label = number % len(_CLASSES)
    textures = [_textures(patch)[label - 1]] if label else []
    textures += [_distractors(patch)[choice] for choice in random.permutation(_DISTRACTORS)[:distractors]]
    places = _places(random, len(textures), size, patch)
    for texture, (top, left) in zip(textures, places, strict=True):
        tint = random.integers(-_TINT, _TINT, size=(3, 1, 1), endpoint=True)
        shown = np.where(texture, _BRIGHT, _DARK) + tint
        image[:, top : top + patch, left : left + patch] = shown.astype(np.uint8)
    if not label:
        return image, (0, 0, 0, 0)
    top, left = places[0]
    return image, (left, top, left + patch, top + patch)


def _places(random: np.random.Generator, count: int, size: int, patch: int) -> list[tuple[int, int]]:
    """Return the rows and columns where patches begin, apart from each other; the first is uniform."""
    step = patch // 2
    places: list[tuple[int, int]] = []
    while len(places) < count:
        row, column = (step * int(random.integers((size - patch) // step, endpoint=True)) for _ in range(2))
        if all(abs(row - other) >= patch or abs(column - beside) >= patch for other, beside in places):
            places.append((row, column))
    return places
