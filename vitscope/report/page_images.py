"""The images of a page: found again where the predictions say that they came from, without a model."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import EnvironmentFault, ImageError, InputError
from vitscope.report.pictures import find_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from vitscope.data.imageset import ImageSet
    from vitscope.records.predictions import Predictions
    from vitscope.report.page_runs import Run

__all__ = ["Album", "find_album"]

_DRAWINGS = "drawings"
# The figures of an evaluation that show images by their row in the predictions.
_GALLERIES = (
    "samples",
    "misclassified",
    "confident_errors",
    "uncertain_hits",
    "class_gallery",
    "confused_pairs",
)


@dataclass(frozen=True, eq=False)
class Album:
    """The pictures behind predictions.

    Attributes:
        rows: `[image]`, where each prediction's image is in the data set; −1 where it is not at hand.
        images: The data set; None where there are only the pictures that the evaluation kept.
        held: Those pictures, by their row in the predictions.
    """

    rows: NDArray[np.int64]
    images: ImageSet | None = None
    held: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)

    def picture(self, row: int) -> NDArray[np.uint8] | None:
        """Return the picture of a prediction, uint8 grey or RGB; None where it cannot be read."""
        if self.images is None:
            return self.held.get(row)
        try:
            return np.asarray(self.images.image(int(self.rows[row])))
        except ImageError:
            return None


def find_album(run: Run, data: str | None) -> Album | None:
    """Return the pictures behind a run's predictions; None where they are not at hand.

    Without `data` they are looked for in the folder that the evaluation's command named, and in that of the
    training run; nothing is downloaded. What is found there must have the digest that the predictions keep.
    Else there are the few that the evaluation's figures were drawn from.

    Args:
        run: The run.
        data: A data set's name or folder.

    Raises:
        DataError: The data given cannot be loaded.
        InputError: It does not hold these images.
    """
    predictions = run.predictions
    if data is not None:
        album = _matched(_whole(data, predictions), predictions)
        if album is None:
            raise InputError(
                f"{data} does not hold the images of {run.name}", hint="leave out --data for no pictures"
            )
        return album
    made = predictions.provenance.data_digest
    for source in dict.fromkeys(_sources(run) if made else ()):
        with suppress(InputError, EnvironmentFault):
            album = _matched(_whole(source, predictions), predictions)
            if album is not None and _made_of(album, made):
                return album
    return _kept(run)


def _made_of(album: Album, digest: str) -> bool:
    images = album.images
    return images is not None and digest in (images.digest, images.take(album.rows).digest)


def _kept(run: Run) -> Album | None:
    """Return the pictures that the evaluation's figures were drawn from; None where none were kept."""
    files = [
        file for name in _GALLERIES if (file := run.folder / "figures" / _DRAWINGS / f"{name}.npz").is_file()
    ]
    if not files:
        return None
    from vitscope.figures.kept import read_drawing
    from vitscope.figures.pictures import Pictures

    held: dict[int, NDArray[np.uint8]] = {}
    for file in files:
        with suppress(InputError):
            draw, _ = read_drawing(file)
            for value in getattr(draw, "args", ()):
                if isinstance(value, Pictures):
                    held |= {row: picture for row, picture in value.held.items() if picture is not None}
    rows = np.full(len(run.predictions), -1, dtype=np.int64)
    known = [row for row in held if 0 <= row < len(rows)]
    rows[known] = known
    return Album(rows, held=held) if known else None


def _sources(run: Run) -> Iterator[str]:
    """Yield where the images may be, the likeliest first: folders that exist, and data that needs no file."""
    provenance = run.predictions.provenance
    named = []
    for word, value in zip(provenance.command, provenance.command[1:], strict=False):
        if word == "--data":
            named.append(value)
    named += [word.removeprefix("--data=") for word in provenance.command if word.startswith("--data=")]
    settings = run.training.manifest.get("settings") if run.training is not None else None
    section = settings.get("data") if isinstance(settings, dict) else None
    if isinstance(section, dict):
        named.append(str(section.get("source", "")))
    named.append(provenance.data)
    for name in named:
        if name == "digits" or (name and os.path.isdir(os.path.expanduser(name))):  # noqa: PTH111
            yield name


def _whole(source: str, predictions: Predictions) -> ImageSet:
    """Return all images of which the predictions may be a part, whatever the shares of the splits were."""
    if predictions.provenance.split in ("train", "validation"):
        return load_split(DataSpec(source, validation=0.0, test=0.0), "train")
    return load_split(DataSpec(source, test=1.0), "test")


def _matched(images: ImageSet, predictions: Predictions) -> Album | None:
    """Return where each prediction's image is, or None if these are other images."""
    if find_pictures(images, predictions.names, predictions.labels) is None:
        return None
    places = {name: index for index, name in enumerate(images.names)}
    return Album(np.array([places[name] for name in predictions.names], dtype=np.int64), images)
