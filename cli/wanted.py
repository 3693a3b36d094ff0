"""Which images a command looks at: files, and images of a data set by their index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli.subjects import data_of, find_images, parse_indices
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.cli.options import Split
    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.report.subjects import Subject

__all__ = ["Wanted"]


@dataclass(frozen=True)
class Wanted:
    """Which images are looked at: files, or some of a data set.

    Attributes:
        files: The image files.
        index: Which images of the data set; None for none.
        split: Its part.
        data: Its name or folder; None for the model's own.
    """

    files: tuple[Path, ...]
    index: str | None
    split: Split
    data: str | None

    @classmethod
    def found(cls, images: Sequence[str] | None, index: str | None, split: Split, data: str | None) -> Wanted:
        """Find the files.

        Raises:
            UsageError: There is neither a file nor an index.
            ImageError: An argument names no image.
        """
        if not images and index is None:
            raise UsageError(
                "there is no image to look at",
                hint="name image files, or --index 0-7 for the checkpoint's own data",
            )
        return cls(tuple(find_images(images or ())), index, split, data)

    def subjects(self, model: Classifier, *, labelled: bool) -> tuple[list[Subject], ImageSet | None]:
        """Return the images as subjects, and the data set that some are from, if any.

        Args:
            model: Knows its own data.
            labelled: Whether the true classes are needed.

        Raises:
            UsageError: They are needed for files, or the index is out of range.
            DataError: The data cannot be loaded, or has classes that the model does not know.
        """
        found = _from_files(self.files)
        if self.index is None:
            return found, None
        from vitscope.data.sources import load_split

        own = load_split(data_of(model, self.data, self.split), self.split)
        return found + _from_data(own, self.index, model if labelled else None), own


def _from_files(files: Sequence[Path]) -> list[Subject]:
    """Return the files as subjects, once each of them says that it is an image."""
    from functools import partial

    from vitscope.data.images import probe_image, read_image
    from vitscope.report.subjects import Subject

    for file in files:
        probe_image(file)
    return [Subject(str(file), partial(read_image, file)) for file in files]


def _from_data(images: ImageSet, index: str, model: Classifier | None) -> list[Subject]:
    """Return some images of a data set as subjects, with their labels where a model is given."""
    from functools import partial

    from vitscope.report.subjects import Subject

    chosen = parse_indices(index, len(images))
    labels: dict[int, int] = {}
    if model is not None:
        from vitscope.inference.alignment import align

        aligned = align(images, model).labels
        labels = {number: int(aligned[number]) for number in chosen}
    name = f"{images.name}-{images.split}"
    return [
        Subject(f"{name}-{number}", partial(images.image, number), labels.get(number)) for number in chosen
    ]
