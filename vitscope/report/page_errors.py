"""The confident errors of a page: the pictures, and what spoke for the class said and for the true one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vitscope.analysis.samples import confident_errors
from vitscope.errors import InputError, VitscopeError
from vitscope.report.page_text import per_cent, shown
from vitscope.report.sprites import data_address, fitted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.inference.classifier import Classifier
    from vitscope.report.page_images import Album
    from vitscope.report.page_runs import Run

__all__ = ["Errors", "find_errors"]

_SHOWN = 12
_SIDE = 160  # pixels of a picture on the page
_LARGEST = 512  # pixels a side of a picture that a map is laid over


@dataclass(frozen=True)
class Errors:
    """The wrong predictions that the model is surest of.

    Attributes:
        rows: One an image: `name`, `true`, `predicted`, `confidence`, `share` of the true class, and
            `pictures`, each a pair of an address and a caption.
        wrong: How many predictions are wrong in all.
        method: What made the maps; empty where there are none.
        note: What is missing, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    wrong: int = 0
    method: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class _Maps:
    """The maps of one image: of the class said and of the true one, or one that explains no class."""

    captions: tuple[str, ...]
    values: Sequence[NDArray[np.floating]]
    box: Box
    signed: bool


def find_errors(run: Run, album: Album | None, *, maps: bool) -> Errors:
    """Return the confident errors, with maps over them where the model is at hand.

    Args:
        run: The run.
        album: Its pictures; None where they are not at hand.
        maps: Whether to run the model for maps of the two classes.
    """
    chosen = confident_errors(run.rows, count=_SHOWN)
    wrong = int(np.count_nonzero(run.rows.finite & ~run.rows.correct))
    method, note = "", ""
    found: Mapping[int, _Maps] = {}
    if album is None:
        note = "The images are not at hand: name them with --data."
    elif not maps:
        note = "Without attention maps: --no-maps was given."
    elif chosen.size:
        try:
            method, found = _explained(run, album, chosen)
        except (VitscopeError, OSError) as error:
            note = f"Without attention maps: {error}."
    rows = [_row(run, album, int(row), found.get(int(row))) for row in chosen]
    return Errors(rows, wrong, method, note)


def _row(run: Run, album: Album | None, row: int, maps: _Maps | None) -> dict[str, Any]:
    rows, classes = run.rows, run.classes
    picture = None if album is None else album.picture(row)
    return {
        "name": shown(run.predictions.names[row]),
        "true": shown(classes[int(rows.labels[row])]),
        "predicted": shown(classes[int(rows.predicted[row])]),
        "confidence": per_cent(float(rows.confidence[row])),
        "share": per_cent(float(rows.truth[row])),
        "pictures": [] if picture is None else _pictures(picture, maps),
    }


def _pictures(picture: NDArray[np.uint8], maps: _Maps | None) -> list[tuple[str, str]]:
    from vitscope.figures.overlay import Scale, overlay

    plain = [(_address(picture), "picture")]
    if maps is None:
        return plain
    large, box = _legible(picture, maps.box)
    scale = Scale.fitting(*maps.values, signed=maps.signed)
    over = [overlay(large, each, box=box, scale=scale) for each in maps.values]
    return plain + [(_address(each), caption) for each, caption in zip(over, maps.captions, strict=True)]


def _legible(picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture of at least 160 and at most 512 pixels a side, and its box."""
    height, width = picture.shape[:2]
    share = min(max(1.0, _SIDE / max(height, width)), _LARGEST / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    large = Image.fromarray(picture).resize(
        size, Image.Resampling.NEAREST if share > 1 else Image.Resampling.BOX
    )
    left, right = (min(edge * size[0] / width, size[0]) for edge in (box[0], box[2]))
    top, bottom = (min(edge * size[1] / height, size[1]) for edge in (box[1], box[3]))
    return np.asarray(large), (left, top, right, bottom)


def _address(picture: NDArray[np.uint8]) -> str:
    return data_address(fitted(picture, _SIDE), kind="PNG" if max(picture.shape[:2]) <= 64 else "JPEG")


def _explained(run: Run, album: Album, chosen: NDArray[np.int64]) -> tuple[str, Mapping[int, _Maps]]:
    """Run the model on the chosen images, and return what spoke for the class said and for the true one.

    Raises:
        VitscopeError: The model is not there, is another, or has no map.
    """
    from vitscope.explain.methods import find_method
    from vitscope.report.maps import default_method, explain_batch
    from vitscope.report.subjects import Subject, batches

    images = album.images
    if images is None:
        raise InputError("the data set is not at hand: name it with --data")
    model = _model(run)
    method = default_method(model)
    readable = [int(row) for row in chosen if album.picture(int(row)) is not None]
    subjects = [
        Subject(
            run.predictions.names[row],
            partial(images.image, int(album.rows[row])),
            int(run.rows.labels[row]),
        )
        for row in readable
    ]
    found: dict[int, _Maps] = {}
    for batch in batches(model, subjects):
        maps = explain_batch(model, batch, [method], ("predicted", "true"))
        for index in range(len(batch.subjects)):
            row = readable[batch.start + index]
            classes = (run.rows.predicted[row], run.rows.labels[row])
            found[row] = _Maps(
                captions=tuple(f"for {shown(run.classes[int(each)])}" for each in classes),
                values=[record.values[index] for record in maps.maps[method]],
                box=batch.boxes[index],
                signed=find_method(method).signed,
            )
    return find_method(method).title, found


def _model(run: Run) -> Classifier:
    """Return the model that made the predictions.

    Raises:
        VitscopeError: It is not where it was, or another is there.
    """
    source = run.predictions.provenance.checkpoint
    if not run.predictions.provenance.checkpoint_digest or not Path(source).is_file():
        raise InputError(
            f"the checkpoint {shown(source)} is not there" if source else "no checkpoint is known"
        )
    from vitscope.inference.classifier import load
    from vitscope.report.origin import check_model

    model = load(source, device="cpu")
    check_model(model, run.predictions)
    return model
