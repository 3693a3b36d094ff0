"""Maps on a page: those that the model gives now, of the class said and of the true one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.errors import InputError
from vitscope.report.page_text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.inference.classifier import Classifier
    from vitscope.report.page_images import Album
    from vitscope.report.page_runs import Run

__all__ = ["PageMaps", "make_maps"]


@dataclass(frozen=True, eq=False)
class PageMaps:
    """The maps of one image: of the class said and of the true one, or one that explains no class.

    Attributes:
        method: What made them, as a title.
        captions: What each shows.
        values: `[row, column]` each.
        picture: The picture that they lie on, uint8 grey or RGB.
        box: What the model saw of it.
        signed: Whether negative values mean evidence against.
        source: The name of the folder that held them; empty where the model gave them.
    """

    method: str
    captions: tuple[str, ...]
    values: Sequence[NDArray[np.floating]]
    picture: NDArray[np.uint8]
    box: Box
    signed: bool
    source: str = ""


def make_maps(run: Run, album: Album, chosen: Sequence[int]) -> dict[int, PageMaps]:
    """Run the model on the chosen images, and return what spoke for the class said and for the true one.

    Args:
        run: The run.
        album: Its pictures.
        chosen: Rows of the predictions.

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
    method = find_method(default_method(model))
    readable = [row for row in chosen if album.picture(row) is not None]
    subjects = [
        Subject(
            run.predictions.names[row],
            partial(images.image, int(album.rows[row])),
            int(run.rows.labels[row]),
        )
        for row in readable
    ]
    found: dict[int, PageMaps] = {}
    for batch in batches(model, subjects):
        maps = explain_batch(model, batch, [method.name], ("predicted", "true"))
        for index, picture in enumerate(batch.pictures):
            row = readable[batch.start + index]
            classes = (run.rows.predicted[row], run.rows.labels[row])
            found[row] = PageMaps(
                method=method.title,
                captions=tuple(f"for {shown(run.classes[int(each)])}" for each in classes),
                values=[record.values[index] for record in maps.maps[method.name]],
                picture=picture,
                box=batch.boxes[index],
                signed=method.signed,
            )
    return found


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
